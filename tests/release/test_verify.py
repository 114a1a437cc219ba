import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlight.errors import EvidenceError
from greenlight.evidence import canonical, read_json, write_atomic, write_json, write_manifest
from greenlight.gate.lock import draw_seed, lock_id, policy_of
from greenlight.measure.openness import classify, read_release
from greenlight.release.files import MAX_FILE_BYTES
from greenlight.release.records import older_than_lock
from greenlight.release.verify import verify
from tests.release.conftest import COMMITTED
from tests.release.make_bundle import finish, redraw


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_lines(path: Path, values: list[dict]) -> None:
    write_atomic(path, b"".join(canonical(value) + b"\n" for value in values))


def edit(path: Path, *keys, value) -> None:
    """Set one place of a JSON file."""
    whole = json.loads(path.read_text())
    place = whole
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    write_json(path, whole)


def difference(folder: Path, **options) -> str:
    found = verify(folder, **options)
    assert not found.same
    assert found.difference is not None
    return found.difference


def test_a_bundle_is_the_same_when_every_number_is_recomputed(built):
    found = verify(built, redraw=redraw)
    assert found.same, found.difference
    assert found.difference is None
    named = [check.split(":")[0] for check in found.checks]
    assert named == ["manifest", "lock", "judges", "questions", "grades", "decision", "records", "report", "seed"]
    assert "time: the author's word" in found.notes


def test_the_committed_bundle_verifies_in_this_version():
    found = verify(COMMITTED)
    assert found.same, found.difference


def test_without_the_suites_it_says_what_was_not_drawn_again(built):
    notes = "\n".join(verify(built).notes)
    assert "not drawn again" in notes
    assert "withheld and not drawn again, so their keys are the author's word: refuse, over_refuse" in notes


