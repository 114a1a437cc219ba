import datetime
import json
import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from greenlight.engine import GenerateRequest, SamplingParams, ScoreRequest
from greenlight.engine.answering import HEAD_END, ChatRequest, ChoiceRequest
from greenlight.engine.generating import Generating
from greenlight.engine.local import LocalModel
from greenlight.engine.sampler import Draw
from greenlight.engine.sequence import Sequence
from greenlight.errors import GreenlightError, TextError
from greenlight.formats.gguf import read_gguf
from greenlight.formats.quants import dequantize
from greenlight.text import ChatTemplate, Tokenizer
from greenlight.text.harmony import MARKERS
from greenlight.text.replies import Apart
from greenlight.text.template import STATED_DATE
from tests.builders import llama_config, llama_weights, write_gguf, write_safetensors
from tests.chat_model import tiny_chat_model
from tests.text.vocabularies import NORMAL, byte_level, with_tokens
from tests.text.vocabularies import folder as tokenizer_folder


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


def answered(model, **settings):
    answerer = model.answerer()
    answerer.ask(ChatRequest(id="a", turns=(Turn("user", "Hi"),), **settings))
    while answerer.in_flight:
        for reply in answerer.poll():
            return reply
    raise AssertionError("nothing was answered")


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_confidence_is_the_geometric_mean_of_what_its_tokens_weigh_and_changes_no_answer(model, temperature):
    sampling = SamplingParams(max_tokens=6, temperature=temperature, seed=3, ignore_eos=True)
    plain, told = (answered(model, sampling=sampling, confidence=confidence) for confidence in (False, True))
    assert plain.confidence is None
    assert told.text == plain.text
    request = GenerateRequest(id="g", prompt=model.prompt([Turn("user", "Hi")]), sampling=sampling)
    tokens = next(model.engine().generate([request])).tokens
    scored = next(model.engine().score([ScoreRequest(id="s", prompt=request.prompt, continuations=(tokens,))]))
    assert told.confidence == pytest.approx(math.exp(sum(scored.logprobs[0]) / len(tokens)), rel=1e-4)


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


def scripted(model, text, sampling, logprob=lambda index: None):
    """The result of an answer whose tokens are given, and the log-probability of each by its place."""
    tokens = model.tokenizer.encode(text, special=True)
    prompt = model.prompt([Turn("user", "Hi")])
    request = GenerateRequest(id="a", prompt=prompt, sampling=sampling, reply=model.reply)
    sequence = Sequence("a", (0, 0), list(prompt), None)
    decoder = model.reply.decoder(model.tokenizer, prompt)
    job = Generating(request, sequence, decoder, model.tokenizer.eos_ids, 8192)
    shown = []
    for index, token in enumerate(tokens):
        events = job.accept(Draw(token, logprob(index), ()))
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


def test_how_sure_an_answer_is_leaves_out_the_thoughts_before_it(speaker):
    before, _, answer = SPOKEN.rpartition("<|message|>")
    n_before = len(speaker.tokenizer.encode(f"{before}<|message|>", special=True))
    ended = scripted(speaker, SPOKEN, SamplingParams(max_tokens=100), lambda index: -0.5 if index >= n_before else -9.0)
    assert answer
    assert ended.answer_logprob == -0.5
    assert scripted(speaker, SPOKEN, SamplingParams(max_tokens=100)).answer_logprob is None


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


# Files of two models: the tokenizer of another


def test_a_gguf_file_whose_tokenizer_is_larger_than_its_embedding_is_refused(tmp_path):
    path = tiny_chat_model(tmp_path / "tiny.gguf", vocabulary=byte_level())
    file = read_gguf(path)
    metadata = {**file.metadata, **with_tokens("ordinary", "words", type=NORMAL)}
    tensors = {name: (tensor.type.name, dequantize(tensor)) for name, tensor in file.tensors.items()}
    write_gguf(path, metadata, tensors)
    n_rows = len(byte_level()["tokenizer.ggml.tokens"])
    with pytest.raises(TextError, match="larger than the model's embedding") as caught:
        LocalModel.load(path, ops="numpy")
    assert caught.value.where == f"{path}, tokenizer.ggml.tokens"
    assert caught.value.found == f"token {n_rows} ('ordinary'), the embedding has {n_rows} rows"
    assert caught.value.do == "take the tokenizer that belongs to these weights"


