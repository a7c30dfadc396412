"""A page of somebody else's, as a web meeting is: our own may not open microphones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

FLAGS = ("--use-fake-ui-for-media-stream",)
"""Chromium's, so that it asks nobody whether the page may listen."""


@contextmanager
def meeting(folder: Path) -> Iterator[str]:
    """Yield the address of an empty page, beside which the files of `folder` are served."""
    (folder / "index.html").write_text("<!doctype html><title>meeting</title>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
