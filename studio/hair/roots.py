"""Where hairs start: places on a mesh's triangles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from studio.mesh import Points


@dataclass(frozen=True, slots=True)
class Roots:
    """Places on triangles, bound by weights."""

    corners: npt.NDArray[np.int64]
    """int64[N, 3]: the points of each root's triangle."""
    shares: npt.NDArray[np.float64]
    """float64[N, 3]: their weights."""

    def of(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return a mesh's attribute (float[V, C]) at the roots, float64[N, C]."""
        return np.asarray(np.einsum("nk,nkc->nc", self.shares, values[self.corners]))

    def matrix(self, points: int) -> sparse.csr_array:
        """Return float32[N, points]: what takes a mesh's attributes to the roots, for those asked often."""
        count = len(self.shares)
        rows = np.repeat(np.arange(count), 3)
        values = self.shares.astype(np.float32).ravel()
        return sparse.csr_array((values, (rows, self.corners.ravel())), shape=(count, points))


def scatter(
    points: Points,
    triangles: npt.NDArray[np.int32],
    density: npt.NDArray[np.floating],
    count: int,
    rng: np.random.Generator,
) -> Roots:
    """Return about `count` roots, spread by area times `density` (float[V] of the points, 0 or more)."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1) * density[triangles].mean(1)
    total = float(area.sum())
    if not total or not count:
        return Roots(np.zeros((0, 3), np.int64), np.zeros((0, 3)))
    # Equal steps along the sum of areas: chance alone would leave bald spots.
    steps = (np.arange(count) + rng.random(count)) / count * total
    chosen = np.minimum(np.searchsorted(np.cumsum(area), steps), len(triangles) - 1)
    u, v = rng.random((2, count))
    over = u + v > 1
    u[over], v[over] = 1 - u[over], 1 - v[over]
    return Roots(triangles[chosen].astype(np.int64), np.stack((1 - u - v, u, v), 1))
