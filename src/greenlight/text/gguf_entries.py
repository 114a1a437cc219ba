"""How is a Hugging Face folder's tokenizer said in GGUF metadata? And does it then still read every text alike?

tokenizer.json holds a pipeline, GGUF the name of one: the name is found by trying, and what was written is held against
the folder on texts that tell pipelines apart. A tokenizer that would read one of them otherwise is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from greenlight.errors import TextError, UnsupportedError
from greenlight.formats.jsonfile import read_json
from greenlight.text.line_bpe import STEERING
from greenlight.text.pretokenize import PRE_KINDS, normalizer, pre_tokenizer
from greenlight.text.probes import PROBES
from greenlight.text.tokenizer import DEFAULT, Tokenizer

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

PREFERRED = ("llama-bpe", "qwen2", "tekken", "gpt-4o", "smollm", "gpt-2", "dbrx", "default")
"""Names tried first: several stand for the same splits, and these are the ones that llama.cpp has had longest."""

_TURN_ENDS = ("<|eot_id|>", "<|im_end|>", "<end_of_turn>", "<turn|>", "<|end|>", "<|return|>")
_MESSAGE_ENDS = ("<|eom_id|>", "<|tool_response>")
_NAMED = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}


def gguf_entries(folder: Path, vocab_size: int, *, by_lines: bool = False) -> dict[str, Any]:
    """tokenizer.* keys for the tokenizer of a folder, padded to the model's vocabulary.

    Args:
        folder: of the model.
        vocab_size: rows of its embedding.
        by_lines: whether files of its family say the merges of a tokenizer without words (line_bpe.py), where others
            say scores; where that would read text otherwise, scores are said all the same.

    Raises:
        UnsupportedError: no GGUF metadata reads the probing texts as this tokenizer does.
        TextError, FormatError: as `Tokenizer.from_folder`.
    """
    theirs = Tokenizer.from_folder(folder)
    library = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    state = json.loads(library.to_str())
    tokens, types = _tokens(library, vocab_size, folder)
    entries: dict[str, Any] = {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": np.array(types, np.int32)}
    entries |= _special(theirs, vocab_size) | _never_written(folder, vocab_size)
    for name, source in theirs.chat_templates.items():
        entries["tokenizer.chat_template" if name == DEFAULT else f"tokenizer.chat_template.{name}"] = source
    if _is_byte_level(state):
        entries |= {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.merges": _merges(state)}
        return _named_splits(folder, theirs, entries, library)
    if by_lines:
        shown = [USER_DEFINED if token in STEERING else type_ for token, type_ in zip(tokens, types, strict=True)]
        mine = {
            "tokenizer.ggml.model": "gemma4",
            "tokenizer.ggml.merges": _merges(state),
            "tokenizer.ggml.token_type": np.array(shown, np.int32),
            "tokenizer.ggml.add_space_prefix": False,
        }
        try:
            return _same_or_refused(folder, theirs, entries | mine)
        except UnsupportedError:
            pass
    entries |= {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.scores": np.array(_scores(state, tokens), np.float32),
        "tokenizer.ggml.add_space_prefix": theirs.strips_space,
    }
    return _same_or_refused(folder, theirs, entries)


def _is_byte_level(state: Mapping[str, Any]) -> bool:
    return '"ByteLevel"' in json.dumps(state.get("decoder") or {})


def _tokens(library: Any, vocab_size: int, folder: Path) -> tuple[list[str], list[int]]:
    """Every id's token and type; ids without one are padding, and added tokens beyond the embedding are left out."""
    pieces: dict[int, str] = {id: piece for piece, id in library.get_vocab(with_added_tokens=True).items()}
    added = library.get_added_tokens_decoder()
    beyond = [piece for id, piece in pieces.items() if id >= vocab_size and id not in added]
    if beyond:
        raise TextError(
            "the tokenizer has more tokens than the model",
            where=str(folder / "tokenizer.json"),
            found=f"{len(pieces)} tokens, the embedding has {vocab_size} rows",
            do="the two come from different models; fetch both again from one source",
        )
    unknown = library.model.unk_token
    byte_level_names = {f"<0x{byte:02X}>" for byte in range(256)} if library.model.byte_fallback else set()
    tokens, types = [], []
    for id in range(vocab_size):
        piece = pieces.get(id)
        tokens.append(f"[PAD{id}]" if piece is None else piece)
        if piece is None:
            types.append(UNUSED)
        elif piece == unknown:
            types.append(UNKNOWN)
        elif id in added:
            types.append(CONTROL if added[id].special else USER_DEFINED)
        else:
            types.append(BYTE if piece in byte_level_names else NORMAL)
    return tokens, types


