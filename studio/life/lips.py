"""Lips that meet: what expression units leave open on one skull and press through each other on the next.

Units are offsets, the same for everybody, so no weight of theirs closes every mouth. Here the lips are
brought together where they are: in silence and for m, b, p exactly, for f and v the lower one to the teeth.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from studio.life.rings import LIPS
from studio.mesh import Points

INCISORS: Final = 15069
"""The base mesh's helper point at the middle of the upper incisors' edge."""

PAIRS: Final = (
    (28, 25), (29, 24), (30, 23), (32, 22), (34, 21), (36, 20),
    (0, 19), (2, 18), (4, 17), (6, 16), (8, 15), (9, 14), (10, 13),
)  # fmt: skip
"""Columns of LIPS above each other, upper and lower, from the viewer's left corner to the right one."""

_UPPER: Final = np.array([*range(27, 38), *range(12)])
_LOWER: Final = np.array([*range(26, 11, -1)])
"""Columns of LIPS from the viewer's left corner to the right one."""
_ABOVE: Final = np.array([_UPPER.tolist().index(k) for k, _ in PAIRS])
_BELOW: Final = np.array([_LOWER.tolist().index(k) for _, k in PAIRS])
"""Where each of PAIRS stands among them."""
_TOUCHING: Final = slice(3, 9)
"""Rows of LIPS that can touch the other lip."""
_FOLLOWS: Final = np.array([0.0, 0.10, 0.30, 0.55, 0.80, 0.95, 1.0, 1.0, 1.0, 0.9, 0.6])
"""How far each row goes along with the edge."""
_UPPER_SHARE: Final = 0.6
"""Of the way; so the lip comes down over the teeth. The chin, which lifts the other one, is the jaw's."""
_OVERLAP_DM: Final = 0.012
"""Where lips meet, coarse meshes overlap so much: smoothed ones, which shrink, then still touch."""
_LEAST_OVERLAP_DM: Final = 0.004
_ROLLS: Final = np.array([0.08, 0.26, 0.34, 0.36, 0.34, 0.25])
"""How far pressed lips draw each row towards the seam, from the skin inwards."""
_ROLLED_BACK_DM: Final = 0.008
_PASSES: Final = 8
"""Once an edge has moved, the row behind it may be the one that is open."""
_BITE_UP_DM: Final = 0.014
_BITE_FORWARD_DM: Final = 0.022
"""Where the lower lip's edge comes to lie, against the edge of the incisors."""
_BARE_DM: Final = 0.045
"""What f shows of the teeth at least."""


def gaps(points: Points) -> npt.NDArray[np.float64]:
    """Return float64[13]: how far apart lips are at each of PAIRS, decimetres; negative where they overlap.

    Between the lowest point of the upper lip and the highest of the lower one, as seen from straight ahead.
    `points` (float64[V >= 13380, 3]) with the head not turned. A mouth is shut where none is above 0.
    """
    upper, lower = np.array(PAIRS).T
    low, high = _contact(points)
    return np.asarray(low[upper] - high[lower])


def lip_line(points: Points) -> float:
    """Return how high the middle of the upper lip's lower edge is, decimetres."""
    return float(_contact(points)[0][0])


def meet(points: Points, closing: float, biting: float = 0.0, pressing: float = 0.0) -> Points:
    """Return `points` (float64[19158, 3], head not turned, teeth in place) with lips that meet.

    `closing` 0 to 1: how far what is open between the lips is closed; at 1 they touch all along.
    `biting` 0 to 1: how far the lower lip goes to the upper teeth. `pressing` 0 to 1: how far the red of the
    lips is rolled in. The given array stays.
    """
    found = points.copy()
    if biting > 0:
        _bite(found, biting)
        _roll_in(found, _LOWER, 0.7 * biting)
    if pressing > 0:
        _roll_in(found, slice(None), pressing)
    if closing > 0:
        _close(found, closing)
    return found


def _contact(points: Points) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the lowest and the highest point of each column's touching rows, float64[38] each."""
    y = points[LIPS[_TOUCHING], 1]
    return y.min(axis=0), y.max(axis=0)


def _close(points: Points, closing: float) -> None:
    x = points[LIPS[6], 0]
    # At the corners, one point wide, there is little to overlap.
    near = 1.0 - (np.abs(x) / np.maximum(np.abs(x).max(), 1e-6)) ** 8
    overlap = closing * (_LEAST_OVERLAP_DM + (_OVERLAP_DM - _LEAST_OVERLAP_DM) * near)
    goals = [(1.0 - closing) * np.maximum(0.0, gap) for gap in _apart(points)]
    for _ in range(_PASSES):
        below, above = _apart(points)
        down = np.maximum(0.0, below - goals[0] + overlap[_UPPER])
        up = np.maximum(0.0, above - goals[1] + overlap[_LOWER])
        points[LIPS[:, _UPPER], 1] -= _UPPER_SHARE * _FOLLOWS[:, None] * down
        points[LIPS[:, _LOWER], 1] += (1.0 - _UPPER_SHARE) * _FOLLOWS[:, None] * up


def _apart(points: Points) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the opening below each column of _UPPER (float64[23]) and above each of _LOWER (float64[15])."""
    low, high = _contact(points)
    # Lips fold at their corners, interpolation wants rising places.
    upper, lower = (np.maximum.accumulate(points[LIPS[6, columns], 0]) for columns in (_UPPER, _LOWER))
    below = low[_UPPER] - np.interp(upper, lower, high[_LOWER])
    above = np.interp(lower, upper, low[_UPPER]) - high[_LOWER]
    # What lies above each other by its place in the mesh must meet as well.
    one, other = np.array(PAIRS).T
    gap = low[one] - high[other]
    below[_ABOVE] = np.maximum(below[_ABOVE], gap)
    above[_BELOW] = np.maximum(above[_BELOW], gap)
    return np.asarray(below), np.asarray(above)


def _roll_in(points: Points, columns: slice | npt.NDArray[np.int64], pressing: float) -> None:
    seam = points[LIPS[6, columns], 1]
    rows = LIPS[: len(_ROLLS), columns]
    points[rows, 1] += pressing * _ROLLS[:, None] * (seam - points[rows, 1])
    points[rows, 2] -= pressing * _ROLLED_BACK_DM * _ROLLS[:, None] / _ROLLS.max()


def _bite(points: Points, biting: float) -> None:
    edge = points[INCISORS]
    rim = LIPS[6]
    x = points[rim, 0]
    # Most in the middle, nothing at the corners.
    arch = np.clip(1.0 - (x / np.maximum(np.abs(x).max(), 1e-6)) ** 2, 0.0, 1.0)
    low, high = _contact(points)
    up = edge[1] + _BITE_UP_DM - high[19]
    forward = edge[2] + _BITE_FORWARD_DM - points[rim[19], 2]
    bare = max(0.0, edge[1] + _BITE_UP_DM + _BARE_DM - low[0])
    step = biting * _FOLLOWS[:, None] * arch[None]
    points[LIPS[:, _LOWER], 1] += up * step[:, _LOWER]
    points[LIPS[:, _LOWER], 2] += forward * step[:, _LOWER]
    points[LIPS[:, _UPPER], 1] += bare * step[:, _UPPER]
