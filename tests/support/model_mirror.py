"""A mirror of a model hub on loopback, which has one small model and any fault that is asked of it."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "Systran/faster-whisper-tiny"
"""What faster-whisper calls `tiny`."""
_LARGE = 4096
"""Bytes from which a file is kept as a large one, with a SHA-256, and sent from another address."""


@dataclass
class Fault:
    """What goes wrong with a file, the first `times` times that it is asked for."""

    kind: str
    """cut, short, long, lie, html, missing, stall, corrupt, no_range, busy, wrong_range, nothing."""
    at: int = 0
    """The byte at which it happens."""
    times: int = 10**9


@dataclass
class Mirror:
    """What the server has, does wrong, and was asked."""

    files: dict[str, bytes]
    url: str = ""
    faults: dict[str, Fault] = field(default_factory=dict)
    """By file name; `listing` for the list of files."""
    listing: bytes | None = None
    """Sent in place of the true list."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """(File name, Range header) in order; listings too."""
    tokens: list[str] = field(default_factory=list)
    """Authorization headers that came."""
    stop: threading.Event = field(default_factory=threading.Event)

    def bytes_asked(self, name: str) -> list[str]:
        """The Range headers with which a file was asked for."""
        return [span for asked, span in self.asked if asked == name]

    def fault(self, name: str) -> Fault | None:
        """The fault that now applies, counted."""
        found = self.faults.get(name)
        if found is None or found.times <= 0:
            return None
        found.times -= 1
        return found

    def list_files(self) -> bytes:
        """The hub's answer to which files a model has."""
        if self.listing is not None:
            return self.listing
        return json.dumps(
            {"id": REPOSITORY, "sha": COMMIT, "siblings": [_entry(n, d) for n, d in self.files.items()]}
        ).encode()


def model_files(size: int = 200_000) -> dict[str, bytes]:
    """A model's files: true JSON, `size` bytes in place of weights, and what faster-whisper doesn't use."""
    weights = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(size // 32))
    return {
        ".gitattributes": b"* text\n",
        "README.md": b"# A model\n" * 30,
        "config.json": b'{"lang_ids": []}\n',
        "tokenizer.json": b'{"model": {}}\n',
        "vocabulary.txt": b"<|endoftext|>\n" * 20,
        "model.bin": weights,
        "../evil.bin": b"x",
    }


@contextmanager
def serving(files: dict[str, bytes] | None = None) -> Iterator[Mirror]:
    """Serve until left; connections that still hang are let go."""
    mirror = Mirror(model_files() if files is None else files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"mirror": mirror}))
    server.daemon_threads = True
    mirror.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield mirror
    finally:
        mirror.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _entry(name: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "rfilename": name,
        "size": len(data),
        "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),  # noqa: S324 - as git does
    }
    if len(data) >= _LARGE:
        entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return entry


class _Handler(BaseHTTPRequestHandler):
    mirror: Mirror
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if token := self.headers.get("Authorization"):
            self.mirror.tokens.append(token)
        path = self.path.partition("?")[0]
        if path == f"/api/models/{REPOSITORY}/revision/main":
            self.mirror.asked.append(("listing", ""))
            self._send_file("listing", self.mirror.list_files(), "application/json")
            return
        found = re.fullmatch(rf"/(?:{REPOSITORY}/resolve/{COMMIT}|cdn)/([^/]+)", path)
        data = self.mirror.files.get(found[1]) if found else None
        if data is None or found is None:
            self._send(404, b'{"error":"Repository not found"}', "application/json")
        elif len(data) >= _LARGE and not path.startswith("/cdn/"):
            self._send(302, b"", "text/plain", {"Location": f"{self.mirror.url}/cdn/{found[1]}"})
        else:
            self.mirror.asked.append((found[1], self.headers.get("Range", "")))
            self._send_file(found[1], data, "application/octet-stream")

    def _send_file(self, name: str, data: bytes, kind: str) -> None:
        fault = self.mirror.fault(name) or Fault("")
        at = fault.at
        match fault.kind:
            case "missing":
                self._send(404, b"nothing here", "text/plain")
                return
            case "html":
                self._send(200, b"<!DOCTYPE html><title>Log in</title>", "text/html; charset=utf-8")
                return
            case "busy":
                self._send(503, b"later", "text/plain", {"Retry-After": "2"})
                return
            case "corrupt":
                data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            case "long":
                data += b"more than was said"
            case "short":
                data = data[:at]
        start, status, headers = 0, 200, {}
        span = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if span and fault.kind != "no_range":
            start = int(span[1])
            if start >= len(data):
                self._send(416, b"", "text/plain")
                return
            said = start + 7 if fault.kind == "wrong_range" else start
            status, headers = 206, {"Content-Range": f"bytes {said}-{len(data) - 1}/{len(data)}"}
        body = data[start:]
        announced = len(body) + (500 if fault.kind == "lie" else 0)
        end = max(0, at - start) if fault.kind in {"cut", "stall"} else len(body)
        self._send(status, body[:end], kind, headers, announced)
        if fault.kind == "stall":
            self.mirror.stop.wait(30)
        if fault.kind in {"cut", "lie", "stall"}:
            self.close_connection = True

    def _send(
        self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None, length: int = -1
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length < 0 else length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:  # the client has had enough
            self.close_connection = True
