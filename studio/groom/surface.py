"""The body as what hair grows from and lies on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from studio.mesh import Points

Triangles = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Roots:
    """Places on a mesh."""

    triangles: npt.NDArray[np.int64]
    """int64[N, 3]: the points of each root's triangle."""
    shares: npt.NDArray[np.float64]
    """float64[N, 3]: their weights."""

    def on(self, points: Points) -> Points:
        """Return where the roots are on `points`, float64[N, 3]."""
        return np.asarray((points[self.triangles] * self.shares[:, :, None]).sum(1))


def scatter(
    points: Points,
    triangles: Triangles,
    density: npt.NDArray[np.float64],
    count: int,
    rng: np.random.Generator,
) -> Roots:
    """Return `count` roots spread by area times `density` (float64[V] of the points, 0 or more)."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) * density[triangles].mean(1)
    if not area.sum():
        return Roots(np.zeros((0, 3), np.int64), np.zeros((0, 3)))
    # Even steps along the sum of areas, jittered: no bald spots and no heaps, as plain chance has them.
    steps = (np.arange(count) + rng.random(count)) / count * area.sum()
    chosen = np.searchsorted(np.cumsum(area), steps).clip(0, len(triangles) - 1)
    u, v = rng.random((2, count))
    over = u + v > 1
    u[over], v[over] = 1 - u[over], 1 - v[over]
    return Roots(triangles[chosen].astype(np.int64), np.stack((1 - u - v, u, v), 1))


class Ground:
    """What strands must stay outside of: points with normals, asked for the nearest."""

    def __init__(self, points: Points, normals: Points) -> None:
        self._points = points
        self._normals = normals
        self._tree = cKDTree(points)

    def height(self, at: Points) -> tuple[npt.NDArray[np.float64], Points]:
        """Return how high places (float64[N, 3]) are above the ground, and its normals there."""
        _, near = self._tree.query(at, k=3, workers=2)
        normal = self._normals[near].mean(1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        return ((at - self._points[near].mean(1)) * normal).sum(1), normal
