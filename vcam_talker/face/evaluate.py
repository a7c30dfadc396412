"""How well a mouth follows speech, in figures: closures, silence, agreement, cost.

`python -m vcam_talker.face.evaluate [--voice slt]...` speaks some sentences with flite and prints them for
the phoneme and the audio driver. The measures are plain functions, which the tests hold to their bars.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.errors import EngineError
from vcam_talker.core.stages import FaceDriver
from vcam_talker.core.types import MOUTH_RATE_HZ, NO_TURN, Phone, Sentence, Speech
from vcam_talker.dsp.levels import frame_levels_db
from vcam_talker.face.audio import AudioDriver
from vcam_talker.face.motion import JAW, PRESS, TEETH, Mask, runs
from vcam_talker.face.phonemes import PhonemeDriver, segments_of
from vcam_talker.face.visemes import Kind

Values = npt.NDArray[np.float32]
"""float32[T, 7], a mouth track's poses."""

CLOSED_PRESS: Final = 0.8
CLOSED_JAW: Final = 0.05
REST: Final = 0.03
FPS: Final = 30
_PHASES: Final = 8
"""Frame grids tried, evenly shifted: viewers don't choose when a frame falls."""
_SLACK_S: Final = 0.020
_TIMEOUT_S: Final = 20

SENTENCES: Final = (
    "The quick brown fox jumps over the lazy dog.",
    "Maybe Bob and my mom prefer five fresh mushrooms.",
    "Please call me back when you have seen the whole thing.",
    "We were away a year ago, but now everybody is home.",
    "Up the hill, nobody stopped to pick a bunch of plums.",
    "How about some music, while we are waiting for the others?",
)


def closed(values: Values) -> Mask:
    """Return at which poses the lips touch, bool[T]: pressed together, or at rest."""
    pressed: Mask = (values[:, PRESS] >= CLOSED_PRESS) & (values[:, JAW] <= CLOSED_JAW)
    resting: Mask = (values[:, JAW] <= REST) & (values[:, TEETH] <= REST)
    return pressed | resting


def closures(speech: Speech, values: Values, shut: Mask | None = None) -> tuple[int, int]:
    """Return how many bilabials show a closed frame at 30 fps within ±20 ms, and how many there are.

    A bilabial counts only if it does so for every one of eight phases of the frame grid. `shut` bool[T] tells
    at which poses the lips are drawn touching; default: at those that are `closed`.
    """
    shut = closed(values) if shut is None else shut
    bilabials = [s for s in segments_of(speech) if s.shape.kind is Kind.BILABIAL]
    good = 0
    for segment in bilabials:
        seen = True
        for phase in range(_PHASES):
            offset_s = phase / _PHASES / FPS
            first = int(np.ceil((segment.start_s - _SLACK_S - offset_s) * FPS))
            beyond = int(np.floor((segment.end_s + _SLACK_S - offset_s) * FPS)) + 1
            frames_s = np.arange(max(0, first), beyond) / FPS + offset_s
            poses = np.clip((frames_s * MOUTH_RATE_HZ).astype(int), 0, len(shut) - 1)
            seen = seen and bool(shut[poses].any())
        good += seen
    return good, len(bilabials)


def false_closures(speech: Speech, values: Values) -> tuple[int, int]:
    """Return how many other sounds are covered by a closure for more than half of their time, of how many."""
    shut = closed(values)
    others = [s for s in segments_of(speech) if s.shape.kind not in (Kind.BILABIAL, Kind.REST)]
    spans = [slice(int(s.start_s * MOUTH_RATE_HZ), int(s.end_s * MOUTH_RATE_HZ) + 1) for s in others]
    return sum(bool(shut[span].size and shut[span].mean() > 0.5) for span in spans), len(others)


