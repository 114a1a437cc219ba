from __future__ import annotations

import json

import numpy as np
import pytest

from greenlight.errors import UnsupportedError, UsageError
from greenlight.formats.gguf_writer import write_gguf
from greenlight.formats.quants import dequantize
from greenlight.formats.safetensors_writer import write_weights
from greenlight.formats.tensors import TensorType
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.export import plan_folder, plan_gguf
from greenlight.model.load import load_decoder
from greenlight.model.types import folder_types, gguf_types, type_named
from greenlight.ops import native, select_ops
from tests.builders import all_logits
from tests.model.families import CASES, YARN, config_of, random_folder

NUMPY = select_ops("numpy")
TOKENS = np.arange(30) * 7 % 97


def as_gguf(folder, path, asked=None):
    checkpoint = open_checkpoint(folder)
    plan = plan_gguf(
        checkpoint, gguf_types(asked, tied_head=checkpoint.config.tied_head), {"tokenizer.ggml.model": "none"}
    )
    write_gguf(path, plan.metadata, plan.tensors)
    return path


def config_and_weights(folder, plan):
    folder.mkdir()
    write_weights(folder, plan.tensors, max_shard_bytes=30_000)
    (folder / "config.json").write_text(json.dumps(plan.config))


@pytest.mark.parametrize("case", CASES)
def test_a_model_written_as_gguf_is_read_as_the_same_model(case, tmp_path):
    folder = random_folder(tmp_path / "hf", config_of(case))
    file = as_gguf(folder, tmp_path / "m.gguf")
    ours, theirs = (all_logits(load_decoder(path, NUMPY), TOKENS) for path in (file, folder))
    np.testing.assert_allclose(ours, theirs, atol=2e-5 * np.abs(theirs).max())


READ_AS = {"mistral": "llama"}
"""Designs whose GGUF files call themselves otherwise."""


@pytest.mark.parametrize("case", CASES)
def test_there_and_back_every_tensor_is_the_same(case, tmp_path):
    folder = open_checkpoint(random_folder(tmp_path / "hf", config_of(case)))
    again = open_checkpoint(as_gguf(folder.path, tmp_path / "m.gguf"))
    plan = plan_folder(again, folder_types(None))
    config_and_weights(tmp_path / "back", plan)
    back = {name: dequantize(tensor).reshape(-1) for name, tensor in open_checkpoint(tmp_path / "back").items()}
    assert back.keys() == folder.keys()
    for name, values in back.items():
        np.testing.assert_array_equal(values, dequantize(folder[name]).reshape(-1), name)
    assert plan.config["torch_dtype"] == "float32"
    model_type = CASES[case]["model_type"]
    assert plan.config["model_type"] == READ_AS.get(model_type, model_type)


