from __future__ import annotations

import contextlib
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenlight.errors import EvidenceError, UsageError
from greenlight.evidence import canonical, sha256
from greenlight.gate.decision import decide
from greenlight.gate.policy import parse_policy
from greenlight.release.delay import Material, explain, read_pages
from greenlight.release.delay.history import FILE
from greenlight.release.ledger import appending, read_ledger
from greenlight.release.ledger.standing import decision_body, lock_body
from tests.gate.planted import DECIDED, perfect, plant, wrong_at
from tests.gate.test_waivers import RULE, TEXT
from tests.release.ledger.build import delay_body

POLICY = parse_policy(TEXT + RULE)
EXPLAINED: dict[str, Material] = {}
ATOM = "{http://www.w3.org/2005/Atom}"
EVIL = "<script>alert(1)</script>&\"'\u202e]]>"


class Text(HTMLParser):
    """What a page shows, and the tags that it is made of."""

    def __init__(self, page: bytes):
        super().__init__()
        self.text, self.tags = "", set()
        self.feed(page.decode())
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def material(tmp_path):
    def make(label=perfect, *, delays=(), waiting="safety & alignment", name="planted", **changes):
        folder, path = tmp_path / "run", tmp_path / "ledger.jsonl"
        lock = plant(folder, POLICY, label, sizes={"compete.reading": 40}, kind="exam", attempt=1, **changes)
        decision = decide(folder, decided=DECIDED)
        digest = sha256(canonical(decision) + b"\n")
        path.unlink(missing_ok=True)
        with appending(path, name) as book:
            book.enter("delay", delay_body("planned", date="2026-01-01", on="2025-12-01", reason="as we said"))
            book.enter("lock", lock_body(lock))
            book.enter("decision", decision_body(decision, lock, digest))
            if waiting:
                book.enter("delay", delay_body(date="2026-02-01", category=waiting))
            for delay in delays:
                book.enter("delay", delay)
        return Material(
            decision=decision,
            decision_sha256=digest,
            ledger=read_ledger(path),
            lock=lock,
            wall_s={"hierarchy": 400.0},
            vouched=("time: the author's word",),
        )

    return make


def shown(material, pages=()):
    return Text(explain(material, pages).files["index.html"])


def test_the_page_says_everything_that_a_delayed_release_owes(material):
    page = shown(material(wrong_at(0.6))).text
    for element in (
        "NO-GO",
        "attempt 1 of 2",
        "1 exams were locked so far",
        "1 times; 31 days, from 2026-01-01 to 2026-02-01",
        "as we said",
        "Safety & alignment",
        "hierarchy: pass",
        "at least 0.800",
        "Nothing was entered in the ledger since the last decision",
        "On 2026-01-19 at the latest",
        "the verdict stands and the review counts as missed",
        "A row may be set aside, for a while and in public, by Ada, Grace",
        "This is the first page",
        POLICY.sha256[:32],
        "time: the author's word",
    ):
        assert element in page, element
    gap = re.search(r"gap ?([\d.]+) at least", page)
    assert gap
    assert float(gap[1]) > 0


def test_what_is_open_says_how_many_answers_hours_and_dollars_would_settle_it(material):
    held = material(wrong_at(0.2))
    row = next(row for row in held.decision["rows"] if row["row"] == "hierarchy.pass")
    if row["status"] != "INCONCLUSIVE":
        pytest.fail("the planted rate should leave the row open")
    cut = {**row, "n_planned": row["n_used"] + 3600, "n_finished": row["n_used"]}
    decision = {**held.decision, "rows": [cut, *held.decision["rows"][1:]]}
    seconds = {"hierarchy": float(row["n_used"])}
    said = shown(replace(held, decision=decision, wall_s=seconds, price_per_hour=2.5)).text
    assert "up to 3,600 more answers; about 1 hours on the machine of this run; about $2.50" in said
    assert "price of an hour not stated" in shown(replace(held, decision=decision, wall_s=seconds)).text
    assert "hours and dollars not known" in shown(replace(held, decision=decision, wall_s={})).text


def test_a_delay_that_no_limit_explains_is_flagged(material):
    assert "Held for reasons outside the policy" in shown(material(perfect)).text
    assert "Held for reasons outside" not in shown(material(wrong_at(0.6))).text
    assert "Held for reasons outside" not in shown(material(perfect, waiting=None)).text
    assert "was said to be for it" in shown(material(wrong_at(0.6), waiting="outside the policy")).text


def test_a_release_ends_the_delay(material):
    released = delay_body("released", date="2026-03-01", on="2026-03-01")
    page = shown(material(perfect, delays=[released])).text
    assert "59 days, from 2026-01-01 to 2026-03-01" in page
    assert "Held for reasons outside" not in page


def test_a_plan_in_words_is_kept_in_words_and_not_counted(material):
    indefinite = delay_body(date=None, words="", category="technical")
    assert "it cannot be counted: no new date was set" in shown(material(perfect, delays=[indefinite])).text


