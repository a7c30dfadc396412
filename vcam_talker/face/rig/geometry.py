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

Points = npt.NDArray[np.float64]
"""float64[N, 2]: x to the viewer's right, y down."""
Vector = npt.NDArray[np.float64]
"""float64[N]"""
Flags = npt.NDArray[np.bool_]


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
    """Return the outline float64[2N, 2] of a stroke along `centre` float64[N, 2], `widths`[N] wide; N >= 2.

    Its corners are those of `ribbon_corners(N)`.
    """
    one = Ribbons()
    one.add(0, len(centre))
    one.centre[:] = centre
    one.widths[:] = widths
    out = np.empty((2 * len(centre), 2))
    one.expand(out)
    return out


class Ribbons:
    """Strokes of varying width whose centre lines are set anew; one pass expands them all to outlines."""

    def __init__(self) -> None:
        self.centre = np.zeros((0, 2))
        """float64[N, 2]: the centre lines of all strokes."""
        self.widths = np.zeros(0)
        """float64[N]"""
        self._ahead = np.zeros(0, np.intp)
        self._back = np.zeros(0, np.intp)
        self._left = np.zeros(0, np.intp)
        self._right = np.zeros(0, np.intp)

    def add(self, first: int, count: int) -> slice:
        """Add a stroke of `count` points with its outline from row `first` on; returns where it lies."""
        start = len(self.centre)
        index = np.arange(count)
        self._ahead = np.append(self._ahead, start + np.minimum(index + 1, count - 1))
        self._back = np.append(self._back, start + np.maximum(index - 1, 0))
        self._left = np.append(self._left, first + index)
        self._right = np.append(self._right, first + 2 * count - 1 - index)
        self.centre = np.zeros((start + count, 2))
        self.widths = np.zeros(start + count)
        return slice(start, start + count)

    def expand(self, out: Points) -> None:
        """Write all outlines into `out`."""
        along = self.centre[self._ahead] - self.centre[self._back]
        half = 0.5 * self.widths / (np.sqrt((along * along).sum(1)) + 1e-9)
        side = np.stack([along[:, 1] * half, -along[:, 0] * half], 1)
        out[self._left] = self.centre + side
        out[self._right] = self.centre - side


def ribbon_corners(count: int) -> Flags:
    """Return the corner flags bool[2 * count] of a ribbon along `count` points: its two ends."""
    corners = np.zeros(2 * count, np.bool_)
    corners[[0, count - 1, count, -1]] = True
    return corners


def between(x: Vector, top: Vector, bottom: Vector) -> Points:
    """Return the outline float64[2N - 2, 2] between two curves over `x`[N] that share their ends."""
    out = np.empty((2 * len(x) - 2, 2))
    out[: len(x), 0], out[: len(x), 1] = x, top
    out[len(x) :, 0], out[len(x) :, 1] = x[-2:0:-1], bottom[-2:0:-1]
    return out


def ellipse(x: float, y: float, rx: float, ry: float) -> Points:
    """Return eight points float64[8, 2] on an ellipse."""
    return _CIRCLE * (rx, ry) + (x, y)


_CIRCLE: Final[Points] = np.array([(np.cos(a), np.sin(a)) for a in np.arange(8) * (np.pi / 4)], np.float64)
