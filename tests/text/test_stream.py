import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.text import StreamDecoder, Tokenizer
from tests.text.vocabularies import byte_level, sentencepiece

TOKENIZERS = [Tokenizer.from_gguf(byte_level()), Tokenizer.from_gguf(sentencepiece())]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(TOKENIZERS), st.lists(st.integers(0, 275), max_size=30), st.booleans())
def test_pushes_joined_are_the_text_of_all(tokenizer, ids, skip_special):
    stream = StreamDecoder(tokenizer, skip_special=skip_special)
    joined = "".join([*map(stream.push, ids), stream.flush()])
    assert joined == tokenizer.decode(ids, skip_special=skip_special)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_an_unfinished_character_is_held_back_until_it_is_whole(tokenizer):
    stream = StreamDecoder(tokenizer)
    ids = tokenizer.encode("é👩‍👩‍👧")
    pieces = [stream.push(id) for id in ids]
    assert "\ufffd" not in "".join(pieces)
    assert "".join(pieces) == "é👩‍👩‍👧"
    assert stream.flush() == ""


def test_a_character_that_never_ends_is_replaced_at_the_end_only():
    tokenizer = TOKENIZERS[0]
    stream = StreamDecoder(tokenizer)
    assert stream.push(tokenizer.encode("é")[0]) == ""
    assert stream.flush() == "\ufffd"
    assert stream.flush() == ""


def test_the_space_before_a_text_goes_once():
    tokenizer = TOKENIZERS[1]
    stream = StreamDecoder(tokenizer)
    ids = tokenizer.encode("the the")
    assert [stream.push(id) for id in ids] == ["the", " the"]
    stream.flush()
    assert stream.push(ids[0]) == "the"