def test_a_withheld_row_is_a_counted_box_with_its_reason_and_nothing_else(material):
    whole = material(wrong_at(0.6))
    made = explain(replace(whole, redacted={"hierarchy.pass": "it names an open weakness"})).files
    page = Text(made["index.html"]).text
    assert "1 of 3 rows are withheld from this page" in page
    assert "Withheld. it names an open weakness" in page
    for data in made.values():
        assert b"hierarchy" not in data


@pytest.mark.parametrize("redacted", [{"hierarchy.pas": "why"}, {"hierarchy.pass": " "}])
def test_nothing_is_withheld_without_a_row_and_a_reason(material, redacted):
    with pytest.raises(UsageError, match="by its name and with a reason"):
        explain(replace(material(), redacted=redacted))


def test_the_next_page_says_what_changed_and_the_same_page_comes_out_the_same(material, tmp_path):
    first = explain(material(wrong_at(0.6))).files
    (tmp_path / FILE).write_bytes(first[FILE])
    pages = read_pages(tmp_path)
    again = explain(material(wrong_at(0.6)), ()).files
    assert set(again) == set(first)
    later = material(perfect)
    made = explain(later, pages).files
    page = Text(made["index.html"]).text
    assert "verdict: NO-GO, now GO" in page
    assert "hierarchy.pass: FAIL, now PASS" in page
    (tmp_path / FILE).write_bytes(made[FILE])
    assert explain(later, read_pages(tmp_path)).files == made
    feed = ET.fromstring(made["feed.atom"])
    assert [entry.findtext(f"{ATOM}title") for entry in feed.iter(f"{ATOM}entry")] == ["GO", "NO-GO"]


def test_the_feed_is_atom(material):
    feed = ET.fromstring(explain(material(perfect, name=f"m {EVIL}")).files["feed.atom"])
    assert feed.tag == f"{ATOM}feed"
    for parent in (feed, *feed.iter(f"{ATOM}entry")):
        for name in ("id", "title", "updated"):
            assert parent.findtext(f"{ATOM}{name}"), name
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", parent.findtext(f"{ATOM}updated"))
        assert parent.find(f"{ATOM}link").get("href") == "index.html"
    ids = [entry.findtext(f"{ATOM}id") for entry in feed.iter(f"{ATOM}entry")]
    assert len(set(ids)) == len(ids)
    assert feed.find(f"{ATOM}author/{ATOM}name") is not None


def test_no_word_of_ledger_or_evidence_becomes_markup(material):
    evil = delay_body(reason=EVIL, source=EVIL, words=EVIL)
    whole = material(wrong_at(0.6), delays=[evil], name=f"m {EVIL}")
    rows = [{**row, "reason": EVIL, "change": EVIL} for row in whole.decision["rows"]]
    made = explain(replace(whole, decision={**whole.decision, "rows": rows}, vouched=(EVIL,))).files
    page = Text(made["index.html"])
    assert "script" not in page.tags
    assert "\u202e" not in page.text
    assert not page.tags & {"img", "iframe", "object", "a"}
    ET.fromstring(made["feed.atom"])


@pytest.mark.parametrize(
    "data",
    [b"{}", b"[]", b'{"format":"greenlight.pages/1","pages":[{}]}', b'{"format":"greenlight.pages/1","pages":{}}'],
)
def test_pages_that_are_none_are_refused(tmp_path, data):
    (tmp_path / FILE).write_bytes(data)
    with pytest.raises(EvidenceError):
        read_pages(tmp_path)


_ANY = st.none() | st.integers() | st.text(max_size=9) | st.dictionaries(st.text(max_size=5), st.text(max_size=5))


@settings(max_examples=200, deadline=None)
@given(page=st.fixed_dictionaries({"rows": _ANY, "verdict": _ANY | st.just("go"), "slips": _ANY, "withheld": _ANY}))
def test_pages_of_any_shape_are_read_or_refused(tmp_path_factory, page):
    folder = tmp_path_factory.getbasetemp() / "pages"
    folder.mkdir(exist_ok=True)
    rest = {"published": "2026-01-01T00:00:00Z", "decision_sha256": "", "head": "", "policy": ""}
    with contextlib.suppress(EvidenceError):
        (folder / FILE).write_bytes(canonical({"format": "greenlight.pages/1", "pages": [{**rest, **page}]}) + b"\n")
        assert read_pages(folder)[0].verdict == "go"


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), value=_ANY)
def test_a_decision_of_any_shape_is_explained_or_refused(material, place, value):
    whole = EXPLAINED.setdefault("material", material if isinstance(material, Material) else material(wrong_at(0.6)))
    targets = [whole.decision, whole.decision["explanation"], *whole.decision["rows"]]
    target = targets[place % len(targets)]
    key = sorted(target)[place % len(target)]
    kept = target[key]
    target[key] = value
    try:
        with contextlib.suppress(EvidenceError):
            assert explain(whole).files["index.html"]
    finally:
        target[key] = kept
