"""How does byte-level BPE write bytes as characters? The alphabet of GPT-2 (Radford et al. 2019), shared by its heirs.

Printable Latin-1 characters stand for themselves; each other byte is given the next free character from U+0100 on.
"""

from __future__ import annotations

_PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_OTHERS = tuple(byte for byte in range(256) if byte not in set(_PRINTABLE))

CHAR_OF_BYTE: dict[int, str] = {
    **{byte: chr(byte) for byte in _PRINTABLE},
    **{byte: chr(0x100 + n) for n, byte in enumerate(_OTHERS)},
}
"""Each byte's character."""

BYTE_OF_CHAR: dict[str, int] = {char: byte for byte, char in CHAR_OF_BYTE.items()}
"""Each character's byte."""


def to_bytes(piece: str) -> bytes:
    """The bytes of a vocabulary entry; characters outside the alphabet (added tokens have them) are UTF-8."""
    try:
        return bytes([BYTE_OF_CHAR[char] for char in piece])
    except KeyError:
        return piece.encode("utf-8", "surrogatepass")
