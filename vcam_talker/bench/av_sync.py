"""Picture against sound, read back from the devices: the test card's flash and its beep.

The beep's onset is taken at a reader of the microphone, the flash's as the frame reached the camera. A
frame stays on display for a whole period and shows the middle of it, so that an onset anywhere in the
period is off by half a period at most; that quantisation is inside the figures.
"""

from __future__ import annotations

import time

import numpy as np

from vcam_talker.bench.harness import MicRecorder, daemon, loud_spans
from vcam_talker.bench.options import Options
from vcam_talker.bench.report import Report, percentile
from vcam_talker.core.errors import DeviceError
from vcam_talker.core.types import NS_PER_S, SAMPLE_RATE

_DEFAULT_S = 300.0
_FPS = 30
_SETTLE_S = 8.0
_WHITE = 180
_MATCH_NS = 150_000_000


def run(options: Options) -> Report:
    """Beep and flash at irregular moments; pair what arrives."""
    length_s = options.seconds or _DEFAULT_S
    report = Report("av-sync")
    with daemon(
        "--fps", str(_FPS), persona="testcard", camera=options.camera, config=options.config
    ) as under_test:
        under_test.wait_idle()
        under_test.wait_microphone()
        recorder = MicRecorder()
        try:
            recorder.wait_started()
            time.sleep(_SETTLE_S)
            begin_ns = time.monotonic_ns()
            _beep(under_test.client.say, length_s)
            time.sleep(1.5)
            frames = under_test.frames().after(begin_ns)
            beeps_ns = _beep_onsets(recorder, begin_ns)
        finally:
            recorder.close()
    flashes_ns = frames.sent_ns[1:][(frames.luma[1:] >= _WHITE) & (frames.luma[:-1] < _WHITE)]
    pairs = _pair(flashes_ns, beeps_ns)
    if not len(pairs):
        raise DeviceError(
            "the microphone", f"of {len(beeps_ns)} beeps none had its flash", "See `vcam-talker doctor`"
        )
    offsets_ms = (pairs[:, 0] - pairs[:, 1]) / 1e6
    minutes = (pairs[:, 1] - pairs[0, 1]) / (60 * NS_PER_S)
    slope_ms_h = float(np.polyfit(minutes, offsets_ms, 1)[0]) * 60 if len(pairs) > 2 else float("nan")
    spread_ms = float(np.std(offsets_ms)) / np.sqrt(len(offsets_ms))
    report.add("picture minus sound, p50", percentile(offsets_ms, 50), "ms")
    report.add("picture against sound, |offset| p95", percentile(np.abs(offsets_ms), 95), "ms", 20.0)
    report.add("|drift|", abs(slope_ms_h), "ms/h", 5.0 if length_s >= 1800 else None)
    report.add("standard error of the offset", spread_ms, "ms")
    report.add("flashes paired with beeps", len(pairs) / max(1, len(beeps_ns)), "of all", 0.95, at_least=True)
    report.add("frames lost against the audio clock", frames.lost(_FPS), "frames", 0.0)
    report.notes.append(f"{len(pairs)} pairs over {length_s:.0f} s, camera {options.camera}")
    return report


def _beep(say: object, length_s: float) -> None:
    end_s = time.monotonic() + length_s
    count = 0
    while time.monotonic() < end_s:
        count += 1
        # Words of one to four syllables: onsets fall anywhere in a frame period.
        say("ta. " * (1 + count % 4))  # type: ignore[operator]
        time.sleep(1.1 + 0.137 * (count % 7))


def _beep_onsets(recorder: MicRecorder, begin_ns: int) -> np.ndarray:
    """Return when each beep began, on the monotonic clock.

    Single arrivals jitter by a fragment; the line through all of them does not.
    """
    samples = recorder.samples()
    arrivals = recorder.arrivals_ns()
    ends = (np.arange(len(arrivals)) + 1) * (SAMPLE_RATE // 100)
    onsets = np.array([first for first, _ in loud_spans(samples, 0.02, 0.05)], np.float64)
    line = _line_through(ends.astype(np.float64), arrivals.astype(np.float64))
    times = np.interp(onsets, ends, line)
    onsets_ns: np.ndarray = times[times >= begin_ns].astype(np.int64)
    return onsets_ns


def _line_through(samples: np.ndarray, arrivals_ns: np.ndarray) -> np.ndarray:
    """Return the time of each block on a line through the arrivals, piece by piece of 10 s."""
    line = np.empty_like(arrivals_ns)
    for start in range(0, len(samples), 1000):
        part = slice(start, start + 1000)
        slope, offset = np.polyfit(samples[part] - samples[start], arrivals_ns[part] - arrivals_ns[start], 1)
        line[part] = arrivals_ns[start] + offset + slope * (samples[part] - samples[start])
    return line


def _pair(flashes_ns: np.ndarray, beeps_ns: np.ndarray) -> np.ndarray:
    """Return (flash, beep) times of each beep that has a flash near it, int64[N, 2]."""
    pairs = []
    for beep in beeps_ns:
        nearest = flashes_ns[np.argmin(np.abs(flashes_ns - beep))] if flashes_ns.size else 0
        if abs(int(nearest) - int(beep)) <= _MATCH_NS:
            pairs.append((int(nearest), int(beep)))
    return np.array(pairs, np.int64).reshape(-1, 2)
