"""What it costs to be on air and say nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

from vcam_talker.bench.harness import Daemon, daemon
from vcam_talker.bench.report import Report

_DEFAULT_S = 60.0
_SETTLE_S = 8.0


def run(*, seconds: float | None, camera: str) -> Report:
    """Measure processor time and memory of air and of the engine, nobody watching the page."""
    length_s = seconds or _DEFAULT_S
    report = Report("idle")
    with daemon(camera=camera) as under_test:
        under_test.wait_idle()
        time.sleep(_SETTLE_S)
        engine = under_test.engine_pid()
        air_s, engine_s = _cpu_s(under_test.process.pid), _cpu_s(engine)
        time.sleep(length_s)
        air_s = _cpu_s(under_test.process.pid) - air_s
        engine_s = _cpu_s(engine) - engine_s
        report.add("processor, air", 100 * air_s / length_s, "% core", 15.0)
        report.add("processor, engine", 100 * engine_s / length_s, "% core")
        report.add("resident memory, air", _rss_mb(under_test.process.pid), "MB", 300.0)
        report.add("resident memory, engine", _rss_mb(engine), "MB")
        report.notes.append(f"{length_s:.0f} s, camera {camera}, {_picture(under_test)}")
    return report


def _picture(under_test: Daemon) -> str:
    status = under_test.client.status()
    return f"{status['width']}x{status['height']} at {status['pacing']['fps']} fps"


def _cpu_s(pid: int | None) -> float:
    """Return processor time of a process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int | None) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")
