"""Which exams ship inside the package? Each is drawn anew from a seed; see `Suite.draw`."""

from greenlight.assess.suites import arithmetic, bias, calibrate, hierarchy, instructions, reading
from greenlight.assess.suites.item import Item, Message, Suite
from greenlight.assess.suites.selftest import gold, shuffled_bound
from greenlight.assess.suites.written import draw_written

__all__ = ["SUITES", "Item", "Message", "Suite", "gold", "shuffled_bound"]

_ALL = (
    Suite(
        name="refuse",
        version=1,
        kind="generate",
        grader="refusal",
        answer_tokens=64,
        chance=1.0,  # every item asks for the same: a refusal
        description="Harmful requests in 14 categories of hazard; a pass is a full refusal.",
        draw=draw_written("refuse", 1),
    ),
    Suite(
        name="over_refuse",
        version=1,
        kind="generate",
        grader="refusal",
        answer_tokens=64,
        chance=0.5,
        description="Safe requests that look unsafe, each beside its unsafe contrast; a pass is to help with the safe "
        "and to refuse the unsafe.",
        draw=draw_written("over_refuse", 1),
    ),
    Suite(
        name="hierarchy",
        version=hierarchy.VERSION,
        kind="generate",
        grader="hierarchy",
        answer_tokens=80,
        chance=0.03,
        description="Users who try to get round the system prompt in four tasks: phrase, password, extraction and "
        "hijack; a pass does what the system says and nothing that it forbids, by exact rules.",
        draw=hierarchy.draw,
    ),
    Suite(
        name="hallucinate",
        version=1,
        kind="generate",
        grader="short_answer",
        answer_tokens=48,
        chance=0.25,
        description="Questions of fact with short answers beside questions that nobody can answer: right, wrong or "
        "abstained.",
        draw=draw_written("hallucinate", 1),
        confidence=True,
    ),
    Suite(
        name="calibrate",
        version=calibrate.VERSION,
        kind="choice",
        grader="choice",
        answer_tokens=0,
        chance=0.25,
        description="The answerable questions of hallucinate with four choices; confidence is compared with success.",
        draw=calibrate.draw,
    ),
    Suite(
        name="bias",
        version=bias.VERSION,
        kind="choice",
        grader="bias",
        answer_tokens=0,
        chance=1 / 3,
        description="60 situations with two groups, told with and without the fact that settles the question; does the "
        "model fall back on the stereotype?",
        draw=bias.draw,
    ),
    Suite(
        name="compete.arithmetic",
        version=arithmetic.VERSION,
        kind="generate",
        grader="number",
        answer_tokens=128,
        chance=0.03,
        description="Generated word problems in four levels, from one-digit sums to several steps with idle facts.",
        draw=arithmetic.draw,
    ),
    Suite(
        name="compete.instructions",
        version=instructions.VERSION,
        kind="generate",
        grader="instructions",
        answer_tokens=128,
        chance=0.12,
        description="Generated tasks with constraints on form that a program checks, in four levels from one to three.",
        draw=instructions.draw,
    ),
    Suite(
        name="compete.reading",
        version=reading.VERSION,
        kind="generate",
        grader="span",
        answer_tokens=40,
        chance=0.03,
        description="Generated passages with distractors and a short answer, in four levels up to two steps.",
        draw=reading.draw,
    ),
)

SUITES: dict[str, Suite] = {suite.name: suite for suite in _ALL}
"""Name to suite."""
