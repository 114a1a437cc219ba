"""What vocabulary does a Hugging Face folder describe? tokenizer.json, and the small files beside it.

Files: tokenizer.json (the tokenizers library's own format), tokenizer_config.json and special_tokens_map.json (names of
special tokens), generation_config.json (more ends). Chat templates: chat_template.jinja and additional_chat_templates/
where they are there, as transformers writes them now; else those in tokenizer_config.json, one or a list with names;
else the one in chat_template.json, where models with a processor had theirs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers

from greenlight.errors import TextError, UnsupportedError
from greenlight.formats.jsonfile import read_json
from greenlight.formats.tensors import refuse_pointer
from greenlight.text import alphabet
from greenlight.text.endings import end_ids
from greenlight.text.gguf_vocabulary import library_encoder
from greenlight.text.sentencepiece import SPACE
from greenlight.text.tokenizer import DEFAULT, AddedToken, PlainEncoder, Vocabulary

_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token")
_DECODERS = {"ByteLevel", "Sequence", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"}
_MAX_GAP = 2**17
"""Ids without a token, at most: vocabularies leave a few thousand out, and every id takes memory."""


def folder_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary in a Hugging Face folder.

    Raises:
        TextError: no tokenizer.json, a file that cannot be read, an id far outside the vocabulary, an entry of the
            wrong type.
        FormatError: a file beside it that is not a JSON object.
        UnsupportedError: a model other than BPE, or a decoder whose bytes cannot be told token by token.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise TextError(
            "the folder has no tokenizer.json",
            where=str(folder),
            do="save the tokenizer in the fast format, or use a GGUF file of the model",
        )
    with path.open("rb") as file:
        refuse_pointer(path, file.read(64))
    try:
        library = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:
        raise TextError(
            "tokenizer.json cannot be read", where=str(path), found=str(error), do="fetch the file again"
        ) from error
    if not isinstance(library.model, tokenizers.models.BPE):
        raise UnsupportedError(
            "this kind of tokenizer is not supported",
            where=f"{path}, model",
            found=f"{type(library.model).__name__}, supported: BPE",
        )
    config = {**_read(folder / "special_tokens_map.json"), **_read(folder / "tokenizer_config.json")}
    return _describe(folder, library, config)


def _describe(folder: Path, library: Any, config: Mapping[str, Any]) -> Vocabulary:
    added = [_added(id, token, library, folder) for id, token in sorted(library.get_added_tokens_decoder().items())]
    ids = {token.text: token.id for token in added}
    model_vocab = library.get_vocab(with_added_tokens=False)
    named = {name: text for name in _NAMES if (text := _text(folder, name, config.get(name))) in ids}
    bos_id = ids.get(named.get("bos_token", ""))
    named_ends = [ids[named["eos_token"]]] if "eos_token" in named else []
    byte_level, strips_space = _decoding(library, folder)
    return Vocabulary(
        pieces=_pieces(folder, [*model_vocab.items(), *ids.items()]),
        spell=alphabet.to_bytes if byte_level else _spell_with_spaces,
        added=added,
        first=_plain(library, at_start=True),
        later=_plain(library, at_start=False),
        strips_space=strips_space,
        unk_id=model_vocab.get(library.model.unk_token or ""),
        bos_id=bos_id,
        eos_ids=end_ids({t.text: t.id for t in added if t.special}, [*named_ends, *_more_ends(folder)]),
        add_bos=bos_id is not None and _adds_bos(library, config, bos_id),
        named=named,
        chat_templates=_templates(folder, config),
    )


def _pieces(folder: Path, tokens: list[tuple[str, int]]) -> list[str | None]:
    """Every id's token; ids that the file leaves out have none."""
    last = max((id for _, id in tokens), default=-1)
    if last >= len(tokens) + _MAX_GAP:
        raise TextError(
            "a token's id is far outside the vocabulary",
            where=str(folder / "tokenizer.json"),
            found=f"id {last} among {len(tokens)} tokens",
        )
    pieces: list[str | None] = [None] * (last + 1)
    for piece, id in tokens:
        pieces[id] = piece
    return pieces


def _more_ends(folder: Path) -> list[int]:
    path = folder / "generation_config.json"
    ends = _read(path).get("eos_token_id")
    listed = [] if ends is None else ends if isinstance(ends, list) else [ends]
    if any(type(end) is not int for end in listed):
        raise _wrong(path, "eos_token_id", ends, "an id or a list of ids")
    return listed


