"""What vocabulary does GGUF metadata describe? Keys and token types are those of the GGUF specification."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
import tokenizers
from numpy.typing import NDArray

from greenlight.errors import TextError, UnsupportedError
from greenlight.text import alphabet
from greenlight.text.endings import END_TEXTS, end_ids
from greenlight.text.line_bpe import STEERING, LineBpe, line_library
from greenlight.text.pretokenize import normalizer, pre_kind, pre_tokenizer
from greenlight.text.sentencepiece import SPACE, SentencePieceBpe
from greenlight.text.tokenizer import DEFAULT, AddedToken, PlainEncoder, Vocabulary

_T = TypeVar("_T")

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE = 1, 2, 3, 4, 6
_NAMES = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
_TEMPLATE = "tokenizer.chat_template"
_END_KEYS = ("eos", "eot", "eom")


def gguf_vocabulary(metadata: Mapping[str, Any]) -> Vocabulary:
    """The vocabulary in a GGUF file's metadata.

    Raises:
        UnsupportedError: `tokenizer.ggml.model` or `tokenizer.ggml.pre` is of a kind that is not known here.
        TextError: entries of the wrong type, lists of different lengths, ids outside the vocabulary, repeated tokens,
            broken merges.
    """
    builders = {"gpt2": _byte_level, "llama": _sentencepiece, "gemma4": _by_lines}
    model = _get(metadata, "model", _text)
    if model not in builders:
        raise UnsupportedError(
            "this kind of tokenizer is not supported",
            where="tokenizer.ggml.model",
            found=f"{model!r}, supported: {', '.join(builders)}",
            do="use the model's Hugging Face folder with tokenizer.json",
        )
    return builders[model](metadata)


def _byte_level(metadata: Mapping[str, Any]) -> Vocabulary:
    kind = pre_kind(_maybe(metadata, "pre", _text))
    pieces, types = _pieces(metadata)
    added = _added(pieces, types)
    vocab = _ordinary(pieces, added)
    lines = _get(metadata, "merges", _texts)
    try:
        # Pieces have no whitespace: the byte alphabet has none. This loop is C's, since cold start waits for it.
        merges: list[Any] = list(map(tuple, map(str.split, lines)))
        model = tokenizers.models.BPE(vocab, merges, ignore_merges=kind.ignore_merges)
    except Exception as error:
        raise TextError("the merges do not fit the tokens", where="tokenizer.ggml.merges", found=str(error)) from error
    encoder = tokenizers.Tokenizer(model)
    encoder.pre_tokenizer = pre_tokenizer(kind)
    if (form := normalizer(kind)) is not None:
        encoder.normalizer = form
    return _vocabulary(metadata, pieces, added, library_encoder(encoder), alphabet.to_bytes, add_bos=kind.add_bos)


def _ordinary(pieces: list[str], added: list[AddedToken]) -> dict[str, int]:
    """Token to id, with special tokens out of reach."""
    vocab = dict(zip(pieces, range(len(pieces)), strict=True))
    for token in added:
        if token.special:
            # No text is spelled with a raw NUL, so that no merge and no whole-word match can end in a special token.
            vocab["\0" + token.text] = vocab.pop(token.text)
    return vocab


def _by_lines(metadata: Mapping[str, Any]) -> Vocabulary:
    pieces, types = _pieces(metadata)
    # Files call the end of a text an ordinary token, and </s> is a tag of HTML: src/llama-vocab.cpp knows both.
    html = "<|tool_response>" in pieces
    special = (END_TEXTS | STEERING) - ({"</s>"} if html else set())
    types[[id for id, piece in enumerate(pieces) if piece in special]] = _CONTROL
    added = [
        replace(token, special=False) if html and token.text == "</s>" else token for token in _added(pieces, types)
    ]
    vocab = _ordinary(pieces, added)
    _byte_ids(pieces, types)  # all or none
    unk_id = _id(metadata, "unknown", len(pieces))
    unknown = next((token for token, id in vocab.items() if id == unk_id), None)
    try:
        library = line_library(vocab, _get(metadata, "merges", _texts), unknown)
    except TextError:
        raise
    except Exception as error:
        raise TextError("the merges do not fit the tokens", where="tokenizer.ggml.merges", found=str(error)) from error
    byte_pieces = {pieces[id] for id in np.flatnonzero(types == _BYTE).tolist()}
    return _vocabulary(
        {**metadata, "tokenizer.ggml.add_bos_token": True},  # whatever the file says: llama.cpp knows that it is so
        pieces,
        added,
        LineBpe(library, {piece: id for piece, id in vocab.items() if piece and not piece.strip("\n")}),
        lambda piece: bytes([int(piece[3:5], 16)]) if piece in byte_pieces else piece.replace(SPACE, " ").encode(),
        add_bos=True,
        unk_id=unk_id,
    )


def _sentencepiece(metadata: Mapping[str, Any]) -> Vocabulary:
    if _maybe(metadata, "remove_extra_whitespaces", _flag):
        raise UnsupportedError("this tokenizer rewrites whitespace", where="tokenizer.ggml.remove_extra_whitespaces")
    pieces, types = _pieces(metadata)
    scores = _get(metadata, "scores", _floats)
    if len(scores) != len(pieces):
        raise _lengths("scores", len(scores), len(pieces))
    added = _added(pieces, types)
    not_text = {_CONTROL, _UNKNOWN, _BYTE, _USER_DEFINED}
    mergeable = {
        piece: (id, score)
        for id, (piece, type_, score) in enumerate(zip(pieces, types.tolist(), scores, strict=True))
        if type_ not in not_text
    }
    prefix = _maybe(metadata, "add_space_prefix", _flag) is not False
    unk_id = _id(metadata, "unknown", len(pieces)) or 0
    encoder = SentencePieceBpe(mergeable, _byte_ids(pieces, types), unk_id, add_prefix=prefix)
    byte_pieces = {pieces[id] for id in np.flatnonzero(types == _BYTE).tolist()}
    return _vocabulary(
        metadata,
        pieces,
        added,
        encoder,
        lambda piece: bytes([int(piece[3:5], 16)]) if piece in byte_pieces else piece.replace(SPACE, " ").encode(),
        add_bos=True,
        strips_space=prefix,
        unk_id=unk_id,
    )


def library_encoder(encoder: tokenizers.Tokenizer) -> PlainEncoder:
    """Ordinary text to ids through the library, which adds nothing of its own."""

    def encode(text: str) -> Sequence[int]:
        ids: list[int] = encoder.encode(text, add_special_tokens=False).ids
        return ids

    return encode


def _vocabulary(
    metadata: Mapping[str, Any],
    pieces: list[str],
    added: list[AddedToken],
    encoder: PlainEncoder,
    spell: Callable[[str], bytes],
    *,
    add_bos: bool,
    strips_space: bool = False,
    unk_id: int | None = None,
) -> Vocabulary:
    named = {name: id for name, key in _NAMES.items() if (id := _id(metadata, key, len(pieces))) is not None}
    ends = {id for key in _END_KEYS if (id := _id(metadata, key, len(pieces))) is not None}
    bos_id = named.get("bos_token")
    wants_bos = _maybe(metadata, "add_bos_token", _flag)
    return Vocabulary(
        pieces=pieces,
        spell=spell,
        added=added,
        first=encoder,
        later=encoder,
        strips_space=strips_space,
        unk_id=unk_id,
        bos_id=bos_id,
        eos_ids=end_ids({token.text: token.id for token in added}, ends),
        add_bos=(add_bos if wants_bos is None else wants_bos) and bos_id is not None,
        named={name: pieces[id] for name, id in named.items()},
        chat_templates=_templates(metadata),
    )


def _templates(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The chat template, and those that the file has beside it under names of their own."""
    found: dict[str, str] = {}
    for key, value in metadata.items():
        base, dot, name = key.partition(_TEMPLATE)
        if base or not dot or (name and not name.startswith(".")):
            continue
        if (source := _typed(key, value, _text)) is not None:
            found[name[1:] or DEFAULT] = source
    return found


