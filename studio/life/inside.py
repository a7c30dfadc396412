"""Teeth and tongue: the upper row belongs to the skull, the lower one and the tongue to the jaw.

The units move these helpers too little or not at all, and the rows sit as high as the line of the lips, so
that a talking mouth would bare its lower teeth. Here they are placed from where they are at rest.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from studio.life.lips import INCISORS, lip_line
from studio.mesh import Points

_UPPER_TEETH: Final = slice(15060, 15128)
_LOWER_TEETH: Final = slice(14992, 15060)
_TONGUE: Final = slice(13380, 13606)
"""Of the base mesh: the helpers that teeth and tongue are fitted to."""
_TIP: Final = 13381
_BARE_DM: Final = 0.035
"""How far the upper incisors reach below the line of the lips: what relaxed lips show when they part."""
_JAW_DM: Final = np.array([0.0, -0.38, -0.12])
"""Way of the lower incisors for `mouth-open` at 1."""
_BEHIND_DM: Final = np.array([0.0, 0.022, -0.035])
_BETWEEN_DM: Final = np.array([0.0, -0.022, 0.055])
"""Where a raised tip comes to lie, against the edge of the upper incisors: behind them, or past them."""
_BEND: Final = 1.4
"""How much more the tip bends than the blade behind it."""


def arrange(points: Points, rest: Points, jaw: float, up: float, out: float) -> Points:
    """Return `points` (float64[19158, 3], head not turned) with teeth and tongue in place.

    `rest`: the same body without expression. `jaw`: weight of `mouth-open`. `up` 0 to 1: how near the tip of
    the tongue comes to the upper teeth; `out` 0 to 1: whether it stays behind them or looks out below. The
    given arrays stay.
    """
    found = points.copy()
    lower = np.array([0.0, lip_line(rest) - _BARE_DM - rest[INCISORS, 1], 0.0])
    dropped = lower + jaw * _JAW_DM
    found[_UPPER_TEETH] = rest[_UPPER_TEETH] + lower
    found[_LOWER_TEETH] = rest[_LOWER_TEETH] + dropped
    tongue = rest[_TONGUE] + dropped
    tip = rest[_TIP] + dropped
    goal = found[INCISORS] + (1.0 - out) * _BEHIND_DM + out * _BETWEEN_DM
    z = tongue[:, 2]
    share = np.clip((z - z.min()) / max(float(np.ptp(z)), 1e-6), 0.0, 1.0) ** _BEND
    found[_TONGUE] = tongue + up * share[:, None] * (goal - tip) * (0.0, 1.0, 1.0)
    return found
