"""Which token opens a gated or private repository, and where may it go?"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from greenlight.errors import HubError

_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Token:
    """A secret, and the only place that may hear it."""

    value: str = field(repr=False)
    """The secret; in no message, no record, no repr."""

    origin: str
    """Scheme, host and port that it may be sent to."""

    source: str
    """Where it was found, in words."""


def find_token(origin: str) -> Token | None:
    """The user's token: HF_TOKEN, or the file that `hf auth login` writes (HF_TOKEN_PATH, HF_HOME/token).

    HF_HUB_DISABLE_IMPLICIT_TOKEN keeps the file's at home, as it does in the hub's own library.

    Raises:
        HubError: it is no token, or would travel unencrypted; the message does not show it.
    """
    value, source = os.environ.get("HF_TOKEN", "").strip(), "HF_TOKEN"
    if not value and os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").upper() not in ("1", "ON", "YES", "TRUE"):
        value, source = _from_file()
    if not value:
        return None
    if not (value.isascii() and value.isprintable() and " " not in value and len(value) <= _MAX_BYTES):
        raise HubError("the token is not one", where=source, found="signs that no token has", do="paste it again")
    host = origin.partition("://")[2].rpartition(":")[0]
    if not origin.startswith("https:") and host not in ("localhost", "127.0.0.1", "::1"):
        raise HubError(
            "the token would travel unencrypted",
            where=f"HF_ENDPOINT {origin}, token from {source}",
            do="use an https address, or take the token away",
        )
    return Token(value, origin, source)


def _from_file() -> tuple[str, str]:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    folder = Path(os.environ.get("HF_HOME") or caches / "huggingface")
    path = Path(os.environ.get("HF_TOKEN_PATH") or folder / "token").expanduser()
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES + 1).decode("ascii").strip(), str(path)
    except (OSError, UnicodeDecodeError):
        return "", ""
