import json
import re

import pytest

from greenlight.evidence import canonical, read_json
from greenlight.release.ledger import read_ledger

EXTRA = '\n[waiver]\nwho = ["Ada"]\nmax_days = 30\n\n[[reopen]]\nwhen = "spring"\non = 2999-03-01\n'


@pytest.fixture(scope="module")
def rules(policy, tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "rules.toml"
    path.write_text(policy.read_text() + EXTRA)
    return path


@pytest.fixture
def book(tmp_path):
    return tmp_path / "ledger.jsonl"


def kinds(book):
    return [entry.kind for entry in read_ledger(book).entries]


@pytest.mark.slow
def test_an_exam_from_lock_to_verify_stands_in_the_ledger(run, chat_model, rules, book, tmp_path):
    lock, other, folder = tmp_path / "exam.json", tmp_path / "unused.json", tmp_path / "run"
    assert run("delay", book, "--event", "planned", "--date", "2999-01", "--release-of", "tiny")[0] == 0
    code, out, _ = run("lock", rules, chat_model, "--out", lock, "--ledger", book)
    assert (code, "attempt 1 of 1" in out) == (0, True)
    assert f"next    greenlight review {chat_model} --lock {lock} --ledger {book}\n" in out
    assert run("review", chat_model, "--lock", lock, "--out", folder, "--ledger", book)[0] == 0
    code, out, _ = run("verify", folder, "--ledger", book)
    assert code == 0, out
    assert "lock entry 2, line 3; decision entry 3, line 4; attempt 1 of 1" in out
    assert "time: the author's word" in out
    assert kinds(book) == ["delay", "lock", "decision"]

    # The same decision again is the same entry.
    code, out, _ = run("decide", folder, "--ledger", book)
    assert (code, kinds(book)) == (0, ["delay", "lock", "decision"])
    assert "attempt 1 of 1" in out

    # A second lock is a second attempt, used or not; the policy allows one.
    code, out, _ = run("lock", rules, chat_model, "--out", other, "--ledger", book)
    assert "attempt 2 of 1: the policy's attempts are spent" in out
    assert read_json(other, "lock")["attempt"] == 2

    # Another policy, afterwards: kept with the run, in the report and in the ledger.
    lax = tmp_path / "lax.toml"
    lax.write_text(rules.read_text().replace("limit = 0.8", "limit = 0.001").replace('"tiny"', '"lax"'))
    assert run("decide", folder, "--policy", lax, "--ledger", book)[0] == 0
    assert read_ledger(book).entries[-1].body["other"]["name"] == "lax"
    page = (folder / "report.html").read_text()
    assert "Threshold changed after results" in page
    assert "Under lax" in page

    # A waiver, by whom the policy names.
    word = ["--why", "known", "--until", "2999-01-01"]
    assert run("waive", folder, "hierarchy.pass", "--who", "Eve", *word)[0] == 1
    assert run("waive", folder, "hierarchy.pass", "--who", "Ada", *word)[0] == 1
    soon = read_json(folder / "decision.json", "decision")["decided"][:10]
    code, out, _ = run("waive", folder, "hierarchy.pass", "--who", "Ada", "--why", "known", "--until", soon)
    assert code == 0, out
    assert "GO WITH CONDITIONS" in out or "HOLD" in out
    assert "waiver: hierarchy.pass, Ada" in out
    code, out, _ = run("verify", folder, "--ledger", book)
    assert (code, "another decision is the last one entered" in out) == (1, True)
    assert run("decide", folder, "--ledger", book)[0] == 0
    assert kinds(book)[-2:] == ["waiver", "decision"]
    code, out, _ = run("verify", folder, "--ledger", book)
    assert code == 0, out
    assert "Ada" in (folder / "report.html").read_text()

    # What is due again, and when.
    assert "nothing" in run("ledger", book, "--due")[1]
    assert "the waiver of hierarchy.pass ended" in run("ledger", book, "--due", "--on", "2998-01-01")[1]
    due = json.loads(run("ledger", book, "--due", "--on", "2999-03-01", "--run", folder, "--json")[1])
    assert "the policy reopens it: spring" in {reason["why"] for reason in due}
    assert any("review was missed" in reason["why"] for reason in due)
    assert run("reopen", book, "--because", "a new benchmark")[0] == 0
    assert "reopened: a new benchmark" in run("ledger", book, "--due")[1]

    # A word from outside.
    assert run("ledger", book, "--note", "published", "--commit", "ab" * 20)[0] == 0
    said = run("verify", folder, "--ledger", book)[1]
    assert f"claimed to be held outside by a commit {'ab' * 20}" in said
    assert "vouched" not in said
    code, out, _ = run("ledger", book)
    assert (code, "2 attempts" in out) == (0, True)
    head = re.search(r"head +([0-9a-f]{64})", out)[1]
    assert run("ledger", book, "--head", head)[0] == 0
    assert run("ledger", book, "--head", "0" * 64)[0] == 1

    # An entry that is taken away is missed.
    lines = book.read_bytes().split(b"\n")
    book.write_bytes(b"\n".join([*lines[:3], *lines[4:]]))
    code, out, _ = run("verify", folder, "--ledger", book)
    assert (code, "line 4: an entry is not where it was entered" in out) == (1, True)


def test_a_slip_to_a_date_that_is_no_later_is_asked_about(run, book):
    slip = ("delay", book, "--event", "slipped", "--category", "technical", "--date")
    assert run("delay", book, "--event", "planned", "--date", "2999-03", "--release-of", "tiny")[0] == 0
    assert run(*slip, "2999-03-20")[0] == 0  # a day within the month that was said
    for date in ("2999-03-20", "2999-03-19", "2998-04", "2999-02"):
        code, _, err = run(*slip, date)
        assert (code, "2999-03-20 was said before (entry 2, line 3)" in err, "--event planned" in err) == (
            1,
            True,
            True,
        )
    assert run(*slip, "2999-04")[0] == 0
    assert run("delay", book, "--event", "planned", "--date", "2999-01-10")[0] == 0
    assert len(read_ledger(book).entries) == 4


def test_a_date_that_went_by_is_due_until_it_is_kept_or_moved(run, book):
    def due(day):
        return run("ledger", book, "--due", "--on", day)[1]

    assert run("delay", book, "--event", "planned", "--date", "2999-02", "--release-of", "tiny")[0] == 0
    assert "nothing" in due("2999-02-28")
    assert "due since 2999-02-28" in due("2999-03-01")
    assert "neither kept nor moved" in due("2999-03-01")
    assert run("delay", book, "--event", "slipped", "--date", "2999-04-01", "--category", "technical")[0] == 0
    assert "nothing" in due("2999-04-01")
    assert run("delay", book, "--event", "released", "--date", "2999-04-01")[0] == 0
    assert "nothing" in due("2999-05-01")


@pytest.mark.parametrize("commit", ["abc123", "soon", "HEAD", "https://example.org/commit/main", "ab" * 20 + " "])
def test_a_commit_that_nobody_could_look_up_is_refused(run, book, commit):
    assert run("delay", book, "--event", "planned", "--date", "2999-02", "--release-of", "tiny")[0] == 0
    code, _, err = run("ledger", book, "--note", "published", "--commit", commit)
    assert (code, "--commit" in err, "git rev-parse HEAD" in err) == (2, True, True)
    assert len(read_ledger(book).entries) == 1


def test_a_commit_may_be_the_address_of_its_page(run, book):
    page = f"https://example.org/team/ledger/commit/{'ab' * 20}"
    assert run("delay", book, "--event", "planned", "--date", "2999-02", "--release-of", "tiny")[0] == 0
    assert run("ledger", book, "--note", "published", "--commit", page)[0] == 0
    assert f"claimed: a commit {page}" in run("ledger", book)[1]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (("--event", "slipped", "--date", "March", "--category", "technical"), "--date is 'March', must be"),
        (("--event", "slipped"), "--category is missing"),
        (("--event", "late"), "--event is 'late', must be one of planned"),
        (("--event", "planned"), "--date: a plan has a date"),
    ],
)
def test_a_delay_that_cannot_be_entered_is_told_in_the_words_of_the_command_line(run, book, said, found):
    code, _, err = run("delay", book, *said, "--release-of", "tiny")
    assert (code, found in err, "body." in err, "greenlight delay LEDGER" in err) == (1, True, False, True)


