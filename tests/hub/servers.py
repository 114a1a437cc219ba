"""Small local servers that misbehave on purpose, and one that speaks enough of the Hugging Face hub's protocol."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


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
                self.send_error(behaviour.status.pop(0))
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
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and Authorization of each request."""


def hub_server(hub: Hub) -> contextlib.AbstractContextManager[str]:
    class Handler(Quiet):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            path = self.path.split("?")[0]
            hub.seen.append((self.command, path, self.headers.get("Authorization")))
            if hub.status != 200:
                return self._send(hub.status, b"{}", body, {"X-Error-Code": hub.error_code or ""})
            if path.startswith("/api/models/acme/tiny"):
                revision = path.partition("/revision/")[2]
                if revision not in ("", "main", "v1", COMMIT):
                    return self._send(404, b"{}", body, {"X-Error-Code": "RevisionNotFound"})
                return self._send(200, json.dumps(self._info()).encode(), body, {"Content-Type": "application/json"})
            name = path.removeprefix(f"/acme/tiny/resolve/{COMMIT}/")
            if name not in hub.files:
                return self._send(404, b"", body, {"X-Error-Code": "EntryNotFound"})
            data = hub.files[name]
            etag = hashlib.sha256(data).hexdigest() if name in hub.lfs else hashlib.sha1(data).hexdigest()
            if name in hub.broken:
                data = bytes(reversed(data))
            headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "X-Linked-Size": str(len(data))}
            return self._send(200, data, body, headers)

        def _info(self) -> dict[str, object]:
            siblings = []
            for name, data in hub.files.items():
                entry: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": "0" * 40}
                if name in hub.lfs:
                    digest = hashlib.sha256(data).hexdigest()
                    entry["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 130}
                siblings.append(entry)
            return {"id": "acme/tiny", "modelId": "acme/tiny", "sha": COMMIT, "siblings": siblings, "tags": []}

        def _send(self, status: int, data: bytes, body: bool, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

    return serving(Handler)
