"""How steadily frames leave while talking, and whether they keep step with the sound for ever."""

from __future__ import annotations

import time

import numpy as np

from vcam_talker.bench.harness import Daemon, daemon, ms
from vcam_talker.bench.options import Options
from vcam_talker.bench.processes import ProcessorMeter
from vcam_talker.bench.report import Report, percentile
from vcam_talker.core.errors import QueueFullError

_DEFAULT_S = 600.0
_SETTLE_S = 6.0
_FPS = 30
_CORES = 2
"""Of the machine that the bar is for."""
_TALK = (
    "Good evening, and welcome to the show! Tonight we have a full table of things to look at. "
    "Some of them are new, some are old friends, and one of them is a complete surprise even to me. "
    "Ask me anything you like in the chat, and I will do my best to answer before the music starts again."
)


def run(options: Options) -> Report:
    """Talk without a pause and look at every frame."""
    length_s = options.seconds or _DEFAULT_S
    report = Report("pacing")
    with daemon(
        "--fps", str(_FPS), persona=options.presenter, camera=options.camera, config=options.config
    ) as under_test:
        under_test.wait_idle()
        under_test.wait_microphone()
        _keep_talking(under_test, _SETTLE_S)
        begin_ns = time.monotonic_ns()
        before = _counts(under_test)
        meter = ProcessorMeter({"air": under_test.process.pid, **under_test.child_pids()})
        _keep_talking(under_test, length_s)
        shares = meter.shares()
        after = _counts(under_test)
        time.sleep(1.5)
        frames = under_test.frames().after(begin_ns)
    intervals_ms = np.diff(frames.sent_ns) / 1e6
    period_ms = 1000 / _FPS
    deviation_ms = np.abs(intervals_ms - period_ms)
    minutes = f"{length_s / 60:.1f} min"
    report.add(f"frame interval, p50 deviation, {minutes}", percentile(deviation_ms, 50), "ms")
    report.add("frame interval, p99 deviation", percentile(deviation_ms, 99), "ms", 5.0)
    report.add("longest gap", float(intervals_ms.max()) / period_ms, "periods", 3.0)
    report.add("frames lost against the audio clock", frames.lost(_FPS), "frames", 0.0)
    report.add("frames repeated", after["repeated"] - before["repeated"], "frames")
    report.add("late by over a quarter period", after["late"] - before["late"], "frames")
    report.add("dropped on the way to the camera", after["dropped"] - before["dropped"], "frames", 0.0)
    span_ms = ms(float(frames.sent_ns[-1] - frames.sent_ns[0]))
    report.add("frames a second by the wall clock", 1000 * (len(frames.sent_ns) - 1) / span_ms, "1/s")
    for name, share in shares.items():
        report.add(f"processor while talking, {name}", share, "% core")
    report.add("processor while talking, all, of two cores", sum(shares.values()) / _CORES, "%", 60.0)
    if after["asked"] > before["asked"]:
        drawn = (after["answered"] - before["answered"]) / (after["asked"] - before["asked"])
        # What was asked for before the first look may be answered before the second.
        report.add("mouths that the network drew in time", 100 * min(drawn, 1.0), "%", 99.0, at_least=True)
    report.notes.append(f"camera {options.camera}; frame times taken as each was handed to it")
    return report


def _counts(under_test: Daemon) -> dict[str, int]:
    status = under_test.client.status()
    lips = {name: status["lips"][name] for name in ("asked", "answered")}
    return {**status["pacing"], **lips, "dropped": status["sinks"][0]["dropped"]}


def _keep_talking(under_test: Daemon, length_s: float) -> None:
    end_s = time.monotonic() + length_s
    while time.monotonic() < end_s:
        try:
            if len(under_test.client.status()["queue"]) < 2:
                under_test.client.say(_TALK)
        except QueueFullError:
            pass
        time.sleep(min(2.0, max(0.05, end_s - time.monotonic())))
