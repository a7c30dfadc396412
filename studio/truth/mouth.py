"""How one person articulates: the daemon's mouth track, stronger or weaker, but every closure kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from studio.truth.draw import bounded_normal
from vcam_talker.core.types import MOUTH_RATE_HZ
from vcam_talker.face.motion import JAW, PRESS, PROTRUSION, ROUNDING, TEETH, TONGUE, WIDTH

Track = npt.NDArray[np.float32]
"""float32[T, 7], poses as in MOUTH_PARAMS."""

LAG_MAX_S: Final = 0.010
_NEAR_S: Final = 0.020
"""How far from its phone a closure still counts as its own: half a frame."""
_FREE: Final = (0.05, 0.18)
"""Jaws: below the first nothing is changed, for the lips or the teeth touch; above the second all is."""


@dataclass(frozen=True, slots=True)
class Style:
    """A speaker's habits, as factors of what the driver gives."""

    strength: float = 1.0
    """Of all that opens and rounds: a mumbler 0.75, an actor 1.25."""
    jaw: float = 1.0
    width: float = 1.0
    rounding: float = 1.0
    teeth: float = 1.0
    """Above 1: shows them more readily; where they show fully or not at all, nothing changes."""
    tongue: float = 1.0
    lag_s: float = 0.0
    """How late the lips are, within ± LAG_MAX_S."""


def random_style(rng: np.random.Generator) -> Style:
    """Return a person's style, without lag."""
    return Style(
        strength=bounded_normal(rng, 1.0, 0.13, 0.72, 1.28),
        jaw=bounded_normal(rng, 1.0, 0.10, 0.8, 1.2),
        width=bounded_normal(rng, 1.0, 0.14, 0.7, 1.3),
        rounding=bounded_normal(rng, 1.0, 0.12, 0.75, 1.25),
        teeth=bounded_normal(rng, 1.0, 0.12, 0.75, 1.25),
        tongue=bounded_normal(rng, 1.0, 0.08, 0.85, 1.15),
    )


def styled(values: Track, style: Style) -> Track:
    """Return a track (float32[T, 7]) as this speaker moves, of the same length.

    Rest stays rest, a pressed or touching mouth stays as it is, and a lag moves closures but shortens none.
    """
    out = _late(values, style.lag_s)
    free = np.clip((out[:, JAW] - _FREE[0]) / (_FREE[1] - _FREE[0]), 0.0, 1.0)
    free = free * free * (3 - 2 * free)
    out[:, JAW] *= 1 + (style.strength * style.jaw - 1) * free
    out[:, WIDTH] *= style.strength * style.width
    for column in (ROUNDING, PROTRUSION):
        out[:, column] *= style.strength * style.rounding
    for column, factor in ((TEETH, style.teeth), (TONGUE, style.tongue)):
        out[:, column] = np.clip(out[:, column], 0.0, 1.0) ** (1 / factor)
    low = np.zeros(out.shape[1])
    low[WIDTH] = -1.0
    return np.clip(out, low, 1.0).astype(np.float32)


def at_frames(values: Track, frames: int, fps: int) -> Track:
    """Return the poses at the moments k / fps of `frames` frames, float32[frames, 7]; past the end: rest."""
    times = np.arange(frames) * (MOUTH_RATE_HZ / fps)
    return _sampled(values, times)


def pin_closures(frames: Track, values: Track, spans: Sequence[tuple[float, float]], fps: int) -> None:
    """Make each closure (start and end in s) show in a frame; changes `frames` (float32[F, 7]).

    A short stop may fall between two frames. Then the frame nearest to it shows the moment at which the lips
    press most, less than a frame away.
    """
    shut = closed(frames)
    for start_s, end_s in spans:
        first = max(0, int(np.ceil((start_s - _NEAR_S) * fps - 1e-6)))
        beyond = min(len(frames), int(np.floor((end_s + _NEAR_S) * fps + 1e-6)) + 1)
        if first >= beyond or shut[first:beyond].any():
            continue
        low, high = (round(s * MOUTH_RATE_HZ) for s in (max(0.0, start_s - _NEAR_S), end_s + _NEAR_S))
        held = values[low : high + 1]
        pressed = closed(held)
        if not pressed.any():
            continue
        peak = low + int(np.argmax(np.where(pressed, held[:, PRESS], 0.0)))
        nearest = min(beyond - 1, max(first, round(peak * fps / MOUTH_RATE_HZ)))
        frames[nearest] = values[peak]
        shut[nearest] = True


def _late(values: Track, lag_s: float) -> npt.NDArray[np.float64]:
    lag_s = min(LAG_MAX_S, max(-LAG_MAX_S, lag_s))
    return _sampled(values, np.arange(len(values)) - lag_s * MOUTH_RATE_HZ).astype(np.float64)


def _sampled(values: Track, places: npt.NDArray[np.floating[Any]]) -> Track:
    """Return linear interpolations at fractional poses; before the first and after the last there is rest."""
    padded = np.zeros((len(values) + 2, values.shape[1]))
    padded[1:-1] = values
    at = np.clip(places + 1, 0, len(padded) - 1)
    below = np.minimum(at.astype(np.intp), len(padded) - 2)
    part = (at - below)[:, None]
    found: Track = (padded[below] * (1 - part) + padded[below + 1] * part).astype(np.float32)
    return found


def closed(values: Track) -> npt.NDArray[np.bool_]:
    """Return at which poses the lips are pressed together, bool[T]."""
    pressed: npt.NDArray[np.bool_] = (values[:, PRESS] >= 0.8) & (values[:, JAW] <= _FREE[0])
    return pressed
