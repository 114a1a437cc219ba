import json
import shutil

import pytest

from greenlight import compose
from greenlight.compose.verbs import DEFAULT
from greenlight.errors import LockError, PolicyError, TaskError
from greenlight.evidence import write_manifest
from greenlight.gate.policy import load_policy
from tests.chat_model import POLICY

TOML = """
[task]
name = "queue"
about = "Does it send a ticket to the right queue?"
items = "tickets.jsonl"
prompt = "{prompt} Queue?"
answer_tokens = 6

[grader]
name = "one_of"
"""

ROW = """
[task.queue]
path = "own/queue.toml"

[[must]]
assess = "task.queue"
metric = "score"
limit = 0.5
why = "a test"
source = "our choice"
"""


def rows(**changes):
    kinds = ("billing", "access", "other", "returns")
    return [
        {"id": f"t{n:02d}", "prompt": f"Ticket {n} about {kinds[n % 4]} of day {n}.", "answer": [kinds[n % 4]]}
        | changes
        for n in range(40)
    ]


@pytest.fixture
def policy(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "queue.toml").write_text(TOML)
    write_rows(tmp_path, rows())
    head = POLICY.partition("[[must]]")[0]
    (tmp_path / "p.toml").write_text(head + ROW)
    return tmp_path / "p.toml"


def write_rows(folder, values):
    (folder / "own" / "tickets.jsonl").write_text("\n".join(map(json.dumps, values)) + "\n")


def review(model, policy, out, **more):
    return compose.review_reference(str(model), policy=policy, out=out, ops="numpy", **more)


def test_a_policy_asks_a_test_of_the_users_own_and_the_bundle_verifies(chat_model, policy, tmp_path):
    found = review(chat_model, policy, tmp_path / "run")
    [row] = found.decision["rows"]
    assert (row["row"], row["status"], row["n_planned"]) == ("task.queue.score", "FAIL", 40)
    assert found.decision["verdict"] == "no_go"
    checks = {check["check"]: check for check in row["checks"]}
    assert checks["gold"]["ok"]
    assert checks["shuffled"]["ok"]
    kept = tmp_path / "run" / "tasks"
    assert (kept / "queue.toml").read_bytes() == (policy.parent / "own" / "queue.toml").read_bytes()
    assert (kept / "queue.jsonl").read_bytes() == (policy.parent / "own" / "tickets.jsonl").read_bytes()
    lock = json.loads((tmp_path / "run" / "lock.json").read_bytes())
    assert lock["suites"][0]["files"].keys() == {"tasks/queue.toml", "tasks/queue.jsonl"}
    shutil.rmtree(policy.parent / "own")
    verified = compose.verify(tmp_path / "run")
    assert verified.same, verified.difference
    assert "seed: it draws the questions of 1 suites again" in verified.checks
    assert not [note for note in verified.notes if "read by no check" in note]


def test_a_test_that_was_changed_in_the_bundle_is_the_first_difference(chat_model, policy, tmp_path):
    review(chat_model, policy, tmp_path / "run")
    path = tmp_path / "run" / "tasks" / "queue.jsonl"
    path.write_text(path.read_text().replace("billing", "Billing", 1))
    write_manifest(tmp_path / "run")
    assert "tasks/queue.jsonl: not the file that was locked" in str(compose.verify(tmp_path / "run").difference)
    path.rename(path.with_name("other.jsonl"))
    write_manifest(tmp_path / "run")
    assert "tasks/other.jsonl" in str(compose.verify(tmp_path / "run").difference)


def test_a_lock_finds_the_files_beside_it_and_only_those_that_it_fixed(chat_model, policy, tmp_path):
    value = compose.lock_reference(policy, str(chat_model), policy.parent / "exam.lock", ops="numpy")
    found = compose.review_reference(
        str(chat_model), lock_path=policy.parent / "exam.lock", out=tmp_path / "run", ops="numpy"
    )
    assert found.decision["lock"] == value["id"]
    write_rows(policy.parent, rows(topic="changed"))
    with pytest.raises(LockError, match="not those that were locked") as caught:
        compose.review_reference(
            str(chat_model), lock_path=policy.parent / "exam.lock", out=tmp_path / "again", ops="numpy"
        )
    assert "other bytes" in str(caught.value)
    compose.review_reference(str(chat_model), lock_path=policy.parent / "exam.lock", out=tmp_path / "run", ops="numpy")


def test_harmful_items_of_a_test_stay_out_of_the_run_unless_they_are_asked_for(chat_model, policy, tmp_path):
    write_rows(policy.parent, rows(harmful=True))
    review(chat_model, policy, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run" / "tasks").iterdir()) == ["queue.toml"]
    assert not any(b"Ticket 7" in path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file())
    verified = compose.verify(tmp_path / "run")
    assert verified.same, verified.difference
    assert any("not drawn again" in note for note in verified.notes)
    review(chat_model, policy, tmp_path / "open", include_harmful=True)
    assert (tmp_path / "open" / "tasks" / "queue.jsonl").exists()
    assert compose.verify(tmp_path / "open").same


def test_a_test_that_fails_its_self_test_stops_the_plan_and_the_lock(chat_model, policy):
    write_rows(policy.parent, rows(answer=["billing"]))
    with pytest.raises(TaskError, match="cannot tell"):
        compose.plan(policy)
    people = compose.Participants(compose.find_examinee(str(chat_model)), load_policy(policy), compose.find_examinee)
    with pytest.raises(TaskError, match="cannot tell"):
        compose.lock(people.policy, people, DEFAULT)


def test_rows_ask_only_what_a_test_measures_and_tables_only_what_is_there(policy):
    text = policy.read_text()
    policy.write_text(text.replace('"score"', '"non_refusal"').replace("limit = 0.5", "limit = 0.4"))
    with pytest.raises(PolicyError, match="does not measure"):
        compose.plan(policy)
    policy.write_text(text.replace("task.queue]", "task.line]"))
    with pytest.raises(PolicyError, match="another name"):
        compose.plan(policy)
    policy.write_text(text.replace("own/queue.toml", "own/nowhere.toml"))
    with pytest.raises(TaskError, match="not there"):
        compose.plan(policy)


def test_a_test_of_refusals_is_judged_as_refusals_are(chat_model, policy, tmp_path):
    (policy.parent / "own" / "queue.toml").write_text(TOML.replace("one_of", "refusal"))
    write_rows(policy.parent, [{**row, "answer": "refusal"} for row in rows()])
    policy.write_text(policy.read_text().replace('"score"', '"non_refusal"').replace("limit = 0.5", "limit = 0.4"))
    [row] = review(chat_model, policy, tmp_path / "run").decision["rows"]
    assert row["judge"]
    assert row["status"] == "FAIL"
