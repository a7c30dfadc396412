"""How a photograph lives: breath, sway and blinks as curves, cut into segments between anchors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.float64]
"""float64[T]"""

FPS: Final = 30
CHANNELS: Final = ("shift_x", "shift_y", "roll", "zoom", "turn", "nod")
"""Of the head: shifts in heights of the face, roll in degrees, zoom as a share, turn and nod as shifts of the
face's middle against its rim, in heights of the face."""
_AMPLITUDES: Final = np.array([0.016, 0.007, 0.9, 0.006, 0.016, 0.010])
_PERIODS_S: Final = (3.0, 9.0)
_ANCHORS: Final = {
    "middle": np.zeros(6),
    "left": np.array([-0.024, 0.003, -0.9, 0.004, -0.020, 0.002]),
    "right": np.array([0.022, 0.005, 1.0, -0.003, 0.018, -0.004]),
}
_PLAN: Final = (
    ("middle", "middle", 9.0, 2),
    ("middle", "left", 8.0, 2),
    ("left", "left", 10.0, 3),
    ("left", "right", 9.5, 2),
    ("right", "right", 8.5, 2),
    ("right", "middle", 8.0, 2),
    ("middle", "middle", 11.5, 3),
)
"""From, to, seconds, breaths."""
_EASE_S: Final = 1.4
_BLINK_S: Final = (0.17, 0.27)
_BLINK_GAP_S: Final = (1.6, 5.5)
_CALM_S: Final = 0.35
"""Around anchors: no blink."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of life, from one anchor to another."""

    begins: str
    ends: str
    head: npt.NDArray[np.float64]
    """float64[T, 6], columns as in CHANNELS."""
    breath: Curve
    """0 empty to 1 full."""
    lids: Curve
    """0 open to 1 shut."""

    @property
    def frames(self) -> int:
        """How many."""
        return len(self.breath)


def life(seed: int, *, blinks: bool = True, brief: bool = False) -> list[Segment]:
    """Return the segments of a photograph's life, about a minute; `brief`: seconds, to look at."""
    rng = np.random.default_rng(seed)
    if brief:
        plan = [(begins, ends, seconds / 4, 1) for begins, ends, seconds, _ in _PLAN[:2] + _PLAN[4:6]]
        plan[2] = ("left", "right", *plan[2][2:])
    else:
        plan = list(_PLAN)
    return [_segment(rng, *row, blinks=blinks) for row in plan]


def _segment(
    rng: np.random.Generator, begins: str, ends: str, seconds: float, breaths: int, *, blinks: bool
) -> Segment:
    frames = round(seconds * FPS)
    # Frame 0 is the first step away from the anchor, the last one shows the other.
    t = (np.arange(frames) + 1) / FPS
    whole = frames / FPS
    share = t / whole
    way = share**3 * (share * (6 * share - 15) + 10)
    head = _ANCHORS[begins] + np.outer(way, _ANCHORS[ends] - _ANCHORS[begins])
    away = _smooth(t / _EASE_S) * _smooth((whole - t) / _EASE_S)
    head = head + _AMPLITUDES * away[:, None] * np.stack([_wander(rng, t) for _ in CHANNELS], 1)
    breath = (1 - np.cos(2 * np.pi * breaths * share)) / 2
    return Segment(begins, ends, head, breath, _blinks(rng, t, whole) if blinks else np.zeros(frames))


def _wander(rng: np.random.Generator, t: Curve) -> Curve:
    """Return smooth noise, rarely past 1: sines out of step."""
    low, high = np.log(_PERIODS_S).tolist()
    periods = np.exp(rng.uniform(low, high, 4))
    weights = periods / np.sqrt((periods**2).sum())
    return np.asarray(np.sin(2 * np.pi * (t[:, None] / periods + rng.random(4))) @ weights)


def _blinks(rng: np.random.Generator, t: Curve, whole: float) -> Curve:
    """Return how far the lids are shut: they fall in a third of a blink, and rise more slowly."""
    shut = np.zeros_like(t)
    at = _CALM_S + float(rng.uniform(0.2, 2.5))
    while True:
        length = float(rng.uniform(*_BLINK_S))
        if at + length > whole - _CALM_S:
            return shut
        falling, rising = (t - at) / (0.36 * length), (t - at - 0.48 * length) / (0.52 * length)
        shut = np.maximum(shut, _smooth(falling) - _smooth(rising))
        at += length + float(rng.uniform(*_BLINK_GAP_S))


def _smooth(x: Curve) -> Curve:
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))
