"""How does a test of the user's own become an assessment? One TOML file, one JSONL file, and a self-test."""

from greenlight.assess.own.task import Task, read_task, suites_of
from greenlight.assess.own.trial import SelfTest, self_test

__all__ = ["SelfTest", "Task", "read_task", "self_test", "suites_of"]