def test_a_rehearsal_is_entered_as_what_it_is_and_spends_no_attempt(run, chat_model, policy, book, tmp_path):
    folder = tmp_path / "run"
    code, out, _ = run("review", chat_model, "--policy", policy, "--out", folder, "--ledger", book)
    assert code == 0
    assert f'greenlight review {chat_model} --system "..." --policy {policy} --ledger {book}\n' in out
    assert f"verify  greenlight verify {folder} --ledger {book}" in out
    assert kinds(book) == ["lock", "decision"]
    assert "0 attempts" in run("ledger", book)[1]
    assert "no attempt: rehearsal" in run("verify", folder, "--ledger", book)[1]
    public = tmp_path / "public"
    code, out, _ = run("explain", folder, "--ledger", book, "--out", public, "--redact", "bias.s_amb=ours to fix first")
    assert code == 0, out
    assert {path.name for path in public.iterdir()} == {"index.html", "feed.atom", "pages.json"}
    assert "ours to fix first" in (public / "index.html").read_text()
    assert run("explain", folder, "--ledger", book, "--out", public, "--redact", "bias.s_amb")[0] == 2
    code, _, err = run("explain", folder, "--ledger", book, "--out", folder / "public")
    assert (code, "inside the evidence" in err) == (1, True)


def test_an_exam_that_no_ledger_counted_is_not_entered_afterwards(run, chat_model, policy, book, tmp_path):
    lock, folder = tmp_path / "exam.json", tmp_path / "run"
    assert run("lock", policy, chat_model, "--out", lock)[0] == 0
    code, _, err = run("review", chat_model, "--lock", lock, "--out", folder, "--ledger", book)
    assert (code, "locked outside a ledger" in err) == (1, True)
    assert not book.exists()


