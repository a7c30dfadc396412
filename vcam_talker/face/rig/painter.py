"""The order of the layers: builds the whole figure from a rig file and paints it for a pose."""

from __future__ import annotations

from typing import Final

import skia

from vcam_talker.face.rig.eyes import Eye
from vcam_talker.face.rig.face import Face
from vcam_talker.face.rig.figure import Skeleton, Stroke, fill_paint
from vcam_talker.face.rig.geometry import Points
from vcam_talker.face.rig.mouth import Mouth
from vcam_talker.face.rig.pose import Pose
from vcam_talker.face.rig.style import Part, RigStyle

_SLANT: Final = 0.35
"""Sideways run of a cast shadow over its length: the light comes from the viewer's upper left."""


class Painter:
    """Draws the figure. `scale` is in pixels per figure unit, `origin` in pixels. One thread."""

    def __init__(self, style: RigStyle, scale: float, origin: tuple[float, float]) -> None:
        self._style = style
        self._skeleton = Skeleton(style, scale, origin)
        self._layers: dict[str, list[tuple[int, skia.Paint, int | None]]] = {}
        self._shadows: list[tuple[int, float]] = []
        """Shapes that throw a shadow on the face, with its length in pixels."""
        self._named: dict[str, list[int]] = {}
        for layer in ("back", "body", "skull", "front", "over"):
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
            self._layers[layer] = [(s.shape, fill_paint(s.colour), s.clip) for s in strokes]
        self._face = Face(style, self._skeleton)
        self._face.add_features()
        self._mouth = Mouth(style, self._skeleton)
        self._eyes = (Eye(style, self._skeleton, -1), Eye(style, self._skeleton, 1))
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
        return self._skeleton.project(pose)

    def paint(self, canvas: skia.Canvas, points: Points) -> None:
        """Draw the figure over whatever `canvas` shows; `points` from the latest call of `points`."""
        paths = self._skeleton.splines.paths(points)
        for layer in ("back", "body", "skull"):
            self._draw(canvas, paths, layer)
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
