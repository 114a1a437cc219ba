"""How does a decided run go out? Checked once more, written in every form that applies, signed where a key is given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from greenlight.compose.models import Files, adapter_place, find_files
from greenlight.compose.openness import FILE, read_openness
from greenlight.compose.verbs import verify
from greenlight.errors import EvidenceError, HubError, LockError
from greenlight.evidence import JSON, SIGNATURE, read_json, write_atomic
from greenlight.formats.part_names import parts_of
from greenlight.measure.openness import Openness
from greenlight.release.exports import INDEX, Export, LeftOut, Team, export, read_source
from greenlight.release.sign import sign

WEIGHTS_SIGNATURE = "weights.sig"
"""The signature of the model's own files, which lie elsewhere; of a model in parts each has one."""


class Publication(NamedTuple):
    """What went out."""

    folder: Path
    files: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    signatures: tuple[Path, ...]

    def to_json(self) -> dict[str, JSON]:
        """The same for programs."""
        return {
            "folder": str(self.folder),
            "files": list(self.files),
            "left_out": [entry._asdict() for entry in self.left_out],
            "signatures": [str(path) for path in self.signatures],
        }


def release_run(
    folder: Path | str,
    out: Path | str,
    *,
    team: Team | None = None,
    openness: Path | str | None = None,
    key: Path | str | None = None,
    model: Path | str | None = None,
) -> Publication:
    """Write a decided run in every form that applies; sign it, and its model, where a key is given.

    Args:
        folder: a bundle; it must verify.
        out: where the forms go: a folder that is empty or holds an earlier release.
        team: what only the people behind the model can say.
        openness: openness.yml, where it does not lie in the bundle.
        key: a private key in PEM form; model.sig is written into the bundle.
        model: the model, to be signed, too: its file or folder, or what else names it, such as MODEL+ADAPTER, of which
            each is signed. It must be the one that was decided about.

    Raises:
        EvidenceError: the bundle does not verify, or the output folder holds something else.
        LockError: the model is another one.
        ConfigError: openness.yml cannot be read.
        UnsupportedError: a key is given, and the package for signatures is not installed.
    """
    folder, out = Path(folder), Path(out)
    if out.resolve().is_relative_to(folder.resolve()):
        raise EvidenceError("a release inside the evidence would change it", where=str(out), do="choose another --out")
    _must_verify(folder)
    source = read_source(folder, _openness(folder, None if openness is None else Path(openness)))
    files = None if model is None else _files_of(model)
    if files is not None:
        _must_be(files, source.lock)
    made = export(source, team or Team())
    _write(out, made)
    signatures = []
    if key is not None and files is not None:
        for path, name in _signatures(files.path):
            signatures.append(sign(path, Path(key), out / name, git_files=False))
        for index, adapter in enumerate(files.adapters):
            signatures.append(sign(adapter, Path(key), out / f"{adapter_place(index)}.sig", git_files=False))
    if key is not None:
        signatures.append(sign(folder, Path(key), folder / SIGNATURE))
    return Publication(out, tuple(file.path for file in made.files), made.left_out, tuple(signatures))


def _signatures(path: Path) -> list[tuple[Path, str]]:
    """What is signed of a model, and the name of its signature: all in one, or each part of a GGUF model by itself."""
    parts = [path] if path.is_dir() else parts_of(path)
    if len(parts) == 1:
        return [(path, WEIGHTS_SIGNATURE)]
    return [(part, f"weights-{number:05}-of-{len(parts):05}.sig") for number, part in enumerate(parts, 1)]


def _must_verify(folder: Path) -> None:
    found = verify(folder)
    if not found.same:
        raise EvidenceError(
            "this folder does not verify, so nothing of it is published",
            where=str(folder),
            found=found.difference,
            do="restore it, or decide it again: greenlight decide",
        )


def _openness(folder: Path, given: Path | None) -> Openness | None:
    path = given or folder / FILE
    return None if given is None and not path.exists() else read_openness(path).openness


def _files_of(model: Path | str) -> Files:
    """A path as it is, or whatever else names a model."""
    if Path(model).exists():
        return Files(Path(model))
    try:
        return find_files(str(model))
    except HubError as error:
        raise LockError(
            "there is no such model",
            where=str(model),
            found=error.what,
            do="name the file or folder that was assessed, with its adapter: MODEL+FOLDER",
        ) from error


def _must_be(model: Files, lock: Mapping[str, JSON]) -> None:
    found, expected = model.digests()[1], lock["model"]["files"]
    differing = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    if differing:
        raise LockError(
            "this is another model than the one that was decided about",
            where="+".join(map(str, (model.path, *model.adapters))),
            found=f"other or missing: {', '.join(differing[:5])}",
            do="give the files that were assessed; other files need a run of their own",
        )


def _write(out: Path, made: Export) -> None:
    if out.exists() and not out.is_dir():
        raise EvidenceError("the output is no folder", where=str(out), do="choose another with --out")
    if out.is_dir() and any(out.iterdir()):
        if not (out / INDEX).is_file():
            raise EvidenceError(
                "the output folder holds something else", where=str(out), do="choose an empty folder with --out"
            )
        for name in read_json(out / INDEX, "release")["files"]:
            if ".." not in Path(name).parts and not Path(name).is_absolute():
                (out / name).unlink(missing_ok=True)
    for file in made.files:
        write_atomic(out / file.path, file.data)
