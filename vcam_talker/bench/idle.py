"""What it costs to be on air and say nothing."""

from __future__ import annotations

import time

from vcam_talker.bench.harness import Daemon, daemon
from vcam_talker.bench.options import Options
from vcam_talker.bench.processes import ProcessorMeter, rss_mb
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
        meter = ProcessorMeter(pids)
        time.sleep(length_s)
        for name, share in meter.shares().items():
            report.add(f"processor, {name}", share, "% core", 15.0 if name == "air" else None)
        for name, pid in pids.items():
            report.add(f"resident memory, {name}", rss_mb(pid), "MB", 300.0 if name == "air" else None)
        report.notes.append(f"{length_s:.0f} s, camera {options.camera}, {_picture(under_test)}")
    return report


def _picture(under_test: Daemon) -> str:
    status = under_test.client.status()
    return f"{status['width']}x{status['height']} at {status['pacing']['fps']} fps"
