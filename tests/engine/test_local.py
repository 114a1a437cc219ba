import datetime
from dataclasses import replace
from typing import NamedTuple

import pytest

from greenlight.engine import GenerateRequest, SamplingParams
from greenlight.engine.answering import HEAD_END, ChatRequest, ChoiceRequest
from greenlight.engine.generating import Generating
from greenlight.engine.local import LocalModel
from greenlight.engine.sampler import Draw
from greenlight.engine.sequence import Sequence
from greenlight.errors import TextError
from greenlight.text import ChatTemplate, Tokenizer
from greenlight.text.harmony import MARKERS
from greenlight.text.replies import Apart
from greenlight.text.template import STATED_DATE
from tests.chat_model import tiny_chat_model
from tests.text.vocabularies import with_tokens


class Turn(NamedTuple):
    role: str
    content: str


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return LocalModel.load(tiny_chat_model(tmp_path_factory.mktemp("m") / "tiny.gguf"), ops="numpy")


def weighed(model, turn, *choices):
    answerer = model.answerer()
    answerer.weigh(ChoiceRequest(id="a", turns=(turn,), choices=choices))
    while answerer.in_flight:
        for reply in answerer.poll():
            return reply.logprobs
    raise AssertionError("nothing was weighed")


def test_prompts_state_the_same_day_in_every_run_unless_another_is_given(model):
    dated = replace(model, template=ChatTemplate("{{ strftime_now('%Y-%m-%d') }} {{ messages[0].content }}"))
    assert dated.stated_date == STATED_DATE
    assert model.tokenizer.decode(dated.prompt([Turn("user", "a")])) == f"{STATED_DATE.isoformat()} a"
    today = datetime.date(2027, 2, 3)
    assert model.tokenizer.decode(dated.prompt([Turn("user", "a")], today=today)) == "2027-02-03 a"
    assert model.stated_date is None


def test_templates_of_which_none_is_the_default_are_named(model):
    vocabulary = replace(model.tokenizer._vocabulary, chat_templates={"rag": "r", "tool_use": "t"})
    with pytest.raises(TextError, match="no default") as caught:
        replace(model, tokenizer=Tokenizer(vocabulary), template=None).prompt([Turn("user", "a")])
    assert caught.value.found == "rag, tool_use"


@pytest.mark.parametrize("role", ["text", "user"])
def test_what_stands_before_the_mark_is_read_and_not_weighed(model, role):
    marked = weighed(model, Turn(role, "She saw"), f" Ann{HEAD_END} smile.", f" Bea, too{HEAD_END} smile.")
    plain = weighed(model, Turn(role, "She saw"), " Ann smile.", " Bea, too smile.")
    assert len(marked[0]) == len(marked[1]) == len(" smile.")
    for ours, whole in zip(marked, plain, strict=True):
        assert ours == whole[-len(ours) :]


def test_partial_evaluation_is_the_ending_after_each_whole_context(model):
    marked = weighed(model, Turn("text", "She saw"), f" Ann{HEAD_END} smile.", f" Bea{HEAD_END} smile.")
    for ours, name in zip(marked, ("Ann", "Bea"), strict=True):
        [alone] = weighed(model, Turn("text", f"She saw {name}"), " smile.")
        assert sum(ours) == pytest.approx(sum(alone), abs=1e-4)


HARMONY_VOCABULARY = with_tokens(*MARKERS)


@pytest.fixture(scope="module")
def speaker(tmp_path_factory):
    """A tiny model whose vocabulary has harmony's tokens and that has no template."""
    vocabulary = {key: value for key, value in HARMONY_VOCABULARY.items() if key != "tokenizer.chat_template"}
    path = tiny_chat_model(tmp_path_factory.mktemp("m") / "speaker.gguf", vocabulary=vocabulary)
    return LocalModel.load(path, ops="numpy")


def scripted(model, text, sampling):
    """The result of an answer whose tokens are given."""
    tokens = model.tokenizer.encode(text, special=True)
    prompt = model.prompt([Turn("user", "Hi")])
    request = GenerateRequest(id="a", prompt=prompt, sampling=sampling, reply=model.reply)
    sequence = Sequence("a", (0, 0), list(prompt), None)
    decoder = model.reply.decoder(model.tokenizer, prompt)
    job = Generating(request, sequence, decoder, model.tokenizer.eos_ids, 8192)
    shown = []
    for token in tokens:
        events = job.accept(Draw(token, None, ()))
        shown.append(events[0].text)
        if len(events) > 1:
            assert "".join(shown) == events[1].text
            return events[1]
    raise AssertionError("the answer did not end")


SPOKEN = "<|channel|>analysis<|message|>Hm. stop<|end|><|start|>assistant<|channel|>final<|message|>Yes stop<|return|>"


def test_without_a_template_a_model_with_harmonys_tokens_is_asked_in_harmony(speaker):
    assert speaker.template is None
    assert speaker.stated_date == STATED_DATE
    text = speaker.tokenizer.decode(speaker.prompt([Turn("user", "Hi")]), skip_special=False)
    assert f"Current date: {STATED_DATE.isoformat()}\n" in text
    assert text.endswith("<|start|>user<|message|>Hi<|end|><|start|>assistant")
    direct = speaker.prompt([Turn("user", "Hi")], direct=True)
    assert speaker.tokenizer.decode(direct, skip_special=False).endswith("assistant<|channel|>final<|message|>")


def test_the_answer_is_the_final_channel_and_thoughts_are_kept_apart(speaker):
    ended = scripted(speaker, SPOKEN, SamplingParams(max_tokens=100))
    assert (ended.text, ended.finish, ended.apart) == ("Yes stop", "stop", Apart(reasoning="Hm. stop"))


def test_limits_and_stop_strings_are_the_answers_and_thoughts_have_their_own(speaker, monkeypatch):
    short = scripted(speaker, SPOKEN, SamplingParams(max_tokens=2))
    assert (short.text, short.finish) == ("Ye", "length")
    stopped = scripted(speaker, SPOKEN, SamplingParams(stop=("stop",)))
    assert (stopped.text, stopped.finish) == ("Yes ", "stop_string")
    monkeypatch.setattr("greenlight.engine.generating.REASONING_TOKENS", 5)
    cut = scripted(speaker, SPOKEN, SamplingParams())
    assert (cut.text, cut.finish, len(cut.tokens)) == ("", "length", 5)


def test_only_conversations_are_read_for_thoughts(speaker):
    answerer = speaker.answerer()
    for id, role in (("chat", "user"), ("plain", "text")):
        turns = (Turn(role, "Hi"),)
        answerer.ask(ChatRequest(id=id, turns=turns, sampling=SamplingParams(max_tokens=2)))
        answerer.poll()
        answerer.cancel(id)
    answerer.ask(ChatRequest(id="plain", turns=(Turn("text", "Hi"),), sampling=SamplingParams(max_tokens=2)))
    while answerer.in_flight:
        for reply in answerer.poll():
            assert reply.apart is None
