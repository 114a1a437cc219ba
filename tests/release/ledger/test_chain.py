from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenlight.errors import EvidenceError
from greenlight.evidence import canonical, sha256_json
from greenlight.release.ledger import ENTRY_KINDS, appending, parse_ledger, read_ledger
from greenlight.release.ledger.entries import fault
from tests.release.ledger.build import OTHER_LOCK, build, decision_body, delay_body, lock_body


@pytest.fixture
def path(tmp_path):
    return build(tmp_path / "ledger.jsonl").path


def damage(path, change):
    """The ledger with its lines changed; the error that reading it raises."""
    lines = path.read_bytes().split(b"\n")[:-1]
    path.write_bytes(b"".join(line + b"\n" for line in change(lines)))
    with pytest.raises(EvidenceError) as raised:
        read_ledger(path)
    return raised.value


def rehashed(line, **changes):
    """A line whose author takes care of its own digest."""
    value = {**json.loads(line), **changes}
    del value["sha256"]
    return canonical({**value, "sha256": sha256_json(value)})


def test_every_kind_is_entered_and_read_back_in_order(path):
    ledger = read_ledger(path)
    assert ledger.model == "tiny"
    assert {entry.kind for entry in ledger.entries} == set(ENTRY_KINDS)
    assert [entry.index for entry in ledger.entries] == [1, 2, 3, 4, 5, 6, 7]
    assert ledger.head == ledger.entries[-1].sha256
    assert ledger.exams() == 1


def test_a_changed_entry_is_refused_with_its_line(path):
    error = damage(path, lambda lines: [line.replace(b'"hold"', b'"go"') for line in lines])
    assert error.what.startswith("an entry was changed")
    assert error.where.endswith("line 4")
    assert error.do


def test_a_changed_entry_with_a_digest_of_its_own_breaks_the_next_one(path):
    def forge(lines):
        body = {**json.loads(lines[3])["body"], "verdict": "go"}
        return [*lines[:3], rehashed(lines[3], body=body), *lines[4:]]

    error = damage(path, forge)
    assert error.what.startswith("an entry does not follow")
    assert error.where.endswith("line 5")


def test_a_changed_first_line_breaks_the_first_entry(path):
    error = damage(path, lambda lines: [lines[0].replace(b'"tiny"', b'"vast"'), *lines[1:]])
    assert error.what.startswith("an entry does not follow")
    assert error.where.endswith("line 2")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: lines[:2] + lines[3:], 3),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], 3),
        (lambda lines: [*lines[:4], lines[3], *lines[4:]], 5),
        (lambda lines: [lines[0], *lines[2:]], 2),
    ],
    ids=["dropped", "reordered", "repeated", "the first dropped"],
)
def test_a_dropped_moved_or_repeated_entry_is_refused_with_its_line(path, change, line):
    error = damage(path, change)
    assert error.what.startswith("an entry is not where it was entered")
    assert error.where.endswith(f"line {line}")


def test_a_ledger_that_lost_its_end_is_told_by_the_head_that_was_kept(path):
    head = read_ledger(path).head
    path.write_bytes(b"".join(line + b"\n" for line in path.read_bytes().split(b"\n")[:-2]))
    shorter = read_ledger(path)
    assert head not in {entry.sha256 for entry in shorter.entries}


def test_a_torn_last_line_is_said_and_taken_away_by_the_next_entry(path):
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"body":{"text":"cut')
    assert read_ledger(path).torn_bytes == 20
    assert len(read_ledger(path).entries) == 7
    with appending(path) as ledger:
        assert ledger.torn_bytes == 20
        ledger.enter("note", {"text": "after", "outside": None})
    assert read_ledger(path).torn_bytes == 0
    assert path.read_bytes().startswith(whole)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"", "a line is not JSON"),
        (b"[]", "a line is not a JSON object"),
        (b'{"a":NaN}', "a line is not JSON"),
        (b'{"a":1,"a":1}', "a line is not a JSON object in canonical form"),
        (b'{ "a":1}', "a line is not a JSON object in canonical form"),
        (b'{"a":"\\ud800"}', "a line is not JSON"),
        (b"[" * 60_000, "a line is not JSON"),
        (b"9" * 70_000, "a line is too long"),
        (b"9" * 6_000, "a line is not JSON"),
        (b'{"a":1}', "an entry has other fields"),
    ],
)
def test_a_line_that_is_no_entry_is_refused(path, line, what):
    error = damage(path, lambda lines: [*lines, line])
    assert error.what.startswith(what)
    assert error.where.endswith("line 9")


