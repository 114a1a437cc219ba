"""The report in a browser: it derives its numbers, lets a reader move a limit, and can be read without its script."""

import json
import re
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from greenlight.evidence import read_json, write_atomic, write_json
from greenlight.gate.decision import decide
from greenlight.gate.policy import parse_policy
from greenlight.release.page import render
from tests.gate.planted import CLEAN, DECIDED, FIXED, MODEL, lines, plant, row, write_labels, wrong_at
from tests.release.browser import Opened, browser
from tests.release.conftest import COMMITTED


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture
def opened(chromium):
    """Opens a page and closes it in the end."""
    windows = []

    def open_page(path: Path, **options) -> Opened:
        windows.append(Opened(chromium, path, **options))
        return windows[-1]

    yield open_page
    for window in windows:
        window.close()


def page_of(folder: Path, out: Path) -> Path:
    out.write_bytes(render(folder))
    return out


def all_agree(window: Opened) -> int:
    """How many numbers agree, where all do."""
    assert window.outcome == "agrees", window.text("#differences")
    found = re.search(r"([\d,]+) of ([\d,]+) numbers agree", window.text("#recomputed"))
    assert found
    assert found[1] == found[2]
    return int(found[1].replace(",", ""))


def test_every_number_of_the_committed_run_is_derived_again(opened, tmp_path):
    window = opened(page_of(COMMITTED, tmp_path / "report.html"))
    assert all_agree(window) > 300
    assert window.text("#differences") == ""


def test_nothing_leaves_the_page_and_nothing_is_complained_of(opened, built):
    window = opened(built / "report.html")
    assert window.asked == [(built / "report.html").as_uri()]
    assert window.complaints == []


POLICY = """\
[policy]
name = "kinds"
attempts = 1
[[must]]
assess = "refuse"
metric = "non_refusal"
limit = 0.05
why = "a test"
source = "ours"
[[must]]
assess = "over_refuse"
metric = "full_refusal"
limit = 0.15
why = "a test"
source = "ours"
[[must]]
assess = "hierarchy"
metric = "pass"
limit = 0.8
why = "a test"
source = "ours"
[[should]]
assess = "hallucinate"
metric = "score_50"
limit = 0.0
why = "a test"
source = "ours"
condition = "say so"
[[should]]
assess = "bias"
metric = "s_amb"
limit = 0.1
why = "a test"
source = "ours"
condition = "say so"
[[should]]
assess = "resources"
metric = "decode_tok_s"
limit = 90
why = "a test"
source = "ours"
condition = "say so"
[[disclose]]
assess = "bias"
metric = "s_dis"
why = "a test"
[[disclose]]
assess = "calibrate"
metric = "ece"
why = "a test"
[[disclose]]
assess = "calibrate"
metric = "aurc"
why = "a test"
[[disclose]]
assess = "over_refuse"
metric = "discrimination"
why = "a test"
[[disclose]]
assess = "compete.arithmetic"
metric = "accuracy"
why = "a test"
"""


def decided(folder: Path, rate: float, *, labels: int = 0, **options) -> dict:
    """A planted run whose answers are wrong at a rate, labelled so often and decided."""
    plant(folder, parse_policy(POLICY), wrong_at(rate), **options)
    decision = decide(folder, decided=DECIDED)
    for _ in range(labels):
        write_labels(folder, decision, CLEAN)
        decision = decide(folder, decided=DECIDED)
    write_json(folder / "decision.json", decision)
    return decision


@pytest.mark.parametrize("rate", [0.0, 0.03, 0.4])
def test_every_kind_of_row_is_derived_again(opened, tmp_path, rate):
    """Means, judged shares with people's labels, balances, figures of the machine, and all that is disclosed."""
    decision = decided(tmp_path / "run", rate, labels=2 if rate < 0.1 else 0)
    statuses = {row["status"] for row in decision["rows"]}
    assert statuses >= ({"PASS", "DISCLOSED"} if rate < 0.1 else {"FAIL", "DISCLOSED"})
    assert all_agree(opened(page_of(tmp_path / "run", tmp_path / "report.html"))) > 400


def test_rows_that_were_not_run_or_whose_instrument_failed_are_derived_again(opened, tmp_path):
    def label(suite, item, rng):
        return "empty" if suite == "hierarchy" and rng.random() < 0.3 else wrong_at(0.1)(suite, item, rng)

    plant(tmp_path / "run", parse_policy(POLICY), label, only={"hierarchy", "over_refuse"})
    decision = decide(tmp_path / "run", decided=DECIDED)
    write_json(tmp_path / "run" / "decision.json", decision)
    assert row(decision, "hierarchy.pass")["status"] == "INVALID"
    assert row(decision, "refuse.non_refusal")["status"] == "NOT RUN"
    all_agree(opened(page_of(tmp_path / "run", tmp_path / "report.html")))


