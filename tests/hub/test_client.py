"""What is asked of a server, and of which."""

import io
import urllib.error
import urllib.request
from email.message import Message

import pytest

from greenlight.hub.client import RefusedError, ask


def test_a_redirect_to_an_unencrypted_address_is_not_followed(monkeypatch):
    asked = []

    def answer(opener, request, timeout):
        asked.append(request.full_url)
        headers = Message()
        headers["Location"] = "http://hub.example/file"
        raise urllib.error.HTTPError(request.full_url, 302, "Found", headers, io.BytesIO())

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", answer)
    with pytest.raises(RefusedError, match="unencrypted"):
        ask("https://hub.example/file", timeout_s=1.0)
    assert asked == ["https://hub.example/file"]
