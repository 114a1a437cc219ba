"""The `gguf` package reads the same metadata, shapes, bytes and values from the same files."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from greenlight.formats.gguf import read_gguf
from greenlight.formats.quants import dequantize
from tests.builders import GGML_TYPES, Typed, encode, write_gguf


def assert_reads_alike(path):
    ours, theirs = read_gguf(path), gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in theirs.fields.items() if not name.startswith("GGUF.")}
    assert ours.metadata.keys() == fields.keys()
    for key, value in ours.metadata.items():
        value = value.tolist() if isinstance(value, np.ndarray) else value
        assert value == fields[key], key
    assert list(ours.tensors) == [tensor.name for tensor in theirs.tensors]
    assert ours.alignment == theirs.alignment
    for tensor in theirs.tensors:
        mine = ours.tensors[tensor.name]
        assert mine.type.name == tensor.tensor_type.name
        assert mine.shape == tuple(reversed(tensor.shape.tolist()))
        assert mine.data.tobytes() == tensor.data.tobytes()
        theirs_wide = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(mine.shape)
        np.testing.assert_array_equal(dequantize(mine).view(np.uint32), theirs_wide.view(np.uint32), tensor.name)


@pytest.mark.parametrize("kind", GGML_TYPES)
@pytest.mark.parametrize("shape", [(32,), (3, 64), (2, 3, 96), (2, 2, 2, 32)])
def test_tensors_of_every_type_and_rank_read_alike(tmp_path, kind, shape):
    values = np.random.default_rng(len(shape)).normal(0, 3, shape).astype(np.float32)
    assert_reads_alike(write_gguf(tmp_path / "m.gguf", {"general.architecture": "x"}, {"a": (kind, values)}))


@pytest.mark.parametrize("kind", GGML_TYPES)
def test_every_bit_pattern_dequantises_alike(tmp_path, kind):
    """Random bytes: scales of every size, zeros, subnormals, infinities and NaNs included."""
    path = write_gguf(tmp_path / "m.gguf", {"general.architecture": "x"}, {"a": (kind, np.zeros((64, 256)))})
    data = bytearray(path.read_bytes())
    start = len(data) - read_gguf(path).tensors["a"].n_bytes
    data[start:] = np.random.default_rng(0).bytes(len(data) - start)
    path.write_bytes(bytes(data))
    with np.errstate(invalid="ignore", over="ignore"):
        ours, theirs = read_gguf(path).tensors["a"], gguf.GGUFReader(path).tensors[0]
        wide = gguf.dequantize(theirs.data, theirs.tensor_type)
        np.testing.assert_array_equal(dequantize(ours), wide)


def test_metadata_of_every_type_reads_alike(tmp_path):
    metadata = {
        "general.architecture": "x",
        **{f"scalar.{id_}": Typed(id_, 7) for id_ in (0, 1, 2, 3, 4, 5, 10, 11)},
        **{f"negative.{id_}": Typed(id_, -7) for id_ in (1, 3, 5, 6, 11, 12)},
        "yes": True,
        "no": False,
        "text": "naïve 模型 \N{GRINNING FACE}\0\n",
        "empty": "",
        "strings": ["a", "", "ß" * 300, "d\0e"],
        "many": [f"token {i}" for i in range(1000)],
        "many.odd": [*("x" * (i % 400) for i in range(900)), "", "\0"],
        "numbers": [Typed(5, i - 3) for i in range(9)],
        "flags": [True, False, True],
        "floats": [0.5, 1.5, -2.0],
    }
    assert_reads_alike(write_gguf(tmp_path / "m.gguf", metadata, {"a": ("F32", np.ones((2, 2)))}))


@pytest.mark.parametrize("alignment", [8, 32, 64, 4096])
def test_every_alignment_reads_alike(tmp_path, alignment):
    tensors = {f"t{i}": ("F32", np.full(i + 1, i, np.float32)) for i in range(5)}
    assert_reads_alike(write_gguf(tmp_path / "m.gguf", {"general.architecture": "x"}, tensors, alignment=alignment))


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q8_0", "BF16", "F16"])
def test_the_test_writer_rounds_as_ggml_does(kind):
    values = np.random.default_rng(1).normal(0, 1, (50, 128)).astype(np.float32)
    values[3] = 0
    type_ = gguf.GGMLQuantizationType[kind]
    assert encode(values, kind) == gguf.quantize(values, type_).tobytes()


def test_a_file_that_the_package_wrote_reads_alike(tmp_path):
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint32("llama.block_count", 3)
    writer.add_token_list(["a", "b", "c"])
    writer.add_token_scores([0.0, -1.0, -2.0])
    values = np.random.default_rng(2).normal(size=(4, 64)).astype(np.float32)
    writer.add_tensor("a.weight", values)
    writer.add_tensor(
        "b.weight", gguf.quantize(values, gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0
    )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert_reads_alike(path)


def test_the_default_model_reads_alike(default_model):
    assert_reads_alike(default_model)
