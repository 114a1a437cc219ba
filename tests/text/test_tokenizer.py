import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import TextError, UnsupportedError
from greenlight.formats.gguf import read_gguf
from greenlight.text import Tokenizer
from tests.text.vocabularies import CONTROL, NORMAL, SPECIAL, by_lines, byte_level, sentencepiece, with_tokens

TOKENIZER = Tokenizer.from_gguf(byte_level())
PIECES = Tokenizer.from_gguf(sentencepiece())
LINES = Tokenizer.from_gguf(by_lines())
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
MIXED = st.lists(
    st.one_of(TEXT, st.sampled_from([*SPECIAL, "<think>", " the", "<|im_", "end|>", "12"])), max_size=8
).map("".join)
bounded = settings(max_examples=150, deadline=None)


def words(tokenizer, ids):
    return [tokenizer.token_bytes(id).decode() for id in ids]


def test_merges_split_words_and_digits_as_the_file_says():
    assert words(TOKENIZER, TOKENIZER.encode("the the 123")) == ["the", " the", " ", "1", "2", "3"]


def test_text_that_looks_special_is_ordinary_unless_asked():
    text = "a<|im_end|>b"
    assert 2 not in TOKENIZER.encode(text)
    assert words(TOKENIZER, TOKENIZER.encode(text)) == ["a", "<", "|", "im", "_", "end", "|", ">", "b"]
    assert words(TOKENIZER, TOKENIZER.encode(text, special=True)) == ["a", "<|im_end|>", "b"]


def test_user_defined_tokens_are_found_in_any_text():
    assert words(TOKENIZER, TOKENIZER.encode("a<think>b")) == ["a", "<think>", "b"]


def test_properties_are_those_of_the_file():
    assert TOKENIZER.vocab_size == len(byte_level()["tokenizer.ggml.tokens"])
    assert TOKENIZER.bos_id == 1
    assert TOKENIZER.eos_ids == {0, 2}
    assert not TOKENIZER.add_bos
    assert TOKENIZER.special_tokens == {text: id for id, text in enumerate(SPECIAL)}
    assert TOKENIZER.named_tokens == {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
    assert TOKENIZER.missing_bytes == frozenset()
    assert "im_start" in (TOKENIZER.chat_template or "")


@bounded
@given(MIXED)
def test_ordinary_text_survives_the_round_trip_and_never_holds_a_special_token(text):
    ids = TOKENIZER.encode(text)
    assert TOKENIZER.special_ids.isdisjoint(ids)
    assert TOKENIZER.decode(ids) == text


@bounded
@given(MIXED)
def test_special_text_survives_the_round_trip(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text, special=True), skip_special=False) == text


@bounded
@given(MIXED)
def test_sentencepiece_text_survives_the_round_trip(text):
    text = text.replace("▁", " ")
    ids = PIECES.encode(text)
    assert PIECES.special_ids.isdisjoint(ids)
    assert PIECES.decode(ids) == text


def test_sentencepiece_prefers_scores_and_falls_back_to_bytes():
    assert words(PIECES, PIECES.encode("the ab")) == [" the", " a", "b"]
    assert [PIECES.token_bytes(id) for id in PIECES.encode("é")] == [b" ", b"\xc3", b"\xa9"]
    assert words(PIECES, PIECES.encode("aaa")) == [" ", "aa", "a"]


def test_sentencepiece_never_merges_text_into_a_control_token():
    assert words(PIECES, PIECES.encode("</s>")) == [" ", "<", "/", "s>"]
    assert words(PIECES, PIECES.encode("<s>")) == [" ", "<", "s>"]
    assert PIECES.encode("</s>", special=True) == [2]


def test_lines_are_merged_across_words_and_breaks_are_taken_whole():
    assert words(LINES, LINES.encode("the the")) == ["the", " the"]
    assert words(LINES, LINES.encode("he the")) == ["h", "e the"]
    unmerged = Tokenizer.from_gguf(by_lines(**{"tokenizer.ggml.merges": by_lines()["tokenizer.ggml.merges"][:-1]}))
    for tokenizer in (LINES, unmerged):
        ids = tokenizer.encode("a\n\n\na\n\n\n\n")
        assert words(tokenizer, ids) == ["a", "\n\n\n", "a", "\n\n", "\n\n"]
    assert [LINES.token_bytes(id) for id in LINES.encode("é")] == [b"\xc3", b"\xa9"]


