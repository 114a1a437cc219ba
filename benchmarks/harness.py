"""How is lm-evaluation-harness asked? By a task of ours in a folder, and a script of the peers' that runs it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.setting import Setting


def write_task(folder: Path, name: str, template: str, rows: Sequence[dict[str, Any]], **values: object) -> Path:
    """A folder with a task's rows and its YAML, in which {data} stands for the file of the rows, {key} for values."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / f"{name}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / f"{name}.yaml").write_text(template.format(data=data.resolve(), **values))
    return folder


def evaluate(setting: Setting, script: str, folder: Path, *, dtype: str, batch_size: int, limit: int) -> dict[str, Any]:
    """What the script printed of the model's weights in that dtype; limit 0 takes all rows."""
    options = (str(setting.hf_folder(dtype)), dtype, str(batch_size), str(folder), str(limit), str(setting.threads))
    result: dict[str, Any] = json.loads(setting.run_peer(script, *options).strip().splitlines()[-1])
    return result