def _added(id: int, token: Any, library: Any, folder: Path) -> AddedToken:
    normalised = library.normalizer.normalize_str(token.content) if library.normalizer and token.normalized else None
    if normalised not in (None, token.content):
        raise UnsupportedError(
            "an added token is rewritten before it is looked for",
            where=f"{folder / 'tokenizer.json'}, added_tokens",
            found=f"{token.content!r} becomes {normalised!r}",
        )
    return AddedToken(token.content, id, token.special, token.lstrip, token.rstrip, token.single_word)


def _plain(library: Any, *, at_start: bool) -> PlainEncoder:
    """The library's pipeline without added tokens, as it treats text at the start or after an added token."""
    encoder = tokenizers.Tokenizer(library.model)
    if library.normalizer is not None:
        encoder.normalizer = library.normalizer
    splits = library.pre_tokenizer
    if isinstance(splits, tokenizers.pre_tokenizers.Sequence) and '"prepend_scheme":"first"' in _state(splits):
        raise UnsupportedError("this tokenizer's pre-tokenizer is not supported", found="Metaspace within a Sequence")
    if splits is not None:
        if (
            not at_start
            and isinstance(splits, tokenizers.pre_tokenizers.Metaspace)
            and splits.prepend_scheme == "first"
        ):
            splits = tokenizers.pre_tokenizers.Metaspace(splits.replacement, "never", splits.split)
        encoder.pre_tokenizer = splits
    return library_encoder(encoder)


def _state(part: Any) -> str:
    """A part of the library's pipeline as JSON without spaces."""
    return json.dumps(json.loads(part.__getstate__()), separators=(",", ":"))


def _decoding(library: Any, folder: Path) -> tuple[bool, bool]:
    """Whether tokens spell bytes in GPT-2's alphabet, and whether decoding takes a first space away."""
    state: dict[str, Any] = (
        json.loads(library.decoder.__getstate__()) if library.decoder is not None else {"type": "none"}
    )
    steps: list[dict[str, Any]] = state["decoders"] if state["type"] == "Sequence" else [state]
    kinds = {step["type"] for step in steps}
    strip = any(step["type"] == "Strip" and step["content"] == " " and step["start"] for step in steps)
    metaspace = any(step["type"] == "Metaspace" and step["prepend_scheme"] != "never" for step in steps)
    if kinds == {"ByteLevel"}:
        return True, False
    spaces = any(step.get("pattern") == {"String": SPACE} and step["content"] == " " for step in steps)
    if kinds <= _DECODERS - {"ByteLevel"} and (spaces or "Metaspace" in kinds):
        return False, strip or metaspace
    raise UnsupportedError(
        "this tokenizer's decoder is not supported",
        where=f"{folder / 'tokenizer.json'}, decoder",
        found=", ".join(sorted(kinds)),
    )


def _spell_with_spaces(piece: str) -> bytes:
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        return bytes([int(piece[3:5], 16)])
    return piece.replace(SPACE, " ").encode()


def _adds_bos(library: Any, config: Mapping[str, Any], bos_id: int) -> bool:
    if isinstance(config.get("add_bos_token"), bool):
        return bool(config["add_bos_token"])
    ids: list[int] = library.encode("").ids
    return ids[:1] == [bos_id]


def _templates(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """Chat templates by name: those in files of their own, or else those in the settings."""
    own = {DEFAULT: folder / "chat_template.jinja"}
    own.update({path.stem: path for path in sorted((folder / "additional_chat_templates").glob("*.jinja"))})
    found = {name: _read_text(path) for name, path in own.items() if path.is_file()}
    if found:
        return found
    value = config.get("chat_template")
    if value is None:
        value = _read(folder / "chat_template.json").get("chat_template")
    entries = value if isinstance(value, list) else [] if value is None else [{"name": DEFAULT, "template": value}]
    for entry in entries:
        name, source = (entry.get("name"), entry.get("template")) if isinstance(entry, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(source, str):
            raise _wrong(folder, "chat_template", value, "a template or a list of named ones")
        found[name] = source
    return found


def _text(folder: Path, name: str, token: Any) -> str | None:
    """A special token as configs write it: its text, or an object with the text in it."""
    text = token.get("content", token) if isinstance(token, Mapping) else token
    if text is not None and not isinstance(text, str):
        raise _wrong(folder, name, token, "a token's text, or an object with its content")
    return text


def _wrong(path: Path, name: str, value: Any, expected: str) -> TextError:
    found = f"{type(value).__name__}, expected {expected}"
    return TextError("a tokenizer setting has the wrong type", where=f"{path}, {name}", found=found)


def _read(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TextError("a tokenizer file cannot be read", where=str(path), found=str(error)) from error
