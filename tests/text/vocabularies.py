"""Small hand-made vocabularies: byte-level and SentencePiece, as GGUF metadata; and a Hugging Face folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from greenlight.text.alphabet import CHAR_OF_BYTE

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
WORDS = ("th", "the", "Ġthe", "in", "ing", "Ġa", "er", "im", "end", "ĠĠ", "user", "Ċ")
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def _merges() -> list[str]:
    return ["t h", "th e", "Ġ the", "i n", "in g", "Ġ a", "e r", "i m", "e n", "en d", "Ġ Ġ", "u s", "us er"]


def byte_level(**changes: Any) -> dict[str, Any]:
    """GPT-2's kind with all 256 bytes, a few merges, three control tokens and one user-defined token."""
    tokens = [*SPECIAL, *CHAR_OF_BYTE.values()]
    tokens += [merge.replace(" ", "") for merge in _merges()]
    tokens += ["<think>"]
    types = [CONTROL] * 3 + [NORMAL] * (len(tokens) - 4) + [USER_DEFINED]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": _merges(),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": TEMPLATE,
        **changes,
    }


def with_tokens(*texts: str, type: int = CONTROL, **changes: Any) -> dict[str, Any]:
    """The byte-level vocabulary with more control tokens, or tokens of another type."""
    metadata = byte_level(**changes)
    metadata["tokenizer.ggml.tokens"] += texts
    metadata["tokenizer.ggml.token_type"] += [type] * len(texts)
    return metadata


def sentencepiece(**changes: Any) -> dict[str, Any]:
    """Llama 2's kind with byte fallback and some scored pieces."""
    scored = [
        "▁",
        "t",
        "h",
        "e",
        "a",
        "b",
        "s",
        "<",
        "/",
        ">",
        "th",
        "▁the",
        "the",
        "aa",
        "▁▁",
        "▁a",
        "</s",
        "s>",
        "<s",
    ]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *scored]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * len(scored),
        "tokenizer.ggml.scores": [0.0] * 259 + [-1e6] * 10 + [-float(n) for n in range(len(scored) - 10)],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        **changes,
    }


def by_lines(**changes: Any) -> dict[str, Any]:
    """Gemma 4's kind: merges of whole lines with a mark for spaces, line breaks, byte fallback."""
    merges = ["t h", "th e", "a a", "▁ ▁", "e ▁", "▁ the", "e▁ the", "▁ a", "\n \n", "\n\n \n"]
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += ["▁", "t", "h", "e", "a", "\n", *(merge.replace(" ", "") for merge in merges)]
    n_normal = len(tokens) - 260
    tokens += ["<turn|>", "<|tool_response>", "<|channel>", "</s>"]
    return {
        "tokenizer.ggml.model": "gemma4",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [CONTROL, NORMAL, CONTROL, UNKNOWN]
        + [BYTE] * 256
        + [NORMAL] * n_normal
        + [CONTROL, USER_DEFINED, USER_DEFINED, USER_DEFINED],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.unknown_token_id": 3,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.add_bos_token": True,
        **changes,
    }


def added(id: int, text: str, *, special: bool = True, **flags: bool) -> dict[str, Any]:
    """One entry of tokenizer.json's added_tokens."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": id, "content": text, "special": special, **plain, **flags}


def folder(path: Path, **changes: Any) -> Path:
    """The byte-level vocabulary as a Hugging Face folder; changes go into tokenizer.json."""
    metadata = byte_level()
    tokens = metadata["tokenizer.ggml.tokens"]
    state = {
        "version": "1.0",
        "added_tokens": [
            *(added(id, text) for id, text in enumerate(SPECIAL)),
            added(len(tokens) - 1, "<think>", special=False),
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "vocab": {token: id for id, token in enumerate(tokens)},
            "merges": metadata["tokenizer.ggml.merges"],
        },
        **changes,
    }
    path.mkdir(exist_ok=True)
    (path / "tokenizer.json").write_text(json.dumps(state), encoding="utf-8")
    config = {"bos_token": "<|im_start|>", "eos_token": {"content": "<|im_end|>"}, "chat_template": TEMPLATE}
    (path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return path
