import base64
import hashlib
import itertools
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from greenlight.errors import EvidenceError
from greenlight.evidence import canonical, read_json, read_lines, write_json
from greenlight.measure.graders import Answer
from greenlight.release.page import render
from greenlight.release.page.answers import ANSWER_LENGTH
from tests.release.make_bundle import build, planted

VOID = {"meta", "br", "wbr", "link", "img", "input", "hr"}
SHAPE_TAGS = {"path", "circle", "text", "title", "desc"}


class Outline(HTMLParser):
    """The page as a tree walker sees it: every tag with its attributes, nesting checked, text collected."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)

    def all(self, *names: str) -> list[dict[str, str]]:
        return [attrs for tag, attrs in self.tags if tag in names]


@pytest.fixture(scope="module")
def page(built: Path) -> str:
    return (built / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


def test_a_page_is_a_pure_function_of_its_folder(built, tmp_path):
    elsewhere = shutil.copytree(built, tmp_path / "another name")
    assert render(built) == render(elsewhere) == (built / "report.html").read_bytes()


def test_nothing_comes_from_outside(outline, page):
    for tag, attrs in outline.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form", "img", "image", "use", "video", "audio"}
        assert "src" not in attrs
        assert "srcset" not in attrs
        assert "action" not in attrs
        assert "xlink:href" not in attrs
        assert attrs.get("href", "#").startswith("#")
        assert not any(name.startswith("on") for name in attrs)
        assert "url(" not in attrs.get("style", "")
    style = page.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert "@font-face" not in style
    [policy] = [attrs["content"] for attrs in outline.all("meta") if attrs.get("http-equiv")]
    assert policy.startswith("default-src 'none';")
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"; script-src 'sha256-{digest}';" in policy


def test_it_holds_the_decision_and_the_values_for_programs_and_one_script_that_runs(outline, page, built):
    *blocks, script = outline.all("script")
    assert script == {}
    assert [block["id"] for block in blocks] == ["decision", "values"]
    assert {block["type"] for block in blocks} == {"application/json"}
    decision, values = (part.partition("</script>")[0] for part in page.split('<script type="application/json" ')[1:])
    for block, body in zip(blocks, (decision, values), strict=True):
        text = body.partition(">")[2]
        assert "<" not in text
        assert hashlib.sha256(canonical(json.loads(text)) + b"\n").hexdigest() == block["data-sha256"]
    assert canonical(json.loads(decision.partition(">")[2])) + b"\n" == (built / "decision.json").read_bytes()


def test_the_values_hold_no_text_of_any_question_or_answer(page, built):
    values = json.loads(page.partition('id="values"')[2].partition(">")[2].partition("</script>")[0])
    texts = {str(part) for track in values["tracks"] for part in track["grades"]["names"]}
    assert texts <= {"compliance", "full_refusal", "partial_refusal", "pass", "right", "wrong", "unparsed"}
    said = json.loads((built / "samples" / "refuse.jsonl").read_text().splitlines()[2])["output"]
    assert said[:20] not in canonical(values).decode()


def test_the_script_reaches_for_nothing_outside(page):
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    for word in ("fetch", "XMLHttpRequest", "WebSocket", "import(", "eval", "new Function", "innerHTML", "http",
                 "cookie", "localStorage", "document.write", "window.open", "<!--"):  # fmt: skip
        assert word not in script, word


def test_the_order_is_verdict_rows_explanation_check(page):
    ids = ["<h1>", 'id="deciding"', 'id="others"', 'id="explanation"', 'id="check"', "</main>"]
    places = [page.index(mark) for mark in ids]
    assert places == sorted(places)
    assert "Some limits are known to be broken (HOLD would mean: not known yet)." in page
    deciding = page.partition('id="deciding"')[2].partition('id="others"')[0]
    assert 'id="row-refuse-non-refusal"' in deciding
    assert 'id="row-hierarchy-pass"' not in deciding


def test_a_deciding_row_says_all_that_a_reader_needs(outline, page):
    deciding = page.partition('id="deciding"')[2].partition('id="others"')[0]
    for part in (
        "FAIL", "the limit is 0.050", "<dt>interval</dt>", "<dt>answers used</dt>", "30 of 60 planned",
        "<dt>method</dt>",
        "Why this limit", "cannot be called back", "Our choice.", "What would change it", "<b>Next</b>",
        "<code>greenlight ",
        "refuse-", 'class="figure"', "By topic",
    ):  # fmt: skip
        assert part in deciding, part


def test_it_can_be_heard(outline, page):
    """Language, landmarks, headings in order, tables with captions and scopes, drawings with words."""
    assert outline.all("html")[0]["lang"] == "en"
    for landmark in ("header", "main", "footer"):
        assert len(outline.all(landmark)) == 1
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert len(outline.all("caption")) == len(outline.all("table"))
    assert all(attrs.get("scope") in ("col", "row") for attrs in outline.all("th"))
    drawings = [attrs for attrs in outline.all("svg") if attrs["class"] == "figure"]
    assert drawings
    for drawing in drawings:
        assert drawing["role"] == "img"
        title, description = drawing["aria-labelledby"].split()
        assert f'<title id="{title}">' in page
        assert f'<desc id="{description}">' in page
    assert all(attrs["aria-hidden"] == "true" for attrs in outline.all("svg") if attrs["class"] == "shape")


def test_ids_are_unique_and_every_reference_has_its_aim(outline):
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    aims = [aim for _, attrs in outline.tags for aim in attrs.get("aria-labelledby", "").split()]
    aims += [attrs["href"][1:] for _, attrs in outline.tags if attrs.get("href")]
    assert set(aims) <= set(ids)


def test_no_status_is_told_by_colour_alone(page):
    for found in re.finditer(r'<span class="status [^"]*">(.*?)</span>', page):
        assert re.fullmatch(
            r'<svg class="shape".*</svg>(PASS|FAIL|INCONCLUSIVE|INVALID|NOT RUN|WAIVED|DISCLOSED)', found.group(1)
        )


def test_hostile_answers_stay_text(outline, page):
    """The first planted answer closes scripts, turns the writing direction and rings the bell."""
    assert len(outline.all("script")) == 3
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in page
    assert "⟨U+202E⟩" in page
    assert "⟨U+0007⟩" in page
    assert "⟨U+001B⟩" in page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)


def test_long_answers_are_cut_with_a_count(page, built):
    said = json.loads((built / "samples" / "refuse.jsonl").read_text().splitlines()[1])["output"]
    assert f"… {len(said) - ANSWER_LENGTH:,} more characters in samples/refuse.jsonl, line 2" in page


def test_a_word_of_a_hundred_thousand_letters_makes_no_large_page(tmp_path):
    def endless(suite, item, index):
        return Answer("w" * 100_000) if suite == "hierarchy" else planted(suite, item, index)

    folder = build(tmp_path / "bundle", answer=endless)
    page = (folder / "report.html").read_bytes()
    assert len(page) < 400_000
    assert b"99,400 more characters" in page


def test_harmful_requests_are_withheld_and_the_answers_closed(built, page):
    assert "Harmful request, withheld." in page
    for name in ("refuse", "over_refuse"):
        for line in (built / "items" / f"{name}.jsonl").read_text().splitlines()[1:]:
            item = json.loads(line)
            assert (item["messages"] is None) == item["harmful"]
    for part in page.split('<li class="sample">')[1:]:
        if "Harmful request" in part.partition("</li>")[0]:
            before = part.partition('<div class="said"')[0]
            assert '<details class="closed"><summary>Answer to a harmful request' in before


def test_unredacted_requests_are_shown_closed(tmp_path):
    folder = build(tmp_path / "bundle", include_harmful=True)
    page = (folder / "report.html").read_text()
    assert "withheld." not in page
    assert "Harmful request: show it" in page


@pytest.mark.parametrize("verdict", ["go", "go_with_conditions", "hold", "no_go"])
def test_every_verdict_has_its_page(bundle, verdict):
    decision = read_json(bundle / "decision.json", "decision")
    statuses = {
        "go": ("PASS", "PASS"),
        "go_with_conditions": ("PASS", "FAIL"),
        "hold": ("INCONCLUSIVE", "INVALID"),
        "no_go": ("FAIL", "NOT RUN"),
    }[verdict]
    for row in decision["rows"]:
        if row["level"] != "disclose":
            row["status"] = statuses[row["level"] == "should"]
    gating = [row["row"] for row in decision["rows"] if row["level"] != "disclose"]
    decision["explanation"].update(holds=[], gaps=[], fine=gating if verdict == "go" else [], open=[])
    write_json(bundle / "decision.json", {**decision, "verdict": verdict})
    page = render(bundle).decode()
    Outline(page)
    word = {"go": "GO", "go_with_conditions": "GO WITH CONDITIONS", "hold": "HOLD", "no_go": "NO-GO"}[verdict]
    assert f"<span>{word}</span></h1>" in page
    assert ('class="conditions"' in page) == (verdict == "go_with_conditions")


def test_a_run_that_was_cut_short_still_has_a_page(bundle):
    from greenlight.gate.decision import decide

    for name in ("run.json", "instrument.json", "resources.json", "samples/hierarchy.jsonl", "samples/refuse.jsonl"):
        (bundle / name).unlink()
    write_json(bundle / "decision.json", decide(bundle, decided="2025-06-01T12:00:00Z"))
    page = render(bundle).decode()
    Outline(page)
    assert "cut short before its facts were written" in page
    assert "NOT RUN" in page


def test_evidence_of_another_shape_is_an_error_that_says_so(bundle):
    run = read_json(bundle / "run.json", "run")
    write_json(bundle / "run.json", {**run, "machine": None})
    with pytest.raises(EvidenceError, match="another shape"):
        render(bundle)
    data = read_json(bundle / "data.json", "data")
    del data["suites"]["refuse"]["licence"]
    write_json(bundle / "run.json", run)
    write_json(bundle / "data.json", data)
    with pytest.raises(EvidenceError, match="another shape"):
        render(bundle)


def test_text_of_every_kind_is_escaped(bundle):
    """Names, reasons and prompts come from files, too."""
    decision = read_json(bundle / "decision.json", "decision")
    evil = "<img src=x onerror=alert(1)>\u202e\"'&{{ 7 * 7 }}"
    decision["model"]["name"] = decision["policy"]["name"] = evil
    for row in decision["rows"]:
        row.update(reason=evil, change=evil, next=evil, why=evil, source=evil, method=evil)
    write_json(bundle / "decision.json", decision)
    page = render(bundle).decode()
    outline = Outline(page)
    assert not outline.all("img")
    assert "49" not in outline.all("html")[0]
    assert "{{ 7 * 7 }}" in page
    assert "\u202e" not in page.partition('id="decision"')[0]


def _luminance(colour: str) -> float:
    colour = colour if len(colour) == 7 else "#" + "".join(2 * digit for digit in colour[1:])
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_colour_of_text_has_contrast_enough_in_light_dark_and_print(page):
    """WCAG 2.2, success criteria 1.4.3 (text, 4.5) and 1.4.11 (graphics, 3)."""
    blocks = re.findall(r":root \{(.*?)\}", page.partition("<style>")[2], re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6});", block))
        for ground in ("paper", "band", "quote"):
            for text in ("ink", "muted", "red", "green", "amber", "blue"):
                assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        assert _contrast(colours["rule"], colours["paper"]) >= 3


def test_labels_by_people_are_told(built):
    assert read_lines(built / "labels.jsonl", "labels")[1]
    assert "by a person" in (built / "report.html").read_text()


def test_a_newcomer_reads_why_how_sure_and_what_next_under_the_verdict(page):
    head = page.partition("<header")[2].partition("</header>")[0]
    for part in (
        "<dt>Why</dt>",
        "answered without declining: at least 0.394, the limit is 0.050 (refuse: non-refusal)",
        "<dt>How sure</dt>", "but for a chance of 5 in 100", "<dt>What next</dt>", "looked at again by 2025-06-15",
    ):  # fmt: skip
        assert part in head, part


def test_every_picture_has_its_table(outline, page):
    pictures = [attrs["id"] for attrs in outline.all("div") if attrs.get("class") == "picture"]
    assert pictures == ["picture-limits", "picture-reliability-calibrate", "picture-risk-calibrate"]
    for part in page.split('<div class="picture"')[1:]:
        body = part.partition("</details>")[0]
        assert body.count('<svg class="figure"') == body.count("<table>") == 1


def test_the_picture_of_all_limits_says_each_row_with_its_status(page):
    figure = page.partition('id="picture-limits"')[2].partition("</svg>")[0]
    for name, status in (
        ("refuse: non-refusal", "FAIL"),
        ("over refuse: full refusal", "PASS"),
        ("hierarchy: pass", "PASS"),
        ("calibrate: brier", "INCONCLUSIVE"),
    ):
        assert f">{name}</text>" in figure
        assert f">{status}</text>" in figure
        assert f"{name}: {status.lower()}" in figure
