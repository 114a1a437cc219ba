"""IFEval's checkers in lm-evaluation-harness say the same of an answer, kind by kind, where no library decides."""

from __future__ import annotations

import importlib.util
import os
import random
import sys
import types

import pytest

from greenlight.assess.public import PUBLIC
from greenlight.assess.suites.following import follow
from greenlight.measure.graders.ifeval import followed

# Their program leaves these to nltk and langdetect; ours are rules.
BY_LIBRARY = {
    "length_constraints:number_sentences",
    "language:response_language",
    "change_case:english_capital",
    "change_case:english_lowercase",
    "change_case:capital_word_frequency",
}
PIECES = [
    "\n\n",
    "\n",
    "* ",
    "- ",
    "** ",
    "***",
    "******",
    "*it* ",
    "[x] ",
    "P.S. so",
    "P.P.S so",
    "<<ode>>",
    '"',
    ", ",
]


@pytest.fixture(scope="module")
def theirs():
    """Their checkers by kind; stand-ins for what the kinds compared here never call, so that nothing is fetched."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("langdetect", "immutabledict"):
            if importlib.util.find_spec(name) is None:
                stand_in = types.ModuleType(name)
                stand_in.immutabledict = dict
                patch.setitem(sys.modules, name, stand_in)
        patch.setattr("nltk.data.find", lambda *_: None)
        from lm_eval.tasks.ifeval.instructions_registry import INSTRUCTION_DICT

        yield INSTRUCTION_DICT


def their_word(theirs, one, text):
    checker = theirs[one["id"]](one["id"])
    checker.build_description(**{name: value for name, value in one["arguments"].items() if value})
    return bool(text.strip()) and bool(checker.check_following(text))


def told_apart(instructions, rng):
    """An answer that follows everything, and ones in which something was put in or left out."""
    try:
        text = follow(instructions)
    except KeyError:
        text = "So it is."
    yield text
    for _ in range(4):
        at = rng.randrange(len(text) + 1)
        yield text[:at] + rng.choice(PIECES) + text[at:]
        yield text[:at] + text[at + rng.randrange(1, 20) :]


def test_every_kind_that_rules_decide_is_decided_alike(theirs):
    if not os.environ.get("GREENLIGHT_DATA"):
        pytest.skip("GREENLIGHT_DATA names no folder of public data sets")
    rng, compared, apart = random.Random(5), 0, []
    for item in PUBLIC["compete.ifeval"].draw(0, None):
        instructions = item.key["instructions"]
        for text in told_apart(instructions, rng):
            for one in instructions:
                # Of an argument that is 0, or no letter, their program draws another at random.
                letter = one["arguments"].get("letter", "a")
                if one["id"] in BY_LIBRARY or 0 in one["arguments"].values() or not letter.isalpha():
                    continue
                compared += 1
                if followed(one, text) != their_word(theirs, one, text):
                    apart.append((one, text))
    assert compared > 5000
    assert not apart, (len(apart), apart[0])
