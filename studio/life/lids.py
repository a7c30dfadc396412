"""Lids that shut: the closing unit leaves large eyes a slit open, so rim is brought to rim."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from studio.life.rings import LID_LEFT, LID_RIGHT
from studio.mesh import Points

_UPPER: Final = slice(1, 13)
_LOWER: Final = slice(27, 13, -1)
"""Columns of a lid from the corner at the nose to the outer one."""
_RIM: Final = slice(1, 4)
"""Rows that can touch the other lid."""
_FOLLOWS: Final = np.array([1.0, 1.0, 1.0, 0.9, 0.7, 0.45, 0.2])
_UPPER_SHARE: Final = 0.9
_OVERLAP_DM: Final = 0.004
_LASHES: Final = {
    "left": (((14867, 14876), (14885, 14890), (14891, 14892), (14894, 14895), (14896, 14901), (14910, 14917),
              (14919, 14943), (14967, 14980)),
             ((14876, 14885), (14890, 14891), (14892, 14894), (14895, 14896), (14901, 14910), (14917, 14919),
              (14943, 14967), (14980, 14992))),
    "right": (((14742, 14751), (14760, 14765), (14766, 14767), (14769, 14770), (14771, 14776), (14785, 14792),
               (14794, 14818), (14842, 14855)),
              ((14751, 14760), (14765, 14766), (14767, 14769), (14770, 14771), (14776, 14785), (14792, 14794),
               (14818, 14842), (14855, 14867))),
}  # fmt: skip
"""Helper points that upper and lower lashes are bound to: first, and first beyond."""


def slits(points: Points) -> npt.NDArray[np.float64]:
    """Return float64[2]: the widest opening of the viewer's left and right eye, decimetres; negative: none.

    `points` (float64[V >= 13380, 3]) with the head not turned.
    """
    return np.array([_slit(points, lid).max() for lid in (LID_LEFT, LID_RIGHT)])


def meet(points: Points, shut: tuple[float, float], eyes: Points) -> Points:
    """Return `points` (float64[19158, 3], head not turned) with lids that meet.

    `shut` 0 to 1, the viewer's left and right eye: how far what is still open is closed. `eyes` (float64[2,
    3]): the middles of the viewer's left and right eyeball, to which no point of the lids comes any nearer.
    The given array stays.
    """
    found = points.copy()
    for side, lid, amount, eye in zip(("left", "right"), (LID_LEFT, LID_RIGHT), shut, eyes, strict=True):
        if amount <= 0:
            continue
        rim_x = points[lid[2], 0]
        open_dm = amount * np.maximum(0.0, _slit(points, lid) + _OVERLAP_DM)
        order = np.argsort(rim_x[_UPPER])
        across, opened = rim_x[_UPPER][order], open_dm[order]
        lashes = [np.concatenate([np.arange(*span) for span in spans]) for spans in _LASHES[side]]
        both = ((_UPPER, -_UPPER_SHARE, lashes[0]), (_LOWER, 1 - _UPPER_SHARE, lashes[1]))
        for columns, share, hair in both:
            rows = lid[:, columns]
            step = np.interp(points[lid[2], 0][columns], across, opened, left=0.0, right=0.0)
            _slide(found, rows, share * _FOLLOWS[:, None] * step, eye)
            _slide(found, hair, share * np.interp(points[hair, 0], across, opened), eye)
    return found


def _slit(points: Points, lid: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return float64[12]: the opening below each column of the upper lid."""
    y, x = points[lid[_RIM], 1], points[lid[2], 0]
    low, high = y.min(axis=0), y.max(axis=0)
    order = np.argsort(x[_LOWER])
    return np.asarray(low[_UPPER] - np.interp(x[_UPPER], x[_LOWER][order], high[_LOWER][order]))


def _slide(
    points: Points, rows: npt.NDArray[np.int64], up: npt.NDArray[np.float64], eye: npt.NDArray[np.float64]
) -> None:
    """Move points up, and out as far as they would come nearer to the middle of the eye."""
    away = np.linalg.norm(points[rows] - eye, axis=-1)
    points[rows, 1] += up
    flat = np.hypot(points[rows, 0] - eye[0], points[rows, 1] - eye[1])
    depth = np.sqrt(np.maximum(away**2 - flat**2, 0.0))
    points[rows, 2] = np.maximum(points[rows, 2], eye[2] + depth)
