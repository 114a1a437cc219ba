"""How much does the base install bring along? A fresh virtual environment, its site-packages without .pyc."""

from __future__ import annotations

import os
import sys
import time
import venv
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.setting import Setting, SideFailedError, run_quietly
from benchmarks.text import ROOT

TITLE = "install"
LIMIT_MB = 400.0
NEVER = "torch"


def measure(setting: Setting) -> list[Figure]:
    """Install from this source tree with pip, into an environment that holds nothing else, not even pip."""
    home = setting.work / "base-install"
    venv.create(home, clear=True)
    python = home / "bin" / "python"
    start = time.perf_counter()
    try:
        run_quietly(_pip_install(python, setting.work / "base-build"), _environment())
    except SideFailedError as error:
        return [Figure(name="site-packages", unit="MB", ours=(), why_not=f"pip failed: {str(error)[-300:]}")]
    seconds = time.perf_counter() - start
    (packages,) = home.glob("lib/python*/site-packages")
    sizes = sizes_mb(packages)
    largest = sorted(sizes.items(), key=lambda size: -size[1])[:8]
    return [
        Figure(
            name="site-packages of the base install, without .pyc",
            unit="MB",
            ours=(sum(sizes.values()),),
            more_is_better=False,
            at_most=LIMIT_MB,
            settings={"largest_mb": dict(largest), "pip_install_s": round(seconds, 1)},
        ),
        Figure(
            name="torch in the base install",
            unit="packages",
            ours=(float(NEVER in sizes),),
            more_is_better=False,
            at_most=0.0,
        ),
    ]


def sizes_mb(packages: Path) -> dict[str, float]:
    """MB (1e6 bytes) of each entry of a site-packages folder, byte code left out."""
    sizes: dict[str, float] = {}
    for path in packages.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.suffix != ".pyc":
            name = path.relative_to(packages).parts[0]
            sizes[name] = sizes.get(name, 0.0) + path.stat().st_size / 1e6
    return sizes


def _pip_install(python: Path, build: Path) -> list[str]:
    # A build folder of its own: the tree's may be in use, or hold another compiler's objects.
    options = ["--quiet", "--no-compile", "--disable-pip-version-check", f"--config-settings=build-dir={build}"]
    return [sys.executable, "-m", "pip", "--python", str(python), "install", *options, str(ROOT)]


def _environment() -> dict[str, str]:
    # Packages on PYTHONPATH would count as installed.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