def _pieces(metadata: Mapping[str, Any]) -> tuple[list[str], NDArray[np.int64]]:
    pieces = _get(metadata, "tokens", _texts)
    found = _maybe(metadata, "token_type", _integers)
    types = np.full(len(pieces), _NORMAL, np.int64) if found is None else found
    if len(types) != len(pieces):
        raise _lengths("token_type", len(types), len(pieces))
    if len(set(pieces)) != len(pieces):
        seen: set[str] = set()
        twice = next(piece for piece in pieces if piece in seen or seen.add(piece))  # type: ignore[func-returns-value]
        raise TextError("a token is in the vocabulary twice", where="tokenizer.ggml.tokens", found=repr(twice))
    return pieces, types


def _added(pieces: list[str], types: NDArray[np.int64]) -> list[AddedToken]:
    """Control and user-defined tokens; one that ends a turn is special whatever the file calls it."""
    return [
        AddedToken(pieces[id], id, special=int(types[id]) != _USER_DEFINED or pieces[id] in END_TEXTS)
        for id in np.flatnonzero(np.isin(types, (_CONTROL, _UNKNOWN, _USER_DEFINED))).tolist()
        if pieces[id]
    ]


def _byte_ids(pieces: list[str], types: NDArray[np.int64]) -> list[int]:
    ids = {pieces[id]: id for id in np.flatnonzero(types == _BYTE).tolist()}
    names = [f"<0x{byte:02X}>" for byte in range(256)]
    if ids and set(ids) != set(names):
        raise TextError("byte tokens are incomplete", where="tokenizer.ggml.tokens", found=f"{len(ids)} of 256")
    return [ids[name] for name in names] if ids else []


