"""Clocks. Everything that needs time takes one of these; only tests and `render` make their own."""

from __future__ import annotations

import sys
import threading
import time
from typing import Protocol

from vcam_talker.core.types import NS_PER_S, Pts

# On Windows time.monotonic advances in steps of about 15.6 ms before Python 3.13, half a frame; perf_counter
# counts 100 ns there, never steps back and has one origin for all processes. Elsewhere both are one clock.
_now_ns = time.perf_counter_ns if sys.platform == "win32" else time.monotonic_ns


class MonotonicClock(Protocol):
    """Nanoseconds that never step back, and a way to wait for a moment."""

    def now_ns(self) -> int:
        """Return the time since an arbitrary origin."""
        ...

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Return at `deadline_ns` or right away if it has passed."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now_ns(self) -> int:
        """Return CLOCK_MONOTONIC (Linux), mach_absolute_time (macOS), QueryPerformanceCounter (Windows)."""
        return _now_ns()

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Sleep to an absolute deadline; drift cannot add up."""
        remaining = deadline_ns - _now_ns()
        if remaining > 0:
            time.sleep(remaining / NS_PER_S)


class ManualClock:
    """A clock that moves when told: 24 simulated hours run in seconds. Thread-safe."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns
        self._lock = threading.Lock()

    def now_ns(self) -> int:
        """Return the simulated time."""
        return self._now_ns

    def advance(self, by_ns: int) -> None:
        """Move on."""
        with self._lock:
            self._now_ns += by_ns

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Jump to the deadline: waiting costs nothing here."""
        with self._lock:
            self._now_ns = max(self._now_ns, deadline_ns)


def frame_pts(index: int, fps: int) -> Pts:
    """Return the PTS of frame `index`: exact, from counters."""
    return Pts(index * NS_PER_S // fps)


def sample_pts(index: int, rate: int) -> Pts:
    """Return the PTS of sample `index`."""
    return Pts(index * NS_PER_S // rate)
