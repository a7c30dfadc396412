"""The control API as the command line uses it: standard library only, so that a verb starts fast."""

from __future__ import annotations

import json
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from vcam_talker.control.address import Address, read_address
from vcam_talker.core.errors import (
    AlreadyRunningError,
    BadInputError,
    ConfigError,
    DeviceError,
    EngineError,
    NotRunningError,
    PersonaError,
    QueueFullError,
    VcamTalkerError,
)
from vcam_talker.core.status import PersonaSummary, TurnReceipt

MAX_BODY_BYTES = 64 * 1024
"""The API refuses larger requests."""

_ERRORS: dict[str, type[VcamTalkerError]] = {
    "queue_full": QueueFullError,
    "unknown_persona": PersonaError,
    "unusable_persona": PersonaError,
    "config": ConfigError,
    "unauthorized": ConfigError,
    "forbidden_host": ConfigError,
    "forbidden_origin": ConfigError,
    "device": DeviceError,
    "engine": EngineError,
    "not_running": NotRunningError,
    "already_running": AlreadyRunningError,
}
"""`error.code` -> what the command line raises; any other code of a refused request is BadInputError."""


class ControlClient:
    """Speaks to one daemon; every call blocks, at most for `timeout_s`. Not thread-safe."""

    def __init__(self, address: Address, *, timeout_s: float = 10.0) -> None:
        self._address = address
        self._timeout_s = timeout_s

    @classmethod
    def discover(cls, *, timeout_s: float = 10.0) -> ControlClient:
        """Return a client of this user's running daemon. Raises NotRunningError."""
        return cls(read_address(), timeout_s=timeout_s)

    @property
    def url(self) -> str:
        """Where the page is."""
        return self._address.url

    def say(self, text: str, *, emotion: str | None = None) -> TurnReceipt:
        """Queue `text` to be spoken verbatim. Raises BadInputError, QueueFullError, NotRunningError."""
        return TurnReceipt(**self._post("/api/say", {"text": text, "emotion": emotion, "source": "cli"}))

    def ask(self, text: str, *, user: str = "") -> TurnReceipt:
        """Queue a line to be answered. Raises BadInputError, QueueFullError, NotRunningError."""
        return TurnReceipt(**self._post("/api/ask", {"text": text, "user": user, "source": "cli"}))

    def interrupt(self, *, clear_queue: bool = False) -> int:
        """Stop the turn on air; return how many turns ended. Raises NotRunningError."""
        return int(self._post("/api/interrupt", {"clear_queue": clear_queue})["ended"])

    def mute(self, *, muted: bool) -> None:
        """Send silence to the microphone, or sound again. Raises NotRunningError."""
        self._post("/api/mute", {"muted": muted})

    def pause(self, *, paused: bool) -> None:
        """Begin no further turn, or go on. Raises NotRunningError."""
        self._post("/api/pause", {"paused": paused})

    def emotion(self, emotion: str | None) -> None:
        """Set the mood; None: the persona's own. Raises NotRunningError."""
        self._post("/api/emotion", {"emotion": emotion})

    def persona(self, name: str) -> PersonaSummary:
        """Put another persona on air. Raises PersonaError, NotRunningError."""
        return PersonaSummary(**self._post("/api/persona", {"name": name}))

    def personas(self) -> list[PersonaSummary]:
        """Return the personas that can be chosen. Raises NotRunningError."""
        return [PersonaSummary(**one) for one in self._call("GET", "/api/personas")]

    def status(self) -> dict[str, Any]:
        """Return DaemonStatus as JSON has it. Raises NotRunningError."""
        status: dict[str, Any] = self._call("GET", "/api/status")
        return status

    def devices(self) -> dict[str, Any]:
        """Return DeviceReport as JSON has it. Raises NotRunningError."""
        report: dict[str, Any] = self._call("GET", "/api/devices")
        return report

    def _post(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        # What UTF-8 can't hold (half a surrogate pair) is escaped, and that is how JSON writes it, too.
        raw = json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace")
        if len(raw) > MAX_BODY_BYTES:
            raise _too_long()
        answer: dict[str, Any] = self._call("POST", path, raw)
        return answer

    def _call(self, method: str, path: str, body: bytes | None = None) -> Any:  # noqa: ANN401 - JSON
        where = urlsplit(self._address.url)
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._address.token:
            headers["Authorization"] = f"Bearer {self._address.token}"
        # http.client and not urllib.request: a proxy set in the environment must never see loopback calls.
        connection = HTTPConnection(where.hostname or "127.0.0.1", where.port, timeout=self._timeout_s)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):
                # A refusal may come before the body is read; then the answer waits although sending failed.
                connection.request(method, path, body, headers)
            response = connection.getresponse()
            status, raw = response.status, response.read()
        except TimeoutError:
            raise NotRunningError(
                self._address.url, "the daemon does not answer", "See its log, or restart it"
            ) from None
        except (OSError, HTTPException):
            raise NotRunningError(
                self._address.url, "nobody answers there", "Start the daemon with 'vcam-talker run'"
            ) from None
        finally:
            connection.close()
        try:
            data = json.loads(raw)
        except ValueError:
            raise NotRunningError(
                self._address.url, "another program answers there", "Start the daemon with 'vcam-talker run'"
            ) from None
        if status >= 400:
            raise _error(status, data)
        return data


def _too_long() -> BadInputError:
    from vcam_talker.config import MAX_TEXT_CHARS, QueueConfig  # heavier than all the rest here

    usual = QueueConfig().max_text_chars
    why = f"is too long: {usual:,} characters are taken, with 'queue.max_text_chars' up to {MAX_TEXT_CHARS:,}"
    return BadInputError("text", why, "Send it in parts")


def _error(status: int, data: object) -> VcamTalkerError:
    error = data.get("error") if isinstance(data, dict) else None
    if not isinstance(error, dict):
        return VcamTalkerError("the daemon", f"answered with HTTP status {status}", "See its log")
    kind = _ERRORS.get(str(error.get("code")), BadInputError if status < 500 else VcamTalkerError)
    return kind(str(error.get("what")), str(error.get("why")), str(error.get("remedy", "")))