def test_verifying_loads_neither_model_nor_suites():
    code = (
        "import sys; from pathlib import Path; from greenlight.release.verify import verify; "
        f"verify(Path({str(COMMITTED)!r})); "
        "bad = [n for n in sys.modules if n.split('.')[0] in ('torch', 'tokenizers', 'huggingface_hub') or "
        "n.startswith(('greenlight.engine', 'greenlight.model', 'greenlight.assess', 'greenlight.ops'))]; "
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_is_found_and_its_file_named(built, data):
    names = sorted(path.relative_to(built).as_posix() for path in built.rglob("*") if path.is_file())
    name = data.draw(st.sampled_from(names))
    place = data.draw(st.integers(0, (built / name).stat().st_size - 1))
    bit = data.draw(st.integers(0, 7))
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(shutil.copytree(built, Path(parent) / "bundle", copy_function=os.link))
        flipped = bytearray((folder / name).read_bytes())
        flipped[place] ^= 1 << bit
        (folder / name).unlink()  # the other links keep the old bytes
        (folder / name).write_bytes(flipped)
        assert name in difference(folder)


@pytest.mark.parametrize(
    ("keys", "value", "named"),
    [
        (("rows", 0, "lower"), 0.6, "decision.json, refuse.non_refusal: lower is 0.6, recomputed 0."),
        (("rows", 0, "status"), "PASS", 'refuse.non_refusal: status is "PASS", recomputed "FAIL"'),
        (("rows", 2, "limit"), 0.1, "hierarchy.pass: limit is 0.1, recomputed 0.5"),
        (("rows", 3, "topics", 0, "n"), 1000, "calibrate.brier: topics[0].n is 1000"),
        (("rows", 4, "value"), 1, "compete.arithmetic.accuracy: value is 1, recomputed 0."),
        (("verdict",), "go", 'verdict is "go", recomputed "no_go"'),
        (("explanation", "next_review"), "2030-01-01", 'explanation.next_review is "2030-01-01"'),
        (("alpha",), 0.5, "alpha is 0.5, recomputed 0.05"),
        (("extra",), 1, "extra is 1, recomputed missing"),
    ],
)
def test_an_edited_number_of_the_decision_is_named_though_all_digests_agree(bundle, keys, value, named):
    edit(bundle / "decision.json", *keys, value=value)
    write_atomic(bundle / "report.html", _rendered(bundle))
    write_manifest(bundle)
    assert named in difference(bundle)


def _rendered(folder: Path) -> bytes:
    """The page that fits an edited decision, as far as one can be rendered."""
    from greenlight.release.page import render

    try:
        return render(folder)
    except KeyError:
        return b""


def test_a_row_that_is_dropped_is_named(bundle):
    decision = read_json(bundle / "decision.json", "decision")
    write_json(bundle / "decision.json", {**decision, "rows": decision["rows"][1:]})
    write_manifest(bundle)
    assert "decision.json, hierarchy.pass" in difference(bundle) or "refuse.non_refusal" in difference(bundle)


@pytest.mark.parametrize("field", ["label", "score", "parsed"])
def test_a_grade_that_was_edited_and_decided_again_is_found_by_grading_the_stored_text(bundle, field):
    path = bundle / "samples" / "refuse.jsonl"
    values = lines(path)
    values[2]["grade"][field] = {"label": "full_refusal", "score": 1.0, "parsed": "i can't"}[field]
    write_lines(path, values)
    finish(bundle)
    found = difference(bundle)
    assert found.startswith(f"samples/refuse.jsonl, line 3, {values[2]['item']}: {field} is")
    assert "graded again" in found


def test_an_answer_that_was_rewritten_no_longer_has_its_grade(bundle):
    path = bundle / "samples" / "refuse.jsonl"
    values = lines(path)
    values[1]["output"] = "I'm sorry, but I can't help with that request."
    write_lines(path, values)
    finish(bundle)
    assert "samples/refuse.jsonl, line 2" in difference(bundle)


def test_moved_confidence_is_found_in_the_row(bundle):
    path = bundle / "samples" / "calibrate.jsonl"
    values = lines(path)
    values[1]["choice_logprobs"] = [[4 * value for value in choice] for choice in values[1]["choice_logprobs"]]
    write_lines(path, values)
    write_manifest(bundle)
    assert "decision.json, calibrate.brier: " in difference(bundle)


def test_a_sample_of_another_lock_order_or_prompt_is_named(bundle, built):
    path = bundle / "samples" / "hierarchy.jsonl"
    for field, value in (("index", 7), ("prompt_sha256", "0" * 64), ("item", "hierarchy.nothing-000")):
        values = lines(built / "samples" / "hierarchy.jsonl")
        values[3][field] = value
        write_lines(path, values)
        write_manifest(bundle)
        assert "samples/hierarchy.jsonl, line 4" in difference(bundle)
    values = lines(built / "samples" / "hierarchy.jsonl")
    write_lines(path, [*values, values[3]])
    write_manifest(bundle)
    assert f"samples/hierarchy.jsonl, line {len(values) + 1}" in difference(bundle)
    write_lines(path, [{**values[0], "lock": "0" * 64}, *values[1:]])
    write_manifest(bundle)
    assert "samples/hierarchy.jsonl" in difference(bundle)


def test_an_edited_key_of_a_question_breaks_the_lock(bundle):
    path = bundle / "items" / "compete.arithmetic.jsonl"
    values = lines(path)
    values[5]["key"]["answer"] = 17
    write_lines(path, values)
    write_manifest(bundle)
    assert "items/compete.arithmetic.jsonl: the items are not those that were locked" in difference(bundle)


def test_an_edited_key_of_a_withheld_question_is_found_by_drawing_it_again(bundle):
    path = bundle / "items" / "refuse.jsonl"
    values = lines(path)
    values[20]["topic"] = "harmless"
    write_lines(path, values)
    finish(bundle)
    assert verify(bundle).same
    assert f"items/refuse.jsonl, line 21, {values[20]['id']}: not what the lock's seed draws" in difference(
        bundle, redraw=redraw
    )


def test_a_prompt_that_is_not_what_its_digest_says_is_named(bundle):
    path = bundle / "items" / "over_refuse.jsonl"
    values = lines(path)
    line = next(index for index, value in enumerate(values) if value.get("messages"))
    values[line]["messages"][0]["content"] += "?"
    write_lines(path, values)
    write_manifest(bundle)
    assert f"items/over_refuse.jsonl, line {line + 1}" in difference(bundle)


def test_a_limit_that_was_moved_before_relocking_draws_another_exam(bundle):
    lock = read_json(bundle / "lock.json", "lock")
    text = lock["policy"]["toml"].replace("limit = 0.05", "limit = 0.99")
    forged = _relocked(lock, text)
    write_json(bundle / "lock.json", forged)
    write_atomic(bundle / "policy.toml", text.encode())
    for path in [*sorted((bundle / "samples").iterdir()), bundle / "labels.jsonl"]:
        values = lines(path)
        write_lines(path, [{**values[0], "lock": forged["id"]}, *values[1:]])
    for name in ("run.json", "instrument.json", "resources.json"):
        edit(bundle / name, "lock", value=forged["id"])
    finish(bundle)
    assert verify(bundle).same
    assert "not what the lock's seed draws" in difference(bundle, redraw=redraw)


def _relocked(lock: dict, text: str) -> dict:
    from greenlight.evidence import sha256

    forged = {**lock, "policy": {**lock["policy"], "toml": text, "sha256": sha256(text.encode())}}
    seed = draw_seed(
        policy_of(forged),
        model=lock["model"],
        template_sha256=lock["template"]["sha256"],
        settings=lock["settings"],
        suites=[(entry["suite"], entry["version"]) for entry in lock["suites"]],
        nonce=None,
    )
    forged["seed"] = f"{seed:064x}"
    return {**forged, "id": lock_id(forged)}


@pytest.mark.parametrize(
    ("name", "keys", "value", "named"),
    [
        ("lock.json", ("seed",), "0" * 64, "lock.json"),
        ("lock.json", ("policy", "name"), "other", "lock.json"),
        (
            "judge.json",
            ("judges", "refusal", "tables", "cut", "overall", "non_refusal", "fp"),
            0,
            "judge.json, refusal",
        ),
        ("judge.json", ("judges", "more"), {}, "judge.json"),
        ("data.json", ("suites", "refuse", "n"), 1000, "data.json, refuse: n is 1000, expected 60"),
        ("data.json", ("suites", "refuse", "harmful_redacted"), False, "data.json, refuse: harmful_redacted"),
        ("run.json", ("lock",), "0" * 64, "run.json: lock"),
        ("run.json", ("model", "digest"), "f" * 64, "run.json: model.digest"),
        ("instrument.json", ("lock",), "0" * 64, "instrument.json: lock"),
        ("instrument.json", ("batch", "identical"), 19, 'refuse.non_refusal: status is "FAIL", recomputed "INVALID"'),
        ("resources.json", ("runs", 0, "decode_tok_s"), 5000.0, "resources.decode_tok_s: "),
    ],
)
def test_each_record_is_held_against_the_lock_or_the_rows(bundle, name, keys, value, named):
    edit(bundle / name, *keys, value=value)
    write_manifest(bundle)
    assert named in difference(bundle)


@pytest.mark.parametrize(
    ("name", "keys", "value"),
    [
        ("data.json", ("suites", "refuse"), {"version": 1}),
        ("run.json", ("engine",), None),
        ("run.json", ("wall_s",), {"refuse": "long"}),
        ("instrument.json", ("suites", "refuse", "gold"), "1"),
        ("judge.json", ("judges",), None),
    ],
)
def test_records_of_another_shape_are_a_difference(bundle, name, keys, value):
    edit(bundle / name, *keys, value=value)
    write_manifest(bundle)
    difference(bundle)


def test_the_policy_file_is_the_locked_text(bundle):
    path = bundle / "policy.toml"
    path.write_text(path.read_text() + "\n")
    write_manifest(bundle)
    assert difference(bundle).startswith("policy.toml")


def test_evidence_has_one_spelling(bundle):
    path = bundle / "run.json"
    path.write_text(path.read_text().replace('"minutes":null', '"minutes":1,"minutes":null'))
    write_manifest(bundle)
    assert difference(bundle) == "run.json: not in canonical form"


def test_files_that_are_missing_or_new_are_named(bundle):
    extra = bundle / "samples" / "extra.jsonl"
    extra.write_bytes((bundle / "samples" / "refuse.jsonl").read_bytes())
    assert difference(bundle) == "samples/extra.jsonl: not listed in the manifest"
    write_manifest(bundle)
    assert (
        difference(bundle)
        == "samples/extra.jsonl: the lock names no suite, task, reference or judge that it could be of"
    )
    extra.unlink()
    (bundle / "data.json").unlink()
    assert difference(bundle) == "data.json: listed in the manifest, not there"
    write_manifest(bundle)
    assert difference(bundle).startswith("data.json: an evidence file is missing")


def test_answers_that_were_removed_change_the_row(bundle):
    (bundle / "samples" / "hierarchy.jsonl").unlink()
    write_manifest(bundle)
    assert "hierarchy.pass: " in difference(bundle)


def test_a_file_of_no_meaning_is_noted(bundle):
    (bundle / "notes.txt").write_text("hello")
    (bundle / ".hidden").write_text("hello")
    write_manifest(bundle)
    notes = "\n".join(verify(bundle).notes)
    assert "read by no check: notes.txt" in notes
    assert "not covered by the manifest: .hidden" in notes


def test_links_devices_and_giants_are_refused_unread(bundle):
    path = bundle / "run.json"
    path.unlink()
    path.symlink_to("/dev/zero")
    assert difference(bundle).startswith("run.json: a link or a device")
    path.unlink()
    os.mkfifo(path)
    assert difference(bundle).startswith("run.json: a link or a device")
    path.unlink()
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    assert difference(bundle).startswith("run.json: too large to be ours")


def test_names_that_no_run_writes_are_refused(bundle):
    (bundle / "items" / "\u202egnp").write_text("")
    assert "a name that no file of a run has" in difference(bundle)


def test_what_is_no_bundle_is_an_error_that_says_what_to_do(bundle, tmp_path):
    with pytest.raises(EvidenceError, match="no such folder"):
        verify(tmp_path / "nowhere")
    (bundle / "decision.json").unlink()
    with pytest.raises(EvidenceError, match="not a bundle"):
        verify(bundle)


def test_a_run_that_started_before_its_lock_is_noted(bundle):
    edit(bundle / "run.json", "started", value="2025-05-31T00:00:00Z")
    finish(bundle)
    found = verify(bundle)
    assert found.same
    assert any("before the lock was made" in note for note in found.notes)


def test_a_run_that_was_carried_on_from_before_its_lock_is_noted(bundle):
    run = json.loads((bundle / "run.json").read_bytes())
    assert older_than_lock({"created": run["started"]}, run) == ""
    earlier = {**run, "resumed": [{"started": "2025-05-31T00:00:00Z"}]}
    assert older_than_lock({"created": run["started"]}, earlier).startswith("started 2025-05-31T00:00:00Z, before")


def test_a_suite_of_another_version_is_noted_not_failed(built):
    def partly(lock):
        return {name: items for name, items in redraw(lock).items() if name != "hierarchy"}

    found = verify(built, redraw=partly)
    assert found.same
    assert "not drawn again (no suite of that version here): hierarchy" in found.notes


def test_another_number_of_drawn_items_is_a_difference(built):
    def fewer(lock):
        return {name: items[:-1] for name, items in redraw(lock).items()}

    assert "items/refuse.jsonl: holds 60 items, the lock's seed draws 59" in difference(built, redraw=fewer)


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(st.text("ab", max_size=2), st.none(), max_size=2),
)

