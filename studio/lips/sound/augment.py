"""What happens to a voice before a microphone has it: throats, rooms, noise, lines, levels.

Everything is drawn anew for every crop. What moves the time line (speaking rate) moves the mouth with it;
nothing else touches the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.fft import dct, irfft, rfft
from scipy.ndimage import gaussian_filter1d
from scipy.signal import oaconvolve

from studio.lips.sound.data import POSE, Take
from studio.truth.draw import one_of
from studio.truth.voices import AUDIO_RATE
from vcam_talker.core.types import MOUTH_PARAMS
from vcam_talker.face.neural.spectrum import (
    BANDS,
    SILENCE,
    Bands,
    filters,
    heard,
    power,
    window_size,
)

Sound = npt.NDArray[np.float32]
Values = npt.NDArray[np.float32]

_RATE: Final = (0.86, 1.18)
_WARPS: Final = tuple(float(w) for w in np.round(np.exp(np.linspace(np.log(0.82), np.log(1.2), 25)), 4))
_SNR_DB: Final = (5.0, 40.0)
_GAIN_DB: Final = (-16.0, 10.0)
_BANK_S: Final = 40
_DB: Final = 20.0
"""A unit of what is heard (`spectrum`)."""


_FORMANTS: Final = 14
"""Cosines over the bands that hold formants; the faster ones hold pitch."""
_COSINES: Final = dct(np.eye(BANDS), norm="ortho", axis=0)
"""float64[BANDS, BANDS], one cosine a row."""


_NEAR: Final = gaussian_filter1d(np.eye(BANDS), 5.0, axis=0, mode="nearest").T.astype(np.float32)
"""float32[BANDS, BANDS]: the mean of the bands around each."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A training example."""

    heard: Bands
    """float32[past + T + ahead, BANDS]."""
    mouth: Values
    """float32[T, 7]."""
    weight: npt.NDArray[np.float32]
    """float32[T], of the moments."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Length of a crop, and how far around it the network looks, in poses."""

    length: int
    past: int
    ahead: int

    @property
    def whole(self) -> int:
        """Poses of input."""
        return self.past + self.length + self.ahead


class Noises:
    """Backgrounds: white, pink, brown, hum, and babble of the set's own voices."""

    def __init__(self, takes: Sequence[Take], rng: np.random.Generator) -> None:
        """Make them once, some seconds' worth of each. Blocks for a second."""
        count = _BANK_S * AUDIO_RATE
        white = rng.standard_normal(count).astype(np.float32)
        hz = np.fft.rfftfreq(count, 1 / AUDIO_RATE)
        spectrum = rfft(white)
        self._bank = [white]
        for slope in (0.5, 1.0):
            colour = spectrum / np.maximum(hz, 20.0) ** slope
            self._bank.append(_levelled(irfft(colour, count).astype(np.float32)))
        time_s = np.arange(count) / AUDIO_RATE
        hum = sum(np.sin(2 * np.pi * 50 * k * time_s + k) / k for k in (1, 2, 3, 5, 7))
        self._bank.append(_levelled((hum + 0.1 * white).astype(np.float32)))
        for voices in (3, 6, 6, 10):
            babble = np.zeros(count, np.float32)
            for _ in range(voices):
                sound = one_of(rng, takes).samples
                babble += np.resize(np.roll(sound, int(rng.integers(sound.size))), count)
            self._bank.append(_levelled(babble))

    def draw(self, count: int, rng: np.random.Generator) -> Sound:
        """Return `count` samples of RMS 1, once in a while of two kinds."""
        found = self._piece(count, rng)
        if rng.random() < 0.25:
            found = _levelled(found + float(rng.uniform(0.1, 1.0)) * self._piece(count, rng))
        return found

    def _piece(self, count: int, rng: np.random.Generator) -> Sound:
        noise = one_of(rng, self._bank)
        at = int(rng.integers(noise.size - count))
        return noise[at : at + count]


def crop(take: Take, shape: Shape, noises: Noises, rng: np.random.Generator) -> Crop:
    """Return a stretch of a take as some microphone would have it."""
    rate = float(np.exp(rng.uniform(*np.log(_RATE)))) if rng.random() < 0.6 else 1.0
    # Now and then the beginning of everything, with nothing before it.
    first = float(rng.uniform(-20, max(1.0, len(take.mouth) - rate * shape.length)))
    places = first + np.arange(shape.length) * rate
    mouth = _at(take.values, places)
    clean = _sound(take, first - shape.past * rate, rate, shape.whole)
    found = voiced(clean, shape.whole, noises, rng)
    weight = np.ones(shape.length, np.float32)
    if rng.random() < 0.4:
        # A part of a speech whose next part isn't there yet: the driver holds what it heard last.
        edge = shape.whole - shape.ahead - int(rng.integers(1, 3))
        found[edge:] = found[edge - 1]
        weight[-shape.ahead :] = 3.0
    return Crop(found, mouth, weight)


