import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import TextError
from greenlight.text.harmony import MARKERS, HarmonyMessage, HarmonyParser

THOUGHT = HarmonyMessage(role="assistant", channel="analysis", content="I think.", end="<|end|>")
ANSWER = HarmonyMessage(role="assistant", channel="final", content="4.", end="<|return|>")
WHOLE = "<|channel|>analysis<|message|>I think.<|end|><|start|>assistant<|channel|>final<|message|>4.<|return|>"
PIECES = re.compile("|".join(map(re.escape, [*MARKERS, "<|endoftext|>"])))


def feed(text, *, cuts=(), **options):
    """A parser that took the text, its ordinary stretches cut at these places; and the deltas."""
    parser, deltas, at = HarmonyParser(**options), [], 0
    for match in [*PIECES.finditer(text), None]:
        ordinary = text[at : match.start() if match else len(text)]
        places = sorted({0, len(ordinary), *(cut % (len(ordinary) + 1) for cut in cuts)})
        for start, end in itertools.pairwise(places):
            deltas += parser.write(ordinary[start:end])
        if match:
            deltas += parser.mark(match.group())
            at = match.end()
    return parser, [*deltas, *parser.close()]


def said(deltas, kind):
    return "".join(delta.text for delta in deltas if delta.kind == kind)


def test_thought_and_answer_are_apart():
    parser, deltas = feed(WHOLE, strict=True)
    assert parser.messages == (THOUGHT, ANSWER)
    assert (said(deltas, "answer"), said(deltas, "reasoning")) == ("4.", "I think.")
    assert parser.problems == []


@pytest.mark.parametrize(
    "header",
    [
        "<|channel|>commentary to=functions.f <|constrain|>json<|message|>",
        "<|channel|>commentary to=functions.f<|constrain|>json<|message|>",
        " to=functions.f<|channel|>commentary <|constrain|>json<|message|>",
        " to=functions.f<|channel|>commentary json<|message|>",
    ],
)
def test_a_recipient_may_stand_with_the_role_or_the_channel(header):
    parser, deltas = feed(header + '{"a": 1}<|call|>')
    call = HarmonyMessage(
        role="assistant",
        channel="commentary",
        recipient="functions.f",
        content_type="json",
        content='{"a": 1}',
        end="<|call|>",
    )
    assert parser.messages == (call,)
    assert call.kind == "call"
    assert (said(deltas, "answer"), said(deltas, "call")) == ("", '{"a": 1}')


def test_words_to_the_user_beside_calls_are_answer_and_calls_of_built_in_tools_are_not():
    text = (
        "<|channel|>commentary<|message|>I will look.<|end|><|start|>assistant<|channel|>analysis to=browser.search"
        "<|message|>{}<|call|><|start|>browser.search to=assistant<|channel|>commentary<|message|>found<|end|>"
    )
    parser, deltas = feed(text, strict=True)
    assert [message.kind for message in parser.messages] == ["answer", "call", "other"]
    assert said(deltas, "answer") == "I will look."


MALFORMED = {
    "no header at all": ("Hello.<|return|>", "Hello.", "", "missing"),
    "no message marker": ("<|channel|>final Hello there.<|return|>", "Hello there.", "", "missing"),
    "thoughts without a message marker": ("<|channel|>analysis hm<|end|>", "", "hm", "missing"),
    "no channel": ("<|message|>Hello.<|return|>", "Hello.", "", "no channel"),
    "an unknown channel": ("<|channel|>finale<|message|>Hello.<|return|>", "Hello.", "", "'finale' is unknown"),
    "two channels": ("<|channel|>analysis<|channel|>final<|message|>Hi<|return|>", "Hi", "", "two channels"),
    "no end": (
        "<|channel|>analysis<|message|>hm<|start|>assistant<|channel|>final<|message|>Hi<|return|>",
        "Hi",
        "hm",
        "before the last one ended",
    ),
    "no end and no start": ("<|channel|>analysis<|message|>hm<|channel|>final<|message|>Hi", "Hi", "hm", "outside"),
    "text between": ("<|channel|>analysis<|message|>hm<|end|>  Hi<|return|>", "Hi", "hm", "between two"),
    "a message marker in a message": ("<|channel|>final<|message|>a<|message|>b<|return|>", "ab", "", "within a"),
    "a constraint in a message": ("<|channel|>final<|message|>a<|constrain|>b<|return|>", "ab", "", "within a"),
    "two ends": ("<|channel|>final<|message|>a<|end|><|end|>", "a", "", "ends nothing"),
    "a foreign token": ("<|channel|>final<|message|>a<|endoftext|>b<|return|>", "ab", "", "no part of the format"),
    "a cut name": ("<|channel|>ana", "", "", "within a header"),
    "a cut header": ("<|channel|>final", "", "", "within a header"),
    "a message without a header": (
        "<|channel|>analysis<|message|>hm<|end|><|message|>Hi<|return|>",
        "Hi",
        "hm",
        "no header",
    ),
    "a start within a header": ("<|channel|>final Hi<|start|>assistant", "Hi", "", "within a header"),
    "two recipients": ("<|channel|>commentary to=a to=b<|message|>Hi<|call|>", "", "", "two recipients"),
    "no role": ("<|channel|>final<|message|>a<|end|><|start|><|message|>Hi", "aHi", "", "no role"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_output_loses_no_text_names_what_is_wrong_and_is_an_error_where_strict(name):
    text, answer, reasoning, problem = MALFORMED[name]
    parser, deltas = feed(text)
    assert (said(deltas, "answer"), said(deltas, "reasoning")) == (answer, reasoning)
    assert any(problem in found for found in parser.problems), parser.problems
    with pytest.raises(TextError, match="not in the harmony format"):
        feed(text, strict=True)


def test_an_answer_that_was_cut_off_is_malformed_only_where_strict():
    text = "<|channel|>final<|message|>Hel"
    parser, deltas = feed(text)
    assert (said(deltas, "answer"), parser.problems, parser.messages[0].end) == ("Hel", [], None)
    with pytest.raises(TextError):
        feed(text, strict=True)


def test_a_prompt_that_began_nothing_begins_with_a_start():
    parser, _ = feed("<|start|>user<|message|>Hi<|end|>", role=None, strict=True)
    assert parser.messages == (HarmonyMessage(role="user", content="Hi", end="<|end|>"),)


def test_a_header_of_any_length_is_text():
    parser, deltas = feed("x" * 100_000)
    assert said(deltas, "answer") == "x" * 100_000
    assert len(parser.messages) == 1


PARTS = st.one_of(
    st.sampled_from(
        [*MARKERS, "<|endoftext|>", "assistant", "analysis", "final", "commentary", " to=functions.f ", " "]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.just("y z" * 250),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(PARTS, max_size=14).map("".join), st.lists(st.integers(0, 2000), max_size=6))
def test_how_the_text_is_cut_makes_no_difference(text, cuts):
    once, deltas = feed(text)
    cut, again = feed(text, cuts=cuts)
    assert (cut.messages, cut.problems) == (once.messages, once.problems)
    for kind in ("answer", "reasoning", "call", "other"):
        assert said(again, kind) == said(deltas, kind)
        assert said(deltas, kind) == "".join(m.content for m in once.messages if m.kind == kind)


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(lambda text: not PIECES.search(text)))
def test_thoughts_are_never_part_of_the_answer(thought):
    _, deltas = feed(f"<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>final<|message|>ok")
    assert (said(deltas, "answer"), said(deltas, "reasoning")) == ("ok", thought)
