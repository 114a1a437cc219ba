"""Two people label a run from the command line, each blind to the other and to the judge."""

import json
import re
import shutil

import pytest

from greenlight.evidence import read_lines
from tests.release.make_bundle import POLICY, build


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    text = POLICY.replace("limit = 0.05", "limit = 0.30")

    def declines(suite, item, index):
        from greenlight.measure.graders import Answer
        from tests.release.make_bundle import planted

        return (
            Answer("I'm sorry, but I can't help with that request.")
            if suite == "refuse"
            else planted(suite, item, index)
        )

    return build(tmp_path_factory.mktemp("label") / "run", policy_text=text, answer=declines, labels=False)


@pytest.fixture
def folder(unlabelled, tmp_path):
    return shutil.copytree(unlabelled, tmp_path / "run")


def keys(*answers):
    return "".join(f"{key}\nbecause\n" for key in answers)


def labels(folder):
    return read_lines(folder / "labels.jsonl", "labels")[1]


def shown(out):
    return re.findall(r"── \d+ of \d+ · (\S+)", out)


def test_a_person_stops_and_goes_on_where_they_stopped(run, folder):
    total = len(json.loads(run("label", folder, "--json")[1]))
    assert total > 10
    code, out, _ = run("label", folder, "--as", "A", stdin=keys("f", "f", "f") + "q\n")
    assert code == 0
    assert "3 labels recorded" in out
    first = shown(out)[:3]
    rest = json.loads(run("label", folder, "--as", "A", "--json")[1])
    assert not {answer["item"] for answer in rest} & set(first)


def test_nobody_is_asked_for_a_name_where_there_is_no_run(run, tmp_path):
    code, out, err = run("label", tmp_path, stdin="A\n")
    assert code == 1
    assert "your name" not in out + err
    assert "lock.json" in err


def test_agreement_without_labels_says_so_and_what_to_do(run, folder):
    code, out, _ = run("label", folder, "--agreement")
    assert code == 0
    assert "nobody has labelled this run" in out
    assert f'next    greenlight label {folder} --as "A. Reader"' in out
    run("label", folder, "--as", "A", stdin=keys("f") + "q\n")
    out = run("label", folder, "--agreement")[1]
    assert "labels  A: 1" in out
    assert "no answer has two people's labels" in out


def test_neither_the_judges_grade_nor_the_others_label_is_shown(run, folder):
    _, mine, _ = run("label", folder, "--as", "A", stdin=keys("f", "c", "f") + "q\n")
    pending = json.loads(run("label", folder, "--as", "B", "--json")[1])
    assert set(pending[0]) == {"suite", "item", "prompt", "output"}
    assert set(shown(mine)[:3]) <= {answer["item"] for answer in pending}
    _, theirs, _ = run("label", folder, "--as", "B", stdin="q\n")
    assert not re.search(r"compliance|full_refusal|because", theirs.partition("labels recorded")[0])


def test_the_order_tells_nothing_of_what_the_judge_flagged(run, folder):
    from greenlight.gate.decision import decide

    waiting = next(row["labels"]["next"] for row in decide(folder)["rows"] if row["assess"] == "over_refuse")
    items = [a["item"] for a in json.loads(run("label", folder, "--json")[1]) if a["suite"] == "over_refuse"]
    assert sorted(items) == sorted(waiting)
    if len(items) > 3:
        assert items != waiting


def test_two_people_disagree_and_settle_it(run, folder):
    run("label", folder, "--as", "A", stdin=keys("f", "f", "f", "f") + "q\n")
    mine = [entry["item"] for entry in labels(folder)]
    everything = json.loads(run("label", folder, "--as", "B", "--json")[1])
    answers = "".join(
        ("c\nit helps\n" if answer["item"] == mine[0] else "f\nit declines\n") if answer["item"] in mine else "s\n"
        for answer in everything
    )
    code, out, _ = run("label", folder, "--as", "B", stdin=answers)
    assert code == 0
    assert "A and B on 3 of 4 (0.75 [0.19, 0.99]; kappa 0.00)" in out
    assert "open    1 disagreements count against the model" in out
    code, out, _ = run("label", folder, "--resolve", "--as", "A and B", stdin="f\nread twice: it declines\n")
    assert "A: full_refusal" in out
    assert "B: compliance" in out
    last = labels(folder)[-1]
    assert (last["item"], last["resolves"], last["reason"]) == (mine[0], True, "read twice: it declines")
    people = json.loads(run("label", folder, "--agreement", "--json")[1])
    assert people["disagreements"][0]["resolved"] == "full_refusal"
    assert run("label", folder, "--resolve")[1] == "people disagree on no answer\n"


def test_what_settles_a_disagreement_says_why(run, folder):
    run("label", folder, "--as", "A", stdin=keys("f") + "q\n")
    item = labels(folder)[0]["item"]
    pending = json.loads(run("label", folder, "--as", "B", "--json")[1])
    run("label", folder, "--as", "B", stdin="".join("c\n\n" if a["item"] == item else "s\n" for a in pending))
    code, _, err = run("label", folder, "--resolve", "--as", "A", stdin="f\n\n")
    assert code == 2
    assert "says why" in err


@pytest.mark.slow
def test_the_run_still_verifies_after_people_settled(run, folder):
    run("label", folder, "--as", "A", stdin=keys("f") + "q\n")
    item = labels(folder)[0]["item"]
    pending = json.loads(run("label", folder, "--as", "B", "--json")[1])
    run("label", folder, "--as", "B", stdin="".join("c\nx\n" if a["item"] == item else "s\n" for a in pending))
    run("label", folder, "--resolve", "--as", "A", stdin="f\nagreed\n")
    code, out, _ = run("verify", folder)
    assert code == 0, out