@bounded
@given(MIXED)
def test_text_by_lines_survives_the_round_trip(text):
    text = text.replace("▁", " ")
    ids = LINES.encode(text + "<turn|><bos>")
    assert LINES.special_ids.isdisjoint(ids)
    assert LINES.decode(ids) == text + "<turn|><bos>"


def test_what_steers_a_gemma_4_is_special_whatever_the_file_calls_it():
    """Files call the end of a text ordinary and what frames thoughts and tools user-defined; </s> is a tag of HTML."""
    assert LINES.special_tokens.keys() >= {"<eos>", "<turn|>", "<|tool_response>", "<|channel>"}
    assert words(LINES, sorted(LINES.eos_ids)) == ["<eos>", "<turn|>", "<|tool_response>"]
    ends = [LINES.added_tokens["</s>"]]
    assert LINES.encode("</s>") == LINES.encode("</s>", special=True) == ends
    assert LINES.decode(ends) == "</s>"
    gone = by_lines(
        **{"tokenizer.ggml.tokens": [t.replace("<|tool", "<|t") for t in by_lines()["tokenizer.ggml.tokens"]]}
    )
    assert "</s>" in words(Tokenizer.from_gguf(gone), Tokenizer.from_gguf(gone).eos_ids)


def test_texts_by_lines_have_a_beginning_whatever_the_file_says():
    """llama.cpp takes the flag for a mistake of old converters."""
    assert Tokenizer.from_gguf(by_lines(**{"tokenizer.ggml.add_bos_token": False})).encode("a", bos=True)[0] == 2


@pytest.mark.parametrize("merge", ["th", " th", "t h e", "zz qq"])
def test_a_merge_of_lines_that_is_none_is_named(merge):
    with pytest.raises(TextError, match="merges do not fit"):
        Tokenizer.from_gguf(by_lines(**{"tokenizer.ggml.merges": [merge]}))


def test_the_beginning_of_sequence_is_there_exactly_once():
    assert PIECES.add_bos
    assert PIECES.encode("a", bos=True)[:1] == [1]
    assert PIECES.encode("<s>a", special=True, bos=True).count(1) == 1
    assert 1 not in PIECES.encode("a")
    assert TOKENIZER.encode("a", bos=True) == TOKENIZER.encode("a")


def test_each_segment_after_a_special_token_starts_with_a_space():
    assert words(PIECES, PIECES.encode("a</s>a", special=True)) == [" a", "</s>", " a"]


def test_without_byte_tokens_an_unknown_character_is_the_unknown_token():
    metadata = sentencepiece()
    keep = [id for id, type_ in enumerate(metadata["tokenizer.ggml.token_type"]) if type_ != 6]
    for name in ("tokens", "token_type", "scores"):
        metadata[f"tokenizer.ggml.{name}"] = [metadata[f"tokenizer.ggml.{name}"][id] for id in keep]
    tokenizer = Tokenizer.from_gguf(metadata)
    assert 0 in tokenizer.encode("é")


def test_a_vocabulary_with_holes_says_which_bytes_it_loses():
    metadata = byte_level()
    gone = metadata["tokenizer.ggml.tokens"].index("é")  # the byte 0xE9 in GPT-2's alphabet
    for name in ("tokens", "token_type"):
        del metadata[f"tokenizer.ggml.{name}"][gone]
    assert Tokenizer.from_gguf(metadata).missing_bytes == {0xE9}


def test_words_in_the_vocabulary_are_taken_whole_where_the_kind_says_so_but_never_special_ones():
    metadata = byte_level(**{"tokenizer.ggml.pre": "llama-bpe"})
    metadata["tokenizer.ggml.tokens"] += ["stop", "word"]
    metadata["tokenizer.ggml.token_type"] += [CONTROL, NORMAL]
    tokenizer = Tokenizer.from_gguf(metadata)
    assert words(tokenizer, tokenizer.encode("word")) == ["word"]
    assert words(tokenizer, tokenizer.encode("stop")) == ["s", "t", "o", "p"]
    assert words(tokenizer, tokenizer.encode("stop", special=True)) == ["stop"]


