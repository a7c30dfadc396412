"""The mouth: lips, cavity, teeth and tongue from the continuous parameters of a mouth pose."""

from __future__ import annotations

from typing import Final

import numpy as np
import skia

from vcam_talker.core.types import MouthPose
from vcam_talker.face.rig.figure import Skeleton, fill_paint
from vcam_talker.face.rig.geometry import Points, Vector, between
from vcam_talker.face.rig.pose import Pose
from vcam_talker.face.rig.style import MouthSection, RigStyle

_N: Final = 9
"""Points along a lip, corner to corner."""
_U: Final = np.sin(np.linspace(-1.0, 1.0, _N) * (np.pi / 2))
"""Where they lie, -1 .. 1: closer together towards the corners, where a lip bends."""
_ARCH: Final = (1.0 - np.abs(_U) ** 2.4) ** 0.72
_BELLY: Final = 1.0 - np.abs(_U) ** 2.2
_BOW: Final = _BELLY * (1.0 - 0.30 * np.exp(-((_U / 0.16) ** 2)))
"""The upper lip's edge with Cupid's bow."""
_SHUT_PX: Final = 0.5
"""A narrower gap is not drawn: it would only grey the line of the lips."""
_PRESS_SHUT: Final = 0.6
"""From this press on the lips touch, whatever the jaw does."""
_BITE: Final = 5.0
"""Figure units that bared teeth part the lips by when the jaw is shut (f, v)."""


def gap(mouth: MouthPose, style: MouthSection) -> float:
    """Return the distance between the inner edges of the lips in figure units; 0 when they touch."""
    jaw, _, rounding, _, teeth, _, press = (float(v) for v in mouth)
    parted = style.open * max(jaw, 0.0) ** 0.85 * (1.0 - 0.18 * rounding)
    parted += _BITE * max(teeth, 0.0) * max(1.0 - 4.0 * jaw, 0.0)
    touching = max(1.0 - max(press, 0.0) / _PRESS_SHUT, 0.0)
    return float(parted * touching**0.7)


def aperture_px(mouth: MouthPose, style: MouthSection, scale: float) -> float:
    """Return the drawn gap between the lips in pixels, exactly 0.0 when the mouth is drawn shut."""
    pixels = gap(mouth, style) * scale
    return pixels if pixels >= _SHUT_PX else 0.0


