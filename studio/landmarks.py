"""Landmarks of a face as points of the base mesh: any person's, in any pose, by plain indexing.

Laid out as the 68 points that face trackers are taught, with nine along the jaw and more of the inner lips;
each group from the viewer's left to the right. The eyes' and lips' groups go round clockwise as the viewer
sees them, from the corner on the left over the top.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from studio.life.rings import LID_LEFT, LID_RIGHT, LIPS
from studio.mesh import Points
from studio.pack import Indices


def _indices(*numbers: int) -> Indices:
    return np.array(numbers, np.int64)


OUTER_LIPS: Final = LIPS[1][[27, 30, 32, 34, 36, 0, 2, 4, 6, 8, 11, 15, 16, 17, 18, 19, 20, 21, 22, 23]]
"""int64[20]: the border of the red. 0 and 10 are the corners, 5 and 15 the middles."""
INNER_LIPS: Final = LIPS[6][[26, 30, 34, 0, 4, 8, 12, 15, 17, 19, 21, 23]]
"""int64[12]: the edges that meet when the mouth is shut. 0 and 6 are the corners."""
INNER_UPPER: Final = INNER_LIPS[[1, 2, 3, 4, 5]]
INNER_LOWER: Final = INNER_LIPS[[11, 10, 9, 8, 7]]
"""int64[5] each, in pairs above each other."""
JAW: Final = _indices(5462, 5451, 5241, 922, 5296, 7624, 11850, 12050, 12061)
"""int64[9]: from below one ear over the chin (4) to the other."""
BROW_LEFT: Final = _indices(254, 179, 170, 174, 166)
BROW_RIGHT: Final = _indices(6943, 6950, 6946, 6955, 7023)
"""int64[5] each."""
NOSE: Final = _indices(131, 201, 5134, 297, 5148, 333, 317, 7095, 11762)
"""int64[9]: down the bridge to the tip (3), then along its base."""
EYE_LEFT: Final = LID_LEFT[2][[13, 8, 5, 0, 22, 19]]
EYE_RIGHT: Final = LID_RIGHT[2][[0, 5, 8, 13, 19, 22]]
"""int64[6] each: a corner, two points of the upper lid, the other corner, two of the lower lid."""

MOUTH: Final = np.concatenate((OUTER_LIPS, INNER_LIPS, JAW))
"""int64[41]: what a mouth patch keeps."""
FACE: Final = np.concatenate((JAW, BROW_LEFT, BROW_RIGHT, NOSE, EYE_LEFT, EYE_RIGHT, OUTER_LIPS, INNER_LIPS))
"""int64[72]."""


def _mirrored() -> npt.NDArray[np.int64]:
    """Return int64[72]: where each landmark's mirror image stands in FACE."""
    eye = [3, 2, 1, 0, 5, 4]
    outer = [*range(10, -1, -1), *range(19, 10, -1)]
    inner = [*range(6, -1, -1), *range(11, 6, -1)]
    parts = (
        np.arange(8, -1, -1),
        14 + np.arange(4, -1, -1),
        9 + np.arange(4, -1, -1),
        19 + np.array([0, 1, 2, 3, 8, 7, 6, 5, 4]),
        34 + np.array(eye),
        28 + np.array(eye),
        40 + np.array(outer),
        60 + np.array(inner),
    )
    return np.concatenate(parts)


MIRROR: Final = _mirrored()
"""int64[72]: `FACE[MIRROR]` is the face in a mirror."""


def aperture(points: Points) -> float:
    """Return how far the inner lips are apart in the middle, decimetres or pixels, whatever `points` are in.

    `points`: float64[V, 2 or 3], indexed as the base mesh.
    """
    gap = points[INNER_UPPER[1:4]] - points[INNER_LOWER[1:4]]
    return float(np.linalg.norm(gap, axis=-1).mean())
