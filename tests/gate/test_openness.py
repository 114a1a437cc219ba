import pytest

from greenlight.errors import EvidenceError
from greenlight.evidence import write_json
from greenlight.gate.decision import decide
from greenlight.gate.plan import make_plan
from greenlight.gate.policy import parse_policy
from greenlight.measure.openness import classify, read_release
from greenlight.measure.openness.framework import framework
from tests.gate.planted import DECIDED, plant, row
from tests.gate.test_waivers import TEXT

LEVEL = '\n[[must]]\nassess = "open"\nmetric = "class"\nlimit = {limit}\nwhy = "w"\nsource = "s"\n'
CHECKLIST = '\n[[disclose]]\nassess = "open"\nmetric = "osaid"\nwhy = "w"\n'


def policy(limit=1):
    return parse_policy(TEXT + LEVEL.format(limit=limit) + CHECKLIST)


def release_of(*classes, licence="MIT"):
    """A file in which everything that these classes need is released."""
    names = [part.name for part in framework().components if part.required and part.cls in classes]
    components = ", ".join(f'{{name: "{name}", license: {licence}}}' for name in names)
    return f"release: {{name: m, components: [{components}]}}"


@pytest.fixture
def run(tmp_path):
    def make(limit=1, text=None):
        plant(tmp_path, policy(limit), sizes={"compete.reading": 40})
        if text is not None:
            write_json(tmp_path / "openness.json", classify(read_release(text)).to_json())
        return decide(tmp_path, decided=DECIDED)

    return make


def test_where_nobody_said_what_is_released_the_rows_are_open_and_say_what_to_do(run):
    decision = run()
    assert decision["verdict"] == "hold"
    found = row(decision, "open.class")
    assert found["status"] == "NOT RUN"
    assert "--openness openness.yml" in found["next"]


@pytest.mark.parametrize(
    ("limit", "classes", "status"),
    [
        (1, ("III",), "PASS"),
        (2, ("III",), "FAIL"),
        (2, ("III", "II"), "PASS"),
        (3, ("III", "II", "I"), "PASS"),
        (3, ("III", "II"), "FAIL"),
    ],
)
def test_a_class_is_held_against_its_limit_and_the_limit_itself_is_enough(run, limit, classes, status):
    decision = run(limit, release_of(*classes))
    found = row(decision, "open.class")
    assert found["status"] == status
    assert found["value"] == found["lower"] == found["upper"] == len(classes)
    assert (decision["verdict"] == "go") == (status == "PASS")
    assert row(decision, "open.osaid")["status"] == "DISCLOSED"
    if status == "FAIL":
        assert "releasing" in found["change"]
        assert decision["explanation"]["gaps"][0]["at_least"] == 1


def test_released_under_closed_terms_is_not_released(run):
    assert row(run(1, release_of("III", licence="proprietary")), "open.class")["value"] == 0


def test_a_record_takes_no_items_and_no_chance(tmp_path):
    plan = make_plan(parse_policy(TEXT.split("[[should]]")[0].split("[[must]]")[0] + LEVEL.format(limit=1)), {})
    assert plan.items == 0
    assert plan.to_json()["p_go"] == 1.0


def test_a_record_of_another_shape_is_one_clear_error(run, tmp_path):
    run()
    write_json(tmp_path / "openness.json", {"format": "greenlight.openness/1", "class": "IV"})
    with pytest.raises(EvidenceError, match="another shape"):
        decide(tmp_path, decided=DECIDED)
