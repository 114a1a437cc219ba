"""The package installs where no compiler is, says so, and works: its products then run through numpy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = "import sys; sys.path[:0] = {paths!r}; sys.argv[0] = 'greenlight'; from greenlight.cli import main; main()"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The package as pip installs it with compilers that fail; its dependencies are those of this environment."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--target", str(target)]
    build = ["-C", f"build-dir={tmp_path_factory.mktemp('build')}", str(ROOT)]
    environment = {**os.environ, "CC": "false", "CXX": "false"}
    done = subprocess.run([*command, *build], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def greenlight(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed package alone: -S leaves out the editable one of this environment."""
    code = RUN.format(paths=[str(installed), sysconfig.get_path("platlib")])
    return subprocess.run([sys.executable, "-S", "-c", code, *arguments], capture_output=True, text=True, check=False)


def test_doctor_says_which_path_runs_and_why(installed):
    done = greenlight(installed, "doctor", "--json")
    facts = json.loads(done.stdout)
    assert not list(installed.rglob("_native*.so"))
    assert (facts["fast"], facts["ops"].split("/")[0]) == (False, "numpy")
    assert "native kernels cannot be loaded" in facts["why"]


def test_the_model_answers_and_the_talk_says_that_it_is_slow(installed, default_model):
    done = greenlight(installed, "chat", str(default_model), "-p", "Name a colour.", "--max-tokens", "4", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answer"].strip()
    assert "many times slower" in done.stderr
