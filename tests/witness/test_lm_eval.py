"""lm-evaluation-harness picks the same choices on the same weights."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from benchmarks.multiple_choice import ARC_FILE, NEAR_TIE_NATS, arc_questions, differences, logprobs_of
from benchmarks.setting import Setting

QUESTIONS = 25


@pytest.fixture(scope="module")
def questions():
    data = Path(os.environ.get("GREENLIGHT_DATA", "")) / ARC_FILE
    if not data.is_file():
        pytest.skip(f"there is no {ARC_FILE} under GREENLIGHT_DATA")
    return arc_questions(data)[:QUESTIONS]


def test_choices_on_arc_easy_are_lm_evals_in_float32_but_for_near_ties(default_model, questions, tmp_path):
    setting = Setting(ref=str(default_model), path=default_model, work=tmp_path, threads=2, rounds=None)
    ours, theirs = logprobs_of(setting, questions)
    assert len(ours) == len(theirs) == QUESTIONS
    apart = differences(ours, theirs)
    assert len(apart) <= 1
    assert all(difference.margin_nats < NEAR_TIE_NATS for difference in apart), json.dumps(apart)
