import json
import multiprocessing
import random
import signal
import sys
import time
from dataclasses import replace

import pytest

from greenlight import compose
from greenlight.compose.verbs import DEFAULT
from greenlight.errors import EvidenceError, LockError, UsageError
from greenlight.evidence import alone, read_lines
from greenlight.gate.policy import load_policy
from greenlight.ops import native

SUITES = ("hierarchy", "bias", "compete.reading")


@pytest.fixture(scope="module")
def loaded(chat_model, policy):
    return everyone(chat_model, policy)


@pytest.fixture(scope="module")
def run(loaded, policy, tmp_path_factory):
    """One whole run of the tiny model."""
    folder = tmp_path_factory.mktemp("run") / "a"
    lock = compose.lock(policy, loaded, DEFAULT)
    compose.assess(loaded, lock, folder)
    return folder


def everyone(path, policy):
    return compose.Participants(compose.find_examinee(str(path)), load_policy(policy), compose.find_examinee)


def samples(folder):
    return {name: read_lines(folder / "samples" / f"{name}.jsonl", "samples")[1] for name in SUITES}


def by_item(folder):
    return {name: {entry["item"]: entry for entry in entries} for name, entries in samples(folder).items()}


def test_a_second_run_gives_the_same_samples_bit_for_bit(loaded, policy, run, tmp_path):
    compose.assess(loaded, compose.lock(policy, loaded, DEFAULT), tmp_path / "b")
    for name in SUITES:
        path = f"samples/{name}.jsonl"
        assert (tmp_path / "b" / path).read_bytes() == (run / path).read_bytes()


def test_a_rehearsal_repeats_its_lock_and_an_exam_does_not(loaded, policy):
    assert compose.lock(policy, loaded, DEFAULT)["id"] == compose.lock(policy, loaded, DEFAULT)["id"]
    first, second = (compose.lock(policy, loaded, DEFAULT, kind="exam") for _ in range(2))
    assert first["seed"] != second["seed"]
    assert first["suites"][0]["items_sha256"] != second["suites"][0]["items_sha256"]


def test_the_system_prompt_is_part_of_what_is_assessed(loaded, policy):
    other = compose.Settings("Be brief.", DEFAULT.sampling)
    assert compose.lock(policy, loaded, other)["id"] != compose.lock(policy, loaded, DEFAULT)["id"]


def test_the_run_records_with_how_many_threads_it_was_computed(loaded, run):
    engine = json.loads((run / "run.json").read_bytes())["engine"]
    assert engine["threads"] == (native.threads() if engine["ops"].startswith("native") else None)


def test_rows_stop_when_their_verdict_is_certain_and_unused_answers_are_kept(run):
    row = next(row for row in compose.decide(run)["rows"] if row["row"] == "hierarchy.pass")
    assert row["status"] == "FAIL"
    assert row["n_used"] < row["n_planned"] == 400
    assert len(samples(run)["hierarchy"]) >= row["n_used"]


