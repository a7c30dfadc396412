"""The page's files, read once: what is served is what lies in the package, nothing by path."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

_PAGE = Path(__file__).resolve().parent / "page"
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the page."""

    body: bytes
    media_type: str
    etag: str


def load_assets(directory: Path = _PAGE) -> dict[str, Asset]:
    """Return the page's files by name."""
    found: dict[str, Asset] = {}
    for path in sorted(directory.iterdir()):
        if path.suffix in _MEDIA_TYPES:
            body = path.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
            found[path.name] = Asset(body, _MEDIA_TYPES[path.suffix], etag)
    return found
