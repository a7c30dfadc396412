"""Finds where a clip goes over into itself best, after A. Schoedl and others, Video Textures (2000)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from vcam_talker.persona_new.landmarks import Floats, mouth_width
from vcam_talker.persona_new.track import Track

FADE_S: Final = 0.4
_LEAST_S: Final = 2.5
_SHARE: Final = 0.5
"""Of what there is: a loop is at least that long."""
_MOTION: Final = 1
"""Pictures on either side that are compared too, so that motions agree as well as places."""
_LENGTH: Final = 0.35
"""How much a loop of the whole length may look worse at its cut than the best of half the length."""
_FACE: Final = 60.0
"""Grey values that a face's shift by the mouth's width counts as."""


@dataclass(frozen=True, slots=True)
class Loop:
    """Pictures `first` up to `end`; the last `fade` of them go over into those before `first`."""

    first: int
    end: int
    fade: int

    @property
    def frames(self) -> int:
        """How many it has."""
        return self.end - self.first


def best_loop(track: Track, run: range, fps: int) -> Loop:
    """Return the loop within `run`, whose pictures all may be shown. Blocks for a second at most."""
    fade = min(max(2, round(FADE_S * fps)), len(run) // 4)
    least = max(round(_LEAST_S * fps), round(_SHARE * len(run)))
    least = min(least, len(run) - fade)
    rows = np.arange(run.start, run.stop)
    width = mouth_width(track.points[rows].mean(0))
    places = track.points[rows].reshape(len(rows), -1) * np.float32(_FACE / width / np.sqrt(72.0))
    looks = track.small[rows] / np.float32(np.sqrt(track.small.shape[1]))
    apart = np.sqrt(_squares(looks) + _squares(places))
    joined = sum(np.roll(apart, (k, k), (0, 1)) for k in range(-_MOTION, _MOTION + 1)) / (2 * _MOTION + 1)
    first, end = np.meshgrid(np.arange(len(rows)), np.arange(len(rows)), indexing="ij")
    allowed = (first >= fade) & (end - first >= least)
    # The picture `end` is not shown: in its place stands `first`, which is to look like it.
    longer = (end - first) / max(len(rows), 1)
    cost = np.where(allowed, joined * (1 + _LENGTH * (1 - longer)), np.inf)
    if not np.isfinite(cost).any():
        return Loop(run.start + fade, run.stop, fade)
    at, to = np.unravel_index(int(cost.argmin()), cost.shape)
    return Loop(run.start + int(at), run.start + int(to), fade)


def _squares(rows: Floats) -> Floats:
    """Return the squared distances of all rows from each other."""
    rows = rows - rows.mean(0)
    norms = (rows * rows).sum(1)
    return np.asarray(np.maximum(norms[:, None] + norms[None] - 2 * rows @ rows.T, 0), np.float32)
