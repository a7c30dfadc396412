"""What it costs to be on air and say nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

from vcam_talker.bench.harness import Daemon, daemon
from vcam_talker.bench.options import Options
from vcam_talker.bench.report import Report

_DEFAULT_S = 60.0
_SETTLE_S = 8.0


def run(options: Options) -> Report:
    """Measure processor time and memory of each process, nobody watching the page."""
    length_s = options.seconds or _DEFAULT_S
    report = Report("idle")
    with daemon(persona=options.presenter, camera=options.camera, config=options.config) as under_test:
        under_test.wait_idle()
        time.sleep(_SETTLE_S)
        pids = {"air": under_test.process.pid, **under_test.child_pids()}
        began_s = {name: _cpu_s(pid) for name, pid in pids.items()}
        time.sleep(length_s)
        for name, pid in pids.items():
            share = 100 * (_cpu_s(pid) - began_s[name]) / length_s
            report.add(f"processor, {name}", share, "% core", 15.0 if name == "air" else None)
        for name, pid in pids.items():
            report.add(f"resident memory, {name}", rss_mb(pid), "MB", 300.0 if name == "air" else None)
        report.notes.append(f"{length_s:.0f} s, camera {options.camera}, {_picture(under_test)}")
    return report


def _picture(under_test: Daemon) -> str:
    status = under_test.client.status()
    return f"{status['width']}x{status['height']} at {status['pacing']['fps']} fps"


def _cpu_s(pid: int | None) -> float:
    """Return processor time of a process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int | None = None) -> float:
    """Return the resident memory of a process (None: this one)."""
    for line in Path(f"/proc/{pid or 'self'}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")
