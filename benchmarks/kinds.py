"""How fast are other types of weights? Q4_K and Q6_K in a Llama of 1B shape, MXFP4 in the experts of a gpt-oss."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.at_length import Work, measure_works
from benchmarks.figures import Figure
from benchmarks.random_models import random_file
from benchmarks.setting import Setting

TITLE = "other types of weights"
FLOOR = 1.5
FILES = (("Llama 1B", "Q4_K"), ("Llama 1B", "Q6_K"), ("gpt-oss, 4 layers", "MXFP4"))


def measure(setting: Setting) -> Iterator[Figure]:
    """Decode must be well ahead; prefill is shown."""
    return measure_works(
        setting,
        [
            Work(
                name=f"{shape} {kind}",
                path=random_file(setting.work, shape, kind),
                prompt=128,
                tokens=32,
                rounds=5,
                decode_floor=FLOOR,
            )
            for shape, kind in FILES
        ],
    )
