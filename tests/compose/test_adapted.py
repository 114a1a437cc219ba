"""MODEL+ADAPTER wherever a model is taken: converted, inspected, read, planned, compared."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from greenlight import compose
from greenlight.compose.converting import Wish, convert
from greenlight.compose.identity import Text
from greenlight.compose.inspection import inspect
from greenlight.compose.lens import read
from greenlight.errors import GreenlightError
from greenlight.evidence import sha256_file
from greenlight.formats.gguf import read_gguf
from greenlight.formats.quants import dequantize
from greenlight.formats.tensors import TensorType
from greenlight.hub import adapter_digests, digest, digest_of, file_digests
from greenlight.model.adapter import read_adapter
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.load import load_decoder
from greenlight.ops import select_ops
from tests.builders import all_logits, write_safetensors
from tests.model.test_adapter import ALL, deltas, write_adapter
from tests.model.test_adapter_gguf import halves, write_lora

NUMPY = select_ops("numpy")
TOKENS = [5, 9, 40, 7, 80, 3]
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1}
TEXT = Text("a text", "The thing in the end. " * 6)


@pytest.fixture(scope="module")
def folder(chat_model, tmp_path_factory):
    """The tiny chat model as a folder of float32."""
    target = tmp_path_factory.mktemp("base") / "hf"
    convert(str(chat_model), target)
    return target


@pytest.fixture(scope="module")
def adapter(chat_model, tmp_path_factory):
    weights = {name: np.empty(tensor.shape) for name, tensor in open_checkpoint(chat_model).tensors.items()}
    pairs = {module: (a / 4, b / 4) for module, (a, b) in deltas(weights, ALL).items()}
    return write_adapter(tmp_path_factory.mktemp("adapter") / "tuned", pairs)


def expected(base, adapter):
    return all_logits(load_decoder(base, NUMPY, adapter=adapter, how="merged"), TOKENS)


def distance(ours, theirs):
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


@pytest.mark.parametrize(
    ("target", "type_", "bound"),
    [
        ("merged", None, 1e-6),
        ("merged.gguf", None, 1e-6),
        ("merged", "BF16", 2e-2),
        ("merged.gguf", "F16", 3e-3),
        ("merged.gguf", "Q8_0", 4e-2),
    ],
)
@pytest.mark.parametrize("format_", ["gguf", "hf"])
def test_a_merged_model_is_the_model_with_its_adapter(
    chat_model, folder, adapter, tmp_path, target, type_, bound, format_
):
    base = chat_model if format_ == "gguf" else folder
    convert(f"{base}+{adapter}", tmp_path / target, Wish(type_=TensorType[type_] if type_ else None))
    ours, theirs = all_logits(load_decoder(tmp_path / target, NUMPY), TOKENS), expected(base, adapter)
    assert distance(ours, theirs) <= bound
    assert distance(all_logits(load_decoder(base, NUMPY), TOKENS), theirs) > 0.05


def test_the_report_is_held_against_the_adapted_parent_and_names_both(chat_model, adapter, tmp_path):
    target = tmp_path / "m.gguf"
    report = convert(f"{chat_model}+{adapter}", target, Wish(text=TEXT))
    assert report["measured"]["kl"]["mean"] < 1e-6
    files = file_digests(chat_model) | {f"adapter/{name}": value for name, value in adapter_digests(adapter).items()}
    source = report["source"]
    assert source["sha256"] == digest_of(files)
    assert source["base"]["sha256"] == sha256_file(chat_model)
    assert source["adapter"]["sha256"] == digest_of(adapter_digests(adapter))
    (note,) = report["notes"]
    assert note == "the adapter tuned was added in float32; the sums are stored: 7 as F32"


def test_the_file_names_what_it_was_merged_of_and_its_children_name_the_file(chat_model, adapter, tmp_path):
    convert(f"{chat_model}+{adapter}", tmp_path / "m.gguf")
    convert(str(tmp_path / "m.gguf"), tmp_path / "again.gguf")
    first, second = (read_gguf(tmp_path / name).metadata for name in ("m.gguf", "again.gguf"))
    assert first["greenlight.parent.base.sha256"] == sha256_file(chat_model)
    assert first["greenlight.parent.adapter.sha256"] == digest_of(adapter_digests(adapter))
    assert second["greenlight.parent.sha256"] == sha256_file(tmp_path / "m.gguf")
    assert not [key for key in second if key.startswith(("greenlight.parent.base", "greenlight.parent.adapter"))]
    convert(f"{chat_model}+{adapter}", tmp_path / "hf")
    assert sha256_file(chat_model) in (tmp_path / "hf" / "README.md").read_text()


def test_an_adapter_in_gguf_is_named_by_its_one_file(chat_model, adapter, tmp_path):
    pairs = read_adapter(adapter).deltas
    file = write_lora(
        tmp_path / "tuned.gguf",
        halves({module: (pair.a, pair.b / 2) for module, pair in pairs.items()}, HEADS),
    )
    report = convert(f"{chat_model}+{file}", tmp_path / "m.gguf", Wish(text=TEXT))
    assert report["source"]["adapter"]["sha256"] == digest_of({"tuned.gguf": sha256_file(file)})
    assert report["notes"] == ["the adapter tuned.gguf was added in float32; the sums are stored: 7 as F32"]
    ours = all_logits(load_decoder(tmp_path / "m.gguf", NUMPY), TOKENS)
    assert distance(ours, expected(chat_model, adapter)) < 1e-6
    loaded = compose.models.load(f"{chat_model}+{file}")
    assert set(loaded.files) == {"tiny.gguf", "adapter/tuned.gguf"}
    assert (loaded.name, loaded.paths()) == ("tiny-tuned", [chat_model, file])


def test_sums_of_quantised_weights_are_rounded_anew_and_that_is_said(chat_model, adapter, tmp_path):
    convert(str(chat_model), tmp_path / "q8.gguf", Wish(type_=TensorType.Q8_0))
    report = convert(f"{tmp_path / 'q8.gguf'}+{adapter}", tmp_path / "m.gguf", Wish(text=TEXT))
    assert report["notes"] == ["the adapter tuned was added in float32; the sums are stored: 7 as Q8_0"]
    assert 0 < report["measured"]["kl"]["mean"] < 0.02


def test_a_head_that_training_kept_whole_unties_the_merged_model(folder, tmp_path):
    base = shutil.copytree(folder, tmp_path / "tied")
    config = json.loads((base / "config.json").read_text())
    tensors = {name: tensor for name, tensor in open_checkpoint(base).items() if name != "lm_head.weight"}
    (base / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    weights = {name: dequantize(tensor) for name, tensor in tensors.items()}
    for file in base.glob("*.safetensors*"):
        file.unlink()
    write_safetensors(base / "model.safetensors", weights)
    head = np.random.default_rng(2).normal(0, 0.2, weights["model.embed_tokens.weight"].shape).astype(np.float32)
    more = {"base_model.model.lm_head.weight": head}
    adapter = write_adapter(tmp_path / "headed", deltas(weights, ("q_proj",)), more=more, modules_to_save=["lm_head"])
    convert(f"{base}+{adapter}", tmp_path / "merged")
    convert(f"{base}+{adapter}", tmp_path / "merged.gguf")
    for target in ("merged", "merged.gguf"):
        decoder = load_decoder(tmp_path / target, NUMPY)
        assert not decoder.config.tied_head
        assert distance(all_logits(decoder, TOKENS), expected(base, adapter)) < 1e-6


def test_calibration_hears_the_adapted_model(chat_model, adapter, tmp_path):
    report = convert(
        f"{chat_model}+{adapter}", tmp_path / "m.gguf", Wish(type_=TensorType.Q4_0, calibration=TEXT, text=TEXT)
    )
    assert {"kl", "top1"} == report["measured"]["calibration"]["without"].keys()


def test_inspecting_and_reading_are_of_the_adapted_model(chat_model, adapter):
    facts = inspect(f"{chat_model}+{adapter}")
    assert facts["files"]["adapter/adapter_model.safetensors"] == digest(adapter / "adapter_model.safetensors")
    assert facts["digest"] not in facts["files"].values()
    plain, adapted = (read(str(chat_model) + added, "the thing") for added in ("", f"+{adapter}"))
    assert plain["tokens"] != adapted["tokens"]


def test_an_adapter_of_another_model_is_refused_by_every_verb(chat_model, tmp_path):
    other = {"model.layers.5.self_attn.q_proj": (np.zeros((4, 8), np.float32), np.zeros((8, 4), np.float32))}
    reference = f"{chat_model}+{write_adapter(tmp_path / 'other', other)}"
    for verb in (inspect, lambda name: convert(name, tmp_path / "m.gguf"), lambda name: read(name, "the")):
        with pytest.raises(GreenlightError, match="no home"):
            verb(reference)
    assert not (tmp_path / "m.gguf").exists()


def test_several_adapters_are_merged_and_named_one_by_one(chat_model, adapter, tmp_path):
    half = write_adapter(tmp_path / "half", {m: (p.a, p.b) for m, p in read_adapter(adapter).deltas.items()}, r=4)
    report = convert(f"{chat_model}+{adapter}+{half}", tmp_path / "m.gguf", Wish(text=TEXT))
    assert report["measured"]["kl"]["mean"] < 1e-6
    for place, path in (("adapter", adapter), ("adapter2", half)):
        said = digest_of(adapter_digests(path))
        assert report["source"][place]["sha256"] == said
        assert read_gguf(tmp_path / "m.gguf").metadata[f"greenlight.parent.{place}.sha256"] == said
    assert report["notes"] == ["the adapters tuned and half were added in float32; the sums are stored: 7 as F32"]
    loaded = compose.models.load(f"{chat_model}+{adapter}+{half}")
    names = ("adapter_config.json", "adapter_model.safetensors")
    assert loaded.paths() == [chat_model, *(path / name for path in (adapter, half) for name in names)]
    assert loaded.name == "tiny-tuned-half"


def test_a_plan_is_timed_on_the_adapted_model(chat_model, adapter, policy):
    assert compose.plan_reference(policy, f"{chat_model}+{adapter}").to_json()


@pytest.mark.slow
def test_a_model_and_the_same_with_an_adapter_are_compared(chat_model, adapter, policy, tmp_path):
    names = [str(chat_model), f"{chat_model}+{adapter}"]
    compose.compare_references(names, policy=policy, out=tmp_path, only=["compete.reading"])
    digests = {tuple(sorted(json.loads(path.read_bytes())["model"]["files"])) for path in tmp_path.glob("*/lock.json")}
    assert digests == {
        ("tiny.gguf",),
        ("adapter/adapter_config.json", "adapter/adapter_model.safetensors", "tiny.gguf"),
    }
