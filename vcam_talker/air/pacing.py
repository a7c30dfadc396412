"""Count how steadily frames leave: intervals, late frames, repeats."""

from __future__ import annotations

import threading
from collections import deque
from typing import Literal

import numpy as np

from vcam_talker.core.status import PacingView
from vcam_talker.core.types import NS_PER_S

Rung = Literal["live", "idle", "still"]
_WINDOW_S = 60


class PacingMeter:
    """Fed by the pacer after every frame, read by anyone. Thread-safe."""

    def __init__(self, fps: int) -> None:
        self._fps = fps
        self._period_ns = NS_PER_S // fps
        self._lock = threading.Lock()
        self._intervals_ns: deque[int] = deque(maxlen=fps * _WINDOW_S)
        self._last_ns: int | None = None
        self._frames = self._late = self._repeated = self._skipped = 0
        self._rung: Rung = "still"

    def sent(self, at_ns: int, deadline_ns: int, *, repeated: bool, rung: Rung) -> None:
        """Count a frame that left at `at_ns`."""
        with self._lock:
            self._frames += 1
            self._late += at_ns - deadline_ns > self._period_ns // 4
            self._repeated += repeated
            self._rung = rung
            if self._last_ns is not None:
                self._intervals_ns.append(at_ns - self._last_ns)
            self._last_ns = at_ns

    def skipped(self, frames: int) -> None:
        """Count ticks that were dropped after a stall."""
        with self._lock:
            self._skipped += frames

    def view(self) -> PacingView:
        """Return the figures; deviations are of intervals from the nominal period."""
        with self._lock:
            intervals_ns = tuple(self._intervals_ns)
            counts = self._frames, self._late, self._repeated, self._skipped
            rung = self._rung
        # Outside the lock: the pacer must not wait for this.
        intervals_ms = np.array(intervals_ns, np.float64) / 1e6
        deviation_ms = np.abs(intervals_ms - self._period_ns / 1e6)
        p50, p99, longest = 0.0, 0.0, 0.0
        if len(intervals_ms):
            p50, p99 = (float(v) for v in np.percentile(deviation_ms, [50, 99]))
            longest = float(intervals_ms.max())
        return PacingView(
            self._fps, *counts, deviation_p50_ms=round(p50, 3), deviation_p99_ms=round(p99, 3),
            longest_gap_ms=round(longest, 2), rung=rung,
        )  # fmt: skip
