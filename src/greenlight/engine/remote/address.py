"""Where is an endpoint, and which key opens it? An address holds no secret; keys come from the environment alone."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from greenlight.errors import UsageError

KEY_VARIABLE = "GREENLIGHT_API_KEY"
"""Environment variable with the key; with the host behind it (`GREENLIGHT_API_KEY_API_EXAMPLE_COM`) for that one."""


@dataclass(frozen=True, slots=True)
class Address:
    """The base address of an OpenAI-compatible API, such as http://localhost:8000/v1."""

    url: str
    """Scheme, host, port and path; no user, no password, no query."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address.

        Raises:
            UsageError: it is malformed, or holds a secret; the message repeats none.
        """
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise _malformed(str(error)) from error
        if parts.scheme not in ("http", "https") or not host or re.search(r"\s|[\x00-\x1f]", text):
            raise _malformed("no http:// or https:// with a host")
        if parts.username is not None or parts.password is not None or parts.query:
            # What is in an address ends up in locks, reports and shell histories.
            raise UsageError(
                "an endpoint's address holds a user, a password or a query",
                where=f"{parts.scheme}://{host}",
                do=f"leave it out; a key belongs into the environment variable {KEY_VARIABLE}",
            )
        shown = f"[{host}]" if ":" in host else host
        return cls(f"{parts.scheme}://{shown}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}")

    @property
    def host(self) -> str:
        """Its host."""
        return str(urlsplit(self.url).hostname)

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")

    @property
    def key_variables(self) -> tuple[str, str]:
        """Where its key is looked for: under its own host's name, then under the one for all."""
        return f"{KEY_VARIABLE}_{re.sub(r'[^A-Z0-9]', '_', self.host.upper())}", KEY_VARIABLE

    def key(self) -> str | None:
        """The key, read when it is sent; None where the environment has none.

        Raises:
            UsageError: what is there cannot be sent in a header; the message does not repeat it.
        """
        for name in self.key_variables:
            if value := os.environ.get(name, "").strip():
                if not re.fullmatch(r"[\x21-\x7e]{1,4096}", value):
                    raise UsageError("a key holds characters that no key has", where=name, do="set the key alone")
                return value
        return None


def _malformed(found: str) -> UsageError:
    return UsageError("this is no address of an endpoint", found=found, do="write http://host:port/v1#model")