class Mouth:
    """Places and paints the mouth."""

    def __init__(self, style: RigStyle, skeleton: Skeleton) -> None:
        self._m = style.mouth
        self._scale = skeleton.scale
        self._skeleton = skeleton
        closed = np.zeros(2 * _N - 2, np.bool_)
        closed[[0, _N - 1]] = True
        add, stroke = skeleton.add_free, skeleton.add_stroke
        self._upper = add(closed)
        self._lower = add(closed)
        self._cavity = add(closed)
        self._teeth = add(closed)
        self._teeth_low = add(closed)
        self._tongue = add(np.zeros(8, np.bool_))
        self._tongue_line = stroke(4)
        self._line = stroke(_N)
        self._line_low = stroke(5)
        self._shine = stroke(4)
        self._under = stroke(4)
        self._corner = (stroke(3), stroke(3))
        c = style.colour
        m = self._m
        self._p_upper, self._p_lower = fill_paint(c(m.lip_upper)), fill_paint(c(m.lip))
        self._p_cavity, self._p_teeth = fill_paint(c(m.cavity)), fill_paint(c(m.teeth))
        self._p_tongue, self._p_line = fill_paint(c(m.tongue)), fill_paint(c(m.line))
        self._p_tongue_line = fill_paint(c(m.cavity, 0.35))
        self._p_soft_line = fill_paint(c(m.line, 0.75))
        self._p_shine = fill_paint(c(m.lip_light, 0.9))
        self._p_under = fill_paint(c(style.head.shade))
        self._open = False
        self._low_teeth_shown = False

    def place(self, pose: Pose) -> None:
        """Set the points of every shape of the mouth."""
        m, put, stroke = self._m, self._skeleton.put, self._skeleton.put_stroke
        jaw, width, rounding, protrusion, _, _, press = (float(v) for v in pose.mouth)
        parted = aperture_px(pose.mouth, m, self._scale) / self._scale
        self._open = parted > 0.0
        smile_l, smile_r = pose.smile
        smile = 0.5 * (smile_l + smile_r)
        spread = min(max(width + pose.mouth_width, -1.0), 1.3)
        half = 0.5 * m.width * (1.0 + 0.30 * spread) * (1.0 - 0.42 * rounding) * (1.0 - 0.10 * protrusion)
        half *= (1.0 + 0.10 * max(smile, 0.0)) * (1.0 + 0.06 * press) * (1.0 - 0.06 * jaw)
        x = pose.mouth_shift + half * _U
        # Corners follow the smile, less so when lips are rounded; an open jaw drags them down a little.
        free_corner = (1.0 - 0.6 * rounding) * (1.0 + 0.35 * max(spread, 0.0))
        lift = np.where(_U < 0, smile_l, smile_r) * 10.0 * free_corner
        seam = m.y + 1.5 - lift * np.abs(_U) ** 1.7 + 2.2 * jaw
        seam += 1.3 * smile * _BELLY - 0.8 * (1.0 - _BELLY) * press
        seam -= 1.2 * np.exp(-((_U / 0.3) ** 2)) * (1.0 - rounding)
        arch = (1.0 - rounding) * _ARCH + rounding * np.sqrt(np.clip(1.0 - _U**2, 0.0, 1.0))
        rise = 0.30 + 0.14 * rounding
        upper = seam - parted * rise * arch
        lower = seam + parted * (1.0 - rise) * arch
        full = (
            (1.0 + 0.45 * protrusion + 0.35 * rounding) * (1.0 - 0.6 * press) * (1.0 - 0.12 * max(spread, 0))
        )
        stretched = 1.0 - 0.22 * min(parted / m.open, 1.0)
        high = m.upper * full * stretched * _BOW
        low = m.lower * full * stretched * (_BELLY + rounding * (arch - _BELLY))
        # Rounded lips are a ring: they go on beyond the corners of the opening.
        ring = pose.mouth_shift + (half + 3.2 * rounding + 1.5 * protrusion) * _U
        middle = 0.5 * (upper + lower)
        put(self._upper, between(ring, upper - high, middle + 0.6))
        put(self._lower, between(ring, middle - 0.6, lower + low))
        put(self._cavity, between(x, upper, lower))
        self._place_inside(x, upper, lower, parted, pose.mouth, half)
        thick = 2.3 + 0.9 * press - 0.4 * protrusion
        line = thick * (0.35 + 0.65 * (1.0 - np.abs(_U) ** 3))
        edge = np.stack([x * 1.0, upper], 1)
        over = 1.0 + (1.5 + 1.2 * max(smile, 0.0)) / max(half, 1.0)
        edge[[0, -1], 0] = pose.mouth_shift + (edge[[0, -1], 0] - pose.mouth_shift) * over
        edge[[0, -1], 1] -= (0.8 * smile_l, 0.8 * smile_r)
        stroke(self._line, edge, line)
        inner = slice(2, 7)
        stroke(
            self._line_low,
            np.stack([x[inner], lower[inner]], 1),
            np.array([0.2, 1.2, 1.5, 1.2, 0.2]) * (1.0 if self._open else 0.0),
        )
        base = lower[_N // 2] + m.lower * full * stretched
        mid = pose.mouth_shift
        shine_w = np.array([-0.30, -0.12, 0.06, 0.20]) * half - 0.06 * half
        shine_y = lower[_N // 2] + 0.42 * (base - lower[_N // 2]) + np.array([-0.6, 0.1, 0.2, -0.2])
        size = (0.9 + 0.9 * protrusion) * max(full * m.lower / 7.0, 0.15)
        stroke(self._shine, np.stack([mid + shine_w, shine_y], 1), np.array([0.3, 2.0, 2.0, 0.3]) * size)
        under_x = mid + np.array([-0.42, -0.15, 0.15, 0.42]) * half
        under_y = base + 3.2 + np.array([-0.9, 0.3, 0.3, -0.9])
        depth = 1.8 + 2.2 * protrusion + 1.6 * press
        stroke(self._under, np.stack([under_x, under_y], 1), np.array([0.0, 1.0, 1.0, 0.0]) * depth)
        for side, corner, up in ((-1.0, self._corner[0], smile_l), (1.0, self._corner[1], smile_r)):
            end = 0 if side < 0 else -1
            cx, cyy = edge[end]
            deep = max(up - 0.3, 0.0) * 1.8 + 1.3 * press + max(-up, 0.0) * 1.2
            spot = np.array(
                [[cx - side * 2.0, cyy - 2.6], [cx - side * 0.6, cyy], [cx - side * 1.8, cyy + 2.8]]
            )
            stroke(corner, spot, (0.0, deep, 0.0))

    def _place_inside(
        self, x: Vector, upper: Vector, lower: Vector, parted: float, mouth: MouthPose, half: float
    ) -> None:
        teeth, tongue = float(mouth[4]), float(mouth[5])
        put, stroke = self._skeleton.put, self._skeleton.put_stroke
        # Teeth hang from the upper lip: bared, they fill a narrow gap (f, v); in a wide one they are a band.
        band = min((0.22 + 0.78 * teeth) * 0.42 * parted, 3.0 + 7.5 * teeth)
        bite = teeth * max(1.0 - parted / 12.0, 0.0)
        band += (parted - band) * min(bite * 1.8, 1.0)
        share = band / parted if parted else 0.0
        bottom = upper + (lower - upper) * share * (0.86 + 0.14 * _BELLY)
        put(self._teeth, between(x, upper - 0.5, bottom))
        low = max(min((parted - 24.0) * 0.3, 3.6), 0.0)
        self._low_teeth_shown = low > 0.3
        top = lower - (lower - upper) * (low / parted if parted else 0.0)
        put(self._teeth_low, between(x, top, lower + 0.5))
        mid = x[_N // 2]
        floor = lower[_N // 2]
        tall = parted * (0.42 + 0.50 * tongue)
        ry = max(tall, 0.01)
        rx = half * (0.62 - 0.12 * tongue)
        points = _TONGUE * (rx, ry) + (mid, floor + 0.08 * parted)
        put(self._tongue, points)
        groove = _GROOVE * (1.0, tall) + (mid, floor)
        stroke(self._tongue_line, groove, (0.0, 1.6, 1.4, 0.0))

    def state(self) -> tuple[bool, bool]:
        """Return whether the mouth is open and whether the lower teeth show."""
        return self._open, self._low_teeth_shown

    def paint(self, canvas: skia.Canvas, paths: list[skia.Path]) -> None:
        """Draw the mouth; nothing of the cavity when the lips touch."""
        draw = canvas.drawPath
        draw(paths[self._under], self._p_under)
        draw(paths[self._lower], self._p_lower)
        draw(paths[self._upper], self._p_upper)
        draw(paths[self._shine], self._p_shine)
        if self._open:
            canvas.save()
            canvas.clipPath(paths[self._cavity], skia.ClipOp.kIntersect, True)
            draw(paths[self._cavity], self._p_cavity)
            if self._low_teeth_shown:
                draw(paths[self._teeth_low], self._p_teeth)
            draw(paths[self._tongue], self._p_tongue)
            draw(paths[self._tongue_line], self._p_tongue_line)
            draw(paths[self._teeth], self._p_teeth)
            canvas.restore()
            draw(paths[self._line_low], self._p_soft_line)
        draw(paths[self._line], self._p_line)
        for corner in self._corner:
            draw(paths[corner], self._p_line)


_GROOVE: Final[Points] = np.array([[-0.3, -0.8], [0.0, -0.5], [0.2, -0.2], [0.0, 0.0]])
_TONGUE: Final[Points] = np.array(
    [
        [-1.0, -0.25],
        [-0.75, -0.72],
        [-0.3, -0.98],
        [0.3, -0.98],
        [0.75, -0.72],
        [1.0, -0.25],
        [0.8, 0.3],
        [-0.8, 0.3],
    ]
)
