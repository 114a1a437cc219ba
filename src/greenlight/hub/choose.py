"""Which files of a repository are the model? What is needed to run it, no pickle, and names that a disk can bear."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath

from greenlight.errors import HubError
from greenlight.formats.part_names import part_name, piece_of
from greenlight.hub.reference import HubReference
from greenlight.hub.repository import RepoFile

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")

_BESIDE = (
    *("generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "chat_template.jinja", "chat_template.json", "tokenizer.model", "processor_config.json"),
)
_TEMPLATE = re.compile(r"additional_chat_templates/[^/]+\.jinja")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack")

Files = Mapping[str, RepoFile]


def choose(reference: HubReference, files: Files, read_index: Callable[[], bytes]) -> list[RepoFile]:
    """The files that a reference names, the one that stands for all of them first.

    Args:
        reference: with a file, a quantisation, or neither.
        files: what there is.
        read_index: the weight index's bytes, asked for where weights are in shards.

    Raises:
        HubError: none, several, incomplete, or under names that may not be used.
    """
    _refuse_original(reference)
    if reference.file is not None:
        names = _one_file(reference, files)
    elif reference.quant is not None:
        names = _one_gguf(reference, files, lambda stem: _has_quant(stem, reference.quant or ""))
    elif "config.json" in files and (SINGLE_FILE in files or INDEX_FILE in files):
        names = _folder(reference, files, read_index)
    elif ADAPTER[0] in files and "config.json" not in files and ADAPTER[1] in files:
        names = list(ADAPTER)
    else:
        names = _one_gguf(reference, files, lambda _: True)
    _refuse_names(reference, names)
    return [files[name] for name in names]


def _refuse_original(reference: HubReference) -> None:
    """What many repositories keep in original/ is the same model in its makers' own layout, which is not read."""
    named = reference.file or reference.quant or ""
    if named.partition("/")[0] == "original":
        at = f"@{reference.revision}" if reference.revision else ""
        raise HubError(
            "original/ holds the checkpoint in its makers' own layout, which is not read",
            where=reference.text,
            found=ascii_name(named),
            do=f"take the files that stand above it: hf:{reference.repository}{at}",
        )


def _one_file(reference: HubReference, files: Files) -> list[str]:
    name = reference.file or ""
    if name.endswith(_PICKLES):
        raise HubError("pickled weights are never fetched", where=reference.text, do="name a safetensors or GGUF file")
    if whole := piece_of(name):
        raise HubError(
            "a piece of a GGUF file is no model by itself",
            where=reference.text,
            found=ascii_name(name),
            do=f"take another quantisation, or put all pieces together yourself: cat PIECES > {ascii_name(whole)}",
        )
    if name in files:
        return _whole(reference, name, files)
    near = difflib.get_close_matches(name, files, n=3, cutoff=0.3) or sorted(files)[:5]
    raise HubError(
        "the repository has no such file",
        where=reference.text,
        found=f"nearest: {', '.join(map(ascii_name, near)) or 'it is empty'}",
        do=f"name one: hf:{reference.repository}#FILE",
    )


def _folder(reference: HubReference, files: Files, read_index: Callable[[], bytes]) -> list[str]:
    """A Hugging Face folder: config, one file of weights or the shards that its index names, tokenizer and template."""
    weights = [SINGLE_FILE] if SINGLE_FILE in files else [INDEX_FILE, *_shards(reference, files, read_index())]
    templates = sorted(name for name in files if _TEMPLATE.fullmatch(name))
    return ["config.json", *weights, *(name for name in _BESIDE if name in files), *templates]


def _shards(reference: HubReference, files: Files, index: bytes) -> list[str]:
    try:
        weight_map = json.loads(index)["weight_map"]
        shards = sorted(set(weight_map.values()))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise HubError("the weight index cannot be read", where=f"{reference.text}, {INDEX_FILE}") from error
    if not shards or not all(isinstance(name, str) for name in shards):
        raise HubError("the weight index names no files", where=f"{reference.text}, {INDEX_FILE}")
    pickled = [name for name in shards if not name.endswith(".safetensors")]
    if pickled:
        raise HubError(
            "the weight index names files that are no safetensors",
            where=f"{reference.text}, {INDEX_FILE}",
            found=_some(pickled),
        )
    if missing := [name for name in shards if name not in files]:
        raise HubError(
            "the repository lacks shards that its index names",
            where=f"{reference.text}, {INDEX_FILE}",
            found=f"missing: {_some(missing)}",
            do="take another revision, or tell its owner",
        )
    return shards


