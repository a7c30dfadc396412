"""How soon it speaks, and how soon it stops: heard at a reader of the microphone."""

from __future__ import annotations

import random
import time

import numpy as np

from vcam_talker.bench.harness import Daemon, MicRecorder, daemon, loud_spans, ms
from vcam_talker.bench.options import Options
from vcam_talker.bench.report import Report, percentile

_DEFAULT_S = 120.0
_LINES = (
    "Hello!",
    "Welcome to the show.",
    "Thank you so much for the kind words, that made my evening.",
    "We ship to forty countries, and most parcels arrive within a week.",
    "That is a wonderful question; let me think about it for a moment before I say something silly.",
    "Today's recommendation is the blue one.",
)
_LONG = "This is a very long sentence that goes on and on, so that there is enough of it to be interrupted. "
_QUIET = 0.003


def run(options: Options) -> Report:
    """Type lines and interrupt them, again and again."""
    length_s = options.seconds or _DEFAULT_S
    report = Report("latency")
    typed, stopped = _speech(options, length_s / 2)
    shut = _mouth(options, length_s / 2)
    report.add("typed line -> first sample at a reader, p50", percentile(typed, 50), "ms", 150)
    report.add("typed line -> first sample at a reader, p95", percentile(typed, 95), "ms", 250)
    report.add("interrupt -> silence at the reader, p50", percentile(stopped, 50), "ms")
    report.add("interrupt -> silence at the reader, p95", percentile(stopped, 95), "ms", 100)
    report.add("interrupt -> mouth shut on the camera, p50", percentile(shut, 50), "ms")
    report.add("interrupt -> mouth shut on the camera, p95", percentile(shut, 95), "ms", 200)
    report.notes.append(f"{len(typed)} lines, {len(stopped)} + {len(shut)} interruptions")
    return report


def _speech(options: Options, length_s: float) -> tuple[list[float], list[float]]:
    typed: list[float] = []
    stopped: list[float] = []
    rng = random.Random(1)
    with daemon(persona=options.presenter, camera=options.camera, config=options.config) as under_test:
        under_test.wait_idle()
        under_test.wait_microphone()
        recorder = MicRecorder()
        try:
            recorder.wait_started()
            time.sleep(1)
            end_s = time.monotonic() + length_s
            while time.monotonic() < end_s:
                typed.append(_say_once(under_test, recorder, rng.choice(_LINES)))
                stopped.append(_interrupt_once(under_test, recorder, rng))
        finally:
            recorder.close()
    return typed, stopped


def _say_once(under_test: Daemon, recorder: MicRecorder, line: str) -> float:
    under_test.wait_idle()
    time.sleep(0.25)
    heard = recorder.heard
    asked_ns = time.monotonic_ns()
    under_test.client.say(line)
    first = _first_loud(recorder, heard)
    under_test.client.interrupt(clear_queue=True)
    return ms(recorder.arrival_ns(first) - asked_ns)


def _interrupt_once(under_test: Daemon, recorder: MicRecorder, rng: random.Random) -> float:
    under_test.wait_idle()
    time.sleep(0.25)
    heard = recorder.heard
    under_test.client.say(_LONG * 3)
    _first_loud(recorder, heard)
    time.sleep(rng.uniform(0.3, 1.2))
    asked_ns = time.monotonic_ns()
    under_test.client.interrupt(clear_queue=True)
    time.sleep(0.6)
    samples = recorder.samples(heard)
    last = loud_spans(samples, _QUIET)[-1][1] + heard
    return max(0.0, ms(recorder.arrival_ns(last) - asked_ns))


def _first_loud(recorder: MicRecorder, start: int) -> int:
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        loud = np.flatnonzero(np.abs(recorder.samples(start)) > _QUIET)
        if loud.size:
            return start + int(loud[0])
        time.sleep(0.01)
    raise TimeoutError("nothing was heard within 10 s")


def _mouth(options: Options, length_s: float) -> list[float]:
    """On the test card a field is the brighter the further the mouth is open."""
    asked: list[int] = []
    rng = random.Random(2)
    with daemon(persona="testcard", camera=options.camera, config=options.config) as under_test:
        under_test.wait_idle()
        end_s = time.monotonic() + length_s
        while time.monotonic() < end_s:
            under_test.client.say("la " * 60)
            time.sleep(rng.uniform(0.6, 1.4))
            asked.append(time.monotonic_ns())
            under_test.client.interrupt(clear_queue=True)
            time.sleep(0.4)
        time.sleep(1.5)
        frames = under_test.frames()
    return [ms(_shut_ns(frames.sent_ns, frames.lower, at_ns) - at_ns) for at_ns in asked]


def _shut_ns(sent_ns: np.ndarray, luma: np.ndarray, asked_ns: int) -> int:
    """Return when the first frame left after which the mouth stayed shut for 0.3 s."""
    window = (sent_ns >= asked_ns) & (sent_ns < asked_ns + 350_000_000)
    times, levels = sent_ns[window], luma[window]
    still_open = np.flatnonzero(levels > levels.min())
    return int(times[0] if not still_open.size else times[min(still_open[-1] + 1, len(times) - 1)])
