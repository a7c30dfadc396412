"""The figure as a linear rig: every drawn point is a weighted sum of what moves it.

A point has a place (x, y, z) at rest and weights: how far it follows the head, the body, the jaw, the breath
and the swing of the hair. Its place in the picture is one row of `basis @ motion`, so that a frame costs one
small matrix product for the whole figure, and depth gives the parallax of a turning head for nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import skia

from vcam_talker.face.rig.geometry import (
    Flags,
    Outline,
    Points,
    Ribbons,
    grow,
    parse_outline,
    ribbon,
    ribbon_corners,
)
from vcam_talker.face.rig.pose import Pose
from vcam_talker.face.rig.splines import Splines
from vcam_talker.face.rig.style import Part, RigStyle

_COLUMNS: Final = 14
_HEAD, _BODY, _JAW, _BREATH, _LEAN, _SLOW, _QUICK, _LIFT = 0, 4, 8, 9, 10, 11, 12, 13
_SKULL: Final = (150.0, 195.0, -10.0)
"""Half width, half height and centre height of the ellipsoid that `depth` bulges over."""
_FACE: Final = (132.0, 190.0, 5.0)
_LOCK: Final = 200.0
"""A point this far from its lock's root swings by the full measure."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """One drawing step: a shape, its colour 0xAARRGGBB, and the shape it is clipped to."""

    shape: int
    colour: int
    clip: int | None


def fill_paint(colour: int) -> skia.Paint:
    """Return an anti-aliased paint of one flat colour 0xAARRGGBB."""
    return skia.Paint(Color=colour, AntiAlias=True)


