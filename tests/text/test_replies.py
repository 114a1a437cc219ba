import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.text import Tokenizer
from greenlight.text.harmony import MARKERS
from greenlight.text.replies import Apart, Harmony, Marked, reply_format
from tests.text.vocabularies import TEMPLATE, USER_DEFINED, byte_level, with_tokens

HARMONY = Tokenizer.from_gguf(with_tokens(*MARKERS))
# The shared vocabulary has <think> as a token already.
THINK = Tokenizer.from_gguf(with_tokens("</think>", type=USER_DEFINED))
BRACKETS = Tokenizer.from_gguf(with_tokens("[THINK]", "[/THINK]"))
WRITTEN = Tokenizer.from_gguf(byte_level(**{"tokenizer.chat_template": "{# [THINK] [/THINK] #}" + TEMPLATE}))
PLAIN = Tokenizer.from_gguf(byte_level())


def read(tokenizer, text, prompt="<|im_start|>assistant\n", end=None):
    """Answer and what was beside it, of an output in which special tokens count."""
    decoder = reply_format(tokenizer).decoder(tokenizer, tokenizer.encode(prompt, special=True))
    pieces = [decoder.push(id) for id in tokenizer.encode(text, special=True)]
    if end:
        decoder.ended(tokenizer.special_tokens[end])
    return "".join([*pieces, decoder.flush()]), decoder.apart()


def test_the_format_follows_from_vocabulary_and_template():
    assert isinstance(reply_format(HARMONY), Harmony)
    assert reply_format(THINK) == Marked("<think>", "</think>")
    assert reply_format(BRACKETS) == reply_format(WRITTEN) == Marked("[THINK]", "[/THINK]")
    assert reply_format(PLAIN) is None


def test_harmonys_channels_are_apart():
    text = "<|channel|>analysis<|message|>Hm é<|end|><|start|>assistant<|channel|>final<|message|>Ja é"
    assert read(HARMONY, text, "<|start|>assistant", "<|return|>") == ("Ja é", Apart(reasoning="Hm é"))


def test_a_call_is_no_answer():
    text = '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}'
    assert read(HARMONY, text, "<|start|>assistant", "<|call|>") == ("", Apart(calls=(("functions.f", '{"a": 1}'),)))


def test_two_messages_to_the_user_stand_on_lines_of_their_own():
    text = (
        "<|channel|>commentary<|message|>One.<|end|><|start|>assistant<|channel|>analysis<|message|>hm<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Two."
    )
    assert read(HARMONY, text, "<|start|>assistant", "<|return|>")[0] == "One.\nTwo."


def test_what_a_prompt_began_goes_on():
    prompt = "<|start|>assistant<|channel|>analysis<|message|>The start"
    text = " and the rest<|end|><|start|>assistant<|channel|>final<|message|>ok"
    assert read(HARMONY, text, prompt) == ("ok", Apart(reasoning=" and the rest"))
    assert read(HARMONY, "ok", "<|start|>assistant<|channel|>final<|message|>") == ("ok", Apart())


def test_malformed_harmony_still_reaches_the_reader():
    text, apart = read(HARMONY, "Hello.", "<|start|>assistant", "<|return|>")
    assert text == "Hello."
    assert apart.malformed


@pytest.mark.parametrize("tokenizer", [THINK, BRACKETS, WRITTEN])
def test_thoughts_between_marks_are_apart(tokenizer):
    marks = reply_format(tokenizer)
    text = f"\n{marks.begin}\nHm.\n{marks.end}\n\nJa."
    assert read(tokenizer, text) == ("Ja.", Apart(reasoning="Hm."))
    assert read(tokenizer, "Ja.\n") == ("Ja.\n", Apart())


@pytest.mark.parametrize("tokenizer", [THINK, BRACKETS, WRITTEN])
def test_a_thought_that_the_prompt_began_and_one_that_never_ends(tokenizer):
    marks = reply_format(tokenizer)
    assert read(tokenizer, f"Hm.{marks.end}Ja.", f"<|im_start|>assistant\n{marks.begin}\n")[0] == "Ja."
    answer, apart = read(tokenizer, f"{marks.begin}Hm")
    assert (answer, apart.reasoning) == ("", "Hm")
    assert "does not end" in apart.malformed[0]


def test_marks_in_writing_count_at_the_beginning_only_and_as_tokens_everywhere():
    assert read(WRITTEN, "Ja. [THINK]x[/THINK]")[0] == "Ja. [THINK]x[/THINK]"
    assert read(BRACKETS, "Ja. [THINK]x[/THINK]!") == ("Ja. !", Apart(reasoning="x"))
    answer, apart = read(BRACKETS, "Ja.[/THINK]")
    assert (answer, len(apart.malformed)) == ("Ja.", 1)


def test_an_answer_that_begins_like_a_mark_is_whole():
    assert read(WRITTEN, "[TH") == ("[TH", Apart())
    assert read(WRITTEN, "[THE]") == ("[THE]", Apart())


def test_a_direct_answer_needs_no_thought():
    harmony, prompt = reply_format(HARMONY), HARMONY.encode("<|start|>assistant", special=True)
    opening = harmony.direct(HARMONY, prompt)
    assert HARMONY.decode(opening, skip_special=False) == "<|channel|>final<|message|>"
    assert harmony.direct(HARMONY, [*prompt, *opening]) == []
    marks = reply_format(BRACKETS)
    begun = BRACKETS.encode("<|im_start|>[THINK]\n", special=True)
    assert BRACKETS.decode(marks.direct(BRACKETS, begun), skip_special=False) == "[/THINK]\n\n"
    assert marks.direct(BRACKETS, BRACKETS.encode("<|im_start|>", special=True)) == []


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([THINK, BRACKETS, WRITTEN]), TEXT, TEXT)
def test_no_text_is_lost_and_none_is_both(tokenizer, thought, answer):
    marks = reply_format(tokenizer)
    if any(mark in thought + answer for pair in (marks.begin, marks.end) for mark in (pair, pair[:3])):
        return
    got, apart = read(tokenizer, f"{marks.begin}{thought}{marks.end}{answer}")
    assert apart.reasoning == thought.strip()
    assert got == answer.lstrip()
