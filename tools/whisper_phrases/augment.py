"""What happens to speech between a mouth and a recogniser: speed, rooms, noise, levels, pauses, late starts.

All functions are pure: float32[N] at 16 kHz in, float32[M] out, randomness from the generator they are given.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import soxr

from tools.whisper_phrases.voices import RATE
from vcam_talker.core.types import Samples

NOISES: Final = ("white", "pink", "brown", "hum", "clicks")
HELD_OUT_NOISES: Final = ("wind", "fan")
"""Never part of a training."""


def noise(kind: str, samples: int, rng: np.random.Generator) -> Samples:
    """Return noise of RMS 1."""
    t = np.arange(samples) / RATE
    if kind == "hum":
        base = rng.choice([50.0, 60.0, 100.0, 120.0])
        out = sum(rng.random() * np.sin(2 * np.pi * base * k * t + rng.random() * 6) for k in range(1, 8))
        out = out + 0.05 * rng.standard_normal(samples)
    elif kind == "clicks":
        out = rng.standard_normal(samples) * (rng.random(samples) < 0.002) * 20
        out = out + 0.1 * rng.standard_normal(samples)
    elif kind == "wind":
        gusts = 1 + 0.8 * np.sin(2 * np.pi * 0.7 * t + rng.random() * 6)
        out = gusts * _coloured(samples, 1.6, rng)
    elif kind == "fan":
        out = _coloured(samples, 0.7, rng) * (1 + 0.5 * np.sin(2 * np.pi * 23 * t))
        out = out + 0.7 * np.sin(2 * np.pi * 187 * t)
    else:
        out = _coloured(samples, {"white": 0.0, "pink": 0.5, "brown": 1.0}[kind], rng)
    return np.asarray(out / (np.sqrt(np.mean(np.square(out))) + 1e-9), np.float32)


def no_speech(seconds: float, rng: np.random.Generator) -> Samples:
    """Return what a recogniser must stay silent on: noise, tones, digital silence."""
    samples = int(seconds * RATE)
    kind = rng.choice([*NOISES, "tone", "silence"], p=[0.2, 0.15, 0.15, 0.15, 0.1, 0.15, 0.1])
    if kind == "silence":
        return np.zeros(samples, np.float32)
    level = 10 ** (rng.uniform(-60, -8) / 20)
    if kind != "tone":
        return noise(str(kind), samples, rng) * np.float32(level)
    t = np.arange(samples) / RATE
    out = np.zeros(samples)
    for _ in range(rng.integers(1, 4)):
        out += np.sin(2 * np.pi * rng.uniform(150, 3000) * t) * (
            np.sin(2 * np.pi * rng.uniform(0.5, 6) * t) > 0
        )
    return np.asarray(out * level + 1e-4 * rng.standard_normal(samples), np.float32)


def at_speed(speech: Samples, factor: float) -> Samples:
    """Return speech played `factor` times as fast, higher as well as shorter."""
    return np.asarray(soxr.resample(speech, round(RATE * factor), RATE), np.float32)


def with_pause(speech: Samples, pause_s: float) -> Samples:
    """Return speech with a pause at its quietest point between a fifth and four fifths."""
    hop = RATE // 50
    energy = np.square(speech[: speech.size // hop * hop]).reshape(-1, hop).sum(1)
    low, high = energy.size // 5, energy.size * 4 // 5
    if high - low < 3:
        return speech
    cut = (low + int(np.argmin(energy[low:high]))) * hop + hop // 2
    return np.concatenate([speech[:cut], np.zeros(int(pause_s * RATE), np.float32), speech[cut:]])


def in_room(speech: Samples, decay_s: float, wet: float, rng: np.random.Generator) -> Samples:
    """Return speech with the reverberation of a room of that RT60; `wet` is the echo's share, 0 .. 1."""
    size = int(decay_s * RATE)
    echo = rng.standard_normal(size) * 10 ** (-3 * np.arange(size) / size)
    echo[: RATE // 200] = 0
    echo *= wet / (np.sqrt(np.square(echo).sum()) + 1e-9)
    echo[0] = 1.0
    n = 1 << (speech.size + size).bit_length()
    out = np.fft.irfft(np.fft.rfft(speech, n) * np.fft.rfft(echo, n), n)[: speech.size + size // 2]
    return np.asarray(out, np.float32)


def mixed(speech: Samples, background: Samples, snr_db: float) -> Samples:
    """Return speech over a background of the same length, at that ratio of the speech's loud part to it."""
    loud = float(np.sqrt(np.mean(np.square(speech[np.abs(speech) > 0.02 * np.abs(speech).max(initial=0)]))))
    return np.asarray(speech + background * loud * 10 ** (-snr_db / 20), np.float32)


def placed(speech: Samples, before_s: float, after_s: float) -> Samples:
    """Return speech between silences of those lengths."""
    return np.pad(speech, (int(before_s * RATE), int(after_s * RATE)))


def augmented(speech: Samples, babble: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Return speech as a microphone in a room may hear it; `babble` is other people's, of any length.

    `strength` is 0 (nearly as it was spoken) .. 1: a learner is led from one to the other.
    """

    def happens(probability: float) -> bool:
        return bool(rng.random() < probability * strength)

    out = at_speed(speech, 1 + rng.uniform(-1, 1) * (0.03 + 0.1 * strength))
    if happens(0.25):
        out = out[int(rng.uniform(0, 0.06) * RATE) :]
    if happens(0.2):
        out = with_pause(out, rng.uniform(0.05, 0.25))
    if happens(0.5):
        tilt = rng.uniform(-0.7, 0.7)
        out = out + np.float32(tilt) * np.concatenate([[np.float32(0)], out[:-1]])
    if happens(0.15):
        out = soxr.resample(soxr.resample(out, RATE, 8000), 8000, RATE).astype(np.float32)
    if happens(0.4):
        out = in_room(out, rng.uniform(0.1, 0.5), rng.uniform(0.1, 0.5), rng)
    out = placed(out, rng.uniform(0, 0.1 + 0.4 * strength), rng.uniform(0.05, 0.1 + 0.7 * strength))
    if rng.random() < 0.8:
        quietest_db = 40 - 32 * strength
        if happens(0.2) and babble.size:
            voices = np.resize(babble, out.size)
            voices = voices / (np.sqrt(np.mean(np.square(voices))) + 1e-9)
            out = mixed(out, voices, rng.uniform(max(12, quietest_db), 40))
        else:
            kind = str(rng.choice(NOISES))
            out = mixed(out, noise(kind, out.size, rng), rng.uniform(quietest_db, 45))
    return levelled(out, rng.uniform(-8 - 24 * strength, -1), clip=happens(0.05))


def levelled(sound: Samples, peak_db: float, *, clip: bool = False) -> Samples:
    """Return sound with that peak in dB of full scale; `clip` cuts it at half of that."""
    out = sound * np.float32(10 ** (peak_db / 20) / (np.abs(sound).max(initial=0.0) + 1e-9))
    half = np.float32(0.5 * 10 ** (peak_db / 20))
    return np.clip(out, -half, half) if clip else out


def _coloured(samples: int, slope: float, rng: np.random.Generator) -> Samples:
    """Return noise whose spectrum falls with frequency to the power of `slope` (amplitude)."""
    size = 1 << samples.bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(size))
    spectrum /= np.maximum(np.arange(spectrum.size), 1) ** slope
    return np.asarray(np.fft.irfft(spectrum)[:samples], np.float32)