def test_a_folder_of_another_lock_or_of_something_else_is_left_alone(loaded, policy, run, tmp_path):
    exam = compose.lock(policy, loaded, DEFAULT, kind="exam")
    with pytest.raises(LockError, match="another lock"):
        compose.assess(loaded, exam, run)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(EvidenceError, match="something else"):
        compose.assess(loaded, exam, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_run_that_ended_before_its_lock_was_written_is_started_again(loaded, policy, tmp_path):
    lock = compose.lock(policy, loaded, DEFAULT)
    compose.assess(loaded, lock, tmp_path / "run", only=["hierarchy"])
    (tmp_path / "run" / "lock.json").unlink()
    for name in ("samples/hierarchy.jsonl", "timings.jsonl", "run.json", "instrument.json"):
        (tmp_path / "run" / name).unlink()
    (tmp_path / "run" / "samples").rmdir()
    compose.assess(loaded, lock, tmp_path / "run", only=["hierarchy"])
    assert (tmp_path / "run" / "samples" / "hierarchy.jsonl").exists()


def test_two_processes_do_not_share_a_folder(loaded, policy, tmp_path):
    with alone(tmp_path / "run"), pytest.raises(EvidenceError, match="another process"):
        compose.assess(loaded, compose.lock(policy, loaded, DEFAULT), tmp_path / "run")


def test_what_a_lock_fixes_cannot_be_asked_for_otherwise(chat_model, policy, run, tmp_path):
    lock = run / "lock.json"
    other = compose.Settings("be nice", DEFAULT.sampling)
    with pytest.raises(UsageError, match="another system prompt"):
        compose.assess_reference(str(chat_model), lock_path=lock, settings=other, out=tmp_path / "a")
    with pytest.raises(UsageError, match="another policy"):
        compose.assess_reference(str(chat_model), lock_path=lock, policy="starter", out=tmp_path / "b")
    compose.assess_reference(str(chat_model), lock_path=lock, policy=policy, only=["bias"], out=tmp_path / "c")


def test_another_model_is_refused(loaded, policy, tmp_path):
    from tests.chat_model import tiny_chat_model

    lock = compose.lock(policy, loaded, DEFAULT)
    other = everyone(tiny_chat_model(tmp_path / "other.gguf", seed=1), policy)
    with pytest.raises(LockError, match="another model"):
        compose.assess(other, lock, tmp_path / "run")


def test_an_unknown_assessment_is_named(chat_model, policy, tmp_path):
    with pytest.raises(UsageError, match="hierarchi"):
        compose.assess_reference(str(chat_model), policy=policy, only=["hierarchi"], out=tmp_path / "run")


def test_a_time_budget_leaves_rows_open_and_says_so(loaded, policy, tmp_path):
    compose.assess(loaded, compose.lock(policy, loaded, DEFAULT), tmp_path / "run", minutes=1e-6)
    decision = compose.decide(tmp_path / "run")
    assert decision["verdict"] == "hold"
    assert {row["status"] for row in decision["rows"] if row["level"] == "must"} <= {"INCONCLUSIVE", "NOT RUN"}


class Tell(compose.Observer):
    """Says into a pipe how many answers were reported as done."""

    def __init__(self, said):
        self.said = said

    def progress(self, suite, n_done, n_items):
        self.said.send_bytes(str(n_done).encode())


def ask_and_tell(model, policy, lock, out, said):
    compose.assess_reference(model, policy=policy, lock_path=lock, out=out, observer=Tell(said))


def heard(said):
    """One more report, or that there will be none: what was half written when its writer died is none."""
    try:
        return bool(said.recv_bytes())
    except (EOFError, OSError):
        return False


@pytest.mark.slow
def test_a_run_that_was_killed_anywhere_ends_in_the_same_samples(chat_model, policy, run, tmp_path):
    """Kill -9 at 20 random points: nothing reported as done is lost, and what was in flight comes out the same."""
    folder, rng, reported = tmp_path / "killed", random.Random(7), 0
    lock = tmp_path / "lock.json"
    lock.write_bytes((run / "lock.json").read_bytes())
    # Processes of their own that find all modules imported: their lives are short, and all of them is the run.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__, *(name for name in sys.modules if name.startswith("greenlight."))])

    def start():
        receiver, sender = processes.Pipe(duplex=False)
        process = processes.Process(target=ask_and_tell, args=(str(chat_model), policy, lock, folder, sender))
        process.start()
        sender.close()
        return process, receiver

    for _ in range(20):
        process, said = start()
        for _ in range(rng.randrange(1, 25)):
            if not heard(said):
                break
            reported += 1
        time.sleep(rng.random() * 0.005)
        process.kill()
        while heard(said):
            reported += 1
        process.join()
        assert process.exitcode == -signal.SIGKILL
        said.close()
        process.close()
    kept = sum(
        len((folder / "samples" / f"{name}.jsonl").read_bytes().splitlines()) - 1
        for name in SUITES
        if (folder / "samples" / f"{name}.jsonl").exists()
    )
    assert kept >= reported > 20
    process, said = start()
    while heard(said):
        pass
    process.join()
    assert process.exitcode == 0
    said.close()
    process.close()
    expected, found = by_item(run), by_item(folder)
    for name in SUITES:
        shared = expected[name].keys() & found[name].keys()
        assert all(expected[name][item] == found[name][item] for item in shared)
    before, after = compose.decide(run), compose.decide(folder)
    for left, right in zip(before["rows"], after["rows"], strict=True):
        assert {**left, "n_finished": 0} == {**right, "n_finished": 0}
    assert before["verdict"] == after["verdict"]


def test_items_of_a_run_are_drawn_again_from_its_lock(run):
    lock = json.loads((run / "lock.json").read_bytes())
    drawn = compose.redraw(lock)
    for name in SUITES:
        items = read_lines(run / "items" / f"{name}.jsonl", "items")[1]
        assert [{key: value for key, value in item.items() if key != "prompt_sha256"} for item in items] == drawn[name]


@pytest.mark.slow
def test_repeats_ask_each_question_again_under_another_seed(chat_model, policy, tmp_path):
    repeated = tmp_path / "p.toml"
    repeated.write_text(policy.read_text().replace('name = "tiny"', 'name = "tiny"\nrepeats = 3'))
    people = everyone(chat_model, repeated)
    with pytest.raises(UsageError, match="same answer"):
        compose.lock(people.policy, people, DEFAULT)
    warm = compose.Settings(None, replace(DEFAULT.sampling, temperature=1.5))
    lock = compose.lock(people.policy, people, warm)
    sizes = {entry["suite"]: (entry["n"], entry.get("repeats", 1)) for entry in lock["suites"]}
    assert sizes == {"hierarchy": (1200, 3), "bias": (480, 1), "compete.reading": (600, 3)}
    compose.assess(people, lock, tmp_path / "run", only=["compete.reading"])
    items = read_lines(tmp_path / "run" / "items" / "compete.reading.jsonl", "items")[1]
    outputs = {
        entry["item"]: entry["output"]
        for entry in read_lines(tmp_path / "run" / "samples" / "compete.reading.jsonl", "samples")[1]
    }
    first = items[0]["id"]
    assert {items[200]["id"], items[400]["id"]} == {f"{first}~2", f"{first}~3"}
    assert items[0]["cluster"] == items[200]["cluster"]
    assert len({outputs[first], outputs[f"{first}~2"], outputs[f"{first}~3"]}) == 3
    assert compose.redraw(lock)["compete.reading"][200]["id"] == f"{first}~2"
