from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import FormatError, GreenlightError, UnsupportedError
from greenlight.formats.quants import dequantize
from greenlight.formats.safetensors import INDEX_FILE, read_folder, read_safetensors
from tests.builders import write_safetensors

WEIGHTS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.linspace(-1, 1, 8, dtype=np.float32),
    "scalar": np.array(2.5, np.float32),
}


@pytest.fixture
def file(tmp_path):
    write_safetensors(tmp_path / "model.safetensors", WEIGHTS)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    return tmp_path / "model.safetensors"


def raw(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(start: int = 0, end: int = 8, shape: object = (2,), dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_shapes_and_values_come_back(file):
    for name, tensor in read_safetensors(file).items():
        np.testing.assert_array_equal(dequantize(tensor), WEIGHTS[name])
        assert not tensor.data.flags.writeable


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"\1", "ends too early"),
        (raw({}, length=1 << 60), "ends too early"),
        (raw({}, length=100), "ends too early"),
        (raw(b"{"), "not valid JSON"),
        (raw(b"[1]"), "not a JSON object"),
        (raw(b"\xff{}"), "not valid JSON"),
        (raw(b'{"a": ' + b"[" * 100_000), "not valid JSON"),
        (raw(b'{"a": 1, "a": 2}'), "not valid JSON"),
        (raw(b'{"a": NaN}'), "not valid JSON"),
        (raw(b'{"a": ' + b"9" * 5000 + b"}"), "not valid JSON"),
        (raw({"a": 3}), "header entry"),
        (raw({"a": {"dtype": "F32"}}), "header entry"),
        (raw({"a": entry(shape=[2.0])}, bytes(8)), "not made of sizes"),
        (raw({"a": entry(shape=[-2])}, bytes(8)), "not made of sizes"),
        (raw({"a": entry(shape=[True])}, bytes(8)), "not made of sizes"),
        (raw({"a": entry(shape="2")}, bytes(8)), "not made of sizes"),
        (raw({"a": entry(shape=[1 << 70])}, bytes(8)), "not made of sizes"),
        (raw({"a": entry(shape=[1 << 40, 1 << 40])}, bytes(8)), "do not fit its shape"),
        (raw({"a": entry(shape=[1 << 62] * 300)}, bytes(8)), "more dimensions"),
        (raw({"a": entry(shape=[1 << 62] * 40_000)}, bytes(8)), "more dimensions"),
        (raw({"a": entry(shape=[2, *[1] * 8])}, bytes(8)), "more dimensions"),
        (raw({"a": entry(end=12)}, bytes(12)), "do not fit its shape"),
        (raw({"a": entry(8, 0)}, bytes(8)), "do not fit its shape"),
        (raw({"a": entry()}, bytes(4)), "outside the file"),
        (raw({"a": entry(8, 16)}, bytes(16)), "hole"),
        (raw({"a": entry(), "b": entry(4, 12)}, bytes(12)), "overlap"),
        (raw({"a": entry(), "b": entry()}, bytes(8)), "overlap"),
        (raw({"a": entry()}, bytes(12)), "belong to no tensor"),
    ],
)
def test_a_hostile_file_gives_one_error_that_names_it(tmp_path, data, match):
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=match) as caught:
        read_safetensors(path)
    assert str(path) in caught.value.where


@pytest.mark.parametrize("dtype", ["I64", "F8_E5M2", "BOOL", 7, None])
def test_an_unread_type_is_refused_by_name(tmp_path, dtype):
    (tmp_path / "m").write_bytes(raw({"a": entry(dtype=dtype)}, bytes(8)))
    with pytest.raises(UnsupportedError, match=f"type {dtype} cannot be read"):
        read_safetensors(tmp_path / "m")


def shards(folder: Path) -> Path:
    (folder / "config.json").write_text("{}")
    write_safetensors(folder / "model-1.safetensors", {"a": WEIGHTS["a"]})
    write_safetensors(folder / "model-2.safetensors", {"b": WEIGHTS["b"]})
    write_index(folder, {"a": "model-1.safetensors", "b": "model-2.safetensors"})
    return folder


def write_index(folder: Path, weight_map: object) -> None:
    (folder / INDEX_FILE).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def test_shards_are_read_through_their_index(tmp_path):
    folder = read_folder(shards(tmp_path))
    assert folder.tensors.keys() == {"a", "b"}
    assert folder.size == sum(file.stat().st_size for file in tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("weight_map", "match"),
    [
        ({"a": "model-1.safetensors", "b": "model-1.safetensors"}, "disagree"),
        ({"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-2.safetensors"}, "disagree"),
        ({"b": "model-2.safetensors", "x": "model-1.safetensors"}, "disagree"),
        ({"a": "../model-1.safetensors"}, "outside its folder"),
        ({"a": "/etc/passwd"}, "outside its folder"),
        ({"a": "model-9.safetensors"}, "weights is missing"),
        ({"a": 3}, "no weight_map"),
        (["a"], "no weight_map"),
    ],
)
def test_an_index_that_disagrees_with_its_shards_is_refused(tmp_path, weight_map, match):
    shards(tmp_path)
    write_index(tmp_path, weight_map)
    with pytest.raises(FormatError, match=match):
        read_folder(tmp_path)


def test_a_folder_without_safetensors_lists_what_it_has(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(FormatError, match="no weights in safetensors") as caught:
        read_folder(tmp_path)
    assert "pytorch_model.bin" in caught.value.found


def test_a_folder_without_config_is_named(tmp_path):
    with pytest.raises(FormatError, match=r"no config\.json") as caught:
        read_folder(tmp_path)
    assert caught.value.where == str(tmp_path)


@settings(max_examples=200, deadline=None)
@given(
    flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.none() | st.integers(0, 400),
)
def test_mutated_files_are_read_or_refused_with_one_error(tmp_path_factory, flips, cut):
    path = tmp_path_factory.getbasetemp() / "mutated.safetensors"
    write_safetensors(path, WEIGHTS)
    data = bytearray(path.read_bytes())
    for at, value in flips:
        data[at % len(data)] = value
    path.write_bytes(data[:cut])
    error = None
    try:
        for tensor in read_safetensors(path).values():
            assert len(tensor.data) == tensor.n_bytes
    except GreenlightError as caught:
        error = caught
    assert error is None or str(path) in error.where
