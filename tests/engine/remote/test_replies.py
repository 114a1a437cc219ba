"""What almost speaks the protocol is refused with what it said; what was thought is never the answer."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlight.engine.remote.replies import error_text, read_chat, read_completion, read_models, shown
from greenlight.errors import EngineError
from tests.endpoints import chat, completion


def reply(choice, **changes):
    value = {"model": "m", "choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}, **changes}
    return json.dumps(value).encode()


def message(**fields):
    return {"message": {"role": "assistant", **fields}, "finish_reason": "stop"}


def test_an_answer_is_its_content():
    said = read_chat(reply(chat("hello")), "x")
    assert (said.text, said.finish, said.model, said.n_prompt, said.n_output) == ("hello", "stop", "m", 3, 2)
    assert read_completion(reply(completion("on")), "x").text == "on"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_what_was_thought_is_counted_and_never_the_answer(name):
    said = read_chat(reply(message(content="no", **{name: "I cannot help"})), "x")
    assert said.text == "no"
    assert said.n_reasoning_chars == 13
    only = read_chat(reply({**message(content=None, **{name: "hm"}), "finish_reason": "length"}), "x")
    assert (only.text, only.finish) == ("", "length")


def test_a_refusal_in_a_field_of_its_own_is_the_answer():
    assert read_chat(reply(message(content=None, refusal="I can't.")), "x").text == "I can't."


def test_a_filter_is_part_of_what_is_released():
    said = read_chat(reply({"message": {"content": None}, "finish_reason": "content_filter"}), "x")
    assert (said.text, said.finish) == ("", "content_filter")


def test_half_a_character_can_be_stored():
    raw = b'{"model":"m","choices":[{"message":{"content":"a\\ud83d"},"finish_reason":"stop"}]}'
    assert read_chat(raw, "x").text == "a?"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"<html><body>Not here</body></html>", "<html>"),
        (b"", "nothing"),
        (b"\xff\xfe", "utf-8"),
        (b"[]", "[]"),
        (b"data: {}\n\n", "data:"),
        (b"[" * 100_000, "[["),
        (b'{"choices": NaN}', "NaN"),
        (b"{}", "choices is missing"),
        (b'{"error": {"message": "out of memory"}}', "out of memory"),
        (b'{"choices": []}', "a list of 0"),
        (b'{"choices": "a"}', "str"),
        (reply(3), "a list of 1"),
        (reply({"finish_reason": "stop"}), "message is missing"),
        (reply(message()), "has ['role']"),
        (reply(message(content=3)), "content is int"),
        (reply(message(content=["a"])), "content is a list"),
        (reply(message(content="", tool_calls=[{}])), "tools"),
        (reply({**message(content="a"), "finish_reason": "tired"}), "'tired'"),
        (reply({**message(content="a"), "finish_reason": None}), "None"),
        (reply(message(content="a"), model=None), "model is missing"),
        (reply(message(content="a"), usage=[1]), "usage"),
        (reply(message(content="a"), usage={"prompt_tokens": -1}), "-1"),
        (reply(message(content="a"), usage={"prompt_tokens": True}), "True"),
        (reply(message(content="a"), system_fingerprint=3), "fingerprint"),
    ],
)
def test_what_almost_speaks_the_protocol_is_refused_with_what_it_said(data, found):
    with pytest.raises(EngineError) as error:
        read_chat(data, "http://h/v1/chat/completions")
    assert found in str(error.value)
    assert "http://h/v1/chat/completions" in str(error.value)
    assert error.value.do


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["choices", "message", "content", "finish_reason", "model", "usage", "text", "data", "id", "meta", "error"]
    ), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@given(json_values | st.binary())
def test_anything_at_all_is_read_or_refused(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    for read in (read_chat, read_completion, read_models):
        with contextlib.suppress(EngineError):
            read(data, "x")
    assert len(error_text(data)) < 1000
    assert "\n" not in shown(data)


def test_of_a_list_of_models_what_changes_from_one_asking_to_the_next_is_left_out():
    entry = {"id": "m", "created": 3, "owned_by": "me", "meta": {"n_params": 5, "x": []}, "permission": [{"id": "7"}]}
    data = json.dumps({"data": [entry]}).encode()
    assert read_models(data, "x") == {"m": {"id": "m", "owned_by": "me", "meta": {"n_params": 5}}}


@pytest.mark.parametrize("data", [b"{}", b'{"data": [3]}', b'{"data": [{"id": ""}]}', b'{"data": {}}', b"<html>"])
def test_what_is_no_list_of_models_is_refused(data):
    with pytest.raises(EngineError):
        read_models(data, "x")
