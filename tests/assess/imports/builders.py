"""Files as lm-eval 0.4.13, Inspect 0.3.285 and Every Eval Ever 0.3.0 write them, small enough to damage.

The witnesses (tests/witness/test_imports.py) hold these shapes to what the tools themselves write.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import zstandard

from greenlight.errors import GreenlightError


def read_or_refused(call: Callable[[], Any]) -> Any:
    """What a call gives; None where it refuses with an error that says where."""
    try:
        return call()
    except GreenlightError as error:
        if not error.where:
            raise AssertionError("an error names no place") from error
        return None


STAMP = "2026-01-31T12-00-00.000000"

CHOICES = ["one", "two", "three"]


def choice_line(number: int, *, gold: int | str = 1, picked: int = 1, **more: Any) -> dict[str, Any]:
    """A sample of a multiple-choice task."""
    prompt = f"Question {number}?\nAnswer:"
    return {
        "doc_id": number,
        "doc": {"question": f"Question {number}?"},
        "target": str(gold),
        "arguments": {f"gen_args_{i}": {"arg_0": prompt, "arg_1": f" {text}"} for i, text in enumerate(CHOICES)},
        "resps": [[["-1.5" if i == picked else "-3.25", "False"]] for i in range(3)],
        "filtered_resps": [["-1.5" if i == picked else "-3.25", "False"] for i in range(3)],
        "filter": "none",
        "metrics": ["acc", "acc_norm"],
        "acc": float(picked == gold),
        "acc_norm": float(picked == gold),
        **more,
    }


def math_line(number: int, *, output: str | None = None, score: float = 1.0, **more: Any) -> dict[str, Any]:
    """A sample of a task whose answers are texts with a number."""
    said = f"It is {2 * number}." if output is None else output
    return {
        "doc_id": number,
        "doc": {"question": f"{number} + {number}?"},
        "target": f"We add. #### {2 * number:,}",
        "arguments": {"gen_args_0": {"arg_0": f"{number} + {number}?", "arg_1": {"until": ["\n"]}}},
        "resps": [[said]],
        "filtered_resps": [said.rstrip(".").rpartition(" ")[2]],
        "filter": "none",
        "metrics": ["exact_match"],
        "exact_match": score,
        **more,
    }


def lm_eval(folder: Path, tasks: Mapping[str, Sequence[Mapping[str, Any]]], **configs: Mapping[str, Any]) -> Path:
    """Write a run of lm-eval; returns its results file."""
    folder.mkdir(parents=True, exist_ok=True)
    described = {}
    for name, lines in tasks.items():
        kind = "multiple_choice" if lines and "acc" in lines[0] else "generate_until"
        described[name] = {"task": name, "output_type": kind, "dataset_path": "json", **configs.get(name, {})}
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"samples_{name}_{STAMP}.jsonl").write_text(text)
    results = {
        "results": {name: {} for name in tasks},
        "configs": described,
        "versions": dict.fromkeys(tasks, 3.0),
        "config": {
            "model": "hf",
            "model_args": {"pretrained": "acme/tiny"},
            "model_sha": "",
            "model_num_parameters": 37088,
        },
        "date": 1769860800.5,
        "lm_eval_version": "0.4.13",
        "model_name": "acme/tiny",
        "system_instruction": None,
        "chat_template": None,
    }
    path = folder / f"results_{STAMP}.json"
    path.write_text(json.dumps(results))
    return path


def inspect_sample(number: int, *, epoch: int = 1, value: Any = "C", output: str = "4", **more: Any) -> dict[str, Any]:
    """A sample of an Inspect log."""
    asked = [
        {"id": "a", "role": "system", "content": "Be brief."},
        {"id": "b", "role": "user", "source": "input", "content": f"{number} + {number}?"},
    ]
    said = {"id": "c", "role": "assistant", "source": "generate", "content": output}
    return {
        "id": f"q{number}",
        "epoch": epoch,
        "input": f"{number} + {number}?",
        "target": str(2 * number),
        "messages": [*asked, said],
        "output": {
            "model": "mockllm/model",
            "choices": [{"message": said, "stop_reason": "stop"}],
            "completion": output,
            "usage": {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8},
        },
        "scores": {"match": {"value": value, "answer": output, "history": []}},
        "metadata": {},
        "attachments": {},
        **more,
    }


def inspect_header(*, status: str = "success", epochs: int = 1, task: str = "sums") -> dict[str, Any]:
    """The header of an Inspect log."""
    return {
        "version": 2,
        "status": status,
        "eval": {
            "task": task,
            "task_version": 0,
            "model": "mockllm/model",
            "model_generate_config": {"temperature": 0.5},
            "config": {"epochs": epochs},
            "packages": {"inspect_ai": "0.3.285"},
            "dataset": {"name": "sums", "samples": 3},
        },
        "stats": {"started_at": "2026-01-31T12:00:00+00:00", "completed_at": "2026-01-31T12:01:00+00:00"},
    }


def inspect_json(path: Path, samples: Sequence[Mapping[str, Any]], **header: Any) -> Path:
    """Write a log as one JSON file."""
    path.write_text(json.dumps({**inspect_header(**header), "samples": list(samples)}))
    return path


def inspect_eval(path: Path, samples: Sequence[Mapping[str, Any]], method: int = 93, **header: Any) -> Path:
    """Write a log as an archive, its members compressed by one of zip's methods."""
    members = {
        "_journal/start.json": b"{}",
        **{f"samples/{sample['id']}_epoch_{sample['epoch']}.json": json.dumps(sample).encode() for sample in samples},
        "header.json": json.dumps(inspect_header(**header)).encode(),
    }
    path.write_bytes(archive(members, method))
    return path


