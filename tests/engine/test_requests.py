import math

import numpy as np
import pytest

from greenlight.engine import GenerateRequest, SamplingParams, ScoreRequest
from greenlight.errors import ConfigError


@pytest.mark.parametrize(
    "setting",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"temperature": "1"},
        {"top_k": -1},
        {"top_k": 2.0},
        {"top_k": True},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": -0.1},
        {"min_p": 1.1},
        {"repetition_penalty": 0.0},
        {"presence_penalty": math.inf},
        {"frequency_penalty": None},
        {"seed": -1},
        {"seed": 2**64},
        {"max_tokens": 0},
        {"max_tokens": -5},
        {"logprobs": -1},
        {"stop": ("a", "")},
        {"stop": ""},
        {"stop": "abc"},
        {"stop": (1,)},
    ],
)
def test_an_impossible_setting_is_refused_by_name(setting):
    (name,) = setting
    with pytest.raises(ConfigError, match=f"^{name} is ") as error:
        SamplingParams(**setting)
    assert error.value.do


def test_the_defaults_are_greedy_and_off():
    params = SamplingParams()
    assert not params.penalised
    assert params.temperature == 0


@pytest.mark.parametrize("name", ["repetition_penalty", "presence_penalty", "frequency_penalty"])
def test_each_penalty_alone_counts_as_one(name):
    assert SamplingParams(**{name: 1.5}).penalised


def test_prompts_are_kept_as_tuples_of_plain_ids():
    request = GenerateRequest(id="a", prompt=np.arange(3))
    assert request.prompt == (0, 1, 2)
    assert all(type(token) is int for token in request.prompt)


def test_a_prompt_that_is_no_list_of_ids_is_refused():
    with pytest.raises(ConfigError, match="prompt of request 'a' is not made of token ids"):
        GenerateRequest(id="a", prompt=("hello",))
    with pytest.raises(ConfigError, match="continuation of request 'q' is not made of token ids"):
        ScoreRequest(id="q", prompt=(), continuations=((1.5,),))


def test_an_empty_prompt_cannot_be_continued():
    with pytest.raises(ConfigError, match="prompt of request 'a' is 'empty'"):
        GenerateRequest(id="a", prompt=())


def test_an_empty_continuation_has_no_weight():
    with pytest.raises(ConfigError, match="continuation 1 of request 'q'"):
        ScoreRequest(id="q", prompt=(1,), continuations=((1,), ()))
    with pytest.raises(ConfigError, match="continuations of request 'q'"):
        ScoreRequest(id="q", prompt=(1,), continuations=())


@pytest.mark.parametrize("name", [None, 7, ""])
def test_a_request_has_a_name(name):
    with pytest.raises(ConfigError, match=r"^id is "):
        GenerateRequest(id=name, prompt=(1,))
    with pytest.raises(ConfigError, match=r"^id is "):
        ScoreRequest(id=name, prompt=(1,), continuations=((1,),))
