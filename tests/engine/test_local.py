from typing import NamedTuple

import pytest

from greenlight.engine.answering import HEAD_END, ChoiceRequest
from greenlight.engine.local import LocalModel
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
