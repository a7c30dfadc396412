"""Strands as triangles: ribbons that face the camera, and crossed ones that cast shadows."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from studio.strands import Strands

Vectors = npt.NDArray[np.float32]
_CASTING: Final = 2500
"""So many hairs cast the shadow of all."""
_WIDEST_DM: Final = 0.05
_DENSITY: Final = 0.45
"""Hairs overlap: so much of their width together blocks light."""


def along(points: Vectors) -> Vectors:
    """Return the unit tangents (float32[N, K, 3]) of strands."""
    found = np.gradient(points, axis=1)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=-1, keepdims=True), 1e-9), np.float32)


def quads(strands: int, points: int) -> npt.NDArray[np.int32]:
    """Return triangles (int32[N, 3]) of ribbons whose every point is two vertices, one for each side."""
    row = np.arange(strands * points, dtype=np.int32).reshape(strands, points)[:, :-1].ravel() * 2
    return np.stack((row, row + 1, row + 2, row + 1, row + 3, row + 2), 1).reshape(-1, 3)


def casting_mesh(strands: Strands) -> tuple[Vectors, npt.NDArray[np.int32]]:
    """Return points and triangles that cast the strands' shadow: fewer and wider, as much hair in all."""
    step = max(1, len(strands.points) // _CASTING)
    # Every other point is enough for a shadow.
    points, widths = strands.points[::step, ::2], strands.widths[::step, ::2] * step * _DENSITY
    out = points - points.reshape(-1, 3).mean(0)
    side = np.cross(along(points), out)
    side /= np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-9)
    half = side * np.minimum(widths, _WIDEST_DM)[..., None] * 0.5
    both = np.stack((points - half, points + half), 2).reshape(-1, 3).astype(np.float32)
    return both, quads(*points.shape[:2])
