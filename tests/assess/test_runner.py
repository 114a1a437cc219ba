import pytest

from greenlight.assess.runner import Subject, SuiteRunner, _beside, open_journals
from greenlight.assess.suites import SUITES
from greenlight.engine import SamplingParams
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


class Sure:
    """Answers everything, and tells how sure it was where it was asked to and can."""

    capacity = 4

    def __init__(self, weighs):
        self.weighs, self.asked = weighs, []
        self.in_flight = frozenset()

    def ask(self, request):
        self.asked.append(request)

    def poll(self):
        asked, self.asked = self.asked, []
        return [
            Answered(one.id, "Paris.", "stop", 3, 2, None, None, 0.25 if one.confidence and self.weighs else None)
            for one in asked
        ]


class Everything:
    certain = False

    def follow(self, answer, upto):
        pass

    def wants(self, index):
        return True


@pytest.mark.parametrize(
    ("suite", "weighs", "told"),
    [("hallucinate", True, True), ("hallucinate", False, False), ("hierarchy", True, False)],
)
def test_how_sure_a_model_was_is_recorded_where_the_suite_asks_and_the_model_tells(tmp_path, suite, weighs, told):
    asked = SUITES[suite]
    subject = Subject(answerer=Sure(weighs), system=None, sampling=SamplingParams(), seed=1)
    journal, timings = open_journals(tmp_path, suite, "lock")
    with journal, timings:
        runner = SuiteRunner(
            asked, asked.draw(1, 8)[:8], subject, journal=journal, timings=timings, watcher=Everything()
        )
        runner.run()
    assert len(runner.samples) == 8
    assert all(sample.get("confidence") == (0.25 if told else None) for sample in runner.samples.values())
    assert all(("confidence" in sample) == told for sample in runner.samples.values())
