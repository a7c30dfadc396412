"""When a network that failed is tried again: later and later, and for ever."""

from __future__ import annotations

import threading
from typing import Final

from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.types import NS_PER_S

_FIRST_S: Final = 2.0
_MOST_S: Final = {"drawing": 60.0, "loading": 300.0}
"""Loading may take some seconds of a processor, and what it lacks mostly has to be mended by somebody."""


class Rest:
    """Doubles from time to time. Any thread: one begins and ends it, another asks whether it is over."""

    def __init__(self, clock: MonotonicClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._lasts_s = 0.0
        self._until_ns: int | None = None

    def begin(self, *, drawing: bool) -> float:
        """Rest from now on; return for how long, s. `drawing`: it was loaded, and failed at its work."""
        most_s = _MOST_S["drawing" if drawing else "loading"]
        now_ns = self._clock.now_ns()
        with self._lock:
            self._lasts_s = min(most_s, max(_FIRST_S, 2 * self._lasts_s))
            self._until_ns = now_ns + int(self._lasts_s * NS_PER_S)
            return self._lasts_s

    def over(self) -> bool:
        """Tell once that the time has come."""
        now_ns = self._clock.now_ns()
        with self._lock:
            if self._until_ns is None or now_ns < self._until_ns:
                return False
            self._until_ns = None
            return True

    def left_s(self) -> float | None:
        """Return how long it goes on, s; None: there is none."""
        now_ns = self._clock.now_ns()
        with self._lock:
            return None if self._until_ns is None else max(0.0, (self._until_ns - now_ns) / NS_PER_S)

    def end(self) -> None:
        """Wait no longer; the next rest lasts longer all the same."""
        with self._lock:
            self._until_ns = None

    def forget(self) -> None:
        """Wait no longer, and begin with the shortest the next time."""
        with self._lock:
            self._lasts_s = 0.0
            self._until_ns = None
