"""What processes cost: processor time and resident memory, from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path


class ProcessorMeter:
    """Processor time of processes from when it is made, and of the programs that they ran and waited for."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._began_s = time.monotonic()
        self._before = {name: _cpu_s(pid) for name, pid in self._pids.items()}

    def shares(self) -> dict[str, float]:
        """Return each one's share of one core in percent. Raises OSError: one of them has gone."""
        length_s = time.monotonic() - self._began_s
        return {name: 100 * (_cpu_s(pid) - self._before[name]) / length_s for name, pid in self._pids.items()}


def rss_mb(pid: int | None = None) -> float:
    """Return the resident memory of a process (None: this one)."""
    for line in Path(f"/proc/{pid or 'self'}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")


def _cpu_s(pid: int) -> float:
    """Return processor time, user and system, of a process and the children it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
