"""What can be heard of a mouth: levels by band and the first two formants, every 10 ms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import MOUTH_RATE_HZ, Samples
from vcam_talker.dsp.levels import FLOOR_DB, frame_starts

Track = npt.NDArray[np.float64]
"""float64[T], one value per pose."""
Spectra = npt.NDArray[np.float64]
"""float64[T, bins], power."""

WINDOW_S: Final = 0.025
LPC_TOP_HZ: Final = 5000
LPC_ORDER: Final = 10
"""Five resonances below 5 kHz, as every textbook counts them for an adult voice."""

_BLOCK: Final = 256
"""Frames analysed at once; bounds memory for a recording of any length."""
_PREEMPHASIS: Final = 0.95
_MAX_BANDWIDTH_HZ: Final = 500.0
_LAGS: Final = np.arange(LPC_ORDER + 1)


@dataclass(frozen=True, slots=True)
class Acoustics:
    """Analysis of a piece of sound, each float64[T], aligned with its poses."""

    level_db: Track
    """80 Hz .. 8 kHz; like the others in dB full scale."""
    low_db: Track
    """80 .. 450 Hz: all that passes the nose while the lips are shut."""
    mid_db: Track
    """450 .. 3000 Hz: vowels."""
    hiss_db: Track
    """3 .. 5 kHz: sh, and s to a lesser degree."""
    high_db: Track
    """Above 5 kHz: s."""
    f1_hz: Track
    f2_hz: Track


def analyse(samples: Samples, rate: int, count: int) -> Acoustics:
    """Analyse `samples` (float32[N], mono) in `count` windows of 25 ms, centred on the poses' moments.

    Pure function; about 1 % of real time. Samples that are not finite count as silence.
    """
    size = max(8, round(WINDOW_S * rate))
    fft_size = 1 << (size - 1).bit_length()
    clean = np.nan_to_num(samples.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    starts = frame_starts(count, rate, MOUTH_RATE_HZ)
    padded = np.zeros(int(starts[-1]) + 2 * size + 1)
    used = min(clean.size, padded.size - size // 2)
    padded[size // 2 : size // 2 + used] = clean[:used]
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)
    taper = np.hanning(size)
    taper = taper / np.sqrt(np.sum(taper**2) * fft_size)
    hz: Track = np.fft.rfftfreq(fft_size, 1 / rate).astype(np.float64)
    bands = ((80, 8000), (80, 450), (450, 3000), (3000, 5000), (5000, 8000))
    pick = np.stack([(hz >= low) & (hz < high) for low, high in bands], axis=1) * 2.0
    levels = np.empty((count, len(bands)))
    formants = np.empty((count, 2))
    for at in range(0, count, _BLOCK):
        spectra = np.fft.rfft(windows[starts[at : at + _BLOCK]] * taper, fft_size)
        power: Spectra = spectra.real**2 + spectra.imag**2
        levels[at : at + _BLOCK] = power @ pick
        formants[at : at + _BLOCK] = _formants(power, hz)
    levels_db = 10 * np.log10(np.maximum(levels, 10 ** (FLOOR_DB / 10)))
    return Acoustics(*levels_db.T, *(_median5(track) for track in formants.T))


def _formants(power: Spectra, hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return F1 and F2 (float64[T, 2]) by selective linear prediction (J. Makhoul, 1975).

    The spectrum below 5 kHz alone is turned into an autocorrelation, so that the rate of the sound
    doesn't matter and nothing has to be resampled.
    """
    inside = hz <= LPC_TOP_HZ
    top_hz = hz[inside][-1]
    tilt = 1 + _PREEMPHASIS**2 - 2 * _PREEMPHASIS * np.cos(np.pi * hz[inside] / top_hz)
    correlation = np.fft.irfft(power[:, inside] * tilt)[:, : LPC_ORDER + 1]
    # White noise and a Gaussian lag window (60 Hz) keep the pitch's harmonics from posing as formants.
    correlation = correlation * np.exp(-0.5 * (np.pi * 60 / top_hz * _LAGS) ** 2)
    correlation[:, 0] = correlation[:, 0] * 1.0001 + 1e-15
    roots = np.linalg.eigvals(_companion(_levinson(correlation)))
    frequency = np.angle(roots) * top_hz / np.pi
    bandwidth = -np.log(np.maximum(np.abs(roots), 1e-6)) * 2 * top_hz / np.pi
    sharp = (frequency > 180) & (frequency < top_hz - 100) & (bandwidth < _MAX_BANDWIDTH_HZ)
    ordered = np.sort(np.where(sharp, frequency, np.inf), axis=1)
    neutral = np.array([500.0, 1500.0])
    return np.where(np.isfinite(ordered[:, :2]), ordered[:, :2], neutral)


def _levinson(correlation: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the prediction coefficients float64[T, LPC_ORDER] of all frames at once (Levinson-Durbin)."""
    count = len(correlation)
    a = np.zeros((count, LPC_ORDER + 1))
    a[:, 0] = 1.0
    error = correlation[:, 0].copy()
    for i in range(1, LPC_ORDER + 1):
        reflection = -np.sum(a[:, :i] * correlation[:, i:0:-1], axis=1) / error
        a[:, 1 : i + 1] += reflection[:, None] * a[:, i - 1 :: -1]
        error *= 1 - reflection**2
    return a[:, 1:]


def _companion(a: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the matrices float64[T, n, n] whose eigenvalues are the roots of the predictors."""
    count, order = a.shape
    matrix = np.zeros((count, order, order))
    matrix[:, 0, :] = -a
    matrix[:, np.arange(1, order), np.arange(order - 1)] = 1.0
    return matrix


def _median5(track: Track) -> Track:
    padded = np.pad(track, 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1))
