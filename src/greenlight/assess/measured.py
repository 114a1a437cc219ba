"""python -m greenlight.assess.measured PATH OPS [ADAPTER…]: what a model costs in a process of its own, as JSON.

The exam's process holds thousands of cached answers; a fresh one holds what a user's would.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from greenlight.assess.instrument import PROBE
from greenlight.assess.resources import measure_resources
from greenlight.engine.local import LocalModel
from greenlight.errors import EngineError
from greenlight.evidence import JSON


def measure(path: Path, files: Sequence[Path], ops: str, adapters: Sequence[Path] = ()) -> dict[str, JSON]:
    """Measure a model in a fresh process.

    Args:
        path: the model.
        files: what its size is the sum of.
        ops: name of the operations to use.
        adapters: what it is loaded with.

    Raises:
        EngineError: the process failed; its last words are in the error.
    """
    command = [sys.executable, "-m", "greenlight.assess.measured", str(path), ops]
    command += map(str, adapters)
    # The command is this interpreter and this module; the path is an argument, not a shell word.
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        found = (result.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
        raise EngineError("the model could not be measured in a process of its own", where=str(path), found=found)
    value: dict[str, JSON] = json.loads(result.stdout)
    return {**value, "size_bytes": sum(file.stat().st_size for file in files)}


def main() -> None:
    """Measure the model that the command line names."""
    path, ops, *adapters = sys.argv[1:]
    model = LocalModel.load(Path(path), ops=ops, adapters=tuple(map(Path, adapters)))
    text = model.encode(" ".join(message.content for message in PROBE))
    # Without guesses: how often they are right is the text's doing, and this one is nobody's.
    engine = model.engine(prefix_cache=False, guesses=False)
    json.dump(measure_resources(engine, text, load_s=model.load_s), sys.stdout)


if __name__ == "__main__":
    main()