def test_a_gguf_file_may_name_several_chat_templates():
    names = ["tool_use"]
    metadata = byte_level(**{"tokenizer.chat_template.tool_use": "tools", "tokenizer.chat_templates": names})
    tokenizer = Tokenizer.from_gguf(metadata)
    assert tokenizer.chat_templates["tool_use"] == "tools"
    assert tokenizer.chat_template == metadata["tokenizer.chat_template"] == tokenizer.chat_templates["default"]
    assert len(tokenizer.chat_templates) == 2


def test_a_vocabulary_larger_than_the_embedding_is_refused_unless_only_special_tokens_are_beyond_it():
    TOKENIZER.check_fits(TOKENIZER.vocab_size, "model.gguf")
    with pytest.raises(TextError, match="larger than the model's embedding") as caught:
        TOKENIZER.check_fits(TOKENIZER.vocab_size - 1, "model.gguf")
    assert "<think>" in (caught.value.found or "")
    pictures = Tokenizer.from_gguf(with_tokens("<image>"))
    pictures.check_fits(pictures.vocab_size - 1, "model.gguf")
    ended = Tokenizer.from_gguf(with_tokens("<|eot_id|>"))
    with pytest.raises(TextError, match="larger"):
        ended.check_fits(ended.vocab_size - 1, "model.gguf")


def test_numpy_arrays_serve_as_lists():
    metadata = sentencepiece()
    for name in ("token_type", "scores"):
        metadata[f"tokenizer.ggml.{name}"] = np.array(metadata[f"tokenizer.ggml.{name}"])
    assert Tokenizer.from_gguf(metadata).encode("the ab") == PIECES.encode("the ab")


def test_an_end_of_turn_that_the_file_calls_user_defined_is_special():
    metadata = byte_level()
    metadata["tokenizer.ggml.tokens"] += ["<|eot_id|>"]
    metadata["tokenizer.ggml.token_type"] += [4]
    tokenizer = Tokenizer.from_gguf(metadata)
    id = tokenizer.vocab_size - 1
    assert id in tokenizer.eos_ids
    assert id not in tokenizer.encode("<|eot_id|>")


def test_harmonys_end_of_message_does_not_end_the_turn():
    metadata = byte_level()
    metadata["tokenizer.ggml.tokens"] += ["<|return|>", "<|call|>", "<|end|>"]
    metadata["tokenizer.ggml.token_type"] += [CONTROL] * 3
    tokenizer = Tokenizer.from_gguf(metadata)
    assert {tokenizer.token_bytes(id) for id in tokenizer.eos_ids} >= {b"<|return|>", b"<|call|>"}
    assert tokenizer.special_tokens["<|end|>"] not in tokenizer.eos_ids


def test_ids_outside_the_vocabulary_have_no_text():
    assert TOKENIZER.token_bytes(TOKENIZER.vocab_size + 5) == b""
    with pytest.raises(TextError):
        TOKENIZER.token_bytes(-1)


@pytest.mark.parametrize("tokenizer", [TOKENIZER, PIECES])
def test_lone_surrogates_are_refused(tokenizer):
    with pytest.raises(TextError, match="not valid Unicode"):
        tokenizer.encode("a\ud800b")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"tokenizer.ggml.model": "t5"}, UnsupportedError, "'t5'"),
        ({"tokenizer.ggml.pre": "klingon"}, UnsupportedError, "klingon"),
        ({"tokenizer.ggml.pre": None}, UnsupportedError, "does not say"),
        ({"tokenizer.ggml.model": None}, TextError, "no tokenizer"),
        ({"tokenizer.ggml.tokens": None}, TextError, "incomplete"),
        ({"tokenizer.ggml.tokens": ["a", "a"], "tokenizer.ggml.token_type": [1, 1]}, TextError, "twice"),
        ({"tokenizer.ggml.token_type": [1]}, TextError, "differ in length"),
        ({"tokenizer.ggml.merges": ["ab"]}, TextError, "merges"),
        ({"tokenizer.ggml.merges": ["zz qq"]}, TextError, "merges"),
        ({"tokenizer.ggml.eos_token_id": 10**6}, TextError, "outside the vocabulary"),
    ],
)
def test_what_cannot_be_done_exactly_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        Tokenizer.from_gguf(byte_level(**changes))


