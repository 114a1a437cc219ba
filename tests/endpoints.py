"""A small local endpoint that speaks the chat API by a script, and misbehaves where it is told to."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[[Mapping[str, Any]], str]
"""What is asked, as it was sent, to the text of the answer."""


@dataclass
class Raw:
    """A reply as it goes out, whatever it is."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    endless: bool = False
    """Send the body again and again until nobody listens."""
    silent: threading.Event | None = None
    """Say nothing until this is set."""
    hang_up: bool = False
    """Close the connection without a word."""


@dataclass
class Endpoint:
    """What an endpoint does, and what it was asked."""

    script: Script
    model: str = "scripted"
    answers_as: str | None = None
    """What answers say gave them; None for the model's name."""
    listed: list[dict[str, Any]] | None = None
    """What /models lists; None for the one model."""
    fingerprint: str | None = "fp_1"
    faults: list[Raw] = field(default_factory=list)
    """What comes instead of the next answers, in this order."""
    dead_after: int | None = None
    """Answers after which it hangs up on everything."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def refusal(self, body: Mapping[str, Any]) -> Raw | None:
        """What comes instead of an answer to this; nothing where it is answered."""
        return None

    def answer(self, path: str, body: Mapping[str, Any]) -> bytes:
        text = self.script(body)
        value = {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": self.answers_as or self.model,
            "system_fingerprint": self.fingerprint,
            "choices": [completion(text) if path.endswith("/completions") and "prompt" in body else chat(text)],
            "usage": {"prompt_tokens": 7, "completion_tokens": len(text.split()), "total_tokens": 9},
        }
        return json.dumps(value).encode()


def chat(text: str, finish: str = "stop") -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}


def completion(text: str, finish: str = "stop") -> dict[str, Any]:
    return {"index": 0, "text": text, "finish_reason": finish}


@contextlib.contextmanager
def serving(endpoint: Endpoint) -> Iterator[str]:
    """The endpoint on a port of this machine; yields its base address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path != "/v1/models":
                return self._send(Raw(404, b"{}"))
            listed = endpoint.listed
            if listed is None:
                listed = [
                    {"id": endpoint.model, "object": "model", "owned_by": "tests", "created": len(endpoint.asked)}
                ]
            return self._send(Raw(200, json.dumps({"object": "list", "data": listed}).encode()))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with endpoint.guard:
                endpoint.asked.append(body)
                endpoint.keys.add(self.headers.get("Authorization"))
                dead = endpoint.dead_after is not None and len(endpoint.asked) > endpoint.dead_after
                fault = Raw(hang_up=True) if dead else endpoint.faults.pop(0) if endpoint.faults else None
            self._send(fault or endpoint.refusal(body) or Raw(200, endpoint.answer(self.path, body)))

        def _send(self, raw: Raw) -> None:
            self.close_connection = True
            if raw.hang_up:
                return
            if raw.silent is not None:
                raw.silent.wait(30)
                return
            with contextlib.suppress(OSError):
                self.send_response(raw.status)
                headers = {"Content-Type": "application/json", "Connection": "close"}
                if not raw.endless:
                    headers["Content-Length"] = str(len(raw.body))
                for name, value in (headers | dict(raw.headers)).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw.body)
                while raw.endless:
                    self.wfile.write(raw.body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