class Skeleton:
    """Collects shapes with their weights, and moves them. Build first, then `project` any number of times."""

    def __init__(self, style: RigStyle, scale: float, origin: tuple[float, float]) -> None:
        self._style = style
        self._scale = scale
        self._origin = origin
        self.splines = Splines()
        self._rows: list[npt.NDArray[np.float64]] = []
        self._fixed = 0
        self._local = np.zeros((0, 3))
        self.free = np.zeros((0, 2))
        """float64[N, 2] in figure units: the points of all free shapes, to be set before `project`."""
        self._ribbons = Ribbons()
        self._strokes: dict[int, slice] = {}

    @property
    def scale(self) -> float:
        """Pixels per figure unit."""
        return self._scale

    def add_part(self, part: Part, twin: bool, line: float = 0.0) -> int:
        """Add a drawn part (or its mirrored twin) grown by `line` figure units; returns its shape number."""
        outline = parse_outline(part.shape)
        if twin:
            # Turned around as well, so that both twins wind the same way and may share a path.
            back = np.roll(np.arange(len(outline.points))[::-1], 1)
            outline = Outline(outline.points[back] * (-1.0, 1.0), outline.corners[back])
        centre = outline.points
        points, corners = centre, outline.corners
        if part.ribbon:
            points, corners = ribbon(centre, part.ribbon), ribbon_corners(len(centre))
        if line:
            far = np.hypot(*(points - centre[0]).T)
            widths = line * (_smooth(far / part.taper) if part.taper else np.ones(len(points)))
            points = grow(Outline(points, corners), widths)
        count = len(points)
        x, y = points[:, 0], points[:, 1]
        rx, ry, cy = _SKULL
        bulge = np.sqrt(np.clip(1.0 - (x / rx) ** 2 - ((y - cy) / ry) ** 2, 0.0, 1.0))
        z = part.z + part.depth * bulge
        rows = np.zeros((count, _COLUMNS))
        hair = self._style.hair
        if part.rides == "body":
            head = np.zeros(count)
        elif part.rides == "head":
            head = np.ones(count)
        else:
            head = 1.0 - 0.9 * _smooth((y - hair.hang_from) / max(hair.hang_to - hair.hang_from, 1.0))
            far = np.hypot(x - centre[0, 0], y - centre[0, 1]) / _LOCK
            reach = part.swing * np.minimum(far, 1.6) ** 1.4 * (1.0 - 0.75 * head)
            slow = np.clip(far, 0.0, 1.0)
            rows[:, _SLOW] = reach * slow
            rows[:, _QUICK] = reach * (1.0 - slow)
            rows[:, _LIFT] = 0.6 * reach
        placed = np.stack([x, y, z, np.ones(count)], 1)
        rows[:, _HEAD : _HEAD + 4] = placed * head[:, None]
        rows[:, _BODY : _BODY + 4] = placed * (1.0 - head)[:, None]
        body = 1.0 - head
        rows[:, _BREATH] = body * (1.0 - 0.75 * _smooth((y - 250.0) / 170.0))
        rows[:, _LEAN] = body * np.clip((430.0 - y) / 200.0, 0.0, 1.3)
        return self._append(rows, corners)

    def add_face(self, points: Points, corners: Flags, line: float = 0.0) -> int:
        """Add the face grown by `line` figure units; its lower part follows the jaw."""
        z = 0.75 * self.face_depth(points)
        if line:
            points = grow(Outline(points, corners), np.full(len(points), line))
        x, y = points[:, 0], points[:, 1]
        rows = np.zeros((len(points), _COLUMNS))
        rows[:, :4] = np.stack([x, y, z, np.ones(len(points))], 1)
        rows[:, _JAW] = _smooth((y - 35.0) / 110.0)
        return self._append(rows, corners)

    def add_free(self, corners: Flags) -> int:
        """Add a shape of the face whose points are set anew for every pose."""
        if self._rows:
            self._fixed = self.splines.count
            self._basis = np.concatenate(self._rows)
            self._rows = []
        shape = self.splines.add(corners)
        count = self.splines.count - self._fixed
        self._local, self.free = np.zeros((count, 3)), np.zeros((count, 2))
        return shape

    def add_stroke(self, count: int) -> int:
        """Add a stroke of the face along `count` points that are set anew for every pose."""
        shape = self.add_free(ribbon_corners(count))
        self._strokes[shape] = self._ribbons.add(len(self.free) - 2 * count, count)
        return shape

    def put(self, shape: int, points: npt.ArrayLike) -> None:
        """Set a free shape's points, [N, 2] in figure units."""
        span = self.splines.span(shape)
        self.free[span.start - self._fixed : span.stop - self._fixed] = points

    def put_stroke(self, shape: int, centre: npt.ArrayLike, widths: npt.ArrayLike) -> None:
        """Set the centre line [N, 2] and widths [N] of a stroke."""
        span = self._strokes[shape]
        self._ribbons.centre[span] = centre
        self._ribbons.widths[span] = widths

    def face_depth(self, points: Points) -> npt.NDArray[np.float64]:
        """Return how far the face lies before the axis at `points` float64[N, 2]: float64[N]."""
        rx, ry, cy = _FACE
        inside = 1.0 - (points[:, 0] / rx) ** 2 - ((points[:, 1] - cy) / ry) ** 2
        depth: npt.NDArray[np.float64] = self._style.head.depth * np.sqrt(np.clip(inside, 0.02, 1.0))
        return depth

    def project(self, pose: Pose) -> Points:
        """Return every point in pixels, float64[N, 2]."""
        self._ribbons.expand(self.free)
        motion = self._motion(pose)
        out = np.empty((self.splines.count, 2))
        np.matmul(self._basis, motion, out=out[: self._fixed])
        self._local[:, :2] = self.free
        self._local[:, 2] = self.face_depth(self.free)
        out[self._fixed :] = self._local @ motion[:3] + motion[3]
        return out

    def _motion(self, pose: Pose) -> npt.NDArray[np.float64]:
        """Return what each weight of 1 moves a point by, in pixels: float64[_COLUMNS, 2]."""
        yaw, pitch, roll = (math.radians(a) for a in (pose.yaw, pose.pitch, pose.roll))
        cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
        cr, sr = math.cos(roll), math.sin(roll)
        # Columns: where the head's x, y, z axes point in the picture (x right, y down).
        turn = np.array([[cy, sp * sy], [0.0, cp], [sy, -sp * cy]])
        turn = turn @ np.array([[cr, sr], [-sr, cr]])
        neck = np.array([0.0, self._style.figure.neck_y, -15.0])
        shift = np.array([pose.head_x, pose.head_y]) + neck[:2] - neck @ turn
        lean = math.sin(0.35 * yaw)
        motion = np.zeros((_COLUMNS, 2))
        motion[_HEAD : _HEAD + 3] = turn
        motion[_HEAD + 3] = shift
        motion[_BODY : _BODY + 3] = [[1.0 + 0.005 * pose.breath, 0.0], [0.0, 1.0], [lean, 0.0]]
        motion[_JAW] = turn[1] * (self._style.head.jaw_drop * float(pose.mouth[0]))
        motion[_BREATH] = (0.0, -2.2 * pose.breath - pose.shoulders)
        motion[_LEAN] = (pose.lean, 0.0)
        slow, quick, lift = pose.swing
        motion[_SLOW] = (slow, 0.0)
        motion[_QUICK] = (quick, 0.0)
        motion[_LIFT] = (0.0, lift)
        motion *= self._scale
        motion[_HEAD + 3] += self._origin
        motion[_BODY + 3] += self._origin
        return motion

    def _append(self, rows: npt.NDArray[np.float64], corners: Flags) -> int:
        self._rows.append(rows)
        return self.splines.add(corners)


def _smooth(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)