KEYS = (
    *("model", "pre", "tokens", "token_type", "scores", "merges", "add_bos_token", "add_space_prefix"),
    *("bos_token_id", "eos_token_id", "eot_token_id", "unknown_token_id", "remove_extra_whitespaces"),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 300),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.binary(max_size=3),
)
ARRAYS = st.sampled_from(
    [np.zeros(()), np.zeros((2, 2)), np.arange(300), np.full(300, np.nan), np.array(["a"]), np.array([{}], object)]
)
VALUES = st.recursive(
    SCALARS | ARRAYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([byte_level, sentencepiece, by_lines]),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3),
    VALUES,
)
def test_entries_of_any_type_give_a_tokenizer_or_our_error(build, changes, template):
    named = {f"tokenizer.ggml.{key}": value for key, value in changes.items()}
    try:
        tokenizer = Tokenizer.from_gguf(build(**named, **{"tokenizer.chat_template": template}))
    except (TextError, UnsupportedError):
        return
    assert tokenizer.chat_template is None or isinstance(tokenizer.chat_template, str)
    assert all(0 <= id < tokenizer.vocab_size for id in tokenizer.encode("the ab\u00e9", special=True))


@pytest.mark.parametrize("build", [byte_level, sentencepiece, by_lines])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ggml.pre", ["smollm"]),
        ("ggml.token_type", "normal"),
        ("ggml.token_type", [[1], [1, 2]]),
        ("ggml.token_type", [1.5]),
        ("ggml.bos_token_id", "1"),
        ("ggml.bos_token_id", [1]),
        ("ggml.eos_token_id", True),
        ("ggml.tokens", "abc"),
        ("ggml.tokens", ["a", 1]),
        ("ggml.tokens", 7),
        ("ggml.scores", ["high"]),
        ("ggml.scores", [float("nan")]),
        ("ggml.merges", [1]),
        ("ggml.merges", {}),
        ("ggml.add_bos_token", "yes"),
        ("chat_template", 1),
    ],
)
def test_entries_of_the_wrong_type_are_named(build, key, value):
    unread = {
        byte_level: ("ggml.scores",),
        sentencepiece: ("ggml.pre", "ggml.merges"),
        by_lines: ("ggml.pre", "ggml.scores", "ggml.add_bos_token"),
    }
    if key in unread[build]:
        return
    with pytest.raises(TextError, match="wrong type") as caught:
        Tokenizer.from_gguf(build(**{f"tokenizer.{key}": value}))
    assert caught.value.where == f"tokenizer.{key}"


def test_incomplete_bytes_and_scores_are_refused():
    metadata = sentencepiece()
    metadata["tokenizer.ggml.token_type"][3] = NORMAL
    with pytest.raises(TextError, match="255 of 256"):
        Tokenizer.from_gguf(metadata)
    with pytest.raises(TextError, match="differ in length"):
        Tokenizer.from_gguf(sentencepiece(**{"tokenizer.ggml.scores": [0.0]}))
    with pytest.raises(UnsupportedError, match="whitespace"):
        Tokenizer.from_gguf(sentencepiece(**{"tokenizer.ggml.remove_extra_whitespaces": True}))


def test_the_default_models_tokens_are_the_published_ones(default_model):
    tokenizer = Tokenizer.from_gguf(read_gguf(default_model).metadata)
    assert (tokenizer.vocab_size, tokenizer.bos_id, tokenizer.eos_ids, tokenizer.add_bos) == (49152, 1, {0, 2}, False)
    assert tokenizer.encode("Hello world! 123") == [19556, 905, 17, 216, 33, 34, 35]
    assert tokenizer.encode("Café déjà vu.") == [51, 1939, 2756, 32564, 90, 16739, 386, 101, 30]
    assert {0x04, 0x13} <= tokenizer.missing_bytes
