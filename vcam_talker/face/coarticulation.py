"""How neighbouring sounds share the mouth: dominance functions.

After M. M. Cohen and D. W. Massaro, "Modeling coarticulation in synthetic visual speech" (1993): every sound
spreads its target over time with a dominance that decays exponentially to both sides, and the mouth takes the
mean of all targets, weighted by their dominance at that moment. Here jaw, lips and tongue have dominances of
their own; the lips look far ahead (rounding starts some 150 ms early, through consonants that don't care).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.face.motion import Poses
from vcam_talker.face.visemes import Segment

_GROUP_OF_COLUMN: Final = (0, 1, 1, 1, 2, 2, 2)
"""Jaw, lips, or tongue and teeth, per column of MOUTH_PARAMS."""
_BEFORE_S: Final = np.array([0.045, 0.100, 0.040])
"""Time constants with which each group's dominance rises ahead of a sound."""
_AFTER_S: Final = np.array([0.050, 0.060, 0.040])
"""And with which it decays after it."""
_CORE: Final = 0.2
"""Share of a sound, on either side of its middle, over which its dominance stays at the peak."""
_REST_PULL: Final = 0.04
"""How hard the mouth wants to shut by itself."""
_HORIZON_S: Final = 0.6
"""Dominance this far away is below one part in 400 for every group."""
_BLOCK: Final = 256
"""Poses worked on at once; bounds memory for a speech of any length."""


def blend(segments: Sequence[Segment], openness: Sequence[float], times_s: npt.NDArray[np.float64]) -> Poses:
    """Return the mouth at `times_s` (float64[T], rising): float64[T, 7]; `press` is left at 0.

    `segments` need no order and may overlap; `openness` (one per segment) scales their jaw targets.
    """
    out = np.zeros((len(times_s), len(_GROUP_OF_COLUMN)))
    if not segments:
        return out
    start = np.array([s.start_s for s in segments])
    end = np.array([s.end_s for s in segments])
    middle, half = (start + end) / 2, (end - start) * _CORE
    low, high = middle - half, middle + half
    pull = np.array([(s.shape.jaw_pull, s.shape.lip_pull, s.shape.tongue_pull) for s in segments])
    target = np.array(
        [
            (
                s.shape.jaw * scale,
                s.shape.width,
                s.shape.rounding,
                s.shape.protrusion,
                s.shape.teeth,
                s.shape.tongue,
                0.0,
            )
            for s, scale in zip(segments, openness, strict=True)
        ]
    )
    for at in range(0, len(times_s), _BLOCK):
        t = times_s[at : at + _BLOCK]
        near = (low < t[-1] + _HORIZON_S) & (high > t[0] - _HORIZON_S)
        ahead = np.maximum(0.0, low[near] - t[:, None])
        behind = np.maximum(0.0, t[:, None] - high[near])
        for group in range(3):
            dominance = pull[near, group] * np.exp(-ahead / _BEFORE_S[group] - behind / _AFTER_S[group])
            columns = [c for c, g in enumerate(_GROUP_OF_COLUMN) if g == group]
            weight = dominance.sum(axis=1, keepdims=True) + _REST_PULL
            out[at : at + _BLOCK, columns] = dominance @ target[near][:, columns] / weight
    return out
