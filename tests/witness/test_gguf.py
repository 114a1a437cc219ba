"""The `gguf` package reads the same metadata, shapes, bytes and values from the same files."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from greenlight.formats.gguf import TYPES, read_gguf
from greenlight.formats.quants import QUANTISERS, dequantize, quantise
from greenlight.formats.tensors import Tensor
from tests.builders import GGML_TYPES, Typed, encode, write_gguf

SCALES = {
    **{"Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,), "Q2_K": (80, 82), "Q3_K": (108,)},
    **{"Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "IQ4_NL": (0,), "IQ4_XS": (0,)},
}
"""Where blocks keep 16-bit floats."""


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


@pytest.mark.parametrize("kind", TYPES.values(), ids=lambda kind: kind.name)
def test_every_bit_pattern_dequantises_alike(tmp_path, kind):
    """Random bytes: scales of every size, zeros, subnormals, infinities and NaNs included."""
    path, type_ = tmp_path / "m.gguf", gguf.GGMLQuantizationType[kind.name]
    writer = gguf.GGUFWriter(path, "llama")
    data = np.random.default_rng(0).integers(0, 256, (64, 1024 // kind.block_values * kind.block_bytes), np.uint8)
    writer.add_tensor("a", data, raw_dtype=type_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    ours, theirs = read_gguf(path).tensors["a"], gguf.GGUFReader(path).tensors[0]
    assert ours.type is kind
    assert ours.shape == (64, 1024) == tuple(reversed(theirs.shape.tolist()))
    assert ours.data.tobytes() == data.tobytes()
    with np.errstate(invalid="ignore", over="ignore"):
        wide = gguf.dequantize(theirs.data, theirs.tensor_type)
        np.testing.assert_array_equal(dequantize(ours), wide)


@pytest.mark.parametrize("kind", TYPES.values(), ids=lambda kind: kind.name)
def test_every_scale_of_16_bits_dequantises_alike(kind):
    """All 65,536, subnormals among them, at each place where a type keeps 16-bit floats."""
    rng, places = np.random.default_rng(1), SCALES.get(kind.name, ())
    for place in places:
        blocks = rng.integers(0, 256, (65536, kind.block_bytes), np.uint8)
        blocks[:, place : place + 2] = np.arange(65536, dtype="<u2").view(np.uint8).reshape(-1, 2)
        tensor = Tensor("a", kind, (65536, kind.block_values), blocks.reshape(-1))
        with np.errstate(invalid="ignore", over="ignore"):
            wide = gguf.dequantize(blocks, gguf.GGMLQuantizationType[kind.name])
        np.testing.assert_array_equal(dequantize(tensor), wide)


@pytest.mark.parametrize("kind", QUANTISERS, ids=lambda kind: kind.name)
def test_what_is_written_is_what_the_package_writes_or_nearer(kind):
    rng, type_ = np.random.default_rng(2), gguf.GGMLQuantizationType[kind.name]
    values = (rng.normal(size=(200, 512)) * 10.0 ** rng.integers(-6, 3, (200, 1))).astype(np.float32)
    values[3], values[4, :32], values[5] = 0, 0, 1e-7 * values[5]
    try:
        theirs = gguf.quantize(values, type_)
    except NotImplementedError:
        pytest.skip("the package does not write this type")
    assert quantise(values, kind).tobytes() == theirs.tobytes()


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
