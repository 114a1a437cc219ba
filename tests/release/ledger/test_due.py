from greenlight.gate.policy import parse_policy
from greenlight.release.ledger import appending, due, read_ledger
from tests.gate.test_waivers import TEXT
from tests.release.ledger.build import LOCK, OTHER_LOCK, build, decision_body, lock_body

REFERENCE = '\n[reference.base]\nmodel = "{model}"\nwhy = "w"\n'
DATED = '\n[[reopen]]\nwhen = "spring"\non = 2026-03-01\n\n[[reopen]]\nwhen = "a new jailbreak set"\n'


def reasons(ledger, on, *policies):
    return [reason.why for reason in due(ledger, on, *policies)]


def begun(path, **decided):
    with appending(path, "tiny") as ledger:
        ledger.enter("lock", lock_body())
        ledger.enter("decision", decision_body(**decided))
    return read_ledger(path)


def test_a_review_is_missed_the_day_after_it_was_due(tmp_path):
    ledger = begun(tmp_path / "l", next_review="2026-01-19")
    assert reasons(ledger, "2026-01-19") == []
    assert reasons(ledger, "2026-01-20") == ["its review was missed: nothing was decided since"]


def test_a_go_has_no_review_to_miss(tmp_path):
    assert reasons(begun(tmp_path / "l", verdict="go", next_review=None), "2999-01-01") == []


def test_another_decision_is_the_look_that_was_due(tmp_path):
    begun(tmp_path / "l", next_review="2026-01-19")
    with appending(tmp_path / "l") as ledger:
        ledger.enter("lock", lock_body(OTHER_LOCK, attempt=2))
        ledger.enter("decision", decision_body(OTHER_LOCK, attempt=2, verdict="go", next_review=None))
    assert reasons(read_ledger(tmp_path / "l"), "2999-01-01") == []


def test_a_waiver_that_was_used_and_ended_reopens(tmp_path):
    path = tmp_path / "l"
    with appending(path, "tiny") as ledger:
        ledger.enter("lock", lock_body())
        waiver = {"lock": LOCK, "row": "bias.s_amb", "who": "Ada", "why": "w", "until": "2026-01-10"}
        ledger.enter("waiver", waiver)
        ledger.enter("decision", decision_body(waived=["bias.s_amb"], next_review=None))
    assert reasons(read_ledger(path), "2026-01-10") == []
    assert reasons(read_ledger(path), "2026-01-11") == ["the waiver of bias.s_amb ended"]


def test_an_event_reopens_until_it_is_decided_again(tmp_path):
    ledger = build(tmp_path / "l")
    assert reasons(ledger, "2026-01-06") == ["reopened: a reference was replaced"]
    with appending(tmp_path / "l") as book:
        book.enter("decision", decision_body(next_review=None))
    assert reasons(read_ledger(tmp_path / "l"), "2026-01-06") == []


def test_a_lock_under_another_policy_reopens(tmp_path):
    begun(tmp_path / "l", next_review=None)
    with appending(tmp_path / "l") as ledger:
        ledger.enter("lock", lock_body(OTHER_LOCK, attempt=2, policy={"name": "new", "sha256": "0" * 64}))
    assert reasons(read_ledger(tmp_path / "l"), "2026-01-06") == ["the policy was replaced: new"]


def test_a_date_of_the_policy_reopens_from_that_day(tmp_path):
    ledger, policy = begun(tmp_path / "l", next_review=None), parse_policy(TEXT + DATED)
    assert reasons(ledger, "2026-02-28", policy) == []
    assert reasons(ledger, "2026-03-01", policy) == ["the policy reopens it: spring"]


def test_a_replaced_reference_and_a_new_assessment_reopen(tmp_path):
    ledger = begun(tmp_path / "l", next_review=None)
    row = '\n[[disclose]]\nassess = "calibrate"\nmetric = "ece"\nwhy = "w"\n'
    then = parse_policy(TEXT + REFERENCE.format(model="a"))
    now = parse_policy(TEXT + row + REFERENCE.format(model="b"))
    assert reasons(ledger, "2026-01-06", then, then) == []
    assert reasons(ledger, "2026-01-06", then, now) == [
        "a new assessment is asked for: calibrate",
        "the reference base is replaced: a, now b",
    ]