def _special(theirs: Tokenizer, vocab_size: int) -> dict[str, Any]:
    """Ids by role, and whether texts begin with one."""
    ids = theirs.special_tokens
    named = {
        key: ids[theirs.named_tokens[name]] for name, key in _NAMED.items() if theirs.named_tokens.get(name) in ids
    }
    others = sorted(theirs.eos_ids - {named.get("eos", -1)})
    for key, texts in (("eot", _TURN_ENDS), ("eom", _MESSAGE_ENDS)):
        known = [ids[text] for text in texts if ids.get(text) in others]
        rest = [id for id in others if key == "eot" and id not in known]
        if found := [*known, *rest][:1]:
            named[key] = found[0]
            others.remove(found[0])
    entries: dict[str, Any] = {f"tokenizer.ggml.{key}_token_id": id for key, id in named.items() if id < vocab_size}
    return entries | {"tokenizer.ggml.add_bos_token": theirs.add_bos, "tokenizer.ggml.add_eos_token": False}


def _never_written(folder: Path, vocab_size: int) -> dict[str, Any]:
    """Ids that whoever generates is told never to choose: of images and sounds, in a Gemma 4."""
    path = folder / "generation_config.json"
    ids = read_json(path).get("suppress_tokens") if path.is_file() else None
    if ids is None:
        return {}
    if not isinstance(ids, list) or any(type(id) is not int for id in ids):
        raise TextError(
            "a setting has the wrong type", where=f"{path}, suppress_tokens", found=f"{str(ids)[:60]}, no ids"
        )
    known = [id for id in ids if 0 <= id < vocab_size]
    return {"tokenizer.ggml.suppress_tokens": np.array(known, np.int32)} if known else {}


def _merges(state: Mapping[str, Any]) -> list[str]:
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in state["model"]["merges"]]


def _scores(state: Mapping[str, Any], tokens: list[str]) -> list[float]:
    """A score per token: the earlier a merge makes it, the better; SentencePiece ranks what it makes, not what from."""
    rank: dict[str, int] = {}
    for merge in state["model"]["merges"]:
        left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
        rank.setdefault(left + right, len(rank))
    last = float(len(rank))
    return [-float(rank[token]) if token in rank else -last for token in tokens]


def _named_splits(folder: Path, theirs: Tokenizer, entries: dict[str, Any], library: Any) -> dict[str, Any]:
    """The entries with the first name that splits every probing text alike, and under which it is read alike.

    Splits are compared beside tokens, since two ways of splitting may by chance give a vocabulary's same tokens.
    """
    expected = [_splits(library.normalizer, library.pre_tokenizer, text) for text in PROBES]
    names = [*PREFERRED, *(name for name in PRE_KINDS if name not in PREFERRED)]
    names.sort(key=lambda name: PRE_KINDS[name].ignore_merges != library.model.ignore_merges)
    refusal: UnsupportedError | None = None
    for name in names:
        kind = PRE_KINDS[name]
        form, splitter = normalizer(kind), pre_tokenizer(kind)
        if [_splits(form, splitter, text) for text in PROBES] != expected:
            continue
        try:
            return _same_or_refused(folder, theirs, entries | {"tokenizer.ggml.pre": name})
        except UnsupportedError as error:
            refusal = refusal or error
    raise UnsupportedError(
        "GGUF has no name that is known here for how this tokenizer splits text",
        where=str(folder / "tokenizer.json"),
        found=(refusal.found if refusal else None) or f"no splits of {', '.join(names[:8])} or {len(names) - 8} more",
        do="keep the model as a Hugging Face folder",
    )


def _splits(form: Any, splitter: Any, text: str) -> list[str]:
    """The words that merging will see."""
    words = splitter.pre_tokenize_str(form.normalize_str(text) if form is not None else text) if splitter else []
    return [word for word, _ in words]


def _same_or_refused(folder: Path, theirs: Tokenizer, entries: dict[str, Any]) -> dict[str, Any]:
    ours = Tokenizer.from_gguf(entries)
    require_same(theirs, ours, str(folder / "tokenizer.json"))
    return entries


def require_same(theirs: Tokenizer, ours: Tokenizer, where: str) -> None:
    """Refuse where two tokenizers read a probing text otherwise, or end and begin texts otherwise.

    Raises:
        UnsupportedError: naming the text and both readings.
    """
    for text in PROBES:
        for special in (False, True):
            a, b = (tokenizer.encode(text, special=special, bos=True) for tokenizer in (theirs, ours))
            if a != b:
                raise _otherwise(where, f"{text[:40]!r} would become {b[:12]}, not {a[:12]}")
        if (a_text := theirs.decode(theirs.encode(text))) != (b_text := ours.decode(ours.encode(text))):
            raise _otherwise(where, f"decoded {b_text[:40]!r}, not {a_text[:40]!r}")
    if theirs.eos_ids != ours.eos_ids:
        raise _otherwise(where, f"ends {sorted(ours.eos_ids)}, not {sorted(theirs.eos_ids)}")


def _otherwise(where: str, found: str) -> UnsupportedError:
    return UnsupportedError(
        "the converted tokenizer would read text otherwise",
        where=where,
        found=found,
        do="keep the model in the format it has",
    )