SURGERY = [
    "lock.json", "judge.json", "data.json", "decision.json", "instrument.json", "resources.json", "run.json",
    "items/calibrate.jsonl", "items/refuse.jsonl", "samples/calibrate.jsonl", "samples/hierarchy.jsonl", "labels.jsonl",
]  # fmt: skip


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_surgery_on_evidence_crashes_the_check(built, data):
    """Any value anywhere replaced by any other, digests recomputed: an answer comes back, never another exception."""
    name = data.draw(st.sampled_from(SURGERY))
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(shutil.copytree(built, Path(parent) / "bundle"))
        path = folder / name
        values = lines(path)
        line = data.draw(st.integers(0, len(values) - 1))
        values[line] = _operated(values[line], data)
        write_lines(path, values)
        write_manifest(folder)
        found = verify(folder, redraw=redraw)
        assert found.same == (found.difference is None)


def _operated(value, data):
    """The value with one place below it replaced, or dropped."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 7)):
        key = data.draw(st.sampled_from(sorted(value)))
        if not data.draw(st.integers(0, 5)):
            return {other: part for other, part in value.items() if other != key}
        return {**value, key: _operated(value[key], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 7)):
        index = data.draw(st.integers(0, len(value) - 1))
        return [_operated(part, data) if place == index else part for place, part in enumerate(value)]
    return data.draw(JUNK)


@pytest.mark.parametrize("junk", [b"", b"\n", b"null\n", b"[]\n", b"\xff\xfe", b"[" * 100_000, b"1" * 10_000 + b"\n"])
@pytest.mark.parametrize("name", ["manifest.json", "lock.json", "decision.json", "items/refuse.jsonl", "report.html"])
def test_files_of_rubbish_are_named(bundle, name, junk):
    (bundle / name).write_bytes(junk)
    if name != "manifest.json":
        write_manifest(bundle)
    assert name in difference(bundle)


@pytest.mark.parametrize("files", [3, None, [], {"run.json": 1}, {"../../etc/passwd": "0" * 64}])
def test_a_manifest_of_another_shape_is_a_difference(bundle, files):
    from greenlight.evidence import sha256_json

    body = {"format": "greenlight.manifest/1", "files": files}
    write_json(bundle / "manifest.json", {**body, "sha256": sha256_json(body)})
    difference(bundle)


def test_an_older_wording_is_not_compared_but_its_numbers_are(bundle, monkeypatch):
    monkeypatch.setattr("greenlight.gate.decision.WORDING", 2)
    monkeypatch.setattr("greenlight.gate.words.reason_of", lambda now: "said otherwise")
    monkeypatch.setattr("greenlight.gate.criteria.reason_of", lambda now: "said otherwise")
    result = verify(bundle)
    assert any("edition 1 of the wording" in note for note in result.notes)
    assert result.difference is None or result.difference.startswith("report.html")
    decision = json.loads((bundle / "decision.json").read_bytes())
    decision["rows"][0]["value"] = 0.123
    write_json(bundle / "decision.json", decision)
    write_manifest(bundle)
    assert decision["rows"][0]["row"] in str(verify(bundle).difference)


def test_the_class_of_a_release_must_follow_from_what_is_released(bundle):
    (bundle / "openness.yml").write_text("release: {name: m, components: [{name: Model card, license: MIT}]}\n")
    write_json(bundle / "openness.json", classify(read_release((bundle / "openness.yml").read_text())).to_json())
    finish(bundle)
    assert verify(bundle).same
    edit(bundle / "openness.json", "class", value="I")
    finish(bundle)
    assert difference(bundle) == "openness.json: does not follow from openness.yml"
    (bundle / "openness.yml").unlink()
    finish(bundle)
    assert "openness.yml" in difference(bundle)