@pytest.mark.parametrize(
    "changes",
    [
        {"index": True},
        {"index": "8"},
        {"previous": 5},
        {"time": "yesterday"},
        {"time": "2026-13-01T00:00:00Z"},
        {"time": "2000-01-01T00:00:00Z"},
        {"kind": "gossip"},
        {"kind": ["note"]},
        {"body": None},
        {"body": {"text": "", "outside": None}},
        {"body": {"text": "x", "outside": None, "more": 1}},
        {"body": {"text": "x", "outside": {"what": "commit"}}},
    ],
)
def test_an_entry_with_a_right_digest_and_a_wrong_field_is_refused(path, changes):
    last = path.read_bytes().split(b"\n")[-2]
    value = {**json.loads(last), "index": 8, "previous": json.loads(last)["sha256"], **changes}
    error = damage(path, lambda lines: [*lines, rehashed(canonical(value))])
    assert error.where.endswith("line 9")


@pytest.mark.parametrize(
    ("kind", "body", "what"),
    [
        ("lock", lock_body(), "a lock is entered twice"),
        ("lock", lock_body(OTHER_LOCK, attempt=3), "a lock has another attempt"),
        ("decision", decision_body(OTHER_LOCK), "a decision is of no lock"),
        ("decision", decision_body(attempt=2), "a decision is of no lock"),
        ("decision", decision_body(policy={"name": "x", "sha256": "0" * 64}), "a decision is of no lock"),
        ("reopening", {"lock": OTHER_LOCK, "because": "x"}, "an entry is about a lock that was not entered"),
    ],
)
def test_what_cannot_have_happened_is_neither_entered_nor_read(path, kind, body, what):
    before = path.read_bytes()
    with appending(path) as ledger, pytest.raises(EvidenceError, match=what):
        ledger.enter(kind, body)
    assert path.read_bytes() == before
    last = json.loads(before.split(b"\n")[-2])
    line = rehashed(canonical({**last, "index": 8, "previous": last["sha256"], "kind": kind, "body": body}))
    assert damage(path, lambda lines: [*lines, line]).what.startswith(what)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (delay_body(category=None), "category is missing"),
        (delay_body(category="bad luck"), "must be null or one of"),
        (delay_body("planned", category="technical"), "is no delay"),
        (delay_body("planned", date=None), "a plan has a date"),
        (delay_body("released", date="2026-02"), "a release has a day"),
        (delay_body(on="2026-02-30"), "a date"),
        (delay_body(reason="x" * 2001), "characters at most"),
    ],
)
def test_a_delay_says_when_and_for_which_of_four_reasons(body, found):
    assert found in fault("delay", body)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_ledger_with_any_byte_changed_is_refused_or_torn(path, data):
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    changed = whole[:place] + bytes([byte]) + whole[place + 1 :]
    try:
        found = parse_ledger(changed, path)
    except EvidenceError as error:
        where = str(error.where)
    else:
        where = "line"
        # Only the newline at the very end can go without a trace: then the last entry was never whole.
        assert (place, len(found.entries)) == (len(whole) - 1, 6)
        assert found.torn_bytes
    assert "line" in where


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from(ENTRY_KINDS) | _JSON, value=_JSON, which=st.integers(0, 40))
def test_no_entry_of_any_shape_is_more_than_a_refusal(tmp_path_factory, kind, value, which):
    bodies = {"lock": lock_body(), "decision": decision_body(), "delay": delay_body()}
    body = dict(bodies.get(kind, {"text": "x", "outside": None})) if isinstance(kind, str) else value
    if isinstance(body, dict) and body:
        body[sorted(body)[which % len(body)]] = value
    assert isinstance(fault(kind, body), str)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=400))
def test_bytes_of_any_kind_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any"
    with pytest.raises(EvidenceError):
        parse_ledger(data, path)
