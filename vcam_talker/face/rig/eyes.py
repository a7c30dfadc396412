"""Eyes, lashes and brows."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import skia

from vcam_talker.face.rig.figure import Skeleton, fill_paint
from vcam_talker.face.rig.geometry import Points, between, ellipse
from vcam_talker.face.rig.pose import Pose
from vcam_talker.face.rig.style import RigStyle

# Of the right eye as the viewer sees it, in halves of its width and height: x from the inner corner at -1
# to the outer one at 1.
_X: Final = np.array([-1.0, -0.74, -0.36, 0.08, 0.50, 0.83, 1.0])
_UPPER: Final = np.array([0.16, -0.42, -0.86, -1.0, -0.88, -0.54, -0.14])
_LOWER: Final = np.array([0.16, 0.56, 0.86, 0.94, 0.86, 0.52, -0.14])
_SAG: Final = 1.0 - _X**2
_N: Final = len(_X)
_LASH: Final = np.array([0.06, 0.36, 0.74, 0.96, 1.04, 0.98, 0.66])
_SHADE: Final = np.array([1.0, 5.0, 10.0, 13.0, 13.0, 10.0, 3.0])
"""Width of the shadow that the lid throws on the eye."""
_SPIKES: Final = ((0.80, 13.0, -9.0), (0.58, 8.5, -9.5), (0.36, 5.0, -9.0))
"""Place along the lid, and how far the tip lies outwards and down of it when the eye is open."""

_SPIKE_CORNERS: Final = np.array([True, False, True, True])


class Eye:
    """One eye with its brow; `side` is -1 for the viewer's left and 1 for the right."""

    def __init__(self, style: RigStyle, skeleton: Skeleton, side: int) -> None:
        self._e, self._b = style.eyes, style.brows
        self._side = side
        self._skeleton = skeleton
        add, stroke = skeleton.add_free, skeleton.add_stroke
        corners = np.zeros(2 * _N - 2, np.bool_)
        corners[[0, _N - 1]] = True
        smooth8 = np.zeros(8, np.bool_)
        self._white = add(corners)
        self._ring, self._iris, self._glow = add(smooth8), add(smooth8), add(smooth8)
        self._pupil, self._spark, self._catch = add(smooth8), add(smooth8), add(smooth8)
        self._shade = stroke(_N)
        self._lash = stroke(_N + 1)
        self._lower = stroke(4)
        self._crease = stroke(5)
        self._spikes = [add(_SPIKE_CORNERS) for _ in range(self._e.spikes)]
        for spike in self._spikes[1:]:
            skeleton.splines.join(self._spikes[0], spike)
        skeleton.splines.join(self._catch, self._spark)
        self._brow = stroke(5)
        c, e = style.colour, self._e
        self._p_white, self._p_shade = fill_paint(c(e.white)), fill_paint(c(e.white_shade, 0.42))
        self._p_ring, self._p_iris, self._p_glow = (fill_paint(c(s)) for s in (e.ring, e.colour, e.glow))
        self._p_pupil, self._p_catch = fill_paint(c(e.pupil)), fill_paint(c(e.catch_light))
        self._p_lash, self._p_crease = fill_paint(c(e.lash_colour)), fill_paint(c(e.crease, 0.8))
        self._p_lower = fill_paint(c(e.lash_colour, 0.7))
        self._p_brow = fill_paint(c(self._b.colour))
        self._shut = False

    def place(self, pose: Pose) -> None:
        """Set the points of eye and brow."""
        e, side = self._e, self._side
        lid = max(pose.lids[0 if side < 0 else 1], 0.0)
        squint = min(max(pose.lid_lower, -0.3), 1.0)
        hw, hh = e.width * 0.5, e.height * 0.5
        slope = -e.tilt * 0.5 * _X
        up_open, low_open = _UPPER * hh + slope, _LOWER * hh + slope
        # Where the lids meet: a hanging arc, which a smiling cheek pushes up into an arch.
        ends = hh * (0.01 - 0.15 * _X) + slope
        meet = ends + _SAG * hh * (0.52 - 0.72 * max(squint, 0.0))
        near = min(lid / 0.45, 1.0)
        upper = meet + (up_open - meet) * lid
        lower = meet + (low_open - meet) * (near * (1.0 - 0.52 * squint))
        self._shut = lid < 0.06
        x = e.x + hw * _X
        y0 = e.y
        self._put(self._white, between(x, y0 + upper, y0 + np.maximum(lower, upper)))
        self._place_iris(pose, near)
        top = np.stack([x, y0 + upper], 1)
        self._stroke(self._shade, top + np.array([0.0, 4.0]), _SHADE * min(lid, 1.0))
        wing_y = upper[-1] + (-4.5 if lid > 0.3 else -4.5 + 5.0 * (1.0 - lid / 0.3))
        wing = np.array([[x[-1] + 9.0, y0 + wing_y]])
        thick = e.lash * (0.78 + 0.22 * min(lid, 1.0))
        lash = np.concatenate([top - (0.0, 0.25 * thick), wing])
        self._stroke(self._lash, lash, np.append(_LASH, 0.05) * thick)
        low = np.stack([x[3:], y0 + np.maximum(lower, upper)[3:] + 0.8], 1)
        self._stroke(self._lower, low, np.array([0.0, 1.4, 2.6, 2.2]) * (0.4 + 0.6 * near))
        fold = np.stack([x[1:6], y0 + upper[1:6] - 9.0 * min(0.35 + 0.65 * lid, 1.05) - 1.5], 1)
        self._stroke(self._crease, fold, (0.0, 1.3, 1.9, 2.1, 0.0))
        for shape, (u, dx, dy) in zip(self._spikes, _SPIKES, strict=False):
            along = np.array([u - 0.20, u - 0.08, u + 0.06])
            rx, ry = e.x + hw * along, y0 + np.interp(along, _X, upper) - 0.45 * thick
            droop = dy + (9.0 - dy) * (1.0 - min(lid, 1.0)) ** 1.5
            tip = (rx[1] + dx, ry[1] + droop)
            root = np.array(
                [[rx[0], ry[0]], [rx[1] + 0.35 * dx, ry[1] + 0.2 * droop], tip, [rx[2], ry[2] + 2.0]]
            )
            self._put(shape, root)
        self._place_brow(pose)

    def _place_iris(self, pose: Pose, near: float) -> None:
        e, side = self._e, self._side
        rx, ry = e.iris, e.iris * e.iris_tall
        # Mirrored coordinates: the gaze to the viewer's right runs outwards in the right eye only.
        gx = e.x - 1.5 + side * pose.gaze_x * 0.24 * e.width
        gy = e.y - 0.5 + pose.gaze_y * 0.19 * e.height + 1.5 * (1.0 - near)
        self._put(self._ring, ellipse(gx, gy, rx, ry))
        self._put(self._iris, ellipse(gx, gy + 1.6, rx - 3.0, ry - 3.4))
        self._put(self._glow, ellipse(gx, gy + 0.48 * ry, 0.66 * rx, 0.40 * ry))
        size = pose.pupil
        self._put(self._pupil, ellipse(gx, gy + 0.5, 0.42 * rx * size, 0.45 * ry * size))
        # The lights are reflections of the room: they lie on the same side of both eyes and hardly move.
        lx, ly = gx - side * pose.gaze_x * 2.0, gy - pose.gaze_y * 2.0
        self._put(self._catch, ellipse(lx - side * 0.36 * rx, ly - 0.38 * ry, 0.30 * rx, 0.27 * ry))
        self._put(self._spark, ellipse(lx + side * 0.40 * rx, ly + 0.40 * ry, 0.14 * rx, 0.13 * ry))

    def _place_brow(self, pose: Pose) -> None:
        e, b = self._e, self._b
        raised = pose.brow_raise[0 if self._side < 0 else 1]
        u = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
        x = e.x + 1.5 + 0.5 * b.width * u - pose.brow_knit * 6.0 * (0.6 - 0.4 * u)
        y = e.y + b.y - b.arch * (1.0 - (u - 0.15) ** 2) + 2.0 * u
        y -= raised * 10.5
        y -= pose.brow_inner * 10.0 * np.clip((0.55 - u) / 1.55, 0.0, 1.0)
        y -= pose.brow_outer * 9.0 * np.clip((u + 0.3) / 1.3, 0.0, 1.0)
        widths = b.thickness * np.array([0.62, 1.0, 0.90, 0.60, 0.08])
        self._stroke(self._brow, np.stack([x, y], 1), widths)

    def _put(self, shape: int, points: Points) -> None:
        self._skeleton.put(shape, points * (self._side, 1.0))

    def _stroke(self, shape: int, centre: Points, widths: npt.ArrayLike) -> None:
        self._skeleton.put_stroke(shape, centre * (self._side, 1.0), widths)

    def state(self) -> bool:
        """Return whether the eye is drawn shut."""
        return self._shut

    def paint(self, canvas: skia.Canvas, paths: list[skia.Path]) -> None:
        """Draw the eye without its brow."""
        draw = canvas.drawPath
        draw(paths[self._crease], self._p_crease)
        if not self._shut:
            canvas.save()
            canvas.clipPath(paths[self._white], skia.ClipOp.kIntersect, True)
            draw(paths[self._white], self._p_white)
            draw(paths[self._ring], self._p_ring)
            draw(paths[self._iris], self._p_iris)
            draw(paths[self._glow], self._p_glow)
            draw(paths[self._shade], self._p_shade)
            draw(paths[self._pupil], self._p_pupil)
            draw(paths[self._catch], self._p_catch)
            canvas.restore()
        draw(paths[self._lower], self._p_lower)
        draw(paths[self._lash], self._p_lash)
        for spike in self._spikes[:1]:
            draw(paths[spike], self._p_lash)

    def paint_brow(self, canvas: skia.Canvas, paths: list[skia.Path]) -> None:
        """Draw the brow, over hair."""
        canvas.drawPath(paths[self._brow], self._p_brow)
