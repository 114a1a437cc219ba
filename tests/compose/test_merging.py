"""Parts of one exam asked apart, and the run that comes of them beside the run asked in one place."""

import contextlib
import json
import random
import shutil

import pytest

from greenlight import compose
from greenlight.compose.asking import Shard
from greenlight.compose.verbs import DEFAULT
from greenlight.errors import EvidenceError, GreenlightError, LockError, UsageError
from greenlight.evidence import canonical, read_lines
from greenlight.gate.policy import load_policy
from greenlight.release.merge import merge_runs
from tests.compose.test_participants import MASS
from tests.compose.test_participants import POLICY as BESIDE
from tests.gate.planted import perfect, plant
from tests.release.comparing.test_compare import POLICY as PLANTED

SUITES = ("hierarchy", "bias", "compete.reading")


@pytest.fixture(scope="module")
def people(chat_model, policy):
    return compose.Participants(compose.find_examinee(str(chat_model)), load_policy(policy), compose.find_examinee)


@pytest.fixture(scope="module")
def lock(people):
    return compose.lock(people.policy, people, DEFAULT)


@pytest.fixture(scope="module")
def single(people, lock, tmp_path_factory):
    """The whole exam, asked in one place."""
    folder = tmp_path_factory.mktemp("single") / "run"
    compose.assess(people, lock, folder, whole=True)
    return folder


@pytest.fixture(scope="module")
def shards(people, lock, tmp_path_factory):
    """The same exam in three parts."""
    parent = tmp_path_factory.mktemp("shards")
    for number in (1, 2, 3):
        compose.assess(people, lock, parent / f"{number}", shard=Shard(number, 3))
    return [parent / f"{number}" for number in (1, 2, 3)]


def journal(folder, name, kind="samples"):
    return read_lines(folder / kind / f"{name}.jsonl", kind)[1]


def change(folder, name, line, **fields):
    path = folder / "samples" / f"{name}.jsonl"
    lines = [json.loads(raw) for raw in path.read_bytes().splitlines()]
    lines[line - 1] |= fields
    path.write_bytes(b"".join(canonical(entry) + b"\n" for entry in lines))


@pytest.mark.slow
def test_suites_asked_in_different_places_merge_to_the_bytes_of_one_run(people, lock, tmp_path):
    compose.assess(people, lock, tmp_path / "whole")
    for name in SUITES:
        compose.assess(people, lock, tmp_path / name, only=[name])
    found = merge_runs([tmp_path / name for name in SUITES], tmp_path / "merged")
    assert found.notes == ()
    for part in ("items", "samples"):
        for name in SUITES:
            path = f"{part}/{name}.jsonl"
            assert (tmp_path / "merged" / path).read_bytes() == (tmp_path / "whole" / path).read_bytes()
    decisions = [compose.decide(tmp_path / name) for name in ("merged", "whole")]
    assert decisions[0]["rows"] == decisions[1]["rows"]
    compose.report(tmp_path / "merged")
    result = compose.verify(tmp_path / "merged")
    assert result.same, result.difference
    run = json.loads((tmp_path / "merged" / "run.json").read_bytes())
    assert len(run["resumed"]) == 2
    assert set(run["wall_s"]) == set(SUITES)


def test_parts_of_every_suite_merge_to_the_answers_of_one_run_in_the_exams_order(single, shards, tmp_path):
    sizes = [len(journal(shard, "hierarchy")) for shard in shards]
    assert sizes == [134, 133, 133]
    found = merge_runs(shards, tmp_path / "merged")
    assert found.samples == 400 + 480 + 200
    for name in SUITES:
        answers = journal(tmp_path / "merged", name)
        assert [answer["index"] for answer in answers] == list(range(len(answers)))
        assert answers == sorted(journal(single, name), key=lambda answer: answer["index"])
    rows = [compose.decide(folder)["rows"] for folder in (tmp_path / "merged", single)]
    assert rows[0] == rows[1]
    compose.report(tmp_path / "merged")
    assert compose.verify(tmp_path / "merged").same


def test_the_order_in_which_parts_are_named_changes_nothing_that_is_decided(shards, tmp_path):
    merge_runs(shards, tmp_path / "a")
    merge_runs(shards[::-1], tmp_path / "b")
    for name in SUITES:
        path = f"samples/{name}.jsonl"
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_a_part_that_holds_another_answer_is_refused_with_file_and_line(single, shards, tmp_path):
    shutil.copytree(shards[1], tmp_path / "changed")
    change(tmp_path / "changed", "hierarchy", 5, n_output=99)
    item = journal(tmp_path / "changed", "hierarchy")[3]["item"]
    place = [entry["item"] for entry in journal(single, "hierarchy")].index(item) + 2
    with pytest.raises(EvidenceError, match="different things of one item") as error:
        merge_runs([single, tmp_path / "changed"], tmp_path / "merged")
    assert error.value.where == f"{tmp_path}/changed/samples/hierarchy.jsonl, line 5"
    assert f"{single}/samples/hierarchy.jsonl, line {place}" in error.value.found
    assert item in error.value.found
    assert not (tmp_path / "merged" / "lock.json").exists()


