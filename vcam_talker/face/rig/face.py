"""The face without eyes and mouth: skin, cel shadows, blush and nose."""

from __future__ import annotations

from typing import Final

import numpy as np
import skia

from vcam_talker.face.rig.figure import Skeleton, fill_paint
from vcam_talker.face.rig.geometry import Points, parse_outline
from vcam_talker.face.rig.pose import Pose
from vcam_talker.face.rig.style import RigStyle

_LINE: Final = 2.2
"""Width of the contour in figure units; beyond the skin."""
_SHADE: Final = 8.0
"""Width of the shade along the side of the face that is turned away from the light."""
_BLUSH: Final = (34.0, 19.0)
"""Half width and height of a blush in figure units."""


class Face:
    """Skin, shade, blush and nose."""

    def __init__(self, style: RigStyle, skeleton: Skeleton) -> None:
        self._style = style
        self._skeleton = skeleton
        half = parse_outline(style.head.outline)
        # The axis points are shared by both halves.
        left = half.points[-2:0:-1] * (-1.0, 1.0)
        points = np.concatenate([half.points, left])
        corners = np.concatenate([half.corners, half.corners[-2:0:-1]])
        self._skin = skeleton.add_face(points, corners)
        self._contour = skeleton.add_face(points, corners, _LINE)
        away = np.clip((points[:, 0] + 10.0) / 90.0, 0.0, 1.0) * np.clip(
            (points[:, 1] + 20.0) / 60.0, 0.0, 1.0
        )
        lit = points - np.stack([_SHADE * away, 0.6 * _SHADE * away], 1)
        self._lit = skeleton.add_face(lit, corners)
        c, h = style.colour, style.head
        self._p_skin, self._p_shade = fill_paint(c(h.skin)), fill_paint(c(h.shade))
        self._p_line = fill_paint(c(h.line))
        self._p_light = fill_paint(c(h.light))
        self._p_nose = fill_paint(c(h.line, 0.85))
        self._p_nose_shade = fill_paint(c(h.shade))
        self._blush = _render_blush(c(h.blush), _BLUSH[0] * skeleton.scale, _BLUSH[1] * skeleton.scale)
        self._p_blush = skia.Paint()
        self._blush_alpha = 0.0

    def add_features(self) -> None:
        """Add the shapes that are placed anew for every pose; call after all fixed parts were added."""
        add, stroke = self._skeleton.add_free, self._skeleton.add_stroke
        self._nose = stroke(3)
        self._nose_shade = add(np.array([True, False, True, False]))
        self._nose_light = stroke(3)
        self._cheeks = (add(np.ones(2, np.bool_)), add(np.ones(2, np.bool_)))

    def place(self, pose: Pose) -> None:
        """Set the points of nose and cheeks."""
        h, put, stroke = self._style.head, self._skeleton.put, self._skeleton.put_stroke
        size, y = h.nose_size, h.nose_y
        # The tip stands before the face: it runs ahead of a turning head.
        x = 0.30 * pose.yaw
        y -= 0.28 * pose.pitch
        stroke(
            self._nose,
            np.array([[x - 4.5, y + 3.0], [x + 0.5, y + 5.2], [x + 6.0, y + 2.6]]) * 1.0,
            np.array([0.2, 2.4, 0.4]) * size,
        )
        put(
            self._nose_shade,
            [
                [x + 2, y - 13],
                [x + 8 * size, y + 0.5],
                [x + 5, y + 4],
                [x + 2.5, y - 1],
            ],
        )
        stroke(
            self._nose_light,
            np.array([[x - 1.2, y - 10.0], [x - 0.8, y - 5.0], [x - 0.4, y - 1.0]]),
            np.array([0.0, 2.6, 1.4]) * size,
        )
        lift = 5.0 * max(pose.lid_lower, 0.0)
        for side, cheek in ((-1.0, self._cheeks[0]), (1.0, self._cheeks[1])):
            bx, by = side * h.blush_x, h.blush_y - lift
            put(cheek, [[bx - _BLUSH[0], by - _BLUSH[1]], [bx + _BLUSH[0], by + _BLUSH[1]]])
        self._blush_alpha = min(max(pose.blush, 0.0), 1.0)

    def state(self) -> int:
        """Return the strength of the blush in steps that can just be seen."""
        return round(self._blush_alpha * 64)

    def paint_skin(self, canvas: skia.Canvas, paths: list[skia.Path]) -> None:
        """Draw contour and shaded skin."""
        canvas.drawPath(paths[self._contour], self._p_line)
        canvas.drawPath(paths[self._skin], self._p_shade)
        canvas.drawPath(paths[self._lit], self._p_skin)

    def paint_blush(self, canvas: skia.Canvas, paths: list[skia.Path], points: Points) -> None:
        """Draw blush and nose."""
        self._p_blush.setAlphaf(0.75 * self._blush_alpha)
        for cheek in self._cheeks:
            x, y = points[self._skeleton.splines.span(cheek)].mean(0).tolist()
            # Whole pixels: the quickest, and nobody sees the steps of anything so soft.
            left, top = round(x) - self._blush.width() // 2, round(y) - self._blush.height() // 2
            canvas.drawImage(self._blush, left, top, skia.SamplingOptions(), self._p_blush)
        canvas.drawPath(paths[self._nose_shade], self._p_nose_shade)
        canvas.drawPath(paths[self._nose], self._p_nose)
        canvas.drawPath(paths[self._nose_light], self._p_light)


def _render_blush(colour: int, rx: float, ry: float) -> skia.Image:
    """Return a soft spot of `rx` x `ry` pixels around the middle of its picture."""
    width, height = 2 * round(rx) + 1, 2 * round(ry) + 1
    info = skia.ImageInfo.Make(width, height, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType)
    surface = skia.Surface.MakeRaster(info)
    canvas = surface.getCanvas()
    canvas.translate(width / 2, height / 2)
    canvas.scale(rx, ry)
    fade = [(round(255 * a) << 24) | (colour & 0xFFFFFF) for a in (1.0, 0.55, 0.0)]
    shader = skia.GradientShader.MakeRadial(skia.Point(0, 0), 1.0, fade, [0.0, 0.45, 1.0])
    canvas.drawRect(skia.Rect.MakeLTRB(-1, -1, 1, 1), skia.Paint(Shader=shader))
    return surface.makeImageSnapshot()
