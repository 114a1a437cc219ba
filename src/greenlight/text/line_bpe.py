"""How is text read by merges that know no words? By lines, with a mark for spaces and bytes for what has no token.

GGUF files of Gemma 4 say their tokenizer's merges (`tokenizer.ggml.model` is gemma4), where those of Gemma 1 to 3 have
scores. Lines and what separates them are read apart, and breaks that have a token are taken whole, as
ggml-org/llama.cpp does it (src/llama-vocab.cpp).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from greenlight.text.sentencepiece import SPACE

STEERING = frozenset(
    ("<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>')
)
"""Special tokens of Gemma 4 that GGUF files call user-defined, so that whoever reads replies is shown them
(ggml-org/llama.cpp, conversion/gemma.py)."""

_LINES = re.compile(r"\n+|[^\n]+")


class LineBpe:
    """Encodes one stretch of ordinary text.

    Args:
        library: what merges.
        breaks: id of each run of line breaks that is a token.
    """

    def __init__(self, library: Tokenizer, breaks: Mapping[str, int]) -> None:
        self._library, self._breaks = library, breaks

    def __call__(self, text: str) -> Sequence[int]:
        """Token ids of a text, no special token among them."""
        ids: list[int] = []
        for part in _LINES.findall(text):
            whole = self._breaks.get(part)
            ids += self._library.encode(part, add_special_tokens=False).ids if whole is None else [whole]
        return ids


def line_library(vocab: Mapping[str, int], lines: Sequence[str], unknown: str | None = None) -> Any:
    """The library's pipeline of such a vocabulary.

    Args:
        vocab: token to id.
        lines: the merges, as GGUF has them: two tokens and a space between.
        unknown: the token of what no token and no byte spells.

    Raises:
        Exception: of whatever kind the library has for merges that do not fit the tokens.
    """
    merges = [_pair(line) for line in lines]
    library = Tokenizer(models.BPE(dict(vocab), merges, byte_fallback=True, unk_token=unknown, fuse_unk=True))
    library.normalizer = normalizers.Replace(" ", SPACE)
    library.pre_tokenizer = pre_tokenizers.Split(Regex(r"\n+|[^\n]+"), "isolated")
    return library


def _pair(line: str) -> tuple[str, str]:
    """The two tokens of a merge: the first may begin with a space, and neither has another."""
    cut = line.find(" ", 1)
    if cut < 0:
        raise ValueError(f"{line[:40]!r} is no pair")
    return line[:cut], line[cut + 1 :]
