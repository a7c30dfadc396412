"""What a model hub, or a mirror of one, says over HTTP: which files a model has, and the bytes of each.

The default address comes from huggingface_hub, which faster-whisper brings along (so its HF_ENDPOINT names
a mirror). Its own download does neither of what is promised here: in 2.4, by its source, a file cut off is
begun anew by the next run, and contents are compared by length alone. So this asks and reads by itself, with
nothing but the standard library, and sends no account's token anywhere.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO, Any, Final
from urllib.parse import urlsplit, urlunsplit

from vcam_talker import __version__
from vcam_talker.asr.models import NEEDED, OPTIONAL, VOCABULARIES, FileRecord
from vcam_talker.core.errors import BadInputError, EngineError, SourceError
from vcam_talker.core.extras import how_to_install
from vcam_talker.core.trust import default_trust

_TIMEOUT_S: Final = 15.0
"""Without a single byte."""
_MAX_LISTING_BYTES: Final = 8_000_000
_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_HEX: Final = {"sha256": re.compile(r"[0-9a-f]{64}"), "git-sha1": re.compile(r"[0-9a-f]{40}")}
_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")


class BusyError(SourceError):
    """The hub can't answer now; it may a little later."""

    def __init__(self, what: str, why: str, remedy: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(what, why, remedy)
        self.retry_after_s = retry_after_s


class UnreachableError(BusyError):
    """No connection came about."""


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model as a hub lists it."""

    repository: str
    revision: str
    """The commit that all files are taken from."""
    files: tuple[FileRecord, ...]

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(f.size for f in self.files)


class Hub:
    """One hub or mirror. Every call blocks; nothing is kept open between them."""

    def __init__(self, address: str = "", timeout_s: float = _TIMEOUT_S) -> None:
        """Use the hub at `address` (`https://host[:port][/path]`), else the one huggingface_hub is set to.

        Raises BadInputError for what is no HTTP address, EngineError when huggingface_hub is not installed.
        """
        self.address = _address(address or _default_address())
        self._timeout_s = timeout_s
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=default_trust()), _NoDowngrade()
        )

    @property
    def shown(self) -> str:
        """The address without a user's name or password in it."""
        parts = urlsplit(self.address)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    def look_up(self, repository: str) -> HubModel:
        """Return what the hub has of a repository (`owner/name`), the files that faster-whisper needs alone.

        Raises SourceError (not reachable, refuses), EngineError (not such a model, nonsense).
        """
        url = f"{self.address}/api/models/{repository}/revision/main?blobs=true"
        what = f"the list of files of {repository}"
        with self._open(url, {}) as response:
            text = self._read(response, what)
        if len(text) > _MAX_LISTING_BYTES:
            raise EngineError(what, f"from {self.shown} is longer than {_MAX_LISTING_BYTES:,} bytes")
        try:
            listing: Any = json.loads(text)
            revision = str(listing["sha"])
            files = tuple(_record(entry) for entry in listing["siblings"] if _is_wanted(entry["rfilename"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            kind = "a web page" if text.lstrip()[:1] == b"<" else "something else"
            raise EngineError(
                what, f"was asked of {self.shown}, which sent {kind}", "Check the address of hub or mirror"
            ) from None
        if _COMMIT.fullmatch(revision) is None:
            raise EngineError(what, f"from {self.shown} names no commit")
        names = {f.name for f in files}
        missing = [n for n in NEEDED if n not in names] + (
            [] if names & {*VOCABULARIES} else [VOCABULARIES[0]]
        )
        if missing:
            raise EngineError(
                f"repository {repository}",
                f"has no {', no '.join(missing)} at {self.shown}",
                "It holds no model for faster-whisper",
            )
        return HubModel(repository, revision, files)

    @contextmanager
    def open(self, model: HubModel, file: FileRecord, begin: int) -> Iterator[tuple[HTTPResponse, int]]:
        """Open a file from byte `begin` on; yields (response, the byte that it really begins with).

        Raises as `look_up` does, and SourceError for an answer that can't be that file.
        """
        url = f"{self.address}/{model.repository}/resolve/{model.revision}/{file.name}"
        headers = {"Accept-Encoding": "identity"}
        if begin:
            headers["Range"] = f"bytes={begin}-"
        with self._open(url, headers) as response:
            yield response, _checked_start(response, file, begin, self.shown)

    @contextmanager
    def _open(self, url: str, headers: dict[str, str]) -> Iterator[HTTPResponse]:
        request = urllib.request.Request(  # noqa: S310 - the address is http or https
            url, headers={"User-Agent": f"vcam-talker/{__version__}", **headers}
        )
        try:
            response = self._opener.open(request, timeout=self._timeout_s)
        except urllib.error.HTTPError as e:
            e.close()
            raise self._refused(e) from None
        except (OSError, HTTPException, ValueError) as e:
            reason = getattr(e, "reason", None) or e
            why = f"can't be reached ({broken(reason)})"
            raise UnreachableError(
                self.shown, why, "Check the network, or name a mirror with --mirror"
            ) from None
        with response:
            yield response

    def _read(self, response: HTTPResponse, what: str) -> bytes:
        """Return a short body, cut at one byte more than a list may have."""
        try:
            text = response.read(_MAX_LISTING_BYTES + 1)
        except (OSError, HTTPException) as e:
            raise BusyError(self.shown, f"broke off within {what} ({broken(e)})", "Try again later") from None
        if len(text) < min(int(response.headers.get("Content-Length") or 0), _MAX_LISTING_BYTES):
            raise BusyError(self.shown, f"broke off within {what}", "Try again later")
        return text

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        path = urlsplit(error.url or "").path
        if error.code in {401, 403, 404}:
            why = f"has no {path} for everybody (HTTP {error.code})"
            return EngineError(self.shown, why, "Check the name, or the address of the mirror")
        if error.code == 416:
            return RangeError(self.shown, f"has fewer bytes of {path} than are here already")
        why = f"answers HTTP {error.code} to {path}"
        if error.code in _BUSY:
            return BusyError(self.shown, why, "Try again later", _retry_after_s(error))
        return SourceError(self.shown, why, "Try again later, or name a mirror with --mirror")


def broken(error: object) -> str:
    """Return what a connection failed of, on one short line."""
    return " ".join(str(error).split())[:120] or type(error).__name__


class RangeError(SourceError):
    """The hub's file ends before the byte that was asked for."""


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, as hubs send them to where large files lie, but never from https to plain http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.type == "https" and not newurl.lower().startswith("https://"):
            raise urllib.error.URLError(f"was redirected from https to {urlsplit(newurl).scheme}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _default_address() -> str:
    try:
        from huggingface_hub import constants
    except ImportError as e:
        raise EngineError("huggingface_hub", f"can't be imported ({e})", how_to_install("asr")) from None
    return str(constants.ENDPOINT)


def _address(text: str) -> str:
    parts = urlsplit(text.strip())
    try:
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or any(c.isspace() for c in text.strip()):
        raise BadInputError(
            f"address '{text[:80]}'", "is no address of a hub", "Write it like https://mirror.example.org"
        )
    return text.strip().rstrip("/")


def _is_wanted(name: object) -> bool:
    return name in {*NEEDED, *VOCABULARIES, *OPTIONAL}


def _record(entry: dict[str, Any]) -> FileRecord:
    """Return a file of the listing; large ones carry their SHA-256, small ones the hash that git gives."""
    lfs = entry.get("lfs")
    kind, digest = ("sha256", str(lfs["sha256"])) if lfs else ("git-sha1", str(entry["blobId"]))
    size = lfs["size"] if lfs else entry["size"]
    if not isinstance(size, int) or size <= 0 or _HEX[kind].fullmatch(digest) is None:
        raise ValueError(digest)
    return FileRecord(name=str(entry["rfilename"]), size=size, digest=digest, digest_kind=kind)


def _checked_start(response: HTTPResponse, file: FileRecord, begin: int, hub: str) -> int:
    """Return the byte that the body begins with. Raises SourceError when it can't be the file's."""
    kind = response.headers.get_content_type()
    if kind in {"text/html", "application/xhtml+xml"}:
        raise SourceError(
            file.name, f"was asked of {hub}, which sent a web page", "Is there a login or a proxy in between?"
        )
    start = 0
    if response.status == 206:
        found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        start = int(found[1]) if found else -1
        if start != begin:
            raise RangeError(hub, f"sent another part of {file.name} than it was asked for")
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and start + int(length) != file.size:
        announced = start + int(length)
        raise SourceError(
            file.name,
            f"is {file.size:,} bytes long by the list of {hub}, which sends {announced:,}",
            "Try again later",
        )
    return start


def _retry_after_s(error: urllib.error.HTTPError) -> float:
    value = error.headers.get("Retry-After", "") if error.headers else ""
    return float(value) if value.isdecimal() else 0.0