def archive(members: Mapping[str, bytes], method: int) -> bytes:
    """A zip file; Zstandard (93) is packed here, since zipfile cannot."""
    if method != 93:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as file:
            for name, data in members.items():
                file.writestr(name, data)
        return buffer.getvalue()
    body, directory = b"", b""
    for name, data in members.items():
        packed, label = zstandard.ZstdCompressor().compress(data), name.encode()
        sizes = struct.pack("<LLL", zlib.crc32(data), len(packed), len(data))
        common = struct.pack("<HHHHH", 20, 0, 93, 0, 33) + sizes + struct.pack("<HH", len(label), 0)
        directory += (
            b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHLL", 0, 0, 0, 0, len(body)) + label
        )
        body += b"PK\x03\x04" + common + label + packed
    end = struct.pack("<HHHHLLH", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + end


def every_eval(folder: Path, lines: Sequence[Mapping[str, Any]], **more: Any) -> Path:
    """Write a record of Every Eval Ever with its answers; returns the record."""
    import hashlib

    name = "0b0b0b0b-0b0b-4b0b-ab0b-0b0b0b0b0b0b"
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / f"{name}_samples.jsonl").write_text(text)
    record = {
        "schema_version": "0.3.0",
        "evaluation_id": "sums/acme/tiny/1",
        "retrieved_timestamp": "1",
        "source_metadata": {},
        "eval_library": {"name": "lm_eval", "version": "0.4.13"},
        "model_info": {"name": "tiny", "id": "acme/tiny", "additional_details": {}},
        "evaluation_results": [],
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": f"data/sums/acme/tiny/{name}_samples.jsonl",
            "hash_algorithm": "sha256",
            "checksum": hashlib.sha256(text.encode()).hexdigest(),
        },
        **more,
    }
    (folder / f"{name}.json").write_text(json.dumps(record))
    return folder / f"{name}.json"


def every_line(number: int, *, score: float = 1.0, **more: Any) -> dict[str, Any]:
    """One answer of a record."""
    return {
        "schema_version": "0.3.0",
        "evaluation_id": "sums/acme/tiny/1",
        "model_id": "acme/tiny",
        "evaluation_name": "sums",
        "evaluation_result_id": "sums.accuracy",
        "sample_id": f"q{number}",
        "interaction_type": "single_turn",
        "input": {"raw": f"{number} + {number}?", "reference": [str(2 * number)]},
        "output": {"raw": [f"It is {2 * number}."]},
        "answer_attribution": [{"extracted_value": str(2 * number)}],
        "evaluation": {"score": score, "is_correct": score == 1},
        **more,
    }
