from __future__ import annotations

import json

import numpy as np
import pytest

from greenlight.evidence import read_json, sha256_file
from greenlight.hub import adapter_digests, digest_of
from greenlight.model.checkpoint import open_checkpoint
from greenlight.ops import native
from tests.model.test_adapter import deltas, write_adapter


@pytest.fixture
def short(tmp_path):
    path = tmp_path / "short.txt"
    path.write_text("The quick brown fox jumps over the lazy dog.")
    return path


def test_a_conversion_prints_what_it_cost_and_where_the_report_lies(run, chat_model, short, tmp_path):
    target = tmp_path / "q4.gguf"
    code, out, _ = run("convert", chat_model, target, "--to", "q4_0", "--text", short)
    assert code == 0
    for part in ("KL divergence", "same first", "perplexity", "first difference", sha256_file(target)):
        assert part in out
    assert f"{target}.identity.json" in out


def test_json_is_the_report(run, chat_model, short, tmp_path):
    code, out, _ = run("convert", chat_model, tmp_path / "hf", "--text", short, "--calibrate", short, "--json")
    assert code == 0
    report = read_json(tmp_path / "hf.identity.json", "identity")
    assert json.loads(out) == report
    assert report["measured"]["calibration"]["name"] == "short.txt"


@pytest.mark.skipif(not native.available(), reason="no native kernels")
def test_the_comparison_can_be_computed_exactly(run, chat_model, short, tmp_path):
    found = {}
    for precision in ("standard", "exact"):
        target = tmp_path / precision / "q8.gguf"
        target.parent.mkdir()
        wanted = ("--to", "q8_0", "--text", short, "--precision", precision, "--json")
        report = json.loads(run("convert", chat_model, target, *wanted)[1])
        found[precision] = (report["measured"]["ops"], report["measured"]["kl"]["mean"], report["target"]["sha256"])
    assert found["exact"][0] == found["standard"][0] + "+exact"
    assert found["exact"][1] != found["standard"][1]
    assert found["exact"][2] == found["standard"][2]


def test_without_a_report_nothing_is_compared(run, chat_model, tmp_path):
    code, out, _ = run("convert", chat_model, tmp_path / "m.gguf", "--no-report")
    assert code == 0
    assert "KL" not in out
    assert read_json(tmp_path / "m.gguf.identity.json", "identity")["measured"] is None


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["m.gguf", "--type", "q9"], 2, "written are"),
        (["folder", "--type", "q8_0"], 2, "does not hold"),
        (["m.gguf", "--format", "hf"], 2, "does not go with"),
        (["nowhere/m.gguf"], 1, "no such folder"),
    ],
)
def test_what_cannot_be_is_said_and_leaves_nothing(run, chat_model, tmp_path, monkeypatch, arguments, status, said):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("convert", chat_model, *arguments)
    assert (code, out) == (status, "")
    assert said in err
    assert not list(tmp_path.iterdir())


def test_a_merged_model_prints_the_digests_of_base_and_adapter(run, chat_model, tmp_path):
    weights = {name: np.empty(tensor.shape) for name, tensor in open_checkpoint(chat_model).tensors.items()}
    adapter = write_adapter(tmp_path / "tuned", deltas(weights))
    code, out, _ = run("convert", f"{chat_model}+{adapter}", tmp_path / "m.gguf", "--no-report")
    assert code == 0
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith("  ")}
    assert lines["base"] == [sha256_file(chat_model)]
    assert lines["adapter"] == [digest_of(adapter_digests(adapter))]
    assert "tuned was added in float32" in " ".join(lines["note"])
