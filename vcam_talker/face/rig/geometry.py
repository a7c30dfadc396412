"""Curves: shapes are closed splines through their points, so that moving points is all it takes to animate.

A shape is drawn in a rig file, and moved at run time, by points *on* its outline; the Bézier handles follow
from the neighbours (a cardinal spline with handles scaled by chord length, so that uneven spacing does not
overshoot). Points are float64[N, 2]; the unit is the figure's unit before projection and pixels after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import skia

Points = npt.NDArray[np.float64]
"""float64[N, 2]: x to the viewer's right, y down."""
Flags = npt.NDArray[np.bool_]

_HANDLE: Final = 0.36
"""Handle length per chord: 0.347 is exact for a circle through 8 points, 0.39 through 4."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A closed shape: points float64[N, 2] and, per point, whether the line has a corner there."""

    points: Points
    corners: Flags


def parse_outline(text: str) -> Outline:
    """Return the shape written as `x,y x,y! x,y`; a `!` makes a corner.

    Raises ValueError for anything else, or for fewer than two points.
    """
    points: list[tuple[float, float]] = []
    corners: list[bool] = []
    for word in text.split():
        corner = word.endswith("!")
        x, comma, y = word.removesuffix("!").partition(",")
        try:
            if not comma:
                raise ValueError
            points.append((float(x), float(y)))
        except ValueError:
            raise ValueError(f"'{word}' is not a point; write x,y or x,y! for a corner") from None
        corners.append(corner)
    if len(points) < 2:
        raise ValueError("needs at least two points")
    array = np.array(points, np.float64)
    if not np.isfinite(array).all() or np.abs(array).max() > 5000:
        raise ValueError("points must lie within -5000 .. 5000")
    return Outline(array, np.array(corners, np.bool_))


def grow(outline: Outline, widths: npt.NDArray[np.float64]) -> Points:
    """Return the outline's points moved outwards by `widths`[N]: what shows around the shape is its contour.

    At a sharp corner the point moves further, so that the contour keeps its weight around a tip.
    """
    points = outline.points
    back, ahead = points - np.roll(points, 1, 0), np.roll(points, -1, 0) - points
    area = float((points[:, 0] * np.roll(points[:, 1], -1) - np.roll(points[:, 0], -1) * points[:, 1]).sum())
    turn = np.array([[0.0, -1.0], [1.0, 0.0]]) * (1.0 if area > 0 else -1.0)
    first = back @ turn / (np.hypot(*back.T)[:, None] + 1e-9)
    second = ahead @ turn / (np.hypot(*ahead.T)[:, None] + 1e-9)
    normal = first + second
    length = np.hypot(*normal.T)
    normal /= length[:, None] + 1e-9
    # 1 / cos of half the turn, which keeps the distance to both edges, up to three times the width.
    mitre = np.where(outline.corners, np.minimum(2.0 / (length + 1e-9), 3.0), 1.0)
    grown: Points = points + normal * (widths * mitre)[:, None]
    return grown


def ribbon(centre: Points, widths: npt.ArrayLike) -> Points:
    """Return the outline float64[2N, 2] of a stroke along `centre` float64[N, 2], N >= 2, as wide as `widths`[N].

    Its corners are those of `ribbon_corners(N)`.
    """
    along = np.empty_like(centre)
    along[1:-1] = centre[2:] - centre[:-2]
    along[0] = centre[1] - centre[0]
    along[-1] = centre[-1] - centre[-2]
    length = np.sqrt(along[:, 0] ** 2 + along[:, 1] ** 2) + 1e-9
    half = np.asarray(widths, np.float64) * 0.5 / length
    out = np.empty((2 * len(centre), 2))
    out[: len(centre), 0] = centre[:, 0] + along[:, 1] * half
    out[: len(centre), 1] = centre[:, 1] - along[:, 0] * half
    out[len(centre) :, 0] = (centre[:, 0] - along[:, 1] * half)[::-1]
    out[len(centre) :, 1] = (centre[:, 1] + along[:, 0] * half)[::-1]
    return out


def ribbon_corners(count: int) -> Flags:
    """Return the corner flags bool[2 * count] of a ribbon along `count` points: its two ends."""
    corners = np.zeros(2 * count, np.bool_)
    corners[[0, count - 1, count, -1]] = True
    return corners


def between(
    x: npt.NDArray[np.float64], top: npt.NDArray[np.float64], bottom: npt.NDArray[np.float64]
) -> Points:
    """Return the outline float64[2N - 2, 2] of what lies between two curves over `x`[N] that share their ends."""
    out = np.empty((2 * len(x) - 2, 2))
    out[: len(x), 0], out[: len(x), 1] = x, top
    out[len(x) :, 0], out[len(x) :, 1] = x[-2:0:-1], bottom[-2:0:-1]
    return out


def ellipse(x: float, y: float, rx: float, ry: float) -> Points:
    """Return eight points float64[8, 2] on an ellipse."""
    return _CIRCLE * (rx, ry) + (x, y)


_CIRCLE: Final[Points] = np.array([(np.cos(a), np.sin(a)) for a in np.arange(8) * (np.pi / 4)], np.float64)


class Splines:
    """All shapes of a figure in one array, so that one pass computes every Bézier handle."""

    def __init__(self) -> None:
        self._next: list[npt.NDArray[np.intp]] = []
        self._prev: list[npt.NDArray[np.intp]] = []
        self._corners: list[Flags] = []
        self._ranges: list[tuple[int, int]] = []
        self._paths: list[skia.Path] = []
        self._count = 0
        self._index: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Flags] | None = None

    @property
    def count(self) -> int:
        """Points of all shapes added so far."""
        return self._count

    def add(self, corners: Flags) -> int:
        """Append a closed shape with one point per flag; returns its number."""
        n = len(corners)
        index = np.arange(n, dtype=np.intp)
        self._next.append(self._count + (index + 1) % n)
        self._prev.append(self._count + (index - 1) % n)
        self._corners.append(np.asarray(corners, np.bool_))
        self._ranges.append((self._count, self._count + n))
        self._paths.append(skia.Path())
        self._count += n
        self._index = None
        return len(self._ranges) - 1

    def span(self, shape: int) -> slice:
        """Return where the shape's points lie in the array."""
        return slice(*self._ranges[shape])

    def paths(self, points: Points) -> list[skia.Path]:
        """Return one path per shape through `points` float64[count, 2]; reused by the next call."""
        if self._index is None:
            self._index = (
                np.concatenate(self._next),
                np.concatenate(self._prev),
                np.concatenate(self._corners)[:, None],
            )
        after, before, corner = self._index
        nxt = points[after]
        chord = nxt - points
        direction = nxt - points[before]
        direction /= np.sqrt((direction * direction).sum(1, keepdims=True)) + 1e-9
        length = np.sqrt((chord * chord).sum(1, keepdims=True)) * _HANDLE
        straight = chord * _HANDLE
        rows = np.empty((len(points), 6))
        rows[:, 0:2] = points + np.where(corner, straight, direction * length)
        rows[:, 2:4] = nxt - np.where(corner[after], straight, direction[after] * length)
        rows[:, 4:6] = nxt
        curves = rows.tolist()
        starts = points.tolist()
        for path, (first, end) in zip(self._paths, self._ranges, strict=True):
            path.rewind()
            path.moveTo(*starts[first])
            cubic = path.cubicTo
            for a, b, c, d, e, f in curves[first:end]:
                cubic(a, b, c, d, e, f)
            path.close()
        return self._paths
