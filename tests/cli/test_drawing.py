from dataclasses import asdict

import pytest

from greenlight.cli.drawing import block_lines
from greenlight.model.families import family_of_model_type
from greenlight.model.fields import Fields
from tests.model.families import config_of


def drawn(case, **changes):
    config = config_of(case, **changes)
    family = family_of_model_type(config["model_type"], "test")
    return block_lines(asdict(family.config_from_hf(Fields("test", config))))


@pytest.mark.parametrize(
    ("case", "branch"),
    [
        ("llama", "─ norm ─ attention ─(+)"),
        ("olmo2", "─ attention ─ norm ─(+)"),
        ("gemma2", "─ norm ─ attention ─ norm ─(+)"),
        ("mixtral", "─ norm ─ experts ─(+)"),
    ],
)
def test_norms_are_drawn_where_the_family_has_them(case, branch):
    assert branch in drawn(case)[1]


@pytest.mark.parametrize("case", ["llama", "olmo2", "gemma2", "mixtral"])
def test_each_branch_goes_round_to_its_sum(case):
    _, upper, lower, *_ = drawn(case)
    for turn, corner in (("┬", "└"), ("+", "┘")):
        assert [i for i, char in enumerate(upper) if char == turn] == [
            i for i, char in enumerate(lower) if char == corner
        ]


def test_what_is_special_about_a_family_is_said():
    text = "\n".join(drawn("gpt-oss"))
    assert "a learned sink for each head" in text
    assert "2 see the newest 12 positions" in text
    assert "2 see all positions" in text
    assert "2 of 4 active for each token" in text
    assert "normed by head" in "\n".join(drawn("qwen3"))
    assert "normed by projection" in "\n".join(drawn("olmo2"))
    assert "× 8" in drawn("gemma2")[0]
    assert "(the embedding again)" in drawn("llama tied")[0]


def test_plain_models_have_no_line_on_windows():
    assert not any(line.startswith("    layers") for line in drawn("llama"))
