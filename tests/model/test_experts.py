from __future__ import annotations

import json

import numpy as np
import pytest

from greenlight.errors import FormatError, UnsupportedError
from greenlight.formats.gguf import read_gguf
from greenlight.formats.quants import dequantize
from greenlight.formats.tensors import TensorType
from greenlight.model.checkpoint import open_checkpoint
from greenlight.model.load import load_decoder
from greenlight.ops import select_ops
from tests.builders import all_logits, write_gguf
from tests.model.families import config_of, random_folder
from tests.model.test_export import as_gguf

NUMPY = select_ops("numpy")
TOKENS = np.arange(20) * 7 % 97
STACKS = ("ffn_gate_exps", "ffn_up_exps", "ffn_down_exps")


@pytest.fixture(scope="module")
def mixtral(tmp_path_factory):
    """A Mixtral's file as it is written today."""
    folder = tmp_path_factory.mktemp("mixtral")
    return as_gguf(random_folder(folder / "hf", config_of("mixtral")), folder / "m.gguf", TensorType.Q8_0)


def tensors_of(file):
    """What `write_gguf` takes: name to type and values."""
    return {name: (tensor.type.name, dequantize(tensor)) for name, tensor in read_gguf(file).tensors.items()}


def apart(tensors):
    """As llama.cpp's converter wrote experts at first: each by itself."""
    old = {}
    for name, (kind, values) in tensors.items():
        stem, part, _ = name.rsplit(".", 2) if name.count(".") > 1 else ("", name, "")
        if part not in STACKS:
            old[name] = kind, values
            continue
        for expert, each in enumerate(values):
            old[f"{stem}.{part.removesuffix('_exps')}.{expert}.weight"] = kind, each
    return old


def written(path, metadata, tensors):
    plain = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in metadata.items()}
    return write_gguf(path, plain, tensors)


def test_experts_of_old_files_are_stacked(mixtral, tmp_path):
    old = written(tmp_path / "old.gguf", read_gguf(mixtral).metadata, apart(tensors_of(mixtral)))
    assert "blk.0.ffn_gate.3.weight" in read_gguf(old).tensors
    ours, theirs = open_checkpoint(old), open_checkpoint(mixtral)
    assert ours.config == theirs.config
    for name in theirs:
        assert ours[name].data.tobytes() == theirs[name].data.tobytes(), name
    np.testing.assert_array_equal(*(all_logits(load_decoder(opened, NUMPY), TOKENS) for opened in (ours, theirs)))
    again = as_gguf(old, tmp_path / "new.gguf")
    assert read_gguf(again).tensors.keys() == read_gguf(mixtral).tensors.keys()


@pytest.mark.parametrize(
    ("change", "match", "where"),
    [
        (lambda old: old.pop("blk.1.ffn_up.2.weight"), "do not match", "blk.1.ffn_up_exps.weight"),
        (lambda old: old.pop("blk.1.ffn_up.3.weight"), "do not match", "blk.1.ffn_up.0.weight"),
        (
            lambda old: old.update({"blk.1.ffn_up.2.weight": ("F32", np.ones((96, 64), np.float32))}),
            "differ in type",
            "blk.1.ffn_up.2.weight",
        ),
        (
            lambda old: old.update({"blk.0.ffn_up_exps.weight": ("F32", np.ones((4, 96, 64), np.float32))}),
            "do not match",
            "",
        ),
    ],
)
def test_old_experts_that_are_not_whole_are_refused(mixtral, tmp_path, change, match, where):
    old = apart(tensors_of(mixtral))
    change(old)
    with pytest.raises(FormatError, match=match) as caught:
        open_checkpoint(written(tmp_path / "old.gguf", read_gguf(mixtral).metadata, old))
    assert str(tmp_path / "old.gguf") in caught.value.where
    assert where in caught.value.where
    assert caught.value.do


@pytest.mark.parametrize(
    ("changes", "where", "found"),
    [
        ({"mlp_only_layers": [2]}, "mlp_only_layers", "1 of 4 layers have none, layer 2 the first"),
        ({"decoder_sparse_step": 2}, "decoder_sparse_step", "2 of 4 layers have none, layer 0 the first"),
    ],
)
def test_layers_without_experts_among_those_with_them_are_refused(tmp_path, changes, where, found):
    folder = random_folder(tmp_path / "hf", config_of("qwen3 moe"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(UnsupportedError, match="layers without experts") as caught:
        open_checkpoint(folder)
    assert caught.value.where == f"{folder / 'config.json'}, {where}"
    assert caught.value.found == found


@pytest.mark.parametrize("changes", [{"mlp_only_layers": [9]}, {"mlp_only_layers": None, "decoder_sparse_step": None}])
def test_switches_that_take_no_layers_experts_change_nothing(tmp_path, changes):
    folder = random_folder(tmp_path / "hf", config_of("qwen3 moe", **changes))
    assert open_checkpoint(folder).config.n_experts == 4