def _one_gguf(reference: HubReference, files: Files, wanted: Callable[[str], bool]) -> list[str]:
    """The only GGUF model that is wanted; a model in several files counts once."""
    groups: dict[str, str] = {}
    for name in sorted(files):
        if name.endswith(".gguf") and not PurePosixPath(name).name.startswith(("mmproj", "imatrix")):
            part = part_name(name)
            groups.setdefault(part.stem if part else name.removesuffix(".gguf"), name)
    found = {stem: name for stem, name in groups.items() if wanted(stem)}
    if len(found) == 1:
        return _whole(reference, next(iter(found.values())), files)
    several = found or groups
    if not several:
        raise HubError(
            "the repository has no model that can be read",
            where=reference.text,
            found=f"neither config.json with safetensors nor a GGUF file{_pickles(files)}",
            do="take a repository with safetensors or GGUF",
        )
    shown = [f"hf:{reference.repository}:{name}" for name in several.values()]
    what = "the repository has several models" if found else f"no file is of the quantisation {reference.quant}"
    raise HubError(
        what, where=reference.text, found=", ".join(map(ascii_name, several.values())), do=f"name one: {_some(shown)}"
    )


def _has_quant(stem: str, quant: str) -> bool:
    """Whether a file's name, or its folder's, says this quantisation as a word of its own.

    `Q4_K` is not `Q4_K_M`, and `Q4_K_M` is not the `UD-Q4_K_M` that stands beside it in some repositories; where only
    one of those is there, the shorter name still finds it.
    """
    return re.search(rf"(?:^|[-./]){re.escape(quant)}(?:$|[-./])", stem, re.IGNORECASE) is not None


def _whole(reference: HubReference, name: str, files: Files) -> list[str]:
    """A file, or all parts of the model that it is one part of, the first first.

    Raises:
        HubError: a part is missing.
    """
    said = part_name(name)
    if said is None:
        return [name]
    if not said.possible:
        raise HubError("a part's number makes no sense", where=reference.text, found=ascii_name(name))
    names = said.all()
    if missing := [part for part in names if part not in files]:
        raise HubError(
            "parts of this model are missing in the repository",
            where=reference.text,
            found=f"missing: {_some(missing)}",
            do="take another quantisation or revision",
        )
    return names


def _refuse_names(reference: HubReference, names: Iterable[str]) -> None:
    """Refuse names that leave their folder, that a disk cannot bear, or that meet where case does not count."""
    seen: dict[str, str] = {}
    for name in names:
        parts = name.split("/")
        bad = (
            not name.isprintable()
            or "\\" in name
            or any(part in ("", ".", "..") or len(part.encode(errors="replace")) > 240 for part in parts)
            or len(name.encode(errors="replace")) > 900
            or re.match(r"[A-Za-z]:", name) is not None
        )
        if bad:
            raise HubError(
                "a file's name in the repository may not be used here", where=reference.text, found=ascii_name(name)
            )
        if (other := seen.setdefault(name.casefold(), name)) != name:
            raise HubError(
                "two files of the repository differ only in case",
                where=reference.text,
                found=f"{ascii_name(other)}, {ascii_name(name)}",
            )


def _pickles(files: Files) -> str:
    found = sorted(name for name in files if name.endswith(_PICKLES))
    return f"; pickles ({_some(found)}) are never read" if found else ""


def ascii_name(name: str) -> str:
    """A file's name as a terminal may show it."""
    return name if name.isascii() and name.isprintable() and len(name) < 200 else ascii(name)[:200]


def _some(names: list[str]) -> str:
    shown = ", ".join(map(ascii_name, names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