def voiced(sound: Sound, count: int, noises: Noises, rng: np.random.Generator) -> Bands:
    """Return what some microphone would have of `count` poses of a sound; nothing moves in time.

    `sound`: from half a window before the first pose's moment to half a window behind the last one's.
    """
    recorded = _recorded(sound, noises, rng)
    warp = one_of(rng, _WARPS) if rng.random() < 0.7 else 1.0
    found = _heard(recorded, count, warp)
    if rng.random() < 0.8:
        found = _throat(found, rng)
    return _line(found, rng)


def plain(take: Take, shape_past: int, shape_ahead: int) -> Bands:
    """Return what is heard of a whole take as it is, with silence around it."""
    count = shape_past + len(take.mouth) + shape_ahead
    return _heard(_sound(take, -shape_past, 1.0, count), count, 1.0)


def degraded(sound: Sound, noises: Noises, rng: np.random.Generator, snr_db: float) -> Sound:
    """Return a sound in a small room with noise at `snr_db`: what the figures for noise are taken on."""
    wet = oaconvolve(sound, _room(0.35, 6.0, rng))[: sound.size].astype(np.float32)
    noise = np.tile(noises.draw(8 * AUDIO_RATE, rng), sound.size // (8 * AUDIO_RATE) + 1)[: sound.size]
    return wet + noise * (_speech_rms(wet) * np.float32(10 ** (-snr_db / 20)))


def _sound(take: Take, first: float, rate: float, count: int) -> Sound:
    """Return the samples around poses `first` + k * `rate`, k < `count`, with half a window on both sides.

    Straight lines between samples: the little that they dull the treble is one more microphone.
    """
    half = window_size(AUDIO_RATE) // 2
    size = count * POSE + 2 * half
    start = first * POSE - half * rate
    low = int(np.floor(start))
    beyond = int(np.ceil(start + size * rate)) + 2
    source = np.zeros(beyond - low, np.float32)
    a, b = max(0, low), min(take.audio.size, beyond)
    if b > a:
        source[a - low : b - low] = take.audio[a:b]
    source /= 32768
    if rate == 1.0 and start == low:
        return source[:size]
    places = start - low + np.arange(size) * rate
    found: Sound = np.interp(places, np.arange(source.size), source).astype(np.float32)
    return found


def _recorded(sound: Sound, noises: Noises, rng: np.random.Generator) -> Sound:
    if rng.random() < 0.4:
        room = _room(float(rng.uniform(0.08, 0.8)), float(rng.uniform(-3.0, 15.0)), rng)
        sound = oaconvolve(sound, room)[: sound.size].astype(np.float32)
    rms = _speech_rms(sound)
    if rng.random() < 0.75:
        level = rms * 10 ** (-float(rng.uniform(*_SNR_DB)) / 20)
        sound = sound + noises.draw(sound.size, rng) * np.float32(level)
    if rng.random() < 0.1:
        peak = float(rng.uniform(1.5, 5.0)) * rms
        sound = np.clip(sound, -peak, peak)
    if rng.random() < 0.08:
        scale = 8 * rms + 1e-6
        sound = (np.round(np.arcsinh(sound / scale * 40) * 20) / 20).astype(np.float32)
        sound = (np.sinh(sound) / 40 * scale).astype(np.float32)
    return sound


def _heard(sound: Sound, count: int, warp: float) -> Bands:
    size = window_size(AUDIO_RATE)
    windows = np.lib.stride_tricks.sliding_window_view(sound, size)[::POSE][:count]
    return heard(power(windows, AUDIO_RATE), filters(AUDIO_RATE, warp))


def _throat(found: Bands, rng: np.random.Generator) -> Bands:
    """Return it from another throat: formants elsewhere, sharper or duller, more or less pitch and contrast.

    Synthetic voices are few and alike; what a network may rely on has to survive this.
    """
    # Each formant moves on its own: places between bands, displaced along a random smooth curve.
    knots = rng.normal(0, 0.7, 5)
    places = np.arange(BANDS) + np.interp(np.arange(BANDS), np.linspace(0, BANDS - 1, 5), knots)
    places = np.clip(places, 0, BANDS - 1.001)
    below = places.astype(np.intp)
    part = (places - below).astype(np.float32)
    moved = found[:, below] * (1 - part) + found[:, below + 1] * part
    # The spectrum as a sum of cosines: the slow ones are vowels, the fast ones pitch.
    size = np.ones(BANDS)
    size[1:_FORMANTS] = np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.08, _FORMANTS - 1))
    size[_FORMANTS:] = rng.uniform(0.0, 1.4)
    matrix = (_COSINES.T * size) @ _COSINES
    shaped = moved @ matrix.astype(np.float32)
    if rng.random() < 0.6:
        # Between formants espeak-ng has nothing; people have breath.
        breath = shaped @ _NEAR - np.float32(rng.uniform(0.2, 1.4))
        breath += rng.normal(0, 0.12, breath.shape).astype(np.float32)
        shaped = np.maximum(shaped, breath)
    # Compressors and actors: louder and softer lie closer together, or farther apart.
    loudest = np.percentile(shaped.mean(axis=1), 90)
    contrast = np.float32(rng.uniform(0.75, 1.15))
    level = shaped.mean(axis=1, keepdims=True)
    out = shaped + (contrast - 1) * (level - np.float32(loudest))
    # Nothing stays nothing.
    silent = found.max(axis=1, keepdims=True) <= SILENCE
    return np.where(silent, SILENCE, np.maximum(out, SILENCE)).astype(np.float32)


