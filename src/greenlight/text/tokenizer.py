"""How does text become token ids and ids text, so that nobody's text can pose as a special token?

Two kinds of source build the same `Tokenizer`: GGUF metadata (gguf_vocabulary.py) and a Hugging Face folder
(folder_vocabulary.py). Both hand over a `Vocabulary`; everything about special tokens happens here, once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from greenlight.errors import TextError, UnsupportedError

PlainEncoder = Callable[[str], Sequence[int]]
"""Ordinary text to ids; it knows no added token."""

DEFAULT = "default"
"""Name of the chat template that a model speaks with unless another is asked for."""

_WHITESPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""Unicode's property White_Space, which Python's own `str.isspace` is wider than."""


@dataclass(frozen=True, slots=True)
class AddedToken:
    """A token that is found in the text as a whole, before anything is split."""

    text: str
    """How it is written."""

    id: int
    """Its id."""

    special: bool
    """Whether it steers the model (a turn, an end); such a token is never made from ordinary text."""

    lstrip: bool = False
    """Whether it swallows the whitespace before it."""

    rstrip: bool = False
    """Whether it swallows the whitespace after it."""

    single_word: bool = False
    """Whether it counts only between word boundaries."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What a source knows about its tokens."""

    pieces: Sequence[str | None]
    """Spelling of each id; None where an id has no token."""

    spell: Callable[[str], bytes]
    """Bytes of an ordinary piece's spelling."""

    added: Sequence[AddedToken]
    """Special and user-defined tokens."""

    first: PlainEncoder
    """Encodes ordinary text at the start."""

    later: PlainEncoder
    """Encodes ordinary text after an added token; the same as `first` where the start is not special."""

    strips_space: bool
    """Whether encoding puts a space before the text, which decoding takes away again."""

    unk_id: int | None
    """What a character that no token spells becomes; None where such a character is dropped."""

    bos_id: int | None
    """Beginning of sequence."""

    eos_ids: frozenset[int]
    """Every token that ends a turn or a sequence."""

    add_bos: bool
    """Whether a plain text begins with `bos_id`."""

    named: Mapping[str, str]
    """Special tokens by the names that chat templates use, such as `eos_token`."""

    chat_templates: Mapping[str, str] = field(default_factory=dict)
    """Sources of the chat templates by name; the usual one is called `default`."""


