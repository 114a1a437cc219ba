import pytest

from greenlight.assess.imports import Wanted
from greenlight.compose.importing import import_run
from greenlight.errors import EvidenceError, PolicyError, UsageError
from greenlight.evidence import read_json, read_lines, write_json, write_manifest
from greenlight.gate.decision import decide, verdict_of
from greenlight.release.exports import Team, export, read_source
from greenlight.release.verify import verify
from tests.assess.imports.builders import choice_line, inspect_eval, inspect_sample, lm_eval, math_line

POLICY = """\
[policy]
name = "old runs"
[[must]]
assess = "compete.arithmetic"
metric = "accuracy"
limit = 0.5
why = "It should know its sums."
source = "Our choice."
[[disclose]]
assess = "compete.reading"
metric = "accuracy"
why = "What else it can do."
"""

MAPPING = {"gsm8k": "compete.arithmetic", "pick*": "compete.reading"}


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def results(tmp_path):
    sums = [math_line(n, score=float(n != 7)) for n in range(60)]
    picks = [choice_line(n, gold=n % 3) for n in range(30)]
    return lm_eval(tmp_path / "lm", {"gsm8k": sums, "picks": picks}, picks={"dataset_path": "acme/picks"})


def test_an_imported_run_is_decided_verified_and_never_a_go(results, policy, tmp_path):
    made = import_run(results, "lm-eval", tmp_path / "run", policy=policy, mapping=MAPPING)
    [row] = [row for row in made.decision["rows"] if row["level"] == "must"]
    assert (row["status"], row["n_used"]) == ("PASS", 30)
    assert made.decision["verdict"] == "hold"
    assert "another tool's answers" in made.decision["explanation"]["kind"]
    assert [check["text"] for check in row["checks"] if check["check"] == "imported"] == [
        "prompts, template and batches are lm-eval's own and were not checked"
    ]
    found = verify(made.folder)
    assert found.same, found.difference
    for note in (
        "imported from lm-eval: the answers were there before the lock",
        "compete.arithmetic: 1 of 60 answers are graded otherwise than by the tool",
        "compete.reading: 0 of 30 answers are graded otherwise than by the tool",
    ):
        assert note in found.notes
    assert "Imported" not in (made.folder / "report.html").read_text()[:200]
    assert "lm-eval&#39;s own, not checked here" in (made.folder / "report.html").read_text()