def _line(found: Bands, rng: np.random.Generator) -> Bands:
    """Return it through a microphone, a line and a knob: all of it changes levels of bands."""
    where = np.linspace(-1, 1, BANDS)
    change = np.full(BANDS, rng.uniform(*_GAIN_DB) if rng.random() < 0.8 else 0.0)
    if rng.random() < 0.7:
        change += rng.normal(0, 5.0) * where
        for _ in range(3):
            bell = np.exp(-0.5 * ((where - rng.uniform(-1, 1)) / rng.uniform(0.08, 0.5)) ** 2)
            change += rng.normal(0, 4.0) * bell
    out = found + (change / _DB).astype(np.float32)
    if rng.random() < 0.15:
        # Telephone, or a loudspeaker in a box: 300 Hz .. 3.4 kHz and less, and old codecs' 4 kHz.
        if rng.random() < 0.6:
            out[:, : int(rng.integers(2, 8))] -= np.float32(rng.uniform(0.5, 2.0))
        out[:, int(rng.integers(32, 44)) :] = SILENCE
    if rng.random() < 0.15:
        at, width = int(rng.integers(BANDS)), int(rng.integers(1, 6))
        out[:, at : at + width] = out.mean()
    if rng.random() < 0.2:
        # Less of the pitch's comb, as in a whisper or a cold.
        padded = np.pad(out, ((0, 0), (1, 1)), mode="edge")
        out = ((padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4).astype(np.float32)
    return np.maximum(out, SILENCE)


def _room(rt60_s: float, direct_db: float, rng: np.random.Generator) -> Sound:
    """Return a room's answer to a clap: the clap, some early echoes, a tail that dies by 60 dB in `rt60_s`.

    `direct_db`: the clap against all the rest, energies.
    """
    count = int(min(rt60_s, 0.5) * AUDIO_RATE)
    time_s = np.arange(count) / AUDIO_RATE
    tail = rng.standard_normal(count) * 10 ** (-3 * time_s / rt60_s)
    tail[: int(0.004 * AUDIO_RATE)] = 0.0
    for _ in range(6):
        tail[int(rng.integers(16, min(count, 640)))] += rng.normal(0, 4.0)
    # Walls and air take treble.
    tail = np.convolve(tail, (0.3, 0.4, 0.3), mode="same")
    tail *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(tail**2) + 1e-9)
    tail[0] = 1.0
    return tail.astype(np.float32)


def _speech_rms(sound: Sound) -> float:
    """Return the RMS of the louder half: pauses don't count."""
    blocks = sound[: sound.size // 320 * 320].reshape(-1, 320)
    levels = np.sort(np.sqrt(np.mean(blocks**2, axis=1)))
    return float(np.mean(levels[levels.size // 2 :])) + 1e-4


def _levelled(sound: Sound) -> Sound:
    return sound / np.float32(np.sqrt(np.mean(sound**2)) + 1e-9)


def _at(values: Values, places: npt.NDArray[np.floating[Any]]) -> Values:
    """Return straight lines between poses; before the first and behind the last there is rest."""
    padded = np.zeros((len(values) + 2, len(MOUTH_PARAMS)), np.float32)
    padded[1:-1] = values
    at = np.clip(places + 1, 0, len(padded) - 1)
    below = np.minimum(at.astype(np.intp), len(padded) - 2)
    part = (at - below).astype(np.float32)[:, None]
    found: Values = padded[below] * (1 - part) + padded[below + 1] * part
    return found
