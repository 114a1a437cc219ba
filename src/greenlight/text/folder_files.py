"""How is a GGUF file's tokenizer said in a Hugging Face folder? As tokenizer.json and the small files beside it.

What was written is read again and held against the file's own tokenizer, on texts that tell pipelines apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, decoders, models, normalizers, processors
from tokenizers import Tokenizer as Library

from greenlight.errors import TextError, UnsupportedError
from greenlight.text.gguf_entries import BYTE, CONTROL, UNKNOWN, UNUSED, USER_DEFINED, require_same
from greenlight.text.line_bpe import line_library
from greenlight.text.pretokenize import normalizer, pre_kind, pre_tokenizer
from greenlight.text.sentencepiece import SPACE
from greenlight.text.tokenizer import DEFAULT, Tokenizer


def write_tokenizer(folder: Path, metadata: Mapping[str, Any], max_seq_len: int) -> None:
    """Write the tokenizer of GGUF metadata into a folder.

    Raises:
        UnsupportedError: a folder could not say how this tokenizer reads text.
        TextError: as `Tokenizer.from_gguf`.
    """
    theirs = Tokenizer.from_gguf(metadata)
    match metadata["tokenizer.ggml.model"]:
        case "gpt2":
            library = _byte_level(metadata)
        case "gemma4":
            library = _by_lines(metadata)
        case _:
            library = _sentencepiece(metadata, theirs)
    _add_tokens(library, theirs)
    if theirs.add_bos and theirs.bos_id is not None:
        bos = metadata["tokenizer.ggml.tokens"][theirs.bos_id]
        library.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, theirs.bos_id)]
        )
    library.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_seq_len,
        "clean_up_tokenization_spaces": False,
        "add_bos_token": theirs.add_bos,
        **theirs.named_tokens,
    }
    _write(folder / "tokenizer_config.json", config)
    _write(folder / "generation_config.json", _generation(metadata, theirs))
    _write_templates(folder, theirs.chat_templates)
    require_same(theirs, Tokenizer.from_folder(folder), str(folder / "tokenizer.json"))


def _write_templates(folder: Path, templates: Mapping[str, str]) -> None:
    for name, source in templates.items():
        if name == DEFAULT:
            (folder / "chat_template.jinja").write_text(source, encoding="utf-8")
            continue
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
            raise UnsupportedError(
                "a chat template's name cannot be the name of a file", where="tokenizer.chat_template", found=repr(name)
            )
        (folder / "additional_chat_templates").mkdir(exist_ok=True)
        (folder / "additional_chat_templates" / f"{name}.jinja").write_text(source, encoding="utf-8")


def _byte_level(metadata: Mapping[str, Any]) -> Library:
    kind = pre_kind(metadata.get("tokenizer.ggml.pre"))
    merges = [tuple(line.split()) for line in metadata["tokenizer.ggml.merges"]]
    library = Library(models.BPE(_vocab(metadata), merges, ignore_merges=kind.ignore_merges))
    library.pre_tokenizer = pre_tokenizer(kind)
    if (form := normalizer(kind)) is not None:
        library.normalizer = form
    library.decoder = decoders.ByteLevel()
    return library


def _by_lines(metadata: Mapping[str, Any]) -> Library:
    library: Library = line_library(_vocab(metadata), metadata["tokenizer.ggml.merges"], _unknown(metadata))
    library.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    return library


def _unknown(metadata: Mapping[str, Any]) -> str | None:
    pairs = zip(metadata["tokenizer.ggml.tokens"], _types(metadata), strict=True)
    return next((token for token, type_ in pairs if type_ == UNKNOWN), None)


def _sentencepiece(metadata: Mapping[str, Any], theirs: Tokenizer) -> Library:
    library = Library(
        models.BPE(
            _vocab(metadata),
            _scored_merges(metadata),
            unk_token=_unknown(metadata),
            fuse_unk=True,
            byte_fallback=BYTE in _types(metadata),
        )
    )
    spaces = [normalizers.Replace(" ", SPACE)]
    library.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), *spaces] if theirs.strips_space else spaces)
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    library.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if theirs.strips_space else steps)
    return library


def _vocab(metadata: Mapping[str, Any]) -> dict[str, int]:
    """Token to id, without padding."""
    pairs = zip(metadata["tokenizer.ggml.tokens"], _types(metadata), strict=True)
    return {token: id for id, (token, type_) in enumerate(pairs) if type_ != UNUSED}


def _types(metadata: Mapping[str, Any]) -> list[int]:
    types = metadata.get("tokenizer.ggml.token_type")
    return [1] * len(metadata["tokenizer.ggml.tokens"]) if types is None else np.asarray(types).tolist()


def _scored_merges(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every pair of tokens that makes a token, in the order in which SentencePiece prefers what they make."""
    not_text = (CONTROL, UNKNOWN, BYTE, USER_DEFINED, UNUSED)
    scores = np.asarray(metadata["tokenizer.ggml.scores"]).tolist()
    triples = zip(metadata["tokenizer.ggml.tokens"], scores, _types(metadata), strict=True)
    scored = {token: (-score, id) for id, (token, score, type_) in enumerate(triples) if type_ not in not_text}
    merges = []
    for token in sorted(scored, key=scored.__getitem__):
        pairs = [(token[:cut], token[cut:]) for cut in range(1, len(token))]
        merges += [pair for pair in pairs if pair[0] in scored and pair[1] in scored]
    return merges


def _add_tokens(library: Library, theirs: Tokenizer) -> None:
    special = set(theirs.special_tokens.values())
    for token, id in sorted(theirs.added_tokens.items(), key=lambda pair: pair[1]):
        added = AddedToken(token, special=id in special, normalized=False)
        (library.add_special_tokens if id in special else library.add_tokens)([added])


def _generation(metadata: Mapping[str, Any], theirs: Tokenizer) -> dict[str, Any]:
    ends = sorted(theirs.eos_ids)
    config: dict[str, Any] = {"eos_token_id": ends if len(ends) > 1 else ends[0]} if ends else {}
    if (never := metadata.get("tokenizer.ggml.suppress_tokens")) is not None:
        if not isinstance(never, np.ndarray) or never.dtype.kind not in "iu":
            where = "tokenizer.ggml.suppress_tokens"
            raise TextError("a tokenizer entry has the wrong type", where=where, found=f"{str(never)[:60]}, no ids")
        config["suppress_tokens"] = never.tolist()
    return config | ({} if theirs.bos_id is None else {"bos_token_id": theirs.bos_id})


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
