"""A body as strands feel it: how far away it is and which way is out, looked up in a grid of distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from studio.mesh import Points

Field = npt.NDArray[np.float64]
"""float64[N]."""

CELL: Final = 0.05
"""Of the grid, head units; twice that is enough for pictures in which a head is a hundred pixels high."""
_LOW: Final = np.array([-1.70, -2.60, -1.45])
_HIGH: Final = np.array([1.70, 1.65, 1.60])
_FAR: Final = 0.75
_SHRINKS: Final = 0.045
"""How much lower smoothing makes the side of a head."""
_PLANE: Final = 0.12
"""Nearer than this the distance to the surface's planes counts, further away that to its points."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Distances in head units (`frame.Frame`); outside is positive. Beyond the grid they are its border's."""

    distance: npt.NDArray[np.float64]
    """float64[X, Y, Z]"""
    slope: npt.NDArray[np.float64]
    """float64[3, X, Y, Z]: of the smoothed distance, about unit length."""
    cell: float = CELL

    def height(self, at: Points) -> Field:
        """Return how high above the ground places (float64[N, 3]) are."""
        return np.asarray(ndimage.map_coordinates(self.distance, self._cells(at), order=1, mode="nearest"))

    def out(self, at: Points) -> Points:
        """Return the unit vectors (float64[N, 3]) that lead away from the ground."""
        cells = self._cells(at)
        found = np.stack(
            [ndimage.map_coordinates(part, cells, order=1, mode="nearest") for part in self.slope], 1
        )
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9))

    def closed(self, radius: float) -> Ground:
        """Return the ground with those hollows filled that a ball of `radius` does not reach.

        Hair that covers ears and neck lies on this one.
        """
        # Two balls' steps, by distances on the grid (Serra's closing).
        one = CELL / self.cell
        wide = _from(self.distance <= radius, self.cell)
        filled = _from(wide <= -radius, self.cell)
        closed = np.minimum(self.distance, ndimage.gaussian_filter(filled, 2.0 * one))
        # Hair bridges an ear; it does not show its shape.
        ear = ndimage.gaussian_filter(_ears(self.cell).astype(np.float64), 2.5 * one)
        smooth = ndimage.gaussian_filter(filled, 5.0 * one) - _SHRINKS
        return _ground(closed + ear * (smooth - closed), self.cell)

    def _cells(self, at: Points) -> npt.NDArray[np.float64]:
        return np.asarray(((at - _LOW) / self.cell).T)


def ground(points: Points, normals: Points, cell: float = CELL) -> Ground:
    """Return the ground of a surface (points and unit normals, float64[V, 3], head units).

    Takes half a second; `cell`: of the grid.
    """
    near = ((points > _LOW - 0.3) & (points < _HIGH + 0.3)).all(1)
    points, normals = points[near], normals[near]
    at = np.stack(_grid(cell), -1)
    cells = at.reshape(-1, 3)
    query = cKDTree(points).query(cells, k=3, distance_upper_bound=_FAR, workers=2)
    far, rows = np.asarray(query[0]), np.asarray(query[1])
    found = np.full(len(cells), _FAR)
    near = np.isfinite(far).all(1)
    far, rows, cells = far[near, 0], rows[near], cells[near]
    across = ((cells[:, None] - points[rows]) * normals[rows]).sum(2).mean(1)
    sign = np.where(across < 0, -1.0, 1.0)
    flat = np.clip((far - _PLANE) / _PLANE, 0.0, 1.0)
    found[near] = across + flat * (sign * far - across)
    grid = found.reshape(at.shape[:3])
    # Mouth and nose are no caves, and what no surface is near to within the skull is no air.
    holes = ndimage.binary_fill_holes(grid < 0) & (grid > 0)
    return _ground(np.where(holes, np.where(grid < _FAR, -cell, -_FAR), grid), cell)


def _ground(distance: npt.NDArray[np.float64], cell: float) -> Ground:
    smooth = np.asarray(ndimage.gaussian_filter(distance, CELL / cell))
    return Ground(distance, np.stack([*np.gradient(smooth, cell)]), cell)


def _grid(cell: float) -> list[npt.NDArray[np.float64]]:
    axes = [np.arange(low, high, cell) for low, high in zip(_LOW, _HIGH, strict=True)]
    return [*np.meshgrid(*axes, indexing="ij")]


def _ears(cell: float) -> npt.NDArray[np.bool_]:
    """Return the cells about the ears."""
    x, y, z = _grid(cell)
    return np.asarray((np.abs(x) > 0.5) & (np.hypot((y + 0.15) / 0.42, (z + 0.02) / 0.38) < 1))


def _from(solid: npt.NDArray[np.bool_], cell: float) -> npt.NDArray[np.float64]:
    outside = ndimage.distance_transform_edt(~solid, sampling=cell)
    inside = ndimage.distance_transform_edt(solid, sampling=cell)
    return np.asarray(outside - inside + np.where(solid, 0.5, -0.5) * cell)