class Tokenizer:
    """Encodes and decodes with one vocabulary; use `from_gguf` or `from_folder`."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._first, self._later = vocabulary.first, vocabulary.later
        self._special = {token.text: token for token in vocabulary.added if token.special}
        self._ordinary = {token.text: token for token in vocabulary.added if not token.special}
        self._find_special, self._find_ordinary = _finder(self._special), _finder(self._ordinary)
        self._added = {token.id: token for token in vocabulary.added}
        self.special_ids = frozenset(token.id for token in self._special.values())
        """Ids that ordinary text never gets, save the one for unknown characters."""
        self._forbidden = self.special_ids - {vocabulary.unk_id}

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, Any]) -> Tokenizer:
        """Build from the metadata of a GGUF file.

        Raises:
            UnsupportedError: a kind of tokenizer, or of splitting, that this version cannot do exactly.
            TextError: entries that contradict each other or are missing.
        """
        from greenlight.text.gguf_vocabulary import gguf_vocabulary

        return cls(gguf_vocabulary(metadata))

    @classmethod
    def from_folder(cls, path: str | Path) -> Tokenizer:
        """Build from a Hugging Face folder: tokenizer.json, and the settings beside it where they are there.

        Raises:
            UnsupportedError: a kind of tokenizer that this version cannot do exactly.
            TextError: no tokenizer.json, one that cannot be read, or settings of the wrong type.
            FormatError: a file beside it that is not a JSON object.
        """
        from greenlight.text.folder_vocabulary import folder_vocabulary

        return cls(folder_vocabulary(Path(path)))

    @property
    def vocab_size(self) -> int:
        """Number of ids; a model's embedding may have more rows, which stand for nothing."""
        return len(self._vocabulary.pieces)

    def check_fits(self, n_rows: int, where: str) -> None:
        """Refuse a vocabulary whose tokens of ordinary text, beginning or ends lie beyond a model's embedding.

        Special tokens beyond it are let pass, since released models have some (for images, in models of text alone):
        the engine refuses them where they are used.

        Args:
            n_rows: of the embedding.
            where: the model's file or folder.

        Raises:
            TextError: naming the first such token.
        """
        needed = {*self.eos_ids, *([] if self.bos_id is None else [self.bos_id])}
        for id in range(n_rows, self.vocab_size):
            piece = self._vocabulary.pieces[id]
            if piece is not None and (id in needed or id not in self.special_ids):
                raise TextError(
                    "the tokenizer is larger than the model's embedding",
                    where=where,
                    found=f"token {id} ({piece!r}), the embedding has {n_rows} rows",
                    do="take the tokenizer that belongs to these weights",
                )

    @property
    def bos_id(self) -> int | None:
        """Beginning of sequence, where the vocabulary has one."""
        return self._vocabulary.bos_id

    @property
    def eos_ids(self) -> frozenset[int]:
        """Every id after which generation stops: ends of turns, of messages and of sequences."""
        return self._vocabulary.eos_ids

    @property
    def add_bos(self) -> bool:
        """Whether a plain text begins with `bos_id`; chat templates write theirs themselves."""
        return self._vocabulary.add_bos

    @property
    def special_tokens(self) -> dict[str, int]:
        """Text to id of every special token."""
        return {text: token.id for text, token in self._special.items()}

    @property
    def added_tokens(self) -> dict[str, int]:
        """Text to id of every special and user-defined token."""
        return {token.text: id for id, token in self._added.items()}

    @property
    def named_tokens(self) -> dict[str, str]:
        """What templates call `bos_token`, `eos_token`, `unk_token`, `pad_token`, where they exist."""
        return dict(self._vocabulary.named)

    @property
    def chat_template(self) -> str | None:
        """Source of the model's chat template, where it ships one: of several, the one named `default`."""
        return self._vocabulary.chat_templates.get(DEFAULT)

    @property
    def chat_templates(self) -> dict[str, str]:
        """Sources of all its chat templates by name, such as `default` and `tool_use`."""
        return dict(self._vocabulary.chat_templates)

    @property
    def strips_space(self) -> bool:
        """Whether decoding takes away the space that encoding puts before a text."""
        return self._vocabulary.strips_space

    @cached_property
    def missing_bytes(self) -> frozenset[int]:
        """Bytes that no token spells: encoding drops them, as every implementation does with such a vocabulary.

        Bytes that UTF-8 never uses do not count.
        """
        spelled = {
            self.token_bytes(id) for id, piece in enumerate(self._vocabulary.pieces) if piece and id not in self._added
        }
        in_utf8 = {*range(0xC0), *range(0xC2, 0xF5)}
        return frozenset(byte for byte in in_utf8 if bytes([byte]) not in spelled)

    def encode(self, text: str, *, special: bool = False, bos: bool = False) -> list[int]:
        """Token ids of a text.

        Args:
            text: what to encode.
            special: whether spellings of special tokens in the text become those tokens. False, the default, is for
                text that somebody else wrote: whatever it looks like, it becomes ordinary tokens.
            bos: whether the beginning-of-sequence token goes in front, if this vocabulary adds one and it is not
                already there.

        Raises:
            TextError: the text holds lone surrogates, so is not Unicode text.
        """
        ids = self._encode_special(text) if special else self._encode_ordinary(text, at_start=True)
        return (
            [self.bos_id, *ids]
            if bos and self.add_bos and self.bos_id is not None and ids[:1] != [self.bos_id]
            else ids
        )

    def encode_guarded(self, text: str, guarded: Mapping[str, str]) -> list[int]:
        """Token ids of a text in which special spellings count, save those that stand-in characters hide.

        Args:
            text: what to encode.
            guarded: stand-in character to what it stands for, which is encoded as ordinary text in its place.
        """
        return self._encode_special(text, str.maketrans(dict(guarded)))

    def _encode_special(self, text: str, restore: Mapping[int, str] | None = None) -> list[int]:
        ids: list[int] = []
        position = 0
        for start, end, token in _occurrences(text, self._find_special, self._special):
            ordinary = text[position:start]
            ids += self._encode_ordinary(ordinary.translate(restore) if restore else ordinary, at_start=position == 0)
            ids.append(token.id)
            position = end
        rest = text[position:]
        return ids + self._encode_ordinary(rest.translate(restore) if restore else rest, at_start=position == 0)

    def _encode_ordinary(self, text: str, *, at_start: bool) -> list[int]:
        ids: list[int] = []
        position = 0
        for start, end, token in _occurrences(text, self._find_ordinary, self._ordinary):
            ids += self._encode_plain(text[position:start], at_start=at_start and position == 0)
            ids.append(token.id)
            position = end
        return ids + self._encode_plain(text[position:], at_start=at_start and position == 0)

    def _encode_plain(self, text: str, *, at_start: bool) -> list[int]:
        if not text:
            return []
        try:
            ids = list((self._first if at_start else self._later)(text))
        except (UnicodeEncodeError, TypeError) as error:
            raise TextError("a text is not valid Unicode", found=str(error), do="remove lone surrogates") from error
        if not self._forbidden.isdisjoint(ids):
            token = next(self._added[id].text for id in ids if id in self._forbidden)
            raise UnsupportedError(
                "this vocabulary makes a special token out of ordinary text", where="tokenizer", found=repr(token)
            )
        return ids

    def token_bytes(self, id: int) -> bytes:
        """The bytes that a token stands for; none for an id of the embedding that has no token.

        Raises:
            TextError: a negative id.
        """
        if id < 0:
            raise TextError("a token id is negative", found=str(id))
        if id in self._added:
            return self._added[id].text.encode()
        piece = self._vocabulary.pieces[id] if id < self.vocab_size else None
        return self._vocabulary.spell(piece) if piece else b""

    def decode(self, ids: Iterable[int], *, skip_special: bool = True) -> str:
        """Text of token ids; bytes that are not UTF-8 become U+FFFD.

        Args:
            ids: tokens in order.
            skip_special: whether special tokens are left out, or written as they are spelled.
        """
        kept = (id for id in ids if not (skip_special and id in self.special_ids))
        text = b"".join(map(self.token_bytes, kept)).decode("utf-8", "replace")
        return text.removeprefix(" ") if self.strips_space else text


def _finder(tokens: Mapping[str, AddedToken]) -> re.Pattern[str] | None:
    """Finds the leftmost and, of those, the longest spelling."""
    longest_first = sorted(tokens, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def _occurrences(
    text: str, finder: re.Pattern[str] | None, tokens: Mapping[str, AddedToken]
) -> Iterable[tuple[int, int, AddedToken]]:
    """Where added tokens stand in a text: (start, end, token), with the whitespace that they swallow."""
    if finder is None:
        return
    done = 0
    for match in finder.finditer(text):
        token, start, end = tokens[match.group()], match.start(), match.end()
        if token.single_word and (_is_word(text[start - 1 : start]) or _is_word(text[end : end + 1])):
            continue
        if token.lstrip:
            start = done + len(text[done:start].rstrip(_WHITESPACE))
        if token.rstrip:
            end = len(text) - len(text[end:].lstrip(_WHITESPACE))
        yield max(start, done), end, token
        done = end


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"
