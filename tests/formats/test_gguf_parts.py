from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import FormatError, GreenlightError
from greenlight.formats.gguf import read_gguf
from greenlight.formats.gguf_parts import read_gguf_model
from greenlight.formats.part_names import model_name, parts_of
from tests.builders import Typed, write_gguf
from tests.formats.test_gguf import METADATA, TENSORS
from tests.gguf_parts import split_gguf


@pytest.fixture
def file(tmp_path):
    return write_gguf(tmp_path / "m.gguf", METADATA, TENSORS)


@pytest.mark.parametrize("named", [0, 1, 2])
@pytest.mark.parametrize("held", [(1, 1, 1), (0, 2, 1)])
def test_any_part_opens_the_model_that_one_file_was(file, held, named):
    """Also where the first part holds no tensor, as gguf-split makes it on demand."""
    whole = read_gguf(file)
    bytes_of = {name: tensor.data.tobytes() for name, tensor in whole.tensors.items()}
    parts = split_gguf(file, *held)
    model = read_gguf_model(parts[named])
    assert (model.path, model.size) == (parts[0], sum(part.stat().st_size for part in parts))
    assert {name: tensor.data.tobytes() for name, tensor in model.tensors.items()} == bytes_of
    assert not any(tensor.data.flags.writeable for tensor in model.tensors.values())
    assert list(model.metadata) == list(whole.metadata)
    assert model.homes["c.weight"] == str(parts[2])


def test_one_file_is_read_as_before(file):
    model = read_gguf_model(file)
    assert (list(model.metadata), list(model.tensors)) == (list(METADATA), list(TENSORS))
    (only,) = split_gguf(file, 3)
    assert only.name == "m-00001-of-00001.gguf"
    assert list(read_gguf_model(only).metadata) == list(METADATA)


def refused(path, match):
    with pytest.raises(FormatError, match=match) as caught:
        read_gguf_model(path)
    assert caught.value.do
    return caught.value


def test_a_missing_part_is_named(file):
    parts = split_gguf(file, 1, 1, 1)
    parts[1].unlink()
    for named in (parts[0], parts[2]):
        error = refused(named, "parts of this model are missing")
        assert error.found == "2 of 3 parts; missing: m-00002-of-00003.gguf"


def test_a_number_that_makes_no_sense_is_refused(file):
    refused(file.rename(file.with_name("m-00004-of-00003.gguf")), "makes no sense")


def test_a_part_under_another_name_is_refused(file):
    parts = split_gguf(file, 1, 1, 1)
    held = parts[1].read_bytes()
    parts[1].write_bytes(parts[2].read_bytes())
    error = refused(parts[0], "not the part that its name says")
    assert error.where == f"{parts[1]}, split.no"
    assert error.found == "the file says part 3 of 3, expected part 2 of 3"
    parts[1].write_bytes(held)
    alone = parts[1].rename(parts[1].with_name("renamed.gguf"))
    assert refused(alone, "its name does not say which").found == "renamed.gguf, part 2 of 3"


def test_a_name_of_a_part_on_a_file_that_is_none_is_refused(file):
    write_gguf(file.with_name("m-00002-of-00002.gguf"), {}, {})
    named = file.rename(file.with_name("m-00001-of-00002.gguf"))
    assert refused(named, "its name says").found == "the file says that it is no part, expected part 1 of 2"


def test_parts_of_models_with_other_facts_are_refused(file):
    parts = split_gguf(file, 1, 1, 1, keys={2: {"llama.block_count": 3}})
    error = refused(parts[0], "different models")
    assert error.where == f"{parts[2]}, llama.block_count"
    assert error.found == "3, expected 2 as in m-00001-of-00003.gguf"


def test_what_a_later_part_says_again_is_no_harm(file):
    keys = {
        1: {"llama.block_count": 2, "types": METADATA["types"], "general.alignment": 32, "split.tensors.count": None}
    }
    assert len(read_gguf_model(split_gguf(file, 1, 1, 1, keys=keys)[0]).tensors) == 3


@pytest.mark.parametrize("part", [0, 2])
@pytest.mark.parametrize("total", [2, 4])
def test_parts_that_promise_another_number_of_tensors_are_refused(file, part, total):
    parts = split_gguf(file, 1, 1, 1, keys={part: {"split.tensors.count": Typed(5, total)}})
    error = refused(parts[1], "another number of tensors")
    assert error.where == f"{parts[part]}, split.tensors.count"
    assert error.found == f"3 tensors, expected {total}"


def test_a_first_part_must_say_how_many_tensors_there_are(file):
    refused(split_gguf(file, 2, 1, keys={0: {"split.tensors.count": None}})[0], "another number of tensors")


def test_a_tensor_in_two_parts_is_refused(tmp_path):
    write_gguf(tmp_path / "m.gguf", METADATA, TENSORS)
    parts = split_gguf(tmp_path / "m.gguf", 2, 1)
    again = TENSORS | {"d.weight": ("F32", np.ones(3, np.float32))}
    write_gguf(tmp_path / "o.gguf", METADATA, dict(reversed(again.items())))
    split_gguf(tmp_path / "o.gguf", 1, 3)[1].rename(parts[1])
    error = refused(parts[0], "two parts hold one tensor")
    assert (error.where, error.found) == (f"{parts[1]}, tensor 'b.weight'", "it stands in m-00001-of-00002.gguf, too")


@pytest.mark.parametrize("name", ["m.Q8_0.gguf.part1of2", "m.Q8_0.gguf.part10of12", "m.Q8_0.gguf-split-b"])
def test_a_file_cut_into_pieces_is_refused_with_what_puts_it_together(tmp_path, name):
    (tmp_path / name).write_bytes(b"GGUF")
    error = refused(tmp_path / name, "no model by itself")
    assert error.do.endswith("cat PIECES > m.Q8_0.gguf")


def test_names_say_which_files_are_one_model(tmp_path):
    assert [model_name(name) for name in ("a-00001-of-00012.gguf", "a.gguf", "a", "a-1-of-2.gguf")] == [
        "a",
        "a",
        "a",
        "a-1-of-2",
    ]
    assert parts_of(tmp_path / "a-1-of-2.gguf") == [tmp_path / "a-1-of-2.gguf"]


VALUES = st.one_of(
    st.integers(0, 4), st.booleans(), st.sampled_from(["", "1"]), st.just([1, 2]), st.just(1.0), st.none()
)


@settings(max_examples=40, deadline=None)
@given(part=st.integers(0, 1), key=st.sampled_from(["split.no", "split.count", "split.tensors.count"]), value=VALUES)
def test_any_number_of_a_part_gives_the_model_or_one_error(tmp_path_factory, part, key, value):
    folder = tmp_path_factory.mktemp("parts")
    parts = split_gguf(write_gguf(folder / "m.gguf", METADATA, TENSORS), 2, 1, keys={part: {key: value}})
    expected = {"split.no": part, "split.count": 2, "split.tensors.count": 3}[key]
    unsaid = value is None and part == 1 and key == "split.tensors.count"
    error = None
    try:
        assert list(read_gguf_model(parts[0]).tensors) == list(TENSORS)
    except GreenlightError as caught:
        error = caught
    assert (error is None) == (unsaid or (type(value) is int and value == expected))
    assert error is None or error.do
