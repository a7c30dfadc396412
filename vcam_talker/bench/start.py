"""From the start of the program to the first frame on the camera, and how long after a kill it speaks."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import numpy.typing as npt

from vcam_talker.bench.harness import daemon, ms
from vcam_talker.bench.options import Options
from vcam_talker.bench.report import Report, percentile
from vcam_talker.core.types import NS_PER_S

_RUNS = 5
_FPS = 30
_FIRST_FRAMES = 60
"""Of a daemon that is still importing and starting its children."""
_FAULTS = (signal.SIGKILL, signal.SIGSTOP)


def run(options: Options) -> Report:
    """Start it several times; then kill and stop its engine while it speaks."""
    report = Report("start")
    first_ms, gaps = [], []
    for _ in range(_RUNS):
        with daemon(persona=options.presenter, camera=options.camera, config=options.config) as under_test:
            under_test.wait_until("frames", lambda d=under_test: len(d.frames().sent_ns) > _FIRST_FRAMES)  # type: ignore[misc]
            sent_ns = under_test.frames().sent_ns
            first_ms.append(ms(int(sent_ns[0]) - under_test.started_ns))
            gaps.append(_longest_gap(sent_ns[:_FIRST_FRAMES]))
    report.add("start -> first frame on the camera, p50", percentile(first_ms, 50), "ms", 2000)
    report.add("start -> first frame on the camera, worst", max(first_ms), "ms")
    report.add("start: longest camera gap of its first frames, worst", max(gaps), "periods", 3.0)
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
    return back_ms, _longest_gap(frames.sent_ns)


def _longest_gap(sent_ns: npt.NDArray[np.int64]) -> float:
    """Return the longest time between two frames, in periods."""
    return float(np.diff(sent_ns).max() * _FPS / NS_PER_S)
