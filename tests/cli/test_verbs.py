"""Do the files of verbs register what the table says, and does a command line load the one that it names?"""

from __future__ import annotations

import subprocess
import sys

import pytest

from greenlight.cli.verbs import FILES

REGISTERED = """
import sys
from greenlight.cli import verbs
from greenlight.cli.app import app
verbs.register(sys.argv[1:])
print(*(command.name for command in app.registered_commands))
"""


def registered(*arguments: str) -> list[str]:
    command = [sys.executable, "-c", REGISTERED, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("arguments", [(), ("--help",), ("--version", "chat"), ("no-such-verb",)])
def test_all_verbs_are_there_where_the_first_word_is_none_of_them(arguments: tuple[str, ...]) -> None:
    assert registered(*arguments) == [verb for verbs in FILES.values() for verb in verbs]


def test_a_verb_comes_with_those_of_its_file_alone() -> None:
    assert registered("eval", "--help") == ["assess", "eval"]


def test_each_verb_stands_in_one_file() -> None:
    verbs = [verb for names in FILES.values() for verb in names]
    assert len(verbs) == len(set(verbs))
