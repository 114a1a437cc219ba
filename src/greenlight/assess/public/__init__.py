"""Which public benchmarks can be asked? Adapters to files as their authors publish them; none ships in the package."""

from greenlight.assess.public.facts import FACTS
from greenlight.assess.public.misuse import MISUSE
from greenlight.assess.public.science import SCIENCE
from greenlight.assess.public.sense import SENSE
from greenlight.assess.public.solving import SOLVING
from greenlight.assess.public.truth import TRUTH
from greenlight.assess.public.values import VALUES
from greenlight.assess.suites import Suite
from greenlight.assess.suites.wrappers import jailbreak

__all__ = ["PUBLIC", "RUNS_CODE"]

_WRAPPED = (
    jailbreak("jailbreak", None),  # around the package's own requests
    *(
        jailbreak(f"jailbreak.{suite.name.partition('.')[2]}", suite)
        for suite in MISUSE
        if suite.name in ("refuse.strongreject", "refuse.harmbench", "refuse.jailbreakbench")
    ),
)

PUBLIC: dict[str, Suite] = {
    suite.name: suite for suite in (*SCIENCE, *SENSE, *TRUTH, *SOLVING, *FACTS, *MISUSE, *_WRAPPED, *VALUES)
}
"""Name to suite; whether its files are on this machine shows when it is drawn."""

RUNS_CODE = ("compete.humaneval", "compete.mbpp")
"""Benchmarks whose grading runs programs that a model wrote: NOT SUPPORTED, here nothing that a model wrote is run."""
