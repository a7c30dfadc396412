"""Curves of human motion, each smooth where it begins and ends, over arrays of times."""

from __future__ import annotations

import math
from random import Random
from typing import Final

import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.float64]
"""float64[T]."""

_OCTAVES: Final = ((2.6, 1.0), (1.3, 0.55), (0.65, 0.3), (0.33, 0.14))
"""Period in seconds and height: sway's power falls with its frequency, a little faster than 1/f."""


def min_jerk(x: Curve) -> Curve:
    """Return 0 to 1 along a movement of least jerk for time 0 to 1; clamps.

    T. Flash and N. Hogan, "The coordination of arm movements" (1985); heads move alike.
    """
    x = np.clip(x, 0.0, 1.0)
    return x * x * x * (x * (x * 6.0 - 15.0) + 10.0)


def stroke(t: Curve, start_s: float, rise_s: float, hold_s: float, fall_s: float) -> Curve:
    """Return 0, then 1 from `start_s + rise_s` for `hold_s`, then 0 again."""
    return min_jerk((t - start_s) / rise_s) - min_jerk((t - start_s - rise_s - hold_s) / fall_s)


def window(t: Curve, end_s: float, ease_s: float) -> Curve:
    """Return 1, eased to 0 at times 0 and `end_s`, flat at both."""
    return min_jerk(t / ease_s) * min_jerk((end_s - t) / ease_s)


def sway(t: Curve, rng: Random, slowness: float = 1.0) -> Curve:
    """Return noise like that of somebody standing still, about -1 to 1: gradient noise of four octaves."""
    found = np.zeros_like(t)
    for period_s, height in _OCTAVES:
        found += height * _gradient_noise(t / (period_s * slowness), rng)
    return 1.3 * found


def _gradient_noise(x: Curve, rng: Random) -> Curve:
    """Return K. Perlin's noise of one lattice unit, begun at a random place in its first cell."""
    x = x + rng.random()
    slopes = np.array([rng.uniform(-1.0, 1.0) for _ in range(math.floor(x.max(initial=0.0)) + 2)])
    cell = np.floor(x).astype(np.int64)
    f = x - cell
    left, right = slopes[cell] * f, slopes[cell + 1] * (f - 1.0)
    return np.asarray(2.0 * (left + min_jerk(f) * (right - left)))


def breath(x: Curve, inhale: float, pause: float) -> Curve:
    """Return one breath, 0 empty to 1 full, for time 0 to 1: quicker in than out, then a pause.

    `inhale` and `pause` are shares of its time. Air leaves fast at first, as the chest falls back by itself.
    """
    x = np.clip(x, 0.0, 1.0)
    out = np.clip((x - inhale) / (1.0 - inhale - pause), 0.0, 1.0)
    return min_jerk(x / inhale) - min_jerk(out**0.75)


def saccade_s(degrees: float) -> float:
    """Return how long the eyes take for a jump: 2.2 ms a degree on top of 21 ms, 30 to 70 ms.

    The main sequence: A. T. Bahill, M. R. Clark, L. Stark (1975), with R. H. S. Carpenter's line.
    """
    return min(max(0.021 + 0.0022 * abs(degrees), 0.030), 0.070)
