"""One bundle of a model whose files are known, read for export, and a team that answers everything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from greenlight.measure.openness import classify, read_release
from greenlight.release.exports import File, Source, Team, export, read_source
from tests.release import make_bundle

FILES = {"model two.gguf": "b" * 64, "model.gguf": "a" * 64}

TEAM = Team(
    model_id="acme/tiny",
    licence="Apache-2.0",
    licence_url="https://example.org/licence",
    base_models=("acme/base",),
    languages=("en",),
    tags=("small",),
    developer="Acme",
    evaluator="Acme Laboratory",
    evaluator_relationship="first_party",
    version="1.0",
    released="2025-06-02",
    download_url="https://example.org/model",
    datasets={"compete.arithmetic": "acme/sums#main"},
    answers={"intended_uses": "talk | and *more*", "training_design": "one stage"},
)

RELEASE = "release:\n  name: m\n  components:\n  - {name: Model card, license: CC-BY-4.0}\n"


@pytest.fixture(scope="session")
def known(tmp_path_factory) -> Path:
    """A bundle as the others, of a model with files, a family and a size."""
    with pytest.MonkeyPatch.context() as patch:
        model = {**make_bundle.MODEL, "files": FILES, "family": "llama", "parameters": 134_515_008}
        patch.setattr(make_bundle, "MODEL", model)
        return make_bundle.build(tmp_path_factory.mktemp("known") / "bundle", include_harmful=True)


@pytest.fixture(scope="session")
def source(known) -> Source:
    return read_source(known, classify(read_release(RELEASE)))


@pytest.fixture(scope="session")
def exported(source) -> dict[str, bytes]:
    """Every file of a team that answers everything, by path."""
    made = export(source, TEAM)
    assert made.left_out == ()
    return by_path(made.files)


def by_path(files: tuple[File, ...]) -> dict[str, bytes]:
    return {file.path: file.data for file in files}


def read(exported: dict[str, bytes], ending: str):
    """The JSON of the one file whose path ends so."""
    [data] = [data for path, data in exported.items() if path.endswith(ending)]
    return json.loads(data)
