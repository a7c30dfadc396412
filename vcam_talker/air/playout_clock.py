"""The media clock: which sample the audience hears at this moment.

The sound device is the only clock. It tells the time in coarse, jittery steps (a blocking write returns
when the server asks for more), so the steps are smoothed by a delay-locked loop after F. Adriaensen,
"Using a DLL to filter time" (Linux Audio Conference 2005): a second-order loop that follows the
device's rate (a few tens of ppm off the machine's clock) and rejects the jitter of single writes.
"""

from __future__ import annotations

import math
import threading

from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.types import NS_PER_S, Pts

# A loop this wide locks within about two seconds; the narrow one then rejects jitter 100 times better.
_WIDE_HZ = 1.0
_NARROW_HZ = 0.03
_SETTLE_S = 4.0
# A step beyond this is no jitter: the device stalled, the machine slept, or the process was stopped.
_REANCHOR_NS = 150_000_000
_MAX_RATE_ERROR = 2e-3
# A change of the reported latency is followed at this speed, which nobody sees as a jump of the picture.
_LATENCY_SLEW = 0.02


class PlayoutClock:
    """Position of the audience on the media timeline, in nanoseconds. Thread-safe, never blocks.

    `mark` is called by the playout thread after every block; everybody else reads `now` and `time_of`.
    Until then the line begins with sample 0 at construction.
    """

    def __init__(self, clock: MonotonicClock, rate: int, latency_ns: int) -> None:
        self._clock = clock
        self._rate = rate
        self._lock = threading.Lock()
        # The line: sample `_n0` is written at `_t0_ns`; one sample lasts `_period_ns`.
        self._t0_ns = float(clock.now_ns())
        self._n0 = 0
        self._nominal_ns = NS_PER_S / rate
        self._period_ns = self._nominal_ns
        self._latency_ns = float(latency_ns)
        self._anchored = False
        self._locked_s = 0.0
        self._floor = Pts(0)
        self.reanchored = 0
        """How often the line was laid anew after a stall."""

    def mark(self, written: int, latency_ns: int) -> None:
        """Tell that sample number `written` (counted from the start) is the next one to write, now.

        `latency_ns`: from writing a sample until the audience hears it.
        """
        now_ns = self._clock.now_ns()
        with self._lock:
            samples = written - self._n0
            if not self._anchored:
                self._anchor(now_ns, written)
                self._latency_ns = float(latency_ns)
                return
            if samples <= 0:
                return
            expected_ns = self._t0_ns + samples * self._period_ns
            error_ns = now_ns - expected_ns
            if abs(error_ns) > _REANCHOR_NS:
                self.reanchored += 1
                self._anchor(now_ns, written)
                return
            block_s = samples / self._rate
            self._locked_s += block_s
            bandwidth_hz = _WIDE_HZ if self._locked_s < _SETTLE_S else _NARROW_HZ
            omega = 2 * math.pi * bandwidth_hz * block_s
            self._t0_ns = expected_ns + min(1.0, math.sqrt(2) * omega) * error_ns
            period_ns = self._period_ns + omega * omega * error_ns / samples
            low, high = self._nominal_ns * (1 - _MAX_RATE_ERROR), self._nominal_ns * (1 + _MAX_RATE_ERROR)
            self._period_ns = min(high, max(low, period_ns))
            self._n0 = written
            step_ns = _LATENCY_SLEW * block_s * NS_PER_S
            self._latency_ns += min(step_ns, max(-step_ns, latency_ns - self._latency_ns))

    def restart(self, written: int, latency_ns: int) -> None:
        """Lay the line anew: a device was opened or lost, so its rhythm and latency are new."""
        with self._lock:
            self._anchor(self._clock.now_ns(), written)
            self._period_ns = self._nominal_ns
            self._latency_ns = float(latency_ns)

    def now(self) -> Pts:
        """Return what the audience hears now; never steps back."""
        now_ns = self._clock.now_ns()
        position = self.at(now_ns)
        with self._lock:
            self._floor = Pts(max(self._floor, position))
            return self._floor

    def at(self, time_ns: int) -> Pts:
        """Return what the audience hears at a monotonic time, by the present line."""
        with self._lock:
            samples = self._n0 + (time_ns - self._latency_ns - self._t0_ns) / self._period_ns
            return Pts(int(samples * self._nominal_ns))

    def time_of(self, pts: Pts) -> int:
        """Return the monotonic time, ns, at which the audience reaches `pts`."""
        with self._lock:
            samples = pts / self._nominal_ns - self._n0
            return int(self._t0_ns + samples * self._period_ns + self._latency_ns)

    def write_time_of(self, written: int) -> int:
        """Return the monotonic time, ns, at which sample number `written` is due for writing."""
        with self._lock:
            return int(self._t0_ns + (written - self._n0) * self._period_ns)

    @property
    def rate_error_ppm(self) -> float:
        """How much slower than nominal the device runs, in parts per million."""
        return (self._period_ns / self._nominal_ns - 1) * 1e6

    @property
    def latency_ns(self) -> int:
        """The latency in use, after smoothing."""
        return int(self._latency_ns)

    def _anchor(self, now_ns: int, written: int) -> None:
        self._t0_ns = float(now_ns)
        self._n0 = written
        self._locked_s = 0.0
        self._anchored = True