@pytest.mark.parametrize("kernels", [True, False])
def test_experts_in_mxfp4_go_there_and_back_in_blocks_and_scales(tmp_path, kernels, monkeypatch):
    if not kernels:
        monkeypatch.setattr(native, "available", lambda: False)
    folder = random_folder(tmp_path / "hf", config_of("gpt-oss"))
    file = open_checkpoint(as_gguf(folder, tmp_path / "m.gguf", TensorType.MXFP4))
    plan = plan_folder(file, folder_types(None, file.family.hf_in_blocks))
    config_and_weights(tmp_path / "blocks", plan)
    assert plan.config["quantization_config"]["quant_method"] == "mxfp4"
    assert plan.config["torch_dtype"] == "float32"
    names = {tensor.name: tensor for tensor in plan.tensors}
    assert names["model.layers.0.mlp.experts.gate_up_proj_blocks"].shape == (4, 2 * 96, 64 // 32, 16)
    assert names["model.layers.0.mlp.experts.down_proj_scales"].shape == (4, 64, 96 // 32)
    back = open_checkpoint(tmp_path / "blocks")
    experts = [name for name, tensor in file.tensors.items() if tensor.type is TensorType.MXFP4 and ".experts." in name]
    assert len(experts) == 3 * 4
    for name in experts:
        assert back[name].data.tobytes() == file[name].data.tobytes(), name
    plain = plan_folder(back, folder_types(TensorType.BF16, back.family.hf_in_blocks))
    assert "quantization_config" not in plain.config
    config_and_weights(tmp_path / "plain", plain)
    for name in experts:  # every value of MXFP4 is one of bfloat16
        np.testing.assert_array_equal(dequantize(open_checkpoint(tmp_path / "plain")[name]), dequantize(file[name]))


LINEAR = {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
ROPES = {"full_attention": {"rope_type": "default"}, "sliding_attention": {"rope_type": "default"}}
LOCAL_LAST = ["full_attention", *["sliding_attention"] * 3, "full_attention"]


@pytest.mark.parametrize(
    ("case", "changes", "match"),
    [
        ("gemma2", {"query_pre_attn_scalar": 40}, "attention_scale"),
        ("gemma2", {"attn_logit_softcapping": None}, "attention_softcap"),
        ("gemma3", {"attention_bias": True}, "qkv_bias"),
        ("gemma", {"tie_word_embeddings": False}, "head is no embedding"),
        ("gemma4", {"attention_bias": True}, "attention has biases"),
        ("gemma4", {"layer_types": ["full_attention"] * 4}, "no layer has a window"),
        ("gemma4", {"rope_parameters": ROPES | {"full_attention": YARN | {"rope_theta": 1e6}}}, "YaRN"),
        ("gemma4", {"rope_parameters": ROPES | {"sliding_attention": LINEAR}}, "layers with a window are stretched"),
        ("gemma4 by layer", {"vocab_size_per_layer_input": 99}, "more tokens than there are"),
        ("gemma4 by layer", {"num_kv_shared_layers": 1, "layer_types": LOCAL_LAST}, "whose keys layer 4 reads"),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 2}, "see a window"),
        ("olmo3", {"rope_parameters": {"sliding_attention": {"rope_type": "linear", "factor": 2.0}}}, "local_rope"),
        ("qwen2 yarn", {"rope_scaling": {"truncate": False, **CASES["qwen2 yarn"]["rope_scaling"]}}, "rope"),
    ],
)
def test_what_a_gguf_file_cannot_say_is_refused_by_name(case, changes, match, tmp_path):
    folder = random_folder(tmp_path / "hf", config_of(case, **changes))
    with pytest.raises(UnsupportedError, match=match) as caught:
        as_gguf(folder, tmp_path / "m.gguf")
    assert caught.value.where
    assert not (tmp_path / "m.gguf").exists()


def test_a_window_on_all_layers_becomes_the_longest_context(tmp_path):
    folder = random_folder(tmp_path / "hf", config_of("mistral", sliding_window=24))
    opened = open_checkpoint(as_gguf(folder, tmp_path / "m.gguf"))
    assert (opened.config.max_seq_len, opened.config.windows) == (24, ())


def test_rope_factors_of_nobodys_scaling_have_no_config_json(tmp_path):
    scaling = CASES["llama 3"]["rope_scaling"] | {"factor": 5.0}
    folder = random_folder(tmp_path / "hf", config_of("llama 3", rope_scaling=scaling))
    with pytest.raises(UnsupportedError, match="rope factors"):
        plan_folder(open_checkpoint(as_gguf(folder, tmp_path / "m.gguf")), folder_types(None))


def test_vectors_stay_wide_and_matrices_get_what_was_asked(tmp_path):
    folder = random_folder(tmp_path / "hf", config_of("llama"))
    opened = open_checkpoint(as_gguf(folder, tmp_path / "m.gguf", TensorType.F16))
    for name, tensor in opened.tensors.items():
        assert tensor.type is (TensorType.F32 if len(tensor.shape) == 1 else TensorType.F16), name
    assert opened.metadata["general.file_type"] == 1


def test_bf16_goes_there_and_back_unchanged(tmp_path):
    folder = open_checkpoint(random_folder(tmp_path / "hf", config_of("gemma3"), kind="BF16"))
    again = open_checkpoint(as_gguf(folder.path, tmp_path / "m.gguf"))
    for planned in plan_folder(again, folder_types(TensorType.BF16)).tensors:
        assert b"".join(planned.exactly()) == folder[planned.name].data.tobytes(), planned.name


@pytest.mark.parametrize(
    ("asked", "shape", "expected"),
    [
        ("Q4_0", (8, 96), "Q4_0"),
        ("Q4_0", (8, 100), "F16"),
        ("Q4_0", (8,), "F32"),
        ("Q4_0", (4, 8, 64), "Q4_0"),
        ("Q4_K", (8, 512), "Q4_K"),
        ("Q4_K", (8, 576), "Q5_0"),
        ("Q3_K", (8, 576), "IQ4_NL"),
        ("Q6_K", (8, 100), "F16"),
        ("BF16", (8, 100), "BF16"),
    ],
)
def test_rows_that_fill_no_blocks_get_a_finer_type_that_they_fill(asked, shape, expected):
    from greenlight.formats.tensors import Tensor

    tensor = Tensor("x", TensorType.F32, shape, np.empty(0, np.uint8))
    assert gguf_types(TensorType[asked], tied_head=False)("blk.0.ffn_up.weight", tensor).name == expected


def test_what_makes_logits_and_what_chooses_experts_is_kept_finer():
    from greenlight.formats.tensors import Tensor

    tensor = Tensor("x", TensorType.F32, (512, 96), np.empty(0, np.uint8))
    tied, own = (gguf_types(TensorType.Q4_0, tied_head=tied) for tied in (True, False))
    assert tied("token_embd.weight", tensor).name == "Q8_0"
    assert own("token_embd.weight", tensor).name == "Q4_0"
    assert own("output.weight", tensor).name == "Q8_0"
    assert own("blk.0.attn_output.weight", tensor).name == "Q4_0"
    assert own("blk.0.ffn_gate_inp.weight", tensor).name == "F32"


def test_a_folder_holds_no_blocks():
    with pytest.raises(UsageError, match="does not hold"):
        folder_types(TensorType.Q8_0)


def test_a_type_that_is_not_known_names_those_that_are():
    with pytest.raises(UsageError) as caught:
        type_named("q3")
    assert "Q8_0" in caught.value.found