@pytest.fixture
def folder(tmp_path):
    """A folder whose embedding has ten rows more than its tokenizer has tokens, as many released models do."""
    tokens = tokenizer_folder(tmp_path / "m")
    n_rows = Tokenizer.from_folder(tokens).vocab_size + 10
    config = llama_config(vocab_size=n_rows, num_hidden_layers=1, bos_token_id=1, eos_token_id=[2])
    weights = llama_weights(config, np.random.default_rng(0))
    write_safetensors(tokens / "model.safetensors", weights)
    (tokens / "config.json").write_text(json.dumps(config))
    return tokens


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_rows_that_stand_for_no_token_are_let_pass(folder):
    assert LocalModel.load(folder, ops="numpy").tokenizer.vocab_size == vocabulary_of(folder)


def vocabulary_of(folder):
    return Tokenizer.from_folder(folder).vocab_size


def test_a_folder_whose_tokenizer_is_larger_than_its_embedding_is_refused(folder):
    size, state = vocabulary_of(folder), json.loads((folder / "tokenizer.json").read_text())
    state["model"]["vocab"] |= {f"word{number}": size + number for number in range(11)}
    (folder / "tokenizer.json").write_text(json.dumps(state))
    with pytest.raises(TextError, match="larger than the model's embedding") as caught:
        LocalModel.load(folder, ops="numpy")
    assert caught.value.where == str(folder / "tokenizer.json")
    assert caught.value.found == f"token {size + 10} ('word10'), the embedding has {size + 10} rows"


@pytest.mark.parametrize("name", ["bos_token_id", "eos_token_id"])
def test_a_tokenizer_that_lacks_a_token_of_the_config_belongs_to_another_model(folder, name):
    size = vocabulary_of(folder)
    change_config(folder, **{name: [2, size + 3]})
    with pytest.raises(TextError, match="belongs to another model") as caught:
        LocalModel.load(folder, ops="numpy")
    assert caught.value.where == str(folder / "tokenizer.json")
    assert caught.value.found == f"{size} tokens, config.json's {name} is {size + 3}"
    assert caught.value.do


@pytest.mark.parametrize(
    "source",
    ["{% for n in range(10**9) %}x{% endfor %}", "{{ nothing.at.all }}", "{{ 1 / 0 }}", "{{ raise_exception('no') }}"],
)
def test_a_template_that_loops_or_fails_is_one_error_that_names_the_model(model, source):
    with pytest.raises(TextError, match="chat template") as caught:
        replace(model, template=ChatTemplate(source)).prompt([Turn("user", "a")])
    assert caught.value.where == f"{model.path}, chat template"
    assert caught.value.found
    assert caught.value.do


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"tokenizer.ggml.pre": "unheard-of"}, "tokenizer.ggml.pre"),
        ({"tokenizer.ggml.merges": 1}, "tokenizer.ggml.merges"),
        ({"tokenizer.chat_template": "{% for"}, "chat template, line 1"),
    ],
)
def test_what_is_wrong_with_a_files_tokenizer_or_template_names_the_file(tmp_path, changes, part):
    path = tiny_chat_model(tmp_path / "tiny.gguf", vocabulary=byte_level(**changes))
    with pytest.raises(GreenlightError) as caught:
        LocalModel.load(path, ops="numpy")
    assert caught.value.where == f"{path}, {part}"
    assert caught.value.do


def test_an_empty_template_is_none(tmp_path):
    path = tiny_chat_model(tmp_path / "tiny.gguf", vocabulary=byte_level(**{"tokenizer.chat_template": ""}))
    with pytest.raises(TextError, match="this model has no chat template"):
        LocalModel.load(path, ops="numpy").prompt([Turn("user", "a")])
