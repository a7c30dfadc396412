"""Tubes and balls: what glasses and earrings are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from studio.mesh import NO_CORNER, Faces, Points

_MIRROR: Final = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True)
class Shape:
    """A closed surface, its faces' corners counter-clockwise as seen from outside."""

    points: Points
    faces: Faces

    def mirrored(self) -> Shape:
        """Return it in a mirror at x = 0."""
        a, b, c, d = self.faces.T
        triangle = d == NO_CORNER
        turned = np.stack((np.where(triangle, c, d), np.where(triangle, b, c), np.where(triangle, a, b)), 1)
        last = np.where(triangle, NO_CORNER, a)[:, None]
        return Shape(self.points * _MIRROR, np.concatenate((turned, last), 1).astype(np.int32))


def joined(*shapes: Shape) -> Shape:
    """Return several shapes as one."""
    first = np.cumsum([0, *(len(shape.points) for shape in shapes)])
    faces = [
        np.where(shape.faces == NO_CORNER, NO_CORNER, shape.faces + start)
        for shape, start in zip(shapes, first, strict=False)
    ]
    return Shape(np.concatenate([s.points for s in shapes]), np.concatenate(faces).astype(np.int32))


def tube(
    path: Points,
    across: Points,
    half: tuple[float, float],
    sides: int,
    *,
    closed: bool = False,
) -> Shape:
    """Return a tube about `path` (float64[N, 3]), an elliptic one, its ends capped.

    `across`: float64[N, 3] or float64[3], roughly where half[0], one half axis, points; half[1] is the other.
    `closed`: the path's end leads to its beginning.
    """
    count = len(path)
    before, after = np.roll(path, 1, 0), np.roll(path, -1, 0)
    if not closed:
        before[0], after[-1] = path[0], path[-1]
    ahead = _unit(after - before)
    wide = np.broadcast_to(np.asarray(across, np.float64), path.shape)
    wide = _unit(wide - (wide * ahead).sum(1, keepdims=True) * ahead)
    high = np.cross(ahead, wide)
    turn = 2 * np.pi * (np.arange(sides) + 0.5) / sides
    ring = half[0] * np.cos(turn)[:, None] * wide[:, None] + half[1] * np.sin(turn)[:, None] * high[:, None]
    points = (path[:, None] + ring).reshape(-1, 3)
    rows = np.arange(count if closed else count - 1)[:, None] * sides
    here = np.arange(sides)
    beside = (here + 1) % sides
    following = (rows + sides) % (count * sides)
    faces = np.stack((rows + here, rows + beside, following + beside, following + here), 2).reshape(-1, 4)
    if not closed:
        tip, foot = len(points), len(points) + 1
        points = np.concatenate((points, path[-1:], path[:1]))
        end = (count - 1) * sides
        none = np.full(sides, NO_CORNER)
        caps = (
            np.stack((end + here, end + beside, np.full(sides, tip), none), 1),
            np.stack((beside, here, np.full(sides, foot), none), 1),
        )
        faces = np.concatenate((faces, *caps))
    return Shape(points, faces.astype(np.int32))


def ball(middle: npt.NDArray[np.float64], radius: float, sides: int) -> Shape:
    """Return a ball, `sides` quads round and half as many from pole to pole (at least 2)."""
    bands = max(2, sides // 2)
    down = np.pi * np.arange(1, bands) / bands
    turn = 2 * np.pi * np.arange(sides) / sides
    ring = np.stack(
        (
            np.sin(down)[:, None] * np.sin(turn),
            np.cos(down)[:, None] + 0 * turn,
            np.sin(down)[:, None] * np.cos(turn),
        ),
        2,
    ).reshape(-1, 3)
    points = middle + radius * np.concatenate((ring, [[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]))
    here = np.arange(sides)
    beside = (here + 1) % sides
    rows = np.arange(bands - 2)[:, None] * sides
    belt = np.stack((rows + here, rows + sides + here, rows + sides + beside, rows + beside), 2)
    top, bottom, end = len(ring), len(ring) + 1, (bands - 2) * sides
    none = np.full(sides, NO_CORNER)
    caps = (
        np.stack((here, beside, np.full(sides, top), none), 1),
        np.stack((end + beside, end + here, np.full(sides, bottom), none), 1),
    )
    return Shape(points, np.concatenate((belt.reshape(-1, 4), *caps)).astype(np.int32))


def disc(rim: Points, middle: npt.NDArray[np.float64]) -> Shape:
    """Return a fan from `middle` to a closed `rim` (float64[N, 3], counter-clockwise from the front)."""
    count = len(rim)
    here = np.arange(count)
    faces = np.stack((here, (here + 1) % count, np.full(count, count), np.full(count, NO_CORNER)), 1)
    return Shape(np.concatenate((rim, middle[None])), faces.astype(np.int32))


def _unit(vectors: Points) -> Points:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))