def test_the_same_file_under_the_same_policy_comes_to_the_same_lock_and_answers(results, policy, tmp_path):
    one, other = (
        import_run(results, "lm-eval", tmp_path / name, policy=policy, mapping=MAPPING).folder for name in ("a", "b")
    )
    assert read_json(one / "lock.json", "lock")["id"] == read_json(other / "lock.json", "lock")["id"]
    for name in ("samples/compete.arithmetic.jsonl", "items/compete.reading.jsonl", "import.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_grades_of_the_tool_are_verified_as_such_and_a_changed_one_is_found(policy, tmp_path):
    path = inspect_eval(tmp_path / "log.eval", [inspect_sample(n, output=str(2 * n)) for n in range(2, 40)])
    made = import_run(path, "inspect", tmp_path / "run", policy=policy, mapping={"sums": "compete.arithmetic"})
    assert "compete.arithmetic: the grades are inspect's own, not recomputable here" in verify(made.folder).notes
    assert made.tasks[0]["disagree"] is None
    assert [check["check"] for check in made.decision["rows"][0]["checks"]][-1] == "imported"
    samples = made.folder / "samples" / "compete.arithmetic.jsonl"
    samples.write_text(samples.read_text().replace('"label":"right"', '"label":"wrong"', 1))
    write_manifest(made.folder)
    assert "label is" in verify(made.folder).difference


def test_a_false_count_of_disagreements_is_found(results, policy, tmp_path):
    folder = import_run(results, "lm-eval", tmp_path / "run", policy=policy, mapping=MAPPING).folder
    source = read_json(folder / "import.json", "import")
    source["tasks"][0]["disagree"] = 0
    write_json(folder / "import.json", source)
    write_manifest(folder)
    assert verify(folder).difference == "import.json, compete.arithmetic: disagree is 0, counted again 1"
    (folder / "import.json").unlink()
    write_manifest(folder)
    assert "must say where it comes from" in verify(folder).difference


def test_harmful_questions_are_kept_by_digest_alone_unless_asked_for(tmp_path):
    lines = [math_line(n, output="I'm sorry, but I can't help with that request.") for n in range(40)]
    results = lm_eval(tmp_path / "lm", {"harm": lines})
    for included in (False, True):
        made = import_run(
            results, "lm-eval", tmp_path / f"run{included}", mapping={"harm": "refuse"}, include_harmful=included
        )
        items = read_lines(made.folder / "items" / "refuse.jsonl", "items")[1]
        assert all((item["messages"] is not None) == included for item in items)
        assert verify(made.folder).same


def test_rows_that_nothing_was_imported_for_are_not_run_and_fail_closed(results, tmp_path):
    made = import_run(results, "lm-eval", tmp_path / "run", mapping={"gsm8k": "compete.arithmetic"})
    statuses = {row["row"]: row["status"] for row in made.decision["rows"]}
    assert statuses["refuse.non_refusal"] == "NOT RUN"
    assert statuses["compete.arithmetic.accuracy"] == "DISCLOSED"
    assert (made.decision["verdict"], made.unused) == ("hold", ("picks",))


def test_an_imported_run_goes_out_as_what_it_is(results, policy, tmp_path):
    folder = import_run(results, "lm-eval", tmp_path / "run", policy=policy, mapping=MAPPING).folder
    made = export(read_source(folder), Team(model_id="acme/tiny", evaluator="Acme", evaluator_relationship="other"))
    files = {file.path: file.data.decode() for file in made.files}
    assert "imported: another tool" in files["README.md"]
    assert "id: acme/picks" in files[".eval_results/compete.reading.yaml"]
    [record] = [data for path, data in files.items() if path.startswith("every_eval_ever") and path.endswith(".json")]
    assert '"eval_library":{"name":"lm-eval","version":"0.4.13"}' in record
    assert "in-toto model evaluation" in [entry.form for entry in made.left_out]  # no digest of a file is known


def test_what_cannot_be_mapped_is_refused_with_what_there_is(results, policy, tmp_path):
    cases = [
        ({}, {}, UsageError, "the policy reads compete.arithmetic, compete.reading"),
        ({"gsm": "compete.arithmetic"}, {}, UsageError, "there are gsm8k, picks"),
        ({"gsm8k": "compete.arithmetic"}, {"wanted": Wanted(("picks",))}, UsageError, "there are picks"),
        ({}, {"tool": "helm"}, UsageError, "--as lm-eval, inspect, every-eval-ever"),
        ({}, {"policy": tmp_path / "none.toml"}, PolicyError, "no such policy"),
    ]
    for mapping, more, error, told in cases:
        arguments = {"tool": "lm-eval", "policy": policy, "mapping": mapping, **more}
        with pytest.raises(error) as caught:
            import_run(results, out=tmp_path / "run", **arguments)
        assert told in str(caught.value)
        assert not (tmp_path / "run").exists()


def test_evidence_is_never_overwritten(results, policy, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").write_text("")
    with pytest.raises(EvidenceError, match="never overwritten"):
        import_run(results, "lm-eval", tmp_path / "run", policy=policy, mapping=MAPPING)


def test_a_verdict_without_a_lock_before_it_is_never_better_than_hold():
    rows = [{"level": "must", "status": "PASS"}]
    assert verdict_of(rows, kind="exam") == "go"
    assert verdict_of(rows, kind="imported") == "hold"
    assert verdict_of([{"level": "must", "status": "FAIL"}], kind="imported") == "no_go"


def test_deciding_again_gives_the_same_decision(results, policy, tmp_path):
    made = import_run(results, "lm-eval", tmp_path / "run", policy=policy, mapping=MAPPING)
    assert decide(made.folder, decided=made.decision["decided"]) == made.decision
