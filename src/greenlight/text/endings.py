"""Which tokens end a turn or a sequence? Those that the file names, and those that are known by their spelling.

Files often name one end only (of the sequence, not of the turn), and generation would run on. The spellings are the
ones that llama.cpp stops at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

END_TEXTS = frozenset(
    {
        "<|endoftext|>",
        "<|end_of_text|>",
        "<|im_end|>",
        "<|eot_id|>",
        "<|eom_id|>",
        "<|end|>",
        "<|return|>",
        "<|call|>",
        "<end_of_turn>",
        "<turn|>",
        "<|tool_response>",
        "<end_of_utterance>",
        "<eos>",
        "</s>",
        "<EOT>",
        "<｜end▁of▁sentence｜>",
    }
)
"""Spellings that end a turn or a sequence wherever they are in a vocabulary."""


def end_ids(added: Mapping[str, int], named: Iterable[int]) -> frozenset[int]:
    """Ids after which generation stops.

    Args:
        added: text to id of the vocabulary's added tokens.
        named: ends that the model's files name.
    """
    ends = {*named, *(id for text, id in added.items() if text in END_TEXTS)}
    if {"<|return|>", "<|call|>", "<|end|>"} <= added.keys():
        # In harmony <|end|> closes one message of several; <|return|> and <|call|> end the turn.
        ends.discard(added["<|end|>"])
    if "<|tool_response>" in added:
        ends.discard(added.get("</s>", -1))  # Gemma 4's, which is a tag of HTML there
    return frozenset(ends)
