"""From the start of the program to the first frame on the camera, and how long after a kill it speaks."""

from __future__ import annotations

import os
import signal
import time

from vcam_talker.bench.harness import daemon, ms
from vcam_talker.bench.options import Options
from vcam_talker.bench.report import Report, percentile

_RUNS = 5
_FAULTS = (signal.SIGKILL, signal.SIGSTOP)


def run(options: Options) -> Report:
    """Start it several times; then kill and stop its engine while it speaks."""
    report = Report("start")
    first_ms = []
    for _ in range(_RUNS):
        with daemon(persona=options.presenter, camera=options.camera, config=options.config) as under_test:
            under_test.wait_until("frames", lambda d=under_test: len(d.frames().sent_ns) > 0)  # type: ignore[misc]
            first_ms.append(ms(int(under_test.frames().sent_ns[0]) - under_test.started_ns))
    report.add("start -> first frame on the camera, p50", percentile(first_ms, 50), "ms", 2000)
    report.add("start -> first frame on the camera, worst", max(first_ms), "ms")
    for fault in _FAULTS:
        back_ms, gap = _lose_engine(options, fault)
        report.add(f"engine {fault.name} -> speaking again", back_ms, "ms", 5000)
        report.add(f"engine {fault.name}: longest camera gap", gap, "periods", 3.0)
    return report


def _lose_engine(options: Options, fault: signal.Signals) -> tuple[float, float]:
    """Return (time until the next turn is heard in ms, longest gap between frames in periods)."""
    with daemon(persona=options.presenter, camera=options.camera, config=options.config) as under_test:
        under_test.wait_idle()
        under_test.client.say("This sentence is long enough to be cut off in the middle of it all, or so.")
        time.sleep(1.0)
        pid = under_test.engine_pid()
        begin_ns = time.monotonic_ns()
        if pid is not None:
            os.kill(pid, fault)
        under_test.client.say("I am back.")

        def speaking() -> bool:
            status = under_test.client.status()
            turn = status["on_air"]
            return bool(turn and turn["text"] == "I am back." and turn["state"] == "speaking")

        under_test.wait_until("speech after the engine was lost", speaking)
        back_ms = ms(time.monotonic_ns() - begin_ns)
        time.sleep(1.5)
        frames = under_test.frames().after(begin_ns)
    gaps = (frames.sent_ns[1:] - frames.sent_ns[:-1]) * 30 / 1e9
    return back_ms, float(gaps.max())
