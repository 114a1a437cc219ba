import hashlib
import json
import shutil

import pytest

from greenlight.compose.models import Files
from greenlight.compose.publish import release_run
from greenlight.errors import ConfigError, EvidenceError, LockError
from greenlight.measure.openness import template
from greenlight.release.exports import Team
from greenlight.release.sign import check_signature
from greenlight.release.verify import verify
from tests.release import make_bundle
from tests.release.test_sign import write_pair

WEIGHTS = b"weights" * 100


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.gguf"
    path.write_bytes(WEIGHTS)
    return path


@pytest.fixture(scope="module")
def decided(tmp_path_factory, model):
    with pytest.MonkeyPatch.context() as patch:
        digest = hashlib.sha256(WEIGHTS).hexdigest()
        patch.setattr(make_bundle, "MODEL", {**make_bundle.MODEL, "digest": digest, "files": {model.name: digest}})
        return make_bundle.build(tmp_path_factory.mktemp("decided") / "bundle")


@pytest.fixture
def run(decided, tmp_path):
    return shutil.copytree(decided, tmp_path / "run")


def test_a_release_writes_the_forms_and_names_what_it_left_out(run, tmp_path):
    made = release_run(run, tmp_path / "out", team=Team(licence="MIT"))
    assert all((tmp_path / "out" / name).is_file() for name in made.files)
    assert {"SPDX AI package", "openness"} <= {entry.form for entry in made.left_out}
    assert json.loads(json.dumps(made.to_json()))["files"] == list(made.files)
    assert verify(run).same  # nothing was written into the evidence


def test_a_second_release_replaces_the_first_and_leaves_nothing_of_it(run, tmp_path):
    (tmp_path / "openness.yml").write_text(template("m"))
    release_run(run, tmp_path / "out", openness=tmp_path / "openness.yml")
    assert (tmp_path / "out" / "openness.json").exists()
    made = release_run(run, tmp_path / "out")
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == set(made.files)


def test_a_release_signs_bundle_and_model_and_both_signatures_hold(run, model, tmp_path):
    private, public = write_pair(tmp_path)
    made = release_run(run, tmp_path / "out", key=private, model=model)
    assert [path.name for path in made.signatures] == ["weights.sig", "model.sig"]
    assert verify(run, public_key=public).same
    check_signature(model, public, tmp_path / "out" / "weights.sig", git_files=False)


@pytest.mark.slow
def test_a_model_with_an_adapter_is_signed_in_both_its_parts(model, tmp_path, monkeypatch):
    adapter = tmp_path / "tuned"
    adapter.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (adapter / name).write_text(name)
    files = Files(model, (adapter,))
    digest, names = files.digests()
    monkeypatch.setattr(make_bundle, "MODEL", {**make_bundle.MODEL, "digest": digest, "files": names})
    run = make_bundle.build(tmp_path / "run")
    private, public = write_pair(tmp_path)
    with pytest.raises(LockError, match="another model") as caught:
        release_run(run, tmp_path / "out", key=private, model=model)
    assert "adapter/adapter_config.json" in caught.value.found
    made = release_run(run, tmp_path / "out", key=private, model=f"{model}+{adapter}")
    assert [path.name for path in made.signatures] == ["weights.sig", "adapter.sig", "model.sig"]
    check_signature(model, public, tmp_path / "out" / "weights.sig", git_files=False)
    check_signature(adapter, public, tmp_path / "out" / "adapter.sig", git_files=False)


@pytest.mark.slow
def test_a_model_in_parts_is_signed_part_by_part(tmp_path, monkeypatch):
    parts = [tmp_path / f"m-0000{number}-of-00002.gguf" for number in (1, 2)]
    for part in parts:
        part.write_text(part.name)
    digest, names = Files(parts[0]).digests()
    monkeypatch.setattr(make_bundle, "MODEL", {**make_bundle.MODEL, "digest": digest, "files": names})
    run = make_bundle.build(tmp_path / "run")
    private, public = write_pair(tmp_path)
    made = release_run(run, tmp_path / "out", key=private, model=parts[1])
    signatures = [tmp_path / "out" / f"weights-0000{number}-of-00002.sig" for number in (1, 2)]
    assert [path.name for path in made.signatures] == [*(path.name for path in signatures), "model.sig"]
    for part, signature in zip(parts, signatures, strict=True):
        check_signature(part, public, signature, git_files=False)


def test_a_model_that_is_not_there_is_named(run, tmp_path):
    with pytest.raises(LockError, match="no such model") as caught:
        release_run(run, tmp_path / "out", model=f"{tmp_path}/no.gguf")
    assert "MODEL+FOLDER" in caught.value.do


def test_another_model_than_the_one_decided_about_is_not_signed(run, tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"other")
    with pytest.raises(LockError, match="another model"):
        release_run(run, tmp_path / "out", key=write_pair(tmp_path)[0], model=tmp_path / "model.gguf")
    assert not (run / "model.sig").exists()
    assert not (tmp_path / "out").exists()


def test_what_does_not_verify_is_not_published(run, tmp_path):
    (run / "policy.toml").write_text("changed")
    with pytest.raises(EvidenceError, match="does not verify"):
        release_run(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_else_is_left_alone(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(EvidenceError, match="something else"):
        release_run(run, tmp_path / "out")
    for inside in (run, run / "out"):
        with pytest.raises(EvidenceError, match="inside the evidence"):
            release_run(run, inside)
    with pytest.raises(EvidenceError, match="no folder"):
        release_run(run, tmp_path / "out" / "mine.txt")


def test_a_strange_index_removes_nothing_outside_the_folder(run, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "out").mkdir()
    index = {"format": "greenlight.release/1", "files": {"../mine.txt": "", str(tmp_path / "mine.txt"): ""}}
    (tmp_path / "out" / "release.json").write_text(json.dumps(index))
    release_run(run, tmp_path / "out")
    assert (tmp_path / "mine.txt").exists()


def test_a_missing_or_broken_openness_file_is_told(run, tmp_path):
    with pytest.raises(EvidenceError, match="cannot be read"):
        release_run(run, tmp_path / "out", openness=tmp_path / "missing.yml")
    (tmp_path / "openness.yml").write_text("release: {naem: m}")
    with pytest.raises(ConfigError):
        release_run(run, tmp_path / "out", openness=tmp_path / "openness.yml")
