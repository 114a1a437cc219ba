"""How does whoever waits learn how far a transfer is?"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told how far a transfer is; called often, so it should return at once."""

    def __call__(self, done_bytes: int, total_bytes: int | None) -> None:
        """So many bytes have come, of so many; None while nobody knows the total."""