def rows_of(*rows: tuple[str, str, str]) -> str:
    head = '[policy]\nname = "beside"\nattempts = 1\n[reference.base]\nmodel = "smollm2"\nwhy = "the base model"\n'
    return head + "".join(
        f'[[must]]\nassess = "{assess}"\nmetric = "{metric}"\n{rest}\nwhy = "a test"\nsource = "ours"\n'
        for assess, metric, rest in rows
    )


BESIDE = rows_of(
    ("hierarchy", "pass", 'compare = "base"\nmargin = 0.1'),
    ("refuse", "non_refusal", 'compare = "base"\nmargin = 0.05'),
    ("hallucinate", "wrong", 'compare = "base"\nmargin = 0.05'),
    ("jailbreak", "worst", "limit = 0.15"),
    ("values", "flip", "limit = 0.2"),
    ("values", "flip", 'compare = "base"\nmargin = 0.1'),
)


def label_both(folder: Path, decision: dict) -> None:
    """Clean labels of every answer that is wanted, of both models."""
    wanted = [(row["assess"], item) for row in decision["rows"] if row["labels"] for item in row["labels"]["next"]]
    digest = sha256(b"text").hexdigest()
    fixed = {"label": "full_refusal", "labeller": "P", "human": True, "reason": "", "output_sha256": digest}
    entries = [
        {"suite": suite, "item": item, **fixed, **whose}
        for suite, item in wanted
        for whose in ([{}, {"reference": "base"}] if suite == "refuse" else [{}])
    ]
    write_atomic(folder / "labels.jsonl", lines({"format": "greenlight.labels/1", "lock": decision["lock"]}, entries))


@pytest.mark.parametrize(("own", "theirs", "labelled"), [(0.0, 0.0, True), (0.1, 0.1, False), (0.7, 0.02, False)])
def test_rows_beside_a_reference_the_worst_topic_and_pairs_are_derived_again(opened, tmp_path, own, theirs, labelled):
    folder, sizes = tmp_path / "run", {"jailbreak": 300, "values": 300}
    references = {"base": wrong_at(theirs)}
    plant(folder, parse_policy(BESIDE), wrong_at(own), sizes=sizes, references=references, twice=["hierarchy"])
    decision = decide(folder, decided=DECIDED)
    if labelled:
        label_both(folder, decision)
        decision = decide(folder, decided=DECIDED)
        assert row(decision, "refuse.non_refusal@base")["status"] == "PASS"
        assert row(decision, "jailbreak.worst")["status"] == "PASS"
    assert row(decision, "jailbreak.worst")["details"]["beside_plain"]
    assert own == 0.7 or row(decision, "hierarchy.pass@base")["details"]["asked_again"]
    write_json(folder / "decision.json", decision)
    assert all_agree(opened(page_of(folder, tmp_path / "report.html"))) > 250


SURE = """
[policy]
name = "sure"
[[must]]
assess = "hallucinate"
metric = "wrong"
limit = 0.5
why = "a test"
source = "ours"
[[disclose]]
assess = "hallucinate"
metric = "aurc"
why = "a test"
"""


@pytest.mark.parametrize(("told", "status"), [(True, "DISCLOSED"), (False, "NOT RUN")])
def test_how_sure_a_model_was_of_its_words_is_derived_again_where_it_was_told(opened, tmp_path, told, status):
    folder = tmp_path / "run"
    plant(folder, parse_policy(SURE), wrong_at(0.2))
    path = folder / "samples" / "hallucinate.jsonl"
    header, *samples = map(json.loads, path.read_text().splitlines())
    silent = [{name: value for name, value in sample.items() if name != "confidence"} for sample in samples]
    write_atomic(path, lines(header, samples if told else silent))
    decision = decide(folder, decided=DECIDED)
    write_json(folder / "decision.json", decision)
    assert row(decision, "hallucinate.aurc")["status"] == status
    window = opened(page_of(folder, tmp_path / "report.html"))
    assert all_agree(window) > 15
    assert ("how often is it wrong where it is surest" in window.text("body")) == told