def _id(metadata: Mapping[str, Any], key: str, n_tokens: int) -> int | None:
    id = _maybe(metadata, f"{key}_token_id", _integer)
    if id is not None and not 0 <= id < n_tokens:
        raise TextError(
            "a special token is outside the vocabulary",
            where=f"tokenizer.ggml.{key}_token_id",
            found=f"{id}, the vocabulary has {n_tokens}",
        )
    return id


def _get(metadata: Mapping[str, Any], key: str, read: Callable[[Any], _T]) -> _T:
    value = _maybe(metadata, key, read)
    if value is None:
        what = "the file has no tokenizer" if key == "model" else "the tokenizer is incomplete"
        raise TextError(what, where=f"tokenizer.ggml.{key}")
    return value


def _maybe(metadata: Mapping[str, Any], key: str, read: Callable[[Any], _T]) -> _T | None:
    return _typed(f"tokenizer.ggml.{key}", metadata.get(f"tokenizer.ggml.{key}"), read)


def _typed(name: str, value: Any, read: Callable[[Any], _T]) -> _T | None:
    """An entry as one of the readers below has it; None where there is no entry."""
    if value is None:
        return None
    try:
        return read(value)
    except (TypeError, ValueError) as error:
        found = f"{type(value).__name__}, expected {error}"
        raise TextError("a tokenizer entry has the wrong type", where=name, found=found) from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError("true or false")
    return bool(value)


def _integer(value: Any) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError("a whole number")
    return int(value)


def _texts(value: Any) -> list[str]:
    # Types as a set, since a loop over each of a hundred thousand tokens would slow every start.
    if not isinstance(value, list | tuple) or not set(map(type, value)) <= {str}:
        raise TypeError("a list of texts")
    return list(value)


def _integers(value: Any) -> NDArray[np.int64]:
    return _numbers(value, "iu", "a list of whole numbers").astype(np.int64)


def _floats(value: Any) -> list[float]:
    numbers = _numbers(value, "fiu", "a list of numbers").astype(np.float64)
    if np.isnan(numbers).any():
        raise ValueError("a list of numbers, all of them known")
    floats: list[float] = numbers.tolist()
    return floats


def _numbers(value: Any, kinds: str, expected: str) -> NDArray[Any]:
    if not isinstance(value, list | tuple | np.ndarray):
        raise TypeError(expected)
    try:
        numbers = np.asarray(value)
    except ValueError as error:  # lists of different lengths within the list
        raise TypeError(expected) from error
    if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in kinds):
        raise TypeError(expected)
    return numbers


def _lengths(key: str, found: int, expected: int) -> TextError:
    return TextError(
        "the tokenizer's lists differ in length", where=f"tokenizer.ggml.{key}", found=f"{found}, tokens has {expected}"
    )
