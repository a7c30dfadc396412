"""What this process costs: processor time and resident memory."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.types import NS_PER_S

_MIN_SPAN_NS = NS_PER_S


class UsageMeter:
    """Processor share since the reading before, at least a second ago. One thread."""

    def __init__(self, clock: MonotonicClock) -> None:
        self._clock = clock
        self._at_ns = clock.now_ns()
        self._cpu_ns = time.process_time_ns()
        self._percent = 0.0

    def cpu_percent(self) -> float:
        """Return percent of one core."""
        now_ns = self._clock.now_ns()
        if now_ns - self._at_ns >= _MIN_SPAN_NS:
            cpu_ns = time.process_time_ns()
            self._percent = 100 * (cpu_ns - self._cpu_ns) / (now_ns - self._at_ns)
            self._at_ns, self._cpu_ns = now_ns, cpu_ns
        return round(self._percent, 1)


def rss_mb() -> float:
    """Return resident memory in MB (10^6 bytes); where the system does not tell the present, the peak."""
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return round(int(line.split()[1]) * 1024 / 1e6, 1)
    if sys.platform == "win32":
        return 0.0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 1e6, 1)
