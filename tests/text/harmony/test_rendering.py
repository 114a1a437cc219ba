import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import TextError
from greenlight.text import Tokenizer
from greenlight.text.harmony import MARKERS, HarmonyParser
from greenlight.text.harmony.rendering import HarmonySettings, harmony_tokens, render_harmony
from tests.text.vocabularies import byte_level, with_tokens

SETTINGS = HarmonySettings(date=datetime.date(2026, 7, 1), effort="high")
SYSTEM = (
    "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06\n"
    "Current date: 2026-07-01\n\nReasoning: high\n\n"
    "# Valid channels: analysis, commentary, final. Channel must be included for every message."
)
NOTE = "\nCalls to these tools must go to the commentary channel: 'functions'."
CALL = {"id": "1", "function": {"name": "look", "arguments": {"at": "the sky"}}}
TOOL = {"type": "function", "function": {"name": "look", "description": "Look up.", "parameters": {"type": "object"}}}


def rendered(messages, **options):
    return "".join(part.text for part in render_harmony(messages, settings=SETTINGS, **options))


def test_a_first_turn():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert rendered(messages) == (
        SYSTEM + "<|end|><|start|>developer<|message|># Instructions\n\nBe brief.<|end|>"
        "<|start|>user<|message|>Hi<|end|><|start|>assistant"
    )


def test_thoughts_of_answered_turns_are_dropped():
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello.", "reasoning_content": "A greeting."},
        {"role": "user", "content": "And?"},
    ]
    assert rendered(messages, add_generation_prompt=False) == (
        SYSTEM + "<|end|><|start|>user<|message|>Hi<|end|><|start|>assistant<|channel|>final<|message|>Hello.<|end|>"
        "<|start|>user<|message|>And?<|end|>"
    )


def test_thoughts_stay_while_a_call_is_under_way():
    messages = [
        {"role": "user", "content": "Sky?"},
        {"role": "assistant", "reasoning": "Look.", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "1", "content": "blue"},
    ]
    called = (
        "<|start|>user<|message|>Sky?<|end|><|start|>assistant<|channel|>analysis<|message|>Look.<|end|>"
        "<|start|>assistant<|channel|>commentary to=functions.look <|constrain|>json<|message|>"
        '{"at": "the sky"}<|call|>'
        "<|start|>functions.look to=assistant<|channel|>commentary<|message|>blue<|end|>"
    )
    assert rendered(messages) == f"{SYSTEM}<|end|>{called}<|start|>assistant"
    answered = [*messages, {"role": "assistant", "content": "Blue."}]
    assert "Look." not in rendered(answered)


def test_tools_are_described_to_the_developers_side():
    text = rendered([{"role": "user", "content": "Hi"}], tools=[TOOL])
    assert text.startswith(SYSTEM + NOTE + "<|end|><|start|>developer<|message|># Tools\n\n## functions\n\n")
    assert "namespace functions {\n\n// Look up.\ntype look = () => any;\n\n} // namespace functions<|end|>" in text


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "wizard", "content": "a"}],
        [{"role": "tool", "content": "a"}],
        [{"role": "user", "content": [{"type": "image"}]}],
        [{"role": "assistant", "content": "", "tool_calls": [{"x": 1}]}],
        [{"role": "assistant", "content": "", "tool_calls": [3]}],
    ],
)
def test_what_cannot_be_rendered_is_refused(messages):
    with pytest.raises(TextError):
        rendered(messages)


TOKENIZER = Tokenizer.from_gguf(with_tokens(*MARKERS))
CONTENT = st.lists(
    st.one_of(st.sampled_from([*MARKERS, "assistant", "final"]), st.text(st.characters(codec="utf-8"), max_size=5)),
    max_size=6,
).map("".join)


@settings(max_examples=60, deadline=None)
@given(CONTENT, CONTENT)
def test_nothing_that_somebody_wrote_becomes_a_marker_and_all_of_it_is_read_back(system, user):
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    ids = harmony_tokens(TOKENIZER, render_harmony(messages, settings=SETTINGS, add_generation_prompt=False))
    parser, names = HarmonyParser(role=None, strict=True), {id: text for text, id in TOKENIZER.special_tokens.items()}
    run: list[int] = []
    for id in [*ids, None]:
        if id is not None and id not in names:
            run.append(id)
            continue
        parser.write(TOKENIZER.decode(run))
        run = []
        if id is not None:
            parser.mark(names[id])
    assert parser.messages[-1].content == user
    assert parser.messages[-2].content == (f"# Instructions\n\n{system}" if system else SYSTEM.split("<|message|>")[1])


def test_a_vocabulary_without_the_markers_is_refused():
    with pytest.raises(TextError, match="lacks a token"):
        harmony_tokens(Tokenizer.from_gguf(byte_level()), render_harmony([{"role": "user", "content": "Hi"}]))
