"""How is text cut into words before byte-level BPE merges? One entry per name that GGUF's `tokenizer.ggml.pre` gives.

The patterns are the ones that the models were trained with, as published in their `tokenizer.json`; the names are those
of llama.cpp's converter. A name that is not here is refused: a wrong split gives plausible text and wrong tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Regex, normalizers, pre_tokenizers

from greenlight.errors import UnsupportedError

_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_TAIL = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3 = _CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _TAIL
_QWEN2 = _CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _TAIL
_HEAD, _UPPER, _LOWER = r"[^\r\n\p{L}\p{N}]?", r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_TEKKEN = rf"{_HEAD}{_UPPER}*{_LOWER}+|{_HEAD}{_UPPER}+{_LOWER}*|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*" + _TAIL
_GPT4O = (
    rf"{_HEAD}{_UPPER}*{_LOWER}+{_CONTRACTION}?|{_HEAD}{_UPPER}+{_LOWER}*{_CONTRACTION}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*"
) + _TAIL

_DEFAULT = (
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
)


@dataclass(frozen=True, slots=True)
class PreKind:
    """What one name of `tokenizer.ggml.pre` stands for."""

    patterns: tuple[str, ...] = ()
    """Splits applied one after the other."""

    gpt2: bool = False
    """Whether GPT-2's own pattern is applied last."""

    ignore_merges: bool = False
    """Whether a word that is in the vocabulary is taken whole, without merging."""

    add_bos: bool = False
    """Whether texts begin with the beginning-of-sequence token where the file does not say."""

    nfc: bool = False
    """Whether text is brought to Unicode's composed form first."""


_GPT2_KIND = PreKind(gpt2=True)
_DIGITS_KIND = PreKind(patterns=(r"\p{N}",), gpt2=True)
_LLAMA3_KIND = PreKind(patterns=(_LLAMA3,), ignore_merges=True, add_bos=True)
_LLAMA3_MERGING = PreKind(patterns=(_LLAMA3,))

PRE_KINDS: dict[str, PreKind] = {
    "default": PreKind(patterns=_DEFAULT),
    **dict.fromkeys(("gpt-2", "phi-2", "olmo", "exaone4", "modern-bert"), _GPT2_KIND),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"), _DIGITS_KIND),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"), _LLAMA3_KIND),
    **dict.fromkeys(("dbrx", "smaug-bpe"), _LLAMA3_MERGING),
    "qwen2": PreKind(patterns=(_QWEN2,), nfc=True),
    "tekken": PreKind(patterns=(_TEKKEN,), ignore_merges=True, add_bos=True),
    **dict.fromkeys(("gpt-4o", "llama4"), PreKind(patterns=(_GPT4O,))),
}
"""Name to meaning."""


def pre_kind(name: str | None) -> PreKind:
    """The meaning of a file's `tokenizer.ggml.pre`.

    Raises:
        UnsupportedError: no name, or one that this version does not know.
    """
    if name in PRE_KINDS:
        return PRE_KINDS[name]
    raise UnsupportedError(
        "this file's way of splitting text into words is unknown"
        if name
        else "this file does not say how text is split",
        where="tokenizer.ggml.pre",
        found=f"{name!r}, known: {', '.join(sorted(PRE_KINDS))}",
        do="convert the model again with a current converter, or use its Hugging Face folder with tokenizer.json",
    )


def pre_tokenizer(kind: PreKind) -> pre_tokenizers.PreTokenizer:
    """The splits of a kind, ending in GPT-2's byte alphabet."""
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in kind.patterns]
    return pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind.gpt2)])


def normalizer(kind: PreKind) -> normalizers.Normalizer | None:
    """What is done to text before it is split."""
    return normalizers.NFC() if kind.nfc else None
