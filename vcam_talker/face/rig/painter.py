"""The order of the layers: builds the whole figure from a rig file and paints it for a pose."""

from __future__ import annotations

from typing import Final

import numpy as np
import skia

from vcam_talker.face.rig.eyes import Eye
from vcam_talker.face.rig.face import Face
from vcam_talker.face.rig.figure import Skeleton, Stroke, fill_paint
from vcam_talker.face.rig.geometry import Points
from vcam_talker.face.rig.mouth import Mouth
from vcam_talker.face.rig.pose import Pose
from vcam_talker.face.rig.sprite import Sprite
from vcam_talker.face.rig.style import LAYERS, Part, RigStyle

_SLANT: Final = 0.35
"""Sideways run of a cast shadow over its length: the light comes from the viewer's upper left."""


_MARGIN: Final = 6.0
"""Figure units around the points of a shape: the bulge of its curves between them."""
_MOVED_PX: Final = 0.02
"""What moved less since it was drawn is left as it is."""
_BODY_PX: Final = 0.3
"""The body, which only breathes, is drawn anew when one of its points is off by more."""

Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels."""


class Painter:
    """Draws the figure. One thread."""

    def __init__(
        self, style: RigStyle, size: tuple[int, int], scale: float, origin: tuple[float, float]
    ) -> None:
        """Build the figure for a picture of `size`; `scale` in pixels per figure unit, `origin` in pixels."""
        self._style = style
        self._skeleton = Skeleton(style, scale, origin)
        self._layers: dict[str, list[tuple[int, skia.Paint, int | None]]] = {}
        self._shadows: list[tuple[int, float]] = []
        """Shapes that throw a shadow on the face, with its length in pixels."""
        self._named: dict[str, list[int]] = {}
        bounds = [0]
        for layer in LAYERS[:-1]:
            strokes: list[Stroke] = []
            last_ribbon = False
            for part in style.part:
                if part.layer == layer:
                    added = self._add(part)
                    if part.ribbon and not part.line and last_ribbon:
                        # Ribbons all wind the same way, so that overlapping ones still fill.
                        strokes = strokes[:-1] + self._merged([strokes[-1], *added])
                    else:
                        strokes += added
                    last_ribbon = bool(part.ribbon) and not part.line
            bounds.append(self._skeleton.splines.shapes)
            self._layers[layer] = [(s.shape, fill_paint(s.colour), s.clip) for s in strokes]
        self._face = Face(style, self._skeleton)
        self._face.add_features()
        self._mouth = Mouth(style, self._skeleton)
        self._eyes = (Eye(style, self._skeleton, -1), Eye(style, self._skeleton, 1))
        self._is_body = np.zeros(self._skeleton.splines.shapes, np.bool_)
        self._is_body[bounds[1] : bounds[2]] = True
        self._body = Sprite(size)
        self._body_points: Points | None = None
        self._margin = (_MARGIN + max((p.casts for p in style.part), default=0.0)) * scale
        self._p_shadow = fill_paint(style.colour(style.head.shade))

    @property
    def scale(self) -> float:
        """Pixels per figure unit."""
        return self._skeleton.scale

    def points(self, pose: Pose) -> Points:
        """Return all points of the figure in pixels, float64[N, 2]: what a frame is drawn from."""
        self._face.place(pose)
        self._mouth.place(pose)
        for eye in self._eyes:
            eye.place(pose)
        points = self._skeleton.project(pose)
        if self._body_points is not None:
            body = self._skeleton.splines.range_of(self._is_body)
            if np.abs(points[body] - self._body_points).max(initial=0.0) <= _BODY_PX:
                points[body] = self._body_points
        return points

    def state(self) -> tuple[object, ...]:
        """Return what shows besides the points: frames with near points and equal states look alike."""
        return self._face.state(), self._mouth.state(), self._eyes[0].state(), self._eyes[1].state()

    def changed(self, before: Points | None, after: Points) -> Box | None:
        """Return the box around everything that moved between two sets of points; None when nothing did."""
        splines = self._skeleton.splines
        if before is None:
            moved = np.ones(splines.shapes, np.bool_)
            before = after
        else:
            moved = splines.moved(before, after, _MOVED_PX)
        old, new = splines.bounds(before, moved), splines.bounds(after, moved)
        if old is None or new is None:
            return None
        m = self._margin
        return (
            min(old[0], new[0]) - m,
            min(old[1], new[1]) - m,
            max(old[2], new[2]) + m,
            max(old[3], new[3]) + m,
        )

    def paint(self, canvas: skia.Canvas, points: Points) -> None:
        """Draw the figure over whatever `canvas` shows; `points` from the latest call of `points`."""
        splines = self._skeleton.splines
        paths = splines.paths(points)
        self._draw(canvas, paths, "back")
        body = points[splines.range_of(self._is_body)]
        if self._body_points is None or not np.array_equal(body, self._body_points):
            self._body_points = body.copy()
            box = splines.bounds(points, self._is_body)
            if box is not None:
                m = self._margin
                inner = self._body.begin(box[0] - m, box[1] - m, box[2] + m, box[3] + m)
                self._draw(inner, paths, "body")
        self._body.draw(canvas)
        self._draw(canvas, paths, "skull")
        self._face.paint_skin(canvas, paths)
        for shape, length in self._shadows:
            canvas.save()
            canvas.translate(_SLANT * length, length)
            canvas.drawPath(paths[shape], self._p_shadow)
            canvas.restore()
        self._face.paint_blush(canvas, paths, points)
        self._mouth.paint(canvas, paths)
        for eye in self._eyes:
            eye.paint(canvas, paths)
        self._draw(canvas, paths, "front")
        for eye in self._eyes:
            eye.paint_brow(canvas, paths)
        self._draw(canvas, paths, "over")

    def _add(self, part: Part) -> list[Stroke]:
        """Add a part with its twin and contour; returns the steps that draw it."""
        style = self._style
        fill = style.colour(part.fill, part.alpha)
        line = style.colour(part.line_colour or part.fill)
        lines: list[Stroke] = []
        fills: list[Stroke] = []
        for twin in _twins(part):
            clip = None
            if part.inside:
                around = self._named[part.inside]
                clip = around[-1] if twin else around[0]
            if part.line:
                lines.append(Stroke(self._skeleton.add_part(part, twin, part.line), line, clip))
            shape = self._skeleton.add_part(part, twin)
            fills.append(Stroke(shape, fill, clip))
            if part.name:
                self._named.setdefault(part.name, []).append(shape)
            if part.casts:
                self._shadows.append((shape, part.casts * self.scale))
        return self._merged(lines) + self._merged(fills)

    def _merged(self, strokes: list[Stroke]) -> list[Stroke]:
        """Join neighbours of one colour and one clip into a path each: fewer, larger fills are quicker."""
        kept: list[Stroke] = []
        for stroke in strokes:
            if kept and kept[-1].colour == stroke.colour and kept[-1].clip == stroke.clip:
                self._skeleton.splines.join(kept[-1].shape, stroke.shape)
            else:
                kept.append(stroke)
        return kept

    def _draw(self, canvas: skia.Canvas, paths: list[skia.Path], layer: str) -> None:
        clipped: int | None = None
        for shape, paint, clip in self._layers[layer]:
            if clip != clipped:
                if clipped is not None:
                    canvas.restore()
                if clip is not None:
                    canvas.save()
                    canvas.clipPath(paths[clip], skia.ClipOp.kIntersect, True)
                clipped = clip
            canvas.drawPath(paths[shape], paint)
        if clipped is not None:
            canvas.restore()


def _twins(part: Part) -> tuple[bool, ...]:
    return (False, True) if part.mirror else (False,)