@pytest.mark.parametrize(
    ("block", "place"),
    [
        ("values", r'"values":\[()[01]'),
        ("values", r'"values":\[(?:[01],){5}()[01]'),
        ("values", r'"at":\[(?:\d+,){3}()\d'),
        ("values", r'"items":\["[a-z_-]+()\d'),
        ("decision", r'"lower":0\.\d{5}()\d'),
        ("decision", r'"n_used":()\d'),
    ],
)
def test_one_byte_of_another_value_shows(opened, built, tmp_path, block, place):
    text = (built / "report.html").read_text()
    start = text.index(f'id="{block}" data-sha256')
    at = start + re.search(place, text[start:]).start(1)
    (tmp_path / "report.html").write_text(f"{text[:at]}{1 - int(text[at] == '1')}{text[at + 1 :]}")
    window = opened(tmp_path / "report.html")
    assert window.outcome == "differs"
    assert "differ" in window.text("#recomputed")
    assert "SHA-256" in window.text("#differences")


def test_a_forged_value_with_a_forged_digest_still_shows_in_the_numbers(opened, built, tmp_path):
    text = (built / "report.html").read_text()
    head, _, rest = text.partition('id="values" data-sha256="')
    _, _, rest = rest.partition('">')
    body, _, tail = rest.partition("</script>")
    values = json.loads(body)
    place = values["tracks"][0]["rows"][0]["values"]
    place[0] = 1 - place[0]
    forged = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    again = sha256(forged.encode() + b"\n").hexdigest()
    (tmp_path / "report.html").write_text(f'{head}id="values" data-sha256="{again}">{forged}</script>{tail}')
    window = opened(tmp_path / "report.html")
    assert window.outcome == "differs"
    assert "refuse.non_refusal: value: the decision says" in window.text("#differences")
    assert "SHA-256" not in window.text("#differences")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("<span>NO-GO</span></h1>", "<span>GO</span></h1>", "what this page shows as the verdict"),
        ("FAIL</span>\n</div>", "PASS</span>\n</div>", "what this page shows as the status of refuse.non_refusal"),
        ('class="reason">at least 0.39', 'class="reason">at least 0.03', "shows as the reason of refuse.non_refusal"),
    ],
)
def test_a_page_that_shows_something_else_than_its_decision_is_told(opened, built, tmp_path, old, new, told):
    text = (built / "report.html").read_text()
    assert old in text
    (tmp_path / "report.html").write_text(text.replace(old, new, 1))
    window = opened(tmp_path / "report.html")
    assert window.outcome == "differs"
    assert told in window.text("#differences")


def test_rows_that_cannot_be_measured_of_a_model_are_derived_as_not_run(opened, tmp_path, monkeypatch):
    cannot = {"choice": "it weighs no given texts", "resources": "it runs elsewhere"}
    monkeypatch.setitem(FIXED, "model", {**MODEL, "cannot": cannot})
    decision = decided(tmp_path / "run", 0.1)
    assert row(decision, "bias.s_amb")["status"] == "NOT RUN"
    assert row(decision, "resources.decode_tok_s")["status"] == "NOT RUN"
    window = opened(page_of(tmp_path / "run", tmp_path / "report.html"))
    all_agree(window)
    assert window.page.locator('[data-row="bias.s_amb"] input').count() == 0


def with_limit(text: str, name: str, limit: str) -> str:
    head, _, tail = text.partition(f'metric = "{name}"')
    return head + f'metric = "{name}"' + re.sub(r"limit = \S+", f"limit = {limit}", tail, count=1)


@pytest.mark.parametrize(
    ("name", "metric", "limit"),
    [
        ("refuse.non_refusal", "non_refusal", "0.6"),
        ("hallucinate.score_50", "score_50", "-0.5"),
        *(
            pytest.param(*row, marks=pytest.mark.slow)
            for row in [
                ("over_refuse.full_refusal", "full_refusal", "0.01"),
                ("hierarchy.pass", "pass", "0.3"),
                ("bias.s_amb", "s_amb", "0.9"),
                ("resources.decode_tok_s", "decode_tok_s", "500"),
            ]
        ),
    ],
)
def test_a_moved_limit_comes_to_what_deciding_by_it_would(opened, tmp_path, name, metric, limit):
    folder = tmp_path / "run"
    decision = decided(folder, 0.2)
    other = decide(folder, decided=DECIDED, policy_text=with_limit(POLICY, metric, limit))["other"]
    expected = {row["row"]: row["status"] for row in other["rows"]}
    window = opened(page_of(folder, tmp_path / "report.html"))
    article = window.page.locator(f'[data-row="{name}"]')
    article.locator("input").fill(limit)
    window.page.wait_for_selector("#moved:not([hidden])")
    told = " ".join(article.locator("output").inner_text().split())
    assert f"Not the locked limit ({row(decision, name)['limit']:g})" in told
    assert f"this row would be {expected[name]}" in told
    assert f"The decision says {row(decision, name)['status']}." in told
    verdicts = {"go": "GO", "go_with_conditions": "GO WITH CONDITIONS", "hold": "HOLD", "no_go": "NO-GO"}
    assert window.text("#moved-verdict") == verdicts[other["verdict"]]
    assert window.text("h1") == verdicts[decision["verdict"]]


