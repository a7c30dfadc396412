"""The voices that speak the phrases: flite's five and espeak-ng's accents and variants.

Held out, so that accuracy can be told: flite's `kal` (8 kHz, a relative of `kal16`) and six of espeak-ng's.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Final

import numpy as np
import soxr

from vcam_talker.core.types import Samples
from vcam_talker.dsp.wav import parse_wav

RATE: Final = 16_000
"""Hz; what every recogniser hears."""
_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Voice:
    """One way to say something."""

    program: str
    """`flite` or `espeak-ng`."""
    name: str
    stretch: float
    """Length of the speech relative to the voice's own."""
    pitch: int = 50
    """Of espeak-ng, 0 .. 99."""

    def __str__(self) -> str:
        return f"{self.program} {self.name}"


_ESPEAK_TRAIN: Final = (
    *("en-us", "en-us+m1", "en-us+m3", "en-us+m5", "en-us+f1", "en-us+f2", "en-us+f4", "en-us+klatt2"),
    *("en-us+Mike", "en-us+Annie", "en-us+steph", "en-us+adam", "en-us+edward"),
    *("en-gb", "en-gb+m2", "en-gb+m4", "en-gb+f3", "en-gb+Alicia", "en-gb+victor"),
    *("en-gb-scotland", "en-gb-scotland+f2", "en-gb-x-rp+m6", "en-gb-x-rp+f4", "en-us-nyc", "en-029+f3"),
)
_ESPEAK_HELD_OUT: Final = ("en-us+m7", "en-us+f5", "en-us+linda", "en-gb-x-gbclan", "en-gb+Andy", "en-gb+max")

TRAIN: Final = tuple(
    Voice("flite", name, stretch)
    for name in ("slt", "awb", "kal16", "rms")
    for stretch in (0.78, 0.95, 1.12, 1.35)
) + tuple(
    Voice("espeak-ng", name, stretch, (30, 50, 70)[(i + j) % 3])
    for i, name in enumerate(_ESPEAK_TRAIN)
    for j, stretch in enumerate((0.85, 1.15))
)
HELD_OUT: Final = tuple(Voice("flite", "kal", stretch) for stretch in (0.88, 1.0, 1.2)) + tuple(
    Voice("espeak-ng", name, 1.02, 42) for name in _ESPEAK_HELD_OUT
)
NEW_RATES: Final = tuple(
    Voice("flite", name, s) for name in ("slt", "awb", "kal16", "rms") for s in (0.86, 1.0, 1.22)
)
"""Known voices at rates that no clip of the training has."""


def speak(voice: Voice, text: str) -> Samples:
    """Return `text` in `voice`: float32[N] mono, 16 kHz, without silence around it. Starts a program."""
    if voice.program == "flite":
        command = ["flite", "-voice", voice.name, "--setf", f"duration_stretch={voice.stretch}"]
        command += ["-t", text, "-o", "/dev/stdout"]
    else:
        words_per_min = round(165 / voice.stretch)
        command = ["espeak-ng", "-v", voice.name, "-s", str(words_per_min), "-p", str(voice.pitch)]
        command += ["--stdout", text]
    done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=True)
    samples, rate = parse_wav(done.stdout, f"{voice}'s sound")
    if rate != RATE:
        samples = soxr.resample(samples, rate, RATE)
    return trim(samples.astype(np.float32))


def trim(samples: Samples, below_peak_db: float = 45.0) -> Samples:
    """Return `samples` without what is quieter than that at both ends, but 20 ms of it."""
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max(initial=0.0) * 10 ** (-below_peak_db / 20))
    if not loud.size:
        return samples
    margin = RATE // 50
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]
