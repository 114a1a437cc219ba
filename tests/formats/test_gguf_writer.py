from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from greenlight.errors import FormatError
from greenlight.formats.gguf import read_gguf
from greenlight.formats.gguf_writer import gguf_header, write_gguf
from greenlight.formats.planned import Planned, planned_as_is
from greenlight.formats.recoding import recode
from greenlight.formats.tensors import Tensor, TensorType
from tests.builders import encode
from tests.builders import write_gguf as write_by_hand


def tensor(name="a", kind="F32", shape=(2, 64), seed=0):
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return Tensor(name, TensorType[kind], shape, np.frombuffer(encode(values, kind), np.uint8))


def plan(*tensors):
    return [planned_as_is(t.name, t) for t in tensors]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.one_of(st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False))
ARRAYS = st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "f4", "?", "u8", "i8", "f8"]).flatmap(
    lambda kind: hnp.arrays(np.dtype(kind), st.integers(0, 5), elements={"allow_nan": False} if "f" in kind else None)
)
VALUES = st.one_of(TEXT, NUMBERS, ARRAYS, st.lists(TEXT, max_size=4), st.lists(st.lists(TEXT, max_size=2), min_size=1))


@settings(max_examples=25, deadline=None)
@given(metadata=st.dictionaries(TEXT.filter(lambda key: key != "general.alignment"), VALUES, max_size=6))
def test_whatever_is_written_is_read_back(tmp_path_factory, metadata):
    path = tmp_path_factory.mktemp("m") / "m.gguf"
    write_gguf(path, metadata, plan(tensor()))
    read = read_gguf(path).metadata
    assert list(read) == list(metadata)
    for key, value in metadata.items():
        if isinstance(value, np.ndarray):
            assert read[key].dtype == value.dtype
            np.testing.assert_array_equal(read[key], value)
        else:
            assert read[key] == value


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q4_0", "Q8_0"])
def test_tensors_keep_their_bytes_in_every_type(tmp_path, kind):
    tensors = [tensor("first", kind, (3, 32)), tensor("second", kind, (2, 2, 64)), tensor("last", "F32", (5,))]
    write_gguf(tmp_path / "m.gguf", {}, plan(*tensors))
    read = read_gguf(tmp_path / "m.gguf").tensors
    assert list(read) == ["first", "second", "last"]
    for expected in tensors:
        found = read[expected.name]
        assert (found.type, found.shape, found.data.tobytes()) == (
            expected.type, expected.shape, expected.data.tobytes(),
        )  # fmt: skip


def test_the_bytes_are_those_of_an_independent_writer(tmp_path):
    metadata = {"general.architecture": "x", "n": 3, "f": 0.5, "b": True, "s": ["a", "ß"], "t": "text"}
    values = np.arange(64, dtype=np.float32).reshape(2, 32)
    write_by_hand(tmp_path / "theirs.gguf", metadata, {"a": ("F16", values), "b": ("F32", values[0, :5])})
    a = Tensor("a", TensorType.F16, (2, 32), np.frombuffer(encode(values, "F16"), np.uint8))
    b = Tensor("b", TensorType.F32, (5,), np.frombuffer(encode(values[0, :5], "F32"), np.uint8))
    write_gguf(tmp_path / "ours.gguf", metadata, plan(a, b))
    assert (tmp_path / "ours.gguf").read_bytes() == (tmp_path / "theirs.gguf").read_bytes()


def test_the_digest_is_of_the_file_and_the_same_each_time(tmp_path):
    import hashlib

    digests = [write_gguf(tmp_path / f"{i}.gguf", {"a": 1}, plan(tensor())) for i in range(2)]
    assert digests[0] == digests[1] == hashlib.sha256((tmp_path / "0.gguf").read_bytes()).hexdigest()


def test_progress_ends_at_the_files_size(tmp_path):
    seen = []
    write_gguf(
        tmp_path / "m.gguf", {}, plan(tensor(), tensor("b", shape=(3, 5))),
        progress=lambda name, done, total: seen.append((name, done, total)),
    )  # fmt: skip
    assert seen[-1][1:] == ((tmp_path / "m.gguf").stat().st_size,) * 2


@pytest.mark.parametrize(
    ("metadata", "match"),
    [
        ({"a": 2**64}, "no type in GGUF"),
        ({"a": None}, "no type in GGUF"),
        ({"a": {"b": 1}}, "no type in GGUF"),
        ({"a": [1, "x"]}, "no type in common"),
        ({"a": [2**70]}, "no type in common"),
        ({"a": "\ud800"}, "not valid Unicode"),
        ({"a": [[[[[["deep"]]]]]]}, "nested too deep"),
        ({"a": np.zeros((2, 2), np.float32)}, "cannot be written"),
        ({"k" * 70_000: 1}, "too long"),
        ({"general.alignment": 64}, "alignment"),
    ],
)
def test_metadata_that_no_file_can_hold_is_refused_by_key(metadata, match):
    with pytest.raises(FormatError, match=match) as caught:
        gguf_header(metadata, [])
    assert caught.value.where


@pytest.mark.parametrize(
    ("planned", "match"),
    [
        (plan(tensor("n" * 64)), "name is too long"),
        (plan(tensor(), tensor()), "one name"),
        ([Planned(name="a", type=TensorType.F32, shape=(1,) * 5, chunks=tuple)], "shape cannot be written"),
        ([Planned(name="a", type=TensorType.F32, shape=(0,), chunks=tuple)], "shape cannot be written"),
        ([Planned(name="a", type=TensorType.Q8_0, shape=(2, 33), chunks=tuple)], "whole blocks"),
    ],
)
def test_tensors_that_no_file_can_hold_are_refused(planned, match):
    with pytest.raises(FormatError, match=match):
        gguf_header({}, planned)


@pytest.mark.parametrize("n_bytes", [4, 12])
def test_a_tensor_of_other_bytes_than_promised_leaves_no_file(tmp_path, n_bytes):
    lying = Planned(name="a", type=TensorType.F32, shape=(2,), chunks=lambda: [bytes(n_bytes)])
    with pytest.raises(FormatError, match="other bytes"):
        write_gguf(tmp_path / "m.gguf", {}, [lying])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("source", ["F32", "F16", "BF16", "Q4_0"])
@pytest.mark.parametrize("target", ["F32", "F16", "BF16"])
def test_recoding_rounds_as_the_independent_encoder_does(source, target, monkeypatch):
    from greenlight.formats import recoding
    from greenlight.formats.quants import dequantize

    monkeypatch.setattr(recoding, "CHUNK_VALUES", 100)
    before = tensor(kind=source, shape=(7, 64))
    after = b"".join(recode(before, TensorType[target]))
    assert after == (before.data.tobytes() if source == target else encode(dequantize(before), target))
