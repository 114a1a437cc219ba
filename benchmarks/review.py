"""How long does the main job take? A whole review of the default model, to its first row and to its end."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from typing import NamedTuple

from benchmarks.figures import Figure
from benchmarks.machine import park
from benchmarks.setting import Setting, SideFailedError, greenlight_command

TITLE = "a review"
ROUNDS = 3
FIRST_S, WHOLE_S = 10.0, 120.0
ROW = re.compile(r"\s+\S+ .* (PASS|FAIL|INCONCLUSIVE|DISCLOSED|NOT RUN)\b")


class Seconds(NamedTuple):
    """Of one review, from when its process was started."""

    first_row: float
    whole: float


def measure(setting: Setting) -> list[Figure]:
    """No peer does this job."""
    seen = []
    for number in range(setting.count(ROUNDS)):
        park()
        seen.append(_review(setting, number))
    common = {"unit": "s", "more_is_better": False}
    return [
        Figure(name="review, to its first row", ours=tuple(s.first_row for s in seen), at_most=FIRST_S, **common),
        Figure(name="review, to its end", ours=tuple(s.whole for s in seen), at_most=WHOLE_S, **common),
    ]


def _review(setting: Setting, number: int) -> Seconds:
    folder = setting.work / f"review-{number}"
    shutil.rmtree(folder, ignore_errors=True)
    command = [*greenlight_command(), "review", setting.ref, "--out", str(folder)]
    start, first = time.perf_counter(), None
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    tail = ""
    for line in process.stdout:
        tail = line
        if first is None and ROW.match(line):
            first = time.perf_counter() - start
    if process.wait() or first is None:
        raise SideFailedError(f"the review ended with {process.returncode}: {tail.strip()}")
    return Seconds(first, time.perf_counter() - start)