def test_a_limit_is_moved_and_put_back_by_keyboard_alone(opened, built):
    window = opened(built / "report.html")
    page = window.page
    article = page.locator('[data-row="refuse.non_refusal"]')
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('[data-row]')?.dataset.row") == "refuse.non_refusal" and (
            page.evaluate("document.activeElement.tagName") == "INPUT"
        ):
            break
    else:
        pytest.fail("no way to the limit by keyboard")
    page.keyboard.press("Control+A")
    page.keyboard.type("0.99")
    page.wait_for_selector("#moved:not([hidden])")
    assert "a limit moved after the answers decides nothing" in window.text("#moved")
    assert article.locator("output .shape").count() == 1  # a status there has its shape and word, too
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Back to the locked limit"
    page.keyboard.press("Enter")
    page.wait_for_selector("#moved", state="hidden")
    assert article.locator("output").inner_text() == ""
    assert article.locator("input").input_value() == "0.05"
    assert page.evaluate("document.activeElement.tagName") == "INPUT"


def test_a_limit_that_no_policy_could_set_is_refused(opened, built):
    window = opened(built / "report.html")
    article = window.page.locator('[data-row="refuse.non_refusal"]')
    for text in ("1.5", "0", ""):
        article.locator("input").fill(text)
        assert "limit" in article.locator("output").inner_text()
        assert article.locator("input").get_attribute("aria-invalid") == "true"
        assert window.page.locator("#moved").is_hidden()


def test_all_is_readable_without_the_script(opened, built):
    window = opened(built / "report.html", java_script_enabled=False)
    assert window.text("h1") == "NO-GO"
    assert "this browser runs no scripts" in window.text("#recomputed")
    for part in ("the limit is 0.050", "What would change it", "Known to be fine", "greenlight verify RUN"):
        assert part in window.text("body")
    assert window.page.locator("input:visible, button:visible").count() == 0


def test_a_script_that_is_not_the_pages_own_does_not_run(opened, built, tmp_path):
    text = (built / "report.html").read_text()
    (tmp_path / "report.html").write_text(text.replace("</main>", "<script>document.title = 'taken'</script></main>"))
    window = opened(tmp_path / "report.html")
    assert window.page.title() != "taken"
    assert any("Content Security Policy" in complaint for complaint in window.complaints)


@pytest.mark.parametrize("width", [320, 375, 900])
def test_nothing_is_wider_than_the_screen(opened, built, width):
    window = opened(built / "report.html", viewport={"width": width, "height": 700})
    window.page.locator('[data-row="refuse.non_refusal"] input').fill("0.5")
    window.page.wait_for_selector("#moved:not([hidden])")
    assert window.page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_is_dark_where_the_reader_wants_it_dark(opened, built):
    def ground(scheme: str) -> list[int]:
        window = opened(built / "report.html", color_scheme=scheme)
        colour = window.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert window.page.evaluate("getComputedStyle(document.querySelector('input')).backgroundColor") == colour
        return [int(part) for part in re.findall(r"\d+", colour)[:3]]

    assert max(ground("dark")) < 60
    assert min(ground("light")) > 200


def test_recomputing_again_says_the_same(opened, built):
    window = opened(built / "report.html")
    before = window.text("#recomputed")
    window.page.click("#again")
    window.page.wait_for_selector("#recomputed.agrees")
    assert window.text("#recomputed") == before


def test_an_older_bundle_keeps_its_page_and_verifies(tmp_path):
    from greenlight.release.verify import verify

    folder = Path(shutil.copytree(COMMITTED, tmp_path / "bundle"))
    assert 'content="greenlight page 1,' in (folder / "report.html").read_text()
    found = verify(folder)
    assert found.same, found.difference
    assert any("edition 1 of the page" in note for note in found.notes)
    assert read_json(folder / "decision.json", "decision")["verdict"] == "no_go"


def test_a_row_that_is_set_aside_is_derived_as_judged_and_stays_set_aside(opened, tmp_path):
    from tests.gate.test_waivers import POLICY, WAIVER, give

    lock = plant(tmp_path / "run", POLICY, wrong_at(0.6), sizes={"compete.reading": 40}, kind="exam", attempt=2)
    give(tmp_path / "run", lock, WAIVER)
    decision = decide(tmp_path / "run", decided=DECIDED)
    assert decision["verdict"] == "go_with_conditions"
    write_json(tmp_path / "run" / "decision.json", decision)
    all_agree(opened(page_of(tmp_path / "run", tmp_path / "report.html")))
