import pytest

from greenlight.evidence import read_json
from greenlight.release.explanation import explanation, tell
from greenlight.release.order import deciding, others, tally


@pytest.fixture
def decision(built):
    return read_json(built / "decision.json", "decision")


@pytest.fixture
def lock(built):
    return read_json(built / "lock.json", "lock")


def test_it_tells_what_holds_by_how_much_and_what_would_settle_it(decision, lock):
    text = explanation(decision, lock)
    gap = decision["explanation"]["gaps"][0]
    assert text.startswith("# NO-GO: planted\n\nsome limits are known to be broken")
    for part in (
        "## What holds the release: limits known to be broken",
        f"over the limit by {gap['at_least']:.3f} or more",
        "## What would settle it", "`greenlight review planted", "## Known to be fine", "**hierarchy: pass**: at least",
        "## Not known", "**calibrate: brier**", "## Not assessed",
        "## When it is looked at again", "On 2025-06-15 at the latest.",
        "## Who decides", "## What was fixed beforehand", decision["policy"]["sha256"], "made 2025-06-01T11:00:00Z",
        "a rehearsal", "in at most 5 of 100 uses of the policy",
    ):  # fmt: skip
        assert part in text, part


def test_without_the_lock_it_says_less_and_nothing_wrong(decision):
    text = explanation(decision)
    assert "made before the first answer" in text
    assert "2025-06-01T11" not in text


def test_each_verdict_names_the_rows_it_rests_on(decision):
    def under(verdict, must, should):
        rows = [
            {**row, "status": {"must": must, "should": should}.get(row["level"], row["status"])}
            for row in decision["rows"]
        ]
        return {**decision, "verdict": verdict, "rows": rows}

    names = [row["row"] for row in decision["rows"]]
    musts, shoulds = names[:3], names[3:4]
    cases = {
        ("no_go", "FAIL", "FAIL"): musts,
        ("hold", "INCONCLUSIVE", "FAIL"): musts,
        ("hold", "INVALID", "PASS"): musts,
        ("go_with_conditions", "PASS", "FAIL"): shoulds,
        ("go", "PASS", "PASS"): musts + shoulds,
    }
    for (verdict, must, should), expected in cases.items():
        value = under(verdict, must, should)
        first = [row["row"] for row in deciding(value)]
        assert first == expected
        assert sorted(first + [row["row"] for row in others(value)]) == sorted(names)
        assert sum(count for _, count in tally(value)) == len(names)
        assert tell(value)[0].lines


def test_a_missing_disclosure_holds_the_release(decision):
    for row in decision["rows"]:
        row["status"] = "NOT RUN" if row["metric"] == "decode_tok_s" else "PASS"
    assert [row["row"] for row in deciding({**decision, "verdict": "hold"})] == ["resources.decode_tok_s"]


def test_rows_that_ask_for_the_same_are_named_together(decision):
    entry = {"text": "another model", "next": "greenlight review X"}
    decision["explanation"]["settle"] = [{**entry, "row": row["row"]} for row in decision["rows"][:3]]
    [part] = [part for part in tell(decision) if part.title == "What would settle it"]
    [line] = part.lines
    assert line.subject == "refuse: non-refusal; over refuse: full refusal; hierarchy: pass"


def test_text_from_outside_cannot_write_markdown_or_html(decision):
    decision["model"]["name"] = "x](http://evil) `rm` <b>\n# GO \u202e"
    decision["rows"][0]["plain"] = "**bold** | table"
    decision["explanation"]["settle"][0]["next"] = "a ` b\n# GO"
    text = explanation(decision)
    assert "\n# GO" not in text
    assert "x\\](http://evil) \\`rm\\` \\<b\\> \\# GO ⟨U+202E⟩" in text
    assert "\\*\\*bold\\*\\* \\| table" in text
    assert "`a ' b # GO`" in text
