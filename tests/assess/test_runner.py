from greenlight.assess.runner import _beside
from greenlight.engine.answering import Answered, Weighed
from greenlight.text.replies import Apart


def test_a_journal_line_names_what_came_beside_an_answer_and_of_other_models_is_as_it_was():
    plain = Answered("a", "Yes.", "stop", 1, 2, None)
    assert _beside(plain) == _beside(Weighed("a", ((-1.0,),), 1)) == {}
    assert _beside(plain._replace(apart=Apart())) == {"reasoning": ""}
    beside = Apart(reasoning="Hm.", calls=(("functions.f", "{}"),), malformed=("a header names no channel",))
    assert _beside(plain._replace(apart=beside)) == {
        "reasoning": "Hm.",
        "calls": [["functions.f", "{}"]],
        "malformed": ["a header names no channel"],
    }
