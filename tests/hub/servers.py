"""Small local servers that misbehave on purpose, and one that speaks enough of the Hugging Face hub's protocol."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LATER = "f" * 40
"""Where main stands, and where it stands once it has moved."""

WEIGHTS = bytes(range(251)) * 400
FOLDER = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}",
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"a pickle",
    "README.md": b"# hello",
}
"""A repository's files: a model, and what is none."""


@dataclass
class Behaviour:
    """What a file server does wrong, and what it has been asked."""

    body: bytes
    cut_after: list[int] = field(default_factory=list)
    """Bytes after which each of the first answers breaks off."""
    ignore_range: bool = False
    status: list[int] = field(default_factory=list)
    """Statuses of the first answers, before it behaves."""
    announce: int | None = None
    """A Content-Length other than the truth."""
    no_length: bool = False
    silence_s: float = 0.0
    etags: list[str] = field(default_factory=list)
    """ETag of each of the first answers; no header after that."""
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of refusals."""
    requests: list[str | None] = field(default_factory=list)
    """The Range header of each request."""


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def file_server(behaviour: Behaviour) -> contextlib.AbstractContextManager[str]:
    class Handler(Quiet):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            behaviour.requests.append(wanted)
            time.sleep(behaviour.silence_s)
            if behaviour.status:
                self.send_response(behaviour.status.pop(0))
                for name, value in {"Content-Length": "0", **behaviour.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                return
            body, start = behaviour.body, 0
            if wanted is not None and not behaviour.ignore_range:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            rest = body[start:]
            if behaviour.etags:
                self.send_header("ETag", behaviour.etags.pop(0))
            if not behaviour.no_length:
                self.send_header("Content-Length", str(behaviour.announce or len(rest)))
            self.end_headers()
            cut = behaviour.cut_after.pop(0) if behaviour.cut_after else len(rest)
            with contextlib.suppress(OSError):
                self.wfile.write(rest[:cut])
            self.close_connection = True

    return serving(Handler)


@dataclass
class Hub:
    """A repository on a pretended hub."""

    files: dict[str, bytes]
    lfs: set[str] = field(default_factory=set)
    status: int = 200
    error_code: str | None = None
    broken: set[str] = field(default_factory=set)
    """Files that are served with other bytes than the hub lists."""
    commit: str = COMMIT
    """Where main stands."""
    page: int = 1000
    """Files on a page of the listing."""
    cdn: str | None = None
    """Address that files are served from; None: this server's own."""
    cut_after: list[int] = field(default_factory=list)
    """Bytes after which each of the first files breaks off."""
    first: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Statuses and headers of the first answers, before it behaves."""
    answers: dict[str, Any] = field(default_factory=dict)
    """What is answered on a path instead of the truth: bytes, or something to write as JSON."""
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of every answer, beside its own."""
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and Authorization of each request."""
    ranges: list[str | None] = field(default_factory=list)
    """The Range header of each request for a file."""


def hub_server(hub: Hub) -> contextlib.AbstractContextManager[str]:
    class Handler(Quiet):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            hub.seen.append((self.command, path, self.headers.get("Authorization")))
            if hub.first:
                status, headers = hub.first.pop(0)
                return self._send(status, b"{}", headers)
            if hub.status != 200:
                return self._send(hub.status, b"{}", {"X-Error-Code": hub.error_code or ""})
            if path in hub.answers:
                answer = hub.answers[path]
                return self._send(200, answer if isinstance(answer, bytes) else json.dumps(answer).encode(), {})
            if path.startswith("/api/models/acme/tiny/tree/"):
                return self._tree(path, query)
            if path.startswith("/api/models/acme/tiny"):
                revision = path.partition("/revision/")[2]
                if revision not in ("", "main", "v1", hub.commit):
                    return self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
                return self._send(200, json.dumps({"id": "acme/tiny", "sha": hub.commit}).encode(), {})
            return self._file(urllib.parse.unquote(path.removeprefix(f"/acme/tiny/resolve/{hub.commit}/")))

        def _tree(self, path: str, query: str) -> None:
            start = int(dict(urllib.parse.parse_qsl(query)).get("cursor", 0))
            names = list(hub.files)[start : start + hub.page]
            headers = {}
            if start + hub.page < len(hub.files):
                headers["Link"] = f'<{path}?recursive=true&cursor={start + hub.page}>; rel="next"'
            self._send(200, json.dumps([listed(hub, name) for name in names]).encode(), headers)

        def _file(self, name: str) -> None:
            hub.ranges.append(self.headers.get("Range"))
            if name not in hub.files:
                return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            if hub.cdn is not None:
                signed = f"{hub.cdn}/{urllib.parse.quote(name)}?Signature=s3cret"
                return self._send(302, b"", {"Location": signed, "X-Linked-Size": str(len(hub.files[name]))})
            body = bytes(reversed(hub.files[name])) if name in hub.broken else hub.files[name]
            headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": hub.commit}
            start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            cut = hub.cut_after.pop(0) if hub.cut_after else None
            self._send(206 if start else 200, body[start:], headers, cut)

        def _send(self, status: int, data: bytes, headers: dict[str, str], cut: int | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers, **hub.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(data[:cut])
            self.close_connection = True

    return serving(Handler)


def listed(hub: Hub, name: str) -> dict[str, Any]:
    """A file as the hub lists it; a folder where the name ends in a slash."""
    if name.endswith("/"):
        return {"type": "directory", "oid": "0" * 40, "size": 0, "path": name.removesuffix("/")}
    data = hub.files[name]
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    entry: dict[str, Any] = {"type": "file", "oid": blob, "size": len(data), "path": name}
    if name in hub.lfs:
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return entry
