"""The verbs release, diff and import, and verify with a key, from the command line."""

import json
import shutil

import pytest

from tests.assess.imports.builders import lm_eval, math_line
from tests.compose.test_importing import POLICY
from tests.release.conftest import COMMITTED
from tests.release.test_sign import write_pair


@pytest.fixture
def bundle(tmp_path):
    return shutil.copytree(COMMITTED, tmp_path / "bundle")


def test_release_lists_what_it_wrote_and_what_it_left_out(run, bundle, tmp_path):
    code, out, _ = run("release", bundle, "--out", tmp_path / "out", "--licence", "mit", "--base-model", "acme/base")
    assert code == 0
    assert "  wrote   README.md" in out
    assert "  not     openness: nobody said" in out
    assert "license: mit\nbase_model:\n- acme/base\n" in (tmp_path / "out" / "README.md").read_text()
    made = json.loads(run("release", bundle, "--out", tmp_path / "out", "--json")[1])
    assert "README.md" in made["files"]


def test_a_signed_release_is_verified_by_its_key_and_not_by_another(run, bundle, tmp_path):
    private, public = write_pair(tmp_path)
    assert run("release", bundle, "--out", tmp_path / "out", "--key", private)[0] == 0
    code, out, _ = run("verify", bundle, "--public-key", public)
    assert code == 0
    assert "signature: made with key.pub.pem" in out
    code, out, _ = run("verify", bundle, "--public-key", write_pair(tmp_path, "other")[1])
    assert code == 1
    assert out.startswith("DIFFERENT  model.sig: Key mismatch")


def test_templates_are_printed_and_read_back(run, bundle, tmp_path):
    (tmp_path / "team.toml").write_text(run("release", "--team-template")[1])
    (tmp_path / "openness.yml").write_text(run("release", "--openness-template")[1].replace("name: ''", "name: 'm'", 1))
    code, out, _ = run(
        *("release", bundle, "--out", tmp_path / "out"),
        *("--team", tmp_path / "team.toml", "--openness", tmp_path / "openness.yml"),
    )
    assert code == 0
    assert "  wrote   openness.json" in out


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["release"], 2, "--out FOLDER"),
        (["release", "BUNDLE", "--out", "OUT", "--team", "missing.toml"], 2, "missing.toml"),
        (["release", "BUNDLE", "--out", "OUT", "--base-model", "base"], 1, "owner/name"),
        (["release", "nowhere", "--out", "OUT"], 1, "no such folder"),
        (["diff", "BUNDLE", "nowhere"], 1, "no such folder"),
        (["import", "nowhere.json", "--as", "lm-eval", "--out", "OUT"], 1, "no such file"),
        (["import", "nowhere.json", "--as", "helm", "--out", "OUT"], 2, "--as lm-eval"),
        (["import", "nowhere.json", "--as", "lm-eval", "--out", "OUT", "--map", "x"], 2, "TASK=ASSESSMENT"),
    ],
)
def test_what_makes_no_sense_is_told_without_a_traceback(run, bundle, tmp_path, arguments, status, told):
    names = {"BUNDLE": bundle, "OUT": tmp_path / "out"}
    code, out, err = run(*(names.get(argument, argument) for argument in arguments))
    assert (code, out) == (status, "")
    assert told in err
    assert "Traceback" not in err


def test_diff_exits_0_for_the_same_and_1_for_another(run, bundle, tmp_path):
    code, out, _ = run("diff", COMMITTED, bundle)
    assert (code, out) == (0, "SAME\n  same lock\n")
    (bundle / "labels.jsonl").unlink()
    code, out, _ = run("diff", COMMITTED, bundle)
    assert code == 1
    assert "labels        labels: 16 → 0" in out
    found = json.loads(run("diff", COMMITTED, bundle, "--json")[1])
    assert (found["same"], found["same_lock"]) == (False, True)


def test_import_says_what_was_read_how_it_was_graded_and_that_it_is_never_a_go(run, tmp_path):
    (tmp_path / "policy.toml").write_text(POLICY)
    results = lm_eval(tmp_path / "lm", {"gsm8k": [math_line(n) for n in range(40)], "more": [math_line(1)]})
    code, out, _ = run(
        *("import", results, "--as", "lm-eval", "--policy", tmp_path / "policy.toml", "--out", tmp_path / "run"),
        *("--map", "gsm8k=compete.arithmetic"),
    )
    assert code == 0
    assert "this is never a GO" in out
    assert "read as compete.arithmetic, 40 answers, graded again, 0 otherwise" in out
    assert "more                   read by no row" in out
    assert "\nHOLD  " in out
    assert run("verify", tmp_path / "run")[0] == 0


def test_a_decision_that_was_changed_gets_no_page_and_no_new_manifest(run, bundle):
    path = bundle / "decision.json"
    path.write_text(path.read_text().replace('"verdict":"no_go"', '"verdict":"go"'))
    before = (bundle / "manifest.json").read_bytes()
    code, _, err = run("report", bundle)
    assert code == 1
    assert "does not follow from what this run holds" in err
    assert (bundle / "manifest.json").read_bytes() == before