def silences(speech: Speech, quiet_db: float = -60.0, at_least_s: float = 0.1) -> list[tuple[int, int]]:
    """Return the silences as stretches of poses (start, stop), less 50 ms at either end (the lips move)."""
    count = -(-speech.samples.size * MOUTH_RATE_HZ // speech.rate)
    levels = frame_levels_db(speech.samples, speech.rate, MOUTH_RATE_HZ, count)
    least = round(at_least_s * MOUTH_RATE_HZ)
    stretches = ((a, b) for a, b in runs(levels < quiet_db) if b - a >= least)
    return [(a + 5 if a else 0, b - 5 if b < count else count) for a, b in stretches]


def open_in_silence(speech: Speech, values: Values, quiet_db: float = -60.0) -> int:
    """Return how many poses in silence show anything but closed lips."""
    inside = np.zeros(len(values), bool)
    for start, stop in silences(speech, quiet_db):
        inside[start:stop] = True
    return int(np.sum(inside & values[:, :PRESS].any(axis=1) & ~closed(values)))


def agreement(a: Values, b: Values, column: int = JAW) -> float:
    """Return Pearson's r between one parameter of two tracks; 0 where one of them never moves."""
    x, y = a[:, column], b[:, column]
    return float(np.corrcoef(x, y)[0, 1]) if x.std() > 0 and y.std() > 0 else 0.0


def speak(text: str, voice: str) -> Speech:
    """Return `text` as flite's `voice` says it, with phones. Blocks for some 50 ms; raises EngineError."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "-psdur", "-t", text, "-o", str(file)]
        try:
            done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=_TIMEOUT_S)
        except (OSError, subprocess.SubprocessError) as e:
            raise EngineError("flite", f"can't speak: {e}", "Install the package flite") from e
        with wave.open(str(file)) as sound:
            rate, raw = sound.getframerate(), sound.readframes(sound.getnframes())
    phones: list[Phone] = []
    for token in done.stdout.split():
        symbol, _, end = token.rpartition(":")
        phones.append(Phone(symbol, phones[-1].end_s if phones else 0.0, float(end)))
    samples = np.frombuffer(raw, "<i2").astype(np.float32) / np.float32(32768)
    return Speech(Sentence(NO_TURN, 0, text, language="en"), rate, samples, tuple(phones), (), "arpabet")


def report(name: str, speeches: Sequence[Speech]) -> list[str]:
    """Return the lines of the table for one voice, one per driver."""
    reference = [PhonemeDriver().drive(speech).values for speech in speeches]
    drivers: tuple[FaceDriver, ...] = (PhonemeDriver(), AudioDriver())
    lines = []
    for driver in drivers:
        began_ns = time.process_time_ns()
        tracks = [driver.drive(speech).values for speech in speeches]
        cost = (time.process_time_ns() - began_ns) / 1e9 / sum(s.samples.size / s.rate for s in speeches)
        pairs = list(zip(speeches, tracks, strict=True))
        shut = np.sum([closures(*pair) for pair in pairs], axis=0)
        false = np.sum([false_closures(*pair) for pair in pairs], axis=0)
        agreed = np.mean([agreement(a, b) for a, b in zip(reference, tracks, strict=True)])
        jerk = max(float(np.abs(np.diff(t, 2, axis=0)).max()) for t in tracks if len(t) > 2)
        lines.append(
            f"{name:10} {type(driver).__name__:14} "
            f"m/b/p closed {shut[0]}/{shut[1]} ({shut[0] / shut[1]:.1%})  "
            f"others {false[0]}/{false[1]}  open in silence {sum(open_in_silence(*p) for p in pairs)} poses  "
            f"jaw r {agreed:.2f}  peak jaw {max(float(t[:, JAW].max()) for t in tracks):.2f}  "
            f"second difference {jerk:.3f}  cost {cost:.2%}"
        )
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--voice", action="append", help="flite voice, repeatable (default: slt rms awb)")
    for voice in parser.parse_args().voice or ("slt", "rms", "awb"):
        for line in report(voice, [speak(text, voice) for text in SENTENCES]):
            print(line)


if __name__ == "__main__":
    main()
