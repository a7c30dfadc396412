"""What the sound network hears: levels in mel bands around each moment, at any rate of sound.

A band's level is that of the sound's power per 100 Hz, so that speech gives the same figures at 16, 22.05 and
48 kHz and nothing has to be resampled; bands above a sound's own half rate are silent.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import Samples
from vcam_talker.face.neural.products import product

BANDS: Final = 48
LOW_HZ: Final = 60.0
HIGH_HZ: Final = 7600.0
FLOOR_DB: Final = -90.0
"""Of a band; 16 bit noise lies there."""
WINDOW_S: Final = 0.025

_ZERO_DB: Final = -60.0
_SCALE_DB: Final = 20.0
"""A band is heard as (level - _ZERO_DB) / _SCALE_DB, which lies about 0 with a spread of about 1."""
_BIN_HZ: Final = 24.0
"""Bins are that fine or finer: half of the narrowest band."""
_LEAST_HALF_HZ: Final = 48.0
_BLOCK: Final = 256

Bands = npt.NDArray[np.float32]
"""float32[T, BANDS], -1.5 (nothing) to about 3."""
Power = npt.NDArray[np.float32]
"""float32[T, bins], per 100 Hz, of full scale."""

SILENCE: Final = np.float32((FLOOR_DB - _ZERO_DB) / _SCALE_DB)


def bands(samples: Samples, rate: int, centres: npt.NDArray[np.intp]) -> Bands:
    """Return what is heard around the samples numbered `centres` (int[T], rising): float32[T, BANDS].

    `samples` float32[N] at `rate` Hz; what lies outside of them, or is not finite, is silence. Pure function;
    about 0.5 % of real time.
    """
    out = np.empty((len(centres), BANDS), np.float32)
    if not len(centres):
        return out
    clean = np.nan_to_num(np.asarray(samples, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    size = window_size(rate)
    starts = centres - size // 2
    before = max(0, -int(starts[0]))
    after = max(0, int(starts[-1]) + size - clean.size)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(clean, (before, after)), size)
    for at in range(0, len(centres), _BLOCK):
        block = windows[starts[at : at + _BLOCK] + before]
        out[at : at + _BLOCK] = heard(power(block, rate), filters(rate))
    return out


def window_size(rate: int) -> int:
    """Return samples of a window."""
    return max(8, round(WINDOW_S * rate))


def power(windows: npt.NDArray[np.float32], rate: int) -> Power:
    """Return the spectrum of windows float32[T, window_size(rate)]."""
    size = fft_size(rate)
    taper = _taper(rate)
    spectra = np.fft.rfft(windows * taper, size)
    found: Power = (spectra.real**2 + spectra.imag**2).astype(np.float32)
    return found


def heard(spectra: Power, matrix: npt.NDArray[np.float32]) -> Bands:
    """Return band levels as the network hears them; `matrix` float32[bins, BANDS] as `filters` gives it."""
    level_db = 10 * np.log10(np.maximum(product(spectra, matrix), np.float32(10 ** (FLOOR_DB / 10))))
    found: Bands = ((level_db - _ZERO_DB) / _SCALE_DB).astype(np.float32)
    return found


def fft_size(rate: int) -> int:
    """Return the length of the transform."""
    least = max(window_size(rate), int(np.ceil(rate / _BIN_HZ)))
    return int(1 << (least - 1).bit_length())


@lru_cache(maxsize=64)
def filters(rate: int, warp: float = 1.0) -> npt.NDArray[np.float32]:
    """Return triangles evenly spaced in mel (O'Shaughnessy), each of sum 1: float32[bins, BANDS].

    `warp` moves them up: a throat so much shorter sounds to them as the one did before.
    """
    hz = np.fft.rfftfreq(fft_size(rate), 1 / rate)
    low, high = (2595 * np.log10(1 + f / 700) for f in (LOW_HZ, HIGH_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1) * warp
    centre = edges[1:-1]
    left = np.minimum(edges[:-2], centre - _LEAST_HALF_HZ)
    right = np.maximum(edges[2:], centre + _LEAST_HALF_HZ)
    rise = (hz[:, None] - left) / (centre - left)
    fall = (right - hz[:, None]) / (right - centre)
    matrix = np.maximum(0.0, np.minimum(rise, fall))
    found: npt.NDArray[np.float32] = (matrix / np.maximum(matrix.sum(axis=0), 1e-3)).astype(np.float32)
    # A band half of which lies beyond what the sound can hold would tell of less than it covers.
    found[:, centre > rate / 2 * 0.98] = 0.0
    found.setflags(write=False)
    return found


@lru_cache(maxsize=8)
def _taper(rate: int) -> npt.NDArray[np.float32]:
    size = window_size(rate)
    taper = np.hanning(size + 2)[1:-1]
    # One-sided power density, in units of 100 Hz.
    scale = np.sqrt(2 * 100.0 / (rate * np.sum(taper**2)))
    found: npt.NDArray[np.float32] = (taper * scale).astype(np.float32)
    return found
