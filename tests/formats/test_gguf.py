from __future__ import annotations

import math
import re
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import FormatError, GreenlightError, UnsupportedError
from greenlight.formats import gguf
from greenlight.formats.gguf import read_gguf
from greenlight.formats.quants import dequantize
from greenlight.formats.tensors import TensorType
from tests.builders import Typed, write_gguf

METADATA = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.rope.freq_base": 1e4,
    "flag": True,
    "tokens": [f"<{i}>" for i in range(300)],
    "types": [Typed(5, i) for i in range(4)],
}
TENSORS = {
    "a.weight": ("F32", np.arange(6, dtype=np.float32).reshape(2, 3)),
    "b.weight": ("Q4_1", np.linspace(-1, 1, 128, dtype=np.float32).reshape(2, 64)),
    "c.weight": ("Q8_0", np.linspace(-2, 1, 32, dtype=np.float32)),
}


@pytest.fixture
def path(tmp_path):
    return write_gguf(tmp_path / "model.gguf", METADATA, TENSORS)


def test_metadata_keeps_order_types_and_values(path):
    metadata = read_gguf(path).metadata
    assert list(metadata) == list(METADATA)
    assert metadata["llama.block_count"] == 2
    assert metadata["flag"] is True
    assert metadata["tokens"] == METADATA["tokens"]
    assert metadata["types"].dtype == np.int32
    np.testing.assert_array_equal(metadata["types"], range(4))


def test_shapes_are_outermost_first_and_bytes_are_read_only(path):
    tensors = read_gguf(path).tensors
    assert tensors["a.weight"].shape == (2, 3)
    np.testing.assert_array_equal(dequantize(tensors["a.weight"]), TENSORS["a.weight"][1])
    assert tensors["b.weight"].type is TensorType.Q4_1
    assert not tensors["b.weight"].data.flags.writeable


def test_version_2_reads_like_version_3(tmp_path, path):
    old = read_gguf(write_gguf(tmp_path / "old.gguf", METADATA, TENSORS, version=2))
    assert old.version == 2
    assert old.tensors.keys() == read_gguf(path).tensors.keys()


@pytest.mark.parametrize(
    "odd", [["x" * 255], ["x" * 256], ["x" * 70_000], ["\0"], [""], ["ß\0", ""], ["\x01\0\0\0\0\0\0\0a"]]
)
def test_the_fast_path_for_many_strings_reads_what_the_plain_loop_reads(tmp_path, odd):
    strings = ["a", "模型", *odd, *(f"token {i}" for i in range(2 * gguf._MANY_STRINGS)), *odd]
    assert read_gguf(write_gguf(tmp_path / "m.gguf", {"s": strings}, {})).metadata["s"] == strings


def test_a_missing_file_a_folder_and_an_empty_file_are_named(tmp_path):
    (tmp_path / "empty.gguf").touch()
    for name in ("absent.gguf", "", "empty.gguf"):
        with pytest.raises(FormatError, match="cannot be read") as caught:
            read_gguf(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def refused(path: Path, data: bytes, match: str, kind: type[GreenlightError] = FormatError) -> None:
    path.write_bytes(data)
    with pytest.raises(kind, match=match) as caught:
        read_gguf(path)
    assert str(path) in caught.value.where


def header(n_tensors: int = 0, n_keys: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_keys)


def string(data: bytes) -> bytes:
    return struct.pack("<Q", len(data)) + data


def key(name: bytes, type_id: int, value: bytes) -> bytes:
    return string(name) + struct.pack("<I", type_id) + value


def record(name: bytes, sizes: tuple[int, ...], type_id: int = 0, offset: int = 0) -> bytes:
    head = string(name) + struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes)
    return head + struct.pack("<IQ", type_id, offset)


