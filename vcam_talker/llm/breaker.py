"""A circuit breaker (Nygard, Release It!): what failed again and again is left alone for a while."""

from __future__ import annotations

from typing import Literal

from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.types import NS_PER_S


class CircuitBreaker:
    """closed: calls pass; open: none does, for `rest_s`; half-open: one call tries, and decides.

    Every call that `admit` let pass must be told of by exactly one of `succeeded`, `failed` and `abandoned`.
    Not thread-safe.
    """

    def __init__(self, failures: int, rest_s: float, clock: MonotonicClock) -> None:
        """Open after `failures` in a row."""
        self._limit = failures
        self._rest_ns = int(rest_s * NS_PER_S)
        self._clock = clock
        self._failures = 0
        self._opened_ns: int | None = None
        self._trying = False

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """What happens to the next call."""
        if self._opened_ns is None:
            return "closed"
        return "open" if self._clock.now_ns() - self._opened_ns < self._rest_ns else "half-open"

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    def admit(self) -> bool:
        """Tell whether a call may pass now; when half-open, only one at a time."""
        if self.state == "closed":
            return True
        if self.state == "open" or self._trying:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        """Close it."""
        self._failures = 0
        self._opened_ns = None
        self._trying = False

    def failed(self) -> None:
        """Count a failure; open it at the limit, and after a failed try at once."""
        self._failures += 1
        if self._trying or self._failures >= self._limit:
            self._opened_ns = self._clock.now_ns()
        self._trying = False

    def abandoned(self) -> None:
        """Learn nothing: the caller went away before the call ended."""
        self._trying = False
