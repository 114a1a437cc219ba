import datetime
from dataclasses import replace
from typing import NamedTuple

import pytest

from greenlight.engine.answering import HEAD_END, ChoiceRequest
from greenlight.engine.local import LocalModel
from greenlight.errors import TextError
from greenlight.text import ChatTemplate, Tokenizer
from greenlight.text.template import STATED_DATE
from tests.chat_model import tiny_chat_model


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