HUGE = 2**64 - 1
PAD = bytes(4096)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"GGML" + header()[4:], "not a GGUF file"),
        (b"GG", "not a GGUF file"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (header(version=1), "unknown GGUF version"),
        (header(version=4), "unknown GGUF version"),
        (header()[:20], "ends too early"),
        (header(n_tensors=HUGE), "ends too early"),
        (header(n_keys=HUGE), "ends too early"),
        (header(n_keys=1) + struct.pack("<Q", HUGE) + PAD, "ends too early"),
        (header(n_keys=1) + key(b"k", 8, struct.pack("<Q", 1 << 40)) + PAD, "ends too early"),
        (header(n_keys=1) + key(b"k", 9, struct.pack("<IQ", 8, HUGE)) + PAD, "ends too early"),
        (header(n_keys=1) + key(b"k", 9, struct.pack("<IQ", 8, 390) + string(b"x") * 350), "ends too early"),
        (header(n_keys=1) + key(b"k", 9, struct.pack("<IQ", 12, HUGE // 8)) + PAD, "ends too early"),
        (header(n_keys=1) + key(b"k", 9, struct.pack("<IQ", 9, HUGE // 12)) + PAD, "ends too early"),
        (header(n_keys=1) + key(b"k", 9, struct.pack("<IQ", 9, 1) * 5) + PAD, "nested too deep"),
        (header(n_keys=1) + key(b"k", 9, struct.pack("<IQ", 13, 1)) + PAD, "unknown type"),
        (header(n_keys=1) + key(b"k", 13, PAD), "unknown type"),
        (header(n_keys=1) + key(b"k", 7, b"\2") + PAD, "neither 0 nor 1"),
        (header(n_keys=1) + key(b"k", 9, struct.pack("<IQ", 7, 2) + b"\1\2") + PAD, "neither 0 nor 1"),
        (header(n_keys=1) + key(b"\xff", 0, b"\0") + PAD, "not UTF-8"),
        (header(n_keys=1) + key(b"k", 8, string(b"\xc3")) + PAD, "not UTF-8"),
        (header(n_keys=1) + key(b"k", 9, struct.pack("<IQ", 8, 300) + string(b"\xff") * 300), "not UTF-8"),
        (header(n_keys=2) + key(b"k", 0, b"\0") * 2, "key appears twice"),
        (header(n_keys=1) + key(b"general.alignment", 4, struct.pack("<I", 24)), "power of two"),
        (header(n_keys=1) + key(b"general.alignment", 4, struct.pack("<I", 0)), "power of two"),
        (header(n_keys=1) + key(b"general.alignment", 8, string(b"32")), "power of two"),
        (header(n_tensors=1) + record(b"t", ()) + PAD, "number of dimensions"),
        (header(n_tensors=1) + record(b"t", (1,) * 5) + PAD, "number of dimensions"),
        (header(n_tensors=1) + string(b"t") + struct.pack("<I", 2**32 - 1) + PAD, "number of dimensions"),
        (header(n_tensors=1) + record(b"t", (0,)) + PAD, "no values"),
        (header(n_tensors=1) + record(b"t", (4, 0)) + PAD, "no values"),
        (header(n_tensors=1) + record(b"t", (33,), 2) + PAD, "whole blocks"),
        (header(n_tensors=1) + record(b"t", (2**32, 2**32)) + PAD, "outside the file"),
        (header(n_tensors=1) + record(b"t", (2**63, 2, 2, 2)) + PAD, "outside the file"),
        (header(n_tensors=1) + record(b"t", (4,), 0, 32 * 1000) + PAD, "outside the file"),
        (header(n_tensors=1) + record(b"t", (4,), 0, HUGE - 31) + PAD, "outside the file"),
        (header(n_tensors=1) + record(b"t", (4,), 0, 4) + PAD, "misaligned"),
        (header(n_tensors=1) + record(b"t", (4,), 99) + PAD, "unknown type"),
        (header(n_tensors=2) + record(b"t", (4,)) * 2 + PAD, "one name"),
        (header(n_tensors=2) + record(b"t", (9,)) + record(b"u", (4,), 0, 32) + PAD, "overlap"),
        (header(n_tensors=2) + record(b"t", (4,), 0, 64) + record(b"u", (99,), 0, 0) + PAD, "overlap"),
        (
            header(1, 1) + key(b"general.alignment", 4, struct.pack("<I", 1 << 31)) + record(b"t", (4,)) + PAD,
            "outside the file",
        ),
    ],
)
def test_a_hostile_file_gives_one_error_that_names_it(tmp_path, data, match):
    refused(tmp_path / "m.gguf", data, match)


@pytest.mark.parametrize(("type_id", "name"), sorted(gguf.UNREAD_TYPES.items()))
def test_a_known_type_that_cannot_be_read_is_refused_by_name(tmp_path, type_id, name):
    data = header(n_tensors=1) + record(b"blk.0.attn_q.weight", (256,), type_id) + PAD
    refused(tmp_path / "m.gguf", data, rf"type {re.escape(name)} cannot", UnsupportedError)


def test_every_truncation_is_an_error(tmp_path):
    path = write_gguf(tmp_path / "m.gguf", METADATA | {"tokens": ["a", "b"]}, TENSORS)
    data = path.read_bytes()
    padding = -34 % 32  # after the one block of the last tensor, which may be missing
    for length in range(len(data) - padding):
        with pytest.raises(FormatError):
            read_bytes(path, data[:length])
    assert list(read_bytes(path, data[:-padding]).tensors) == list(TENSORS)


def read_bytes(path: Path, data: bytes) -> gguf.GGUFFile:
    path.write_bytes(data)
    return read_gguf(path)


def test_memory_is_bounded_by_the_file_not_by_what_it_declares(tmp_path):
    data = header(n_keys=1) + key(b"k", 9, struct.pack("<IQ", 8, 100_000)) + bytes(8 * 99_000)
    (tmp_path / "m.gguf").write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            read_gguf(tmp_path / "m.gguf")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(data)


def sane(file: gguf.GGUFFile) -> None:
    """Whatever was accepted can be used: every tensor's bytes are there and mean something."""
    for tensor in file.tensors.values():
        assert len(tensor.data) == tensor.n_bytes
        assert tensor.n_bytes <= file.size
        with np.errstate(all="ignore"):
            assert dequantize(tensor).shape == tensor.shape
        assert math.prod(tensor.shape) > 0


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_mutated_files_are_read_or_refused_with_one_error(tmp_path_factory, data):
    """Byte flips, splices and truncations of a valid file, most of them where the header is."""
    folder = tmp_path_factory.getbasetemp()
    template = folder / "template.gguf"
    if not template.exists():
        write_gguf(template, METADATA | {"tokens": ["a", "b"]}, TENSORS)
    raw = bytearray(template.read_bytes())
    place = st.integers(0, len(raw) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        match data.draw(st.sampled_from(["flip", "number", "splice", "insert", "cut"])):
            case "flip" if raw:
                raw[data.draw(place) % len(raw)] ^= 1 << data.draw(st.integers(0, 7))
            case "number":
                at = data.draw(place)
                raw[at : at + 8] = data.draw(st.integers(0, HUGE)).to_bytes(8, "little")
            case "splice":
                source, target, length = data.draw(place), data.draw(place), data.draw(st.integers(1, 64))
                raw[target : target + length] = raw[source : source + length]
            case "insert":
                at = data.draw(place)
                raw[at:at] = data.draw(st.binary(min_size=1, max_size=16))
            case "cut":
                del raw[max(8, data.draw(place)) :]
    mutated = folder / "mutated.gguf"
    error = None
    try:
        sane(read_bytes(mutated, bytes(raw)))
    except (FormatError, UnsupportedError) as caught:
        error = caught
    assert error is None or str(mutated) in error.where
