"""Every refusal of the API: a code for programs, one line for people, a fitting HTTP status."""

from __future__ import annotations

from dataclasses import dataclass

from vcam_talker.core.errors import (
    AlreadyRunningError,
    BadInputError,
    ConfigError,
    DeviceError,
    EngineError,
    NotRunningError,
    PersonaError,
    QueueFullError,
    SourceError,
    VcamTalkerError,
)

QUEUE_RETRY_S = 5

_BY_ERROR: tuple[tuple[type[VcamTalkerError], int, str], ...] = (
    (QueueFullError, 503, "queue_full"),
    (BadInputError, 422, "bad_input"),
    (PersonaError, 422, "unusable_persona"),
    (ConfigError, 422, "config"),
    (DeviceError, 503, "device"),
    (EngineError, 503, "engine"),
    (SourceError, 503, "source"),
    (NotRunningError, 503, "not_running"),
    (AlreadyRunningError, 409, "already_running"),
)
"""First match wins: a class stands before its base."""


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """What went wrong: `what` names the thing, `why` the reason, `remedy` the next step."""

    what: str
    why: str
    remedy: str
    code: str
    """Stable, for programs: bad_input, queue_full, unknown_persona, unauthorized, rate_limited, ..."""


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The body of every answer of status 400 or above."""

    error: ErrorDetail


class Refusal(Exception):  # noqa: N818 - the answer to a request, not a failure of ours
    """A request that is answered with an error."""

    def __init__(
        self,
        status: int,
        code: str,
        what: str,
        why: str,
        remedy: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, code, what, why)
        self.status = status
        self.detail = ErrorDetail(what, why, remedy, code)
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, dict[str, str]]:
        """Return the JSON body."""
        d = self.detail
        return {"error": {"what": d.what, "why": d.why, "remedy": d.remedy, "code": d.code}}


def refusal_of(e: VcamTalkerError) -> Refusal:
    """Return how the API answers with `e`."""
    for kind, status, code in _BY_ERROR:
        if isinstance(e, kind):
            headers = {"Retry-After": str(QUEUE_RETRY_S)} if code == "queue_full" else {}
            return Refusal(status, code, e.what, e.why, e.remedy, headers)
    return Refusal(500, "internal", e.what, e.why, e.remedy)
