import pytest

from greenlight.errors import EvidenceError
from greenlight.evidence import read_json
from greenlight.measure.graders import Answer
from greenlight.release.diff import KINDS, compare
from tests.release import make_bundle
from tests.release.test_verify import edit


@pytest.fixture(scope="module")
def kinder(tmp_path_factory):
    """The same exam of a model that declines more."""

    def answer(suite, item, index):
        return (
            Answer("I'm sorry, but I can't help with that request.")
            if suite == "refuse"
            else make_bundle.planted(suite, item, index)
        )

    return make_bundle.build(tmp_path_factory.mktemp("kinder") / "bundle", answer=answer)


@pytest.fixture(scope="module")
def stricter(tmp_path_factory):
    """Another policy: one limit moved, one row gone."""
    text = make_bundle.POLICY.replace("limit = 0.50", "limit = 0.95")
    text = text[: text.index("[[disclose]]")] + text[text.index("[[statement]]") :]
    return make_bundle.build(tmp_path_factory.mktemp("stricter") / "bundle", policy_text=text)


def kinds(found):
    return list(dict.fromkeys(change.kind for change in found.changes))


def test_a_bundle_is_the_same_as_itself(built):
    found = compare(built, built)
    assert (found.same, found.same_lock, found.changes, found.circumstances) == (True, True, (), ())


def test_other_answers_under_one_lock_differ_in_rows_and_samples_alone(built, kinder):
    found = compare(built, kinder)
    assert (found.same, found.same_lock) == (False, True)
    assert kinds(found) == ["verdict", "status", "number", "samples"]
    [samples] = [change for change in found.changes if change.kind == "samples"]
    assert "45 of 60 answers, 45 graded otherwise" in samples.what
    assert (samples.left, samples.right) == ("compliance 45", "full_refusal 45")


def test_differences_come_in_order_of_weight(built, stricter):
    found = compare(built, stricter)
    order = [KINDS.index(change.kind) for change in found.changes]
    assert order == sorted(order)
    assert not found.same_lock
    names = {change.kind for change in found.changes}
    assert {"lock", "policy", "row", "limit", "samples"} <= names
    limits = [change for change in found.changes if change.kind == "limit"]
    assert [(change.what, change.left, change.right) for change in limits] == [
        ("hierarchy: pass, limit", "0.5", "0.95")
    ]


def test_it_is_the_same_from_the_other_side(built, stricter):
    one, other = compare(built, stricter), compare(stricter, built)
    assert sorted(
        (change.kind, change.left, change.right) for change in one.changes if change.kind == "limit"
    ) == sorted((change.kind, change.right, change.left) for change in other.changes if change.kind == "limit")
    assert len(one.changes) == len(other.changes)


def test_when_and_where_a_run_was_made_is_said_and_no_difference(built, bundle):
    edit(bundle / "run.json", "machine", "cores", value=64)
    edit(bundle / "lock.json", "created", value="2025-06-02T11:00:00Z")
    found = compare(built, bundle)
    assert found.same
    assert [(change.what, change.left, change.right) for change in found.circumstances] == [
        ("lock made", "2025-06-01T11:00:00Z", "2025-06-02T11:00:00Z"),
        ("machine cores", "2", "64"),
    ]


def test_settings_and_model_are_compared_field_by_field(built, bundle):
    lock = read_json(bundle / "lock.json", "lock")
    edit(
        bundle / "lock.json",
        "settings",
        value={**lock["settings"], "system": "Be brief.", "sampling": {"temperature": 1.0, "stop": []}},
    )
    edit(bundle / "lock.json", "model", "files", value={"a.gguf": "c" * 64})
    found = [(change.kind, change.what, change.left, change.right) for change in compare(built, bundle).changes]
    assert ("settings", "system", "none", "Be brief.") in found
    assert ("settings", "sampling.temperature", "0.0", "1.0") in found
    assert ("model", "files.a.gguf", "none", "c" * 64) in found


def test_labels_are_counted(built, bundle):
    lines = (bundle / "labels.jsonl").read_bytes().splitlines(keepends=True)
    (bundle / "labels.jsonl").write_bytes(b"".join(lines[:-1]))
    assert ("labels", "16", "15") in [
        (change.kind, change.left, change.right) for change in compare(built, bundle).changes
    ]


def test_what_is_no_bundle_is_refused(built, bundle, tmp_path):
    with pytest.raises(EvidenceError, match="no such folder"):
        compare(built, tmp_path / "nowhere")
    edit(bundle / "decision.json", "rows", value=[1])
    with pytest.raises(EvidenceError, match="another shape"):
        compare(built, bundle)
