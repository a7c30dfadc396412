"""Moves landmarks of a picture to where they shall be: a smooth field on a coarse grid, then one resampling.

The field is interpolated from the landmarks by radial basis functions (Matérn 3/2), which follow lips that
part within a few pixels and die away towards the border, so that it stays where it is.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vcam_talker.core.types import Pixels
from vcam_talker.face.clip.archive import Floats
from vcam_talker.face.clip.resample import bilinear, fetched

_CELL_PX: Final = 8
_RIDGE: Final = 0.02
"""Keeps landmarks that fall together solvable; misses by a few per cent of a displacement there."""
_LEAST_PX: Final = 0.05
"""A smaller displacement is none."""


class Warper:
    """Warps pictures of one size. One thread."""

    def __init__(self, width: int, height: int, reach_px: float) -> None:
        """`reach_px`: the length scale at which a landmark's influence dies away."""
        self._size = (width, height)
        across, down = max(width // _CELL_PX, 2), max(height // _CELL_PX, 2)
        x = (np.arange(across, dtype=np.float32) + 0.5) * (width / across)
        y = (np.arange(down, dtype=np.float32) + 0.5) * (height / down)
        self._grid = (down, across)
        self._nodes = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).astype(np.float32)
        self._length = reach_px
        # Nothing moves at the very border, where the patch meets the clip.
        border = np.minimum(self._nodes, np.array([width, height], np.float32) - self._nodes).min(1)
        self._hold = np.clip(border / (2 * _CELL_PX), 0.0, 1.0).astype(np.float32)
        self._full = _pixel_grid(width, height)
        self._half = _pixel_grid(width // 2, height // 2)
        self._basis = np.zeros((0, 0), np.float32)
        self._gram = np.zeros((0, 0), np.float32)

    def aim(self, target: Floats) -> None:
        """Set where landmarks shall come to lie, float32[P, 2] in pixels."""
        self._gram = self._kernel(target, target)
        self._gram[np.diag_indices(len(target))] += _RIDGE
        self._basis = self._kernel(self._nodes, target) * self._hold[:, None]

    def fields(self, away: Floats) -> list[Floats | None]:
        """Return the coarse fields float32[gy, gx, 2] that fetch landmarks from `away` beside their target.

        `away` is float32[K, P, 2] in pixels; None stands for a field that moves nothing.
        """
        count, points = away.shape[:2]
        stacked = away.transpose(1, 0, 2).reshape(points, -1)
        found = self._basis @ np.linalg.solve(self._gram, stacked).astype(np.float32)
        fields = np.ascontiguousarray(found.reshape(*self._grid, count, 2).transpose(2, 0, 1, 3))
        return [field if float(np.abs(field).max()) > _LEAST_PX else None for field in fields]

    def luma(self, picture: Pixels, field: Floats | None) -> Pixels:
        """Return uint8[h, w] warped."""
        return self._fetch(picture, field, self._full, 1.0)

    def chroma(self, picture: Pixels, field: Floats | None) -> Pixels:
        """Return uint8[h / 2, w / 2, 2] warped."""
        return self._fetch(picture, field, self._half, 0.5)

    @staticmethod
    def _fetch(picture: Pixels, field: Floats | None, grid: Floats, scale: float) -> Pixels:
        if field is None:
            return picture
        rows, columns = grid.shape[:2]
        places = bilinear(field, (columns, rows))
        if scale != 1.0:
            places *= np.float32(scale)
        places += grid
        return fetched(picture, places)

    def _kernel(self, a: Floats, b: Floats) -> Floats:
        square = np.maximum((a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * (a @ b.T), 0.0)
        far = np.sqrt(square) / np.float32(self._length)
        return np.asarray((1.0 + far) * np.exp(-far), np.float32)


def _pixel_grid(width: int, height: int) -> Floats:
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    return np.stack(np.meshgrid(x, y), -1).astype(np.float32)
