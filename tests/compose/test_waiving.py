import pytest

from greenlight.compose.waiving import waive
from greenlight.errors import EvidenceError, PolicyError
from greenlight.evidence import read_json
from greenlight.gate.policy import parse_policy
from greenlight.gate.waivers import FILE, OPTIONS, parse_waiver
from greenlight.release.exports import Team, export, read_source
from greenlight.release.verify import verify
from tests.release.make_bundle import POLICY, build

RULE = '\n[waiver]\nwho = ["Ada"]\nmax_days = 30\n'
WORDS = {"who": "Ada", "why": "only for *tests*", "until": "2026-02-01", "given": "2026-01-20"}


@pytest.fixture
def run(tmp_path):
    return build(tmp_path / "run", policy_text=POLICY + RULE)


def test_a_waiver_is_in_decision_report_and_card_and_the_run_verifies(run, monkeypatch):
    failing = next(
        row["row"] for row in read_json(run / "decision.json", "decision")["rows"] if row["status"] == "FAIL"
    )
    monkeypatch.setattr("greenlight.compose.review.now", lambda: "2026-01-20T12:00:00Z")
    decision = waive(run, failing, **WORDS)
    assert {row["row"]: row["status"] for row in decision["rows"]}[failing] == "WAIVED"
    assert decision["decided"] == "2026-01-20T12:00:00Z"
    found = verify(run)
    assert found.same, found.difference
    page = (run / "report.html").read_text()
    assert "only for *tests*" in page
    assert "WAIVED" in page
    files = {file.path: file.data.decode() for file in export(read_source(run), Team()).files}
    assert "set aside by Ada until 2026-02-01" in files["README.md"]
    assert r"only for \*tests\*" in files["README.md"]


def test_what_the_policy_does_not_allow_leaves_the_run_as_it_was(run):
    before = {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
    rows = {row["status"]: row["row"] for row in read_json(run / "decision.json", "decision")["rows"]}
    with pytest.raises(PolicyError, match="does not allow"):
        waive(run, rows["FAIL"], **{**WORDS, "who": "Eve"})
    with pytest.raises(PolicyError, match="does not allow"):
        waive(run, rows["PASS"], **WORDS)
    with pytest.raises(PolicyError, match="does not allow"):
        waive(run, "no.such_row", **WORDS)
    with pytest.raises(EvidenceError, match="written otherwise"):
        waive(run, rows["FAIL"], **{**WORDS, "until": "soon"})
    assert {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()} == before
    assert not (run / FILE).exists()


def test_the_same_word_twice_is_refused_and_a_longer_one_is_not(run):
    failing = next(
        row["row"] for row in read_json(run / "decision.json", "decision")["rows"] if row["status"] == "FAIL"
    )
    waive(run, failing, **WORDS)
    for until in ("2026-02-01", "2026-01-25"):
        with pytest.raises(PolicyError, match="does not allow") as raised:
            waive(run, failing, **{**WORDS, "given": "2026-01-21", "until": until})
        assert raised.value.found == "Ada set it aside on 2026-01-20 until 2026-02-01"
        assert "--until after 2026-02-01" in raised.value.do
    decision = waive(run, failing, **{**WORDS, "until": "2026-02-10"})
    assert [waiver["until"] for waiver in decision["waivers"]] == ["2026-02-01", "2026-02-10"]


@pytest.mark.parametrize(
    ("changes", "do"),
    [
        ({"who": "Eve"}, "--who 'Ada'"),
        ({"row": "hierarchy.pas"}, "did you mean hierarchy.pass?"),
        ({"until": "2026-09-01"}, "--until from 2026-01-20 to 2026-02-19"),
    ],
)
def test_what_is_not_allowed_comes_with_what_would_be(changes, do):
    policy = parse_policy(POLICY + RULE)
    waiver = parse_waiver({"row": "hierarchy.pass", **WORDS, **changes}, "here")
    assert waiver.fault(policy)
    assert do in waiver.remedy(policy)


def test_a_field_is_called_what_the_command_line_calls_it():
    with pytest.raises(EvidenceError) as raised:
        parse_waiver({"row": "r", **WORDS, "until": "soon"}, "here", OPTIONS)
    assert raised.value.found.startswith("--until is 'soon'")
    assert "--until 2026-03-01" in raised.value.do