def test_other_questions_in_one_part_are_refused_by_name(single, shards, tmp_path):
    shutil.copytree(shards[1], tmp_path / "changed")
    path = tmp_path / "changed" / "items" / "bias.jsonl"
    lines = [json.loads(raw) for raw in path.read_bytes().splitlines()]
    lines[1]["note"] = "another"
    path.write_bytes(b"".join(canonical(entry) + b"\n" for entry in lines))
    with pytest.raises(EvidenceError, match="must be the same") as error:
        merge_runs([single, tmp_path / "changed"], tmp_path / "merged")
    assert error.value.where.endswith("items/bias.jsonl")


def test_runs_of_other_locks_are_no_parts(people, single, tmp_path):
    exam = compose.lock(people.policy, people, DEFAULT, kind="exam")
    compose.assess(people, exam, tmp_path / "exam", only=["hierarchy"])
    with pytest.raises(LockError, match="not parts of one exam"):
        merge_runs([single, tmp_path / "exam"], tmp_path / "merged")


def test_a_taken_folder_or_one_part_alone_is_refused(single, shards, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(EvidenceError, match="something else"):
        merge_runs([single, shards[0]], tmp_path)
    with pytest.raises(UsageError, match="two runs"):
        merge_runs([single, single], tmp_path / "merged")


def test_two_different_words_of_one_labeller_are_refused(lock, shards, tmp_path):
    for number, label in enumerate(("full_refusal", "compliance")):
        part = shutil.copytree(shards[number], tmp_path / f"{number}")
        entry = {"suite": "hierarchy", "item": "x", "label": label, "labeller": "A", "human": True}
        head = {"format": "greenlight.labels/1", "lock": lock["id"]}
        (part / "labels.jsonl").write_bytes(canonical(head) + b"\n" + canonical(entry) + b"\n")
    with pytest.raises(EvidenceError, match="different things") as error:
        merge_runs([tmp_path / "0", tmp_path / "1"], tmp_path / "merged")
    assert error.value.where.endswith("1/labels.jsonl, line 2")


@pytest.mark.slow
def test_references_and_judges_are_asked_in_parts_and_merged_too(chat_model, tmp_path):
    (tmp_path / "mass.json").write_text(json.dumps(MASS))
    (tmp_path / "p.toml").write_text(BESIDE.format(base=chat_model))
    rules = load_policy(tmp_path / "p.toml")

    def everyone():
        return compose.Participants(compose.find_examinee(str(chat_model)), rules, compose.find_examinee)

    lock = compose.lock(rules, everyone(), DEFAULT)
    for number in (1, 2):
        compose.assess(everyone(), lock, tmp_path / f"{number}", shard=Shard(number, 2))
    merge_runs([tmp_path / "1", tmp_path / "2"], tmp_path / "merged")
    compose.assess(everyone(), lock, tmp_path / "whole")
    rows = [compose.decide(tmp_path / name)["rows"] for name in ("merged", "whole")]
    for left, right in zip(*rows, strict=True):
        assert {**left, "n_finished": 0} == {**right, "n_finished": 0}
    compose.report(tmp_path / "merged")
    result = compose.verify(tmp_path / "merged")
    assert result.same, result.difference


@pytest.mark.parametrize("shard", [(0, 2), (3, 2), (1, 0)])
def test_a_part_that_does_not_exist_is_refused(chat_model, policy, tmp_path, shard):
    with pytest.raises(UsageError, match="no such part"):
        compose.assess_reference(str(chat_model), policy=policy, shard=shard, out=tmp_path / "run")


def test_a_damaged_part_is_refused_or_merged_and_raises_nothing_else(tmp_path):
    """Bytes of one part changed at random: two parts that no longer agree are told, whatever was hit."""
    for name in ("a", "b"):
        plant(tmp_path / name, PLANTED, perfect, sizes={"refuse": 60, "hierarchy": 60, "calibrate": 40})
    rng = random.Random(8)
    names = sorted(path.relative_to(tmp_path / "b") for path in (tmp_path / "b").rglob("*") if path.is_file())
    for number in range(30):
        part = shutil.copytree(tmp_path / "b", tmp_path / f"copy{number}")
        path = part / rng.choice(names)
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        with contextlib.suppress(GreenlightError):
            merge_runs([tmp_path / "a", part], tmp_path / f"out{number}")
            for suite in ("hierarchy", "refuse", "calibrate"):
                merged = tmp_path / f"out{number}" / "samples" / f"{suite}.jsonl"
                assert merged.read_bytes() == (tmp_path / "a" / "samples" / f"{suite}.jsonl").read_bytes()
        shutil.rmtree(part)