def test_a_ledger_of_another_release_is_refused(run, chat_model, policy, book, tmp_path):
    assert run("delay", book, "--event", "planned", "--words", "soon", "--release-of", "other")[0] == 0
    code, _, err = run("lock", policy, chat_model, "--out", tmp_path / "exam.json", "--ledger", book)
    assert (code, "of another model" in err, "--release-of other" in err) == (1, True, True)
    assert not (tmp_path / "exam.json").exists()
    arguments = ["--out", tmp_path / "exam.json", "--ledger", book, "--release-of", "other"]
    assert run("lock", policy, chat_model, *arguments)[0] == 0


def test_a_lock_that_was_edited_to_be_an_earlier_attempt_is_found(run, chat_model, policy, book, tmp_path):
    lock = tmp_path / "exam.json"
    assert run("lock", policy, chat_model, "--out", lock, "--ledger", book)[0] == 0
    value = read_json(lock, "lock")
    lock.write_bytes(canonical({**value, "attempt": None}) + b"\n")
    code, _, err = run("review", chat_model, "--lock", lock, "--out", tmp_path / "run", "--ledger", book)
    assert (code, "does not agree with itself" in err) == (1, True)


@pytest.mark.slow
def test_what_is_released_is_put_into_the_run_before_it_is_decided(run, chat_model, policy, tmp_path):
    from tests.gate.test_openness import release_of

    stated, rules, folder = tmp_path / "openness.yml", tmp_path / "open.toml", tmp_path / "run"
    row = '\n[[should]]\nassess = "open"\nmetric = "class"\nlimit = 1\ncondition = "c"\nwhy = "w"\nsource = "s"\n'
    rules.write_text(policy.read_text() + row)
    stated.write_text(release_of("III"))
    code, out, _ = run("review", chat_model, "--policy", rules, "--out", folder, "--openness", stated)
    assert code == 0, out
    decision = read_json(folder / "decision.json", "decision")
    assert {row["row"]: row["status"] for row in decision["rows"]}["open.class"] == "PASS"
    assert "Class III" in (folder / "report.html").read_text()
    code, out, _ = run("verify", folder)
    assert (code, out.splitlines()[0]) == (0, "SAME")
    assert run("release", folder, "--out", tmp_path / "release")[0] == 0
    assert (tmp_path / "release" / "openness.json").exists()

    # Another file later is refused; a broken one is told before anything is asked.
    stated.write_text(release_of("III", "II"))
    code, _, err = run("assess", chat_model, "--lock", folder / "lock.json", "--out", folder, "--openness", stated)
    assert (code, "another file of what is released" in err) == (1, True)
    stated.write_text("release: {naem: m}")
    code, _, err = run("review", chat_model, "--policy", rules, "--out", tmp_path / "x", "--openness", stated)
    assert (code, (tmp_path / "x").exists()) == (1, False)
