"""The room behind the figure: drawn once, out of focus, with lights turned to discs by the lens."""

from __future__ import annotations

import random
from typing import Final

import numpy as np
import skia

from vcam_talker.core.types import Pixels
from vcam_talker.face.rig.style import RigStyle

_LINES: Final = 540
"""The blurred room is drawn at no more lines than this and enlarged: nobody can see the difference."""
_DITHER: Final = 1
"""Levels of noise, peak, that keep soft gradients free of bands."""
_TILE: Final = 256


def render_backdrop(style: RigStyle, width: int, height: int) -> Pixels:
    """Return the room, uint8[height, width, 4] BGRA, opaque. Takes about 0.1 s at 1280x720."""
    lines = min(height, _LINES)
    small_w, small_h = max(round(width * lines / height), 2), lines
    surface = skia.Surface.MakeRaster(_info(small_w, small_h))
    canvas = surface.getCanvas()
    # Everything is laid out for 720 lines, around the middle of the picture.
    canvas.translate(small_w / 2, 0)
    canvas.scale(small_h / 720, small_h / 720)
    room = _Room(style, 720 * width / height)
    room.paint(canvas)
    image = surface.makeImageSnapshot()
    out = np.empty((height, width, 4), np.uint8)
    target = skia.Surface.MakeRasterDirect(_info(width, height), out).getCanvas()
    target.drawImageRect(
        image, skia.Rect.MakeWH(width, height), skia.SamplingOptions(skia.CubicResampler.Mitchell())
    )
    _dither(out, style.set.seed)
    return out


def _dither(bgra: Pixels, seed: int) -> None:
    """Round the colours up or down at random, by a tile of noise, and make the picture opaque."""
    tile = np.random.default_rng(seed).integers(-_DITHER, _DITHER + 1, (_TILE, _TILE, 1), np.int16)
    height, width = bgra.shape[:2]
    for y in range(0, height, _TILE):
        for x in range(0, width, _TILE):
            part = bgra[y : y + _TILE, x : x + _TILE, :3]
            part[:] = np.clip(part + tile[: part.shape[0], : part.shape[1]], 0, 255)
    bgra[..., 3] = 255


def _info(width: int, height: int) -> skia.ImageInfo:
    return skia.ImageInfo.Make(width, height, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType)


class _Room:
    """Paints wall, shelves, things, lamp and lights in a space 720 high and centred on x = 0."""

    def __init__(self, style: RigStyle, width: float) -> None:
        self._style = style
        self._set = style.set
        self._half = width / 2
        self._rng = random.Random(style.set.seed)

    def paint(self, canvas: skia.Canvas) -> None:
        s, colour = self._set, self._style.colour
        whole = skia.Rect.MakeLTRB(-self._half - 60, -60, self._half + 60, 780)
        blur = skia.Paint(ImageFilter=skia.ImageFilters.Blur(s.blur, s.blur)) if s.blur else skia.Paint()
        canvas.saveLayer(whole, blur)
        canvas.drawRect(
            whole,
            skia.Paint(
                Shader=skia.GradientShader.MakeLinear(
                    [skia.Point(-self._half, 0), skia.Point(self._half, 500)],
                    [colour(s.wall), colour(s.wall_dark)],
                )
            ),
        )
        self._shelves(canvas)
        canvas.restore()
        lamp_x, lamp_y = (s.lamp_x - 0.5) * 2 * self._half, s.lamp_y * 720
        self._glow(canvas, lamp_x, lamp_y, s.lamp_size * 900, s.lamp, 0.55)
        self._glow(canvas, lamp_x, lamp_y, s.lamp_size * 330, s.lamp, 0.55)
        self._lights(canvas)
        if s.vignette:
            canvas.drawRect(
                whole,
                skia.Paint(
                    Shader=skia.GradientShader.MakeRadial(
                        skia.Point(0, 330),
                        max(self._half, 360) * 1.25,
                        [0x00000000, 0x00000000, round(255 * s.vignette) << 24],
                        [0.0, 0.45, 1.0],
                    )
                ),
            )

    def _glow(
        self, canvas: skia.Canvas, x: float, y: float, radius: float, swatch: str, alpha: float
    ) -> None:
        if radius <= 0:
            return
        colour = self._style.colour
        canvas.drawCircle(
            x,
            y,
            radius,
            skia.Paint(
                BlendMode=skia.BlendMode.kScreen,
                Shader=skia.GradientShader.MakeRadial(
                    skia.Point(x, y),
                    radius,
                    [colour(swatch, alpha), colour(swatch, alpha * 0.35), colour(swatch, 0.0)],
                    [0.0, 0.4, 1.0],
                ),
            ),
        )

    def _shelves(self, canvas: skia.Canvas) -> None:
        s, rng, colour = self._set, self._rng, self._style.colour
        if not s.shelves:
            return
        gap = 640 / s.shelves
        for n in range(s.shelves):
            board = 60 + gap * (n + 1) - 0.25 * gap
            self._strip(canvas, board - gap)
            x = -self._half - 40
            while x < self._half + 40 and s.things:
                kind, tall = rng.random(), gap * rng.uniform(0.3, 0.68)
                wide = rng.uniform(14, 30) if kind < 0.6 else rng.uniform(44, 80)
                paint = skia.Paint(Color=colour(rng.choice(s.things), rng.uniform(0.75, 1.0)), AntiAlias=True)
                if kind < 0.6:
                    canvas.drawRect(skia.Rect.MakeXYWH(x, board - tall, wide, tall), paint)
                elif kind < 0.8:
                    tall *= 0.7
                    canvas.drawRoundRect(
                        skia.Rect.MakeXYWH(x, board - tall, wide, tall), wide * 0.35, wide * 0.35, paint
                    )
                else:
                    canvas.drawRect(
                        skia.Rect.MakeXYWH(x + wide * 0.2, board - tall * 0.35, wide * 0.6, tall * 0.35),
                        paint,
                    )
                    leaf = skia.Paint(Color=colour(rng.choice(s.things)), AntiAlias=True)
                    for _ in range(7):
                        dx, dy = rng.uniform(-0.5, 0.5) * wide, rng.uniform(0.3, 0.9) * tall
                        canvas.drawOval(
                            skia.Rect.MakeXYWH(x + wide * 0.5 + dx - 11, board - dy - 13, 22, 30), leaf
                        )
                x += wide + rng.choice((1.0, 2.0, 3.0, 26.0, 60.0))
            canvas.drawRect(
                skia.Rect.MakeLTRB(-self._half - 60, board, self._half + 60, board + 13),
                skia.Paint(Color=colour(s.shelf)),
            )

    def _strip(self, canvas: skia.Canvas, board: float) -> None:
        """Draw the light of a strip under a board, on the wall below it."""
        top, bottom = board + 13, board + 75
        colour = self._style.colour
        shader = skia.GradientShader.MakeLinear(
            [skia.Point(0, top), skia.Point(0, bottom)],
            [colour(self._set.lamp, self._set.strips), colour(self._set.lamp, 0.0)],
        )
        canvas.drawRect(
            skia.Rect.MakeLTRB(-self._half - 60, top, self._half + 60, bottom),
            skia.Paint(Shader=shader, BlendMode=skia.BlendMode.kScreen),
        )

    def _lights(self, canvas: skia.Canvas) -> None:
        s, rng, colour = self._set, self._rng, self._style.colour
        if not s.lights:
            return
        for n in range(s.light_count):
            # A garland that hangs in two bows across the room, and a few strays.
            u = (n + 0.5 + rng.uniform(-0.3, 0.3)) / s.light_count
            x = (u - 0.5) * 2 * (self._half + 20)
            bow = abs(((u * 2.0) % 1.0) - 0.5) * 2.0
            y = (
                130
                - 95 * bow * bow
                + rng.uniform(-22, 22)
                + (rng.uniform(0, 420) if rng.random() < 0.3 else 0)
            )
            radius = rng.uniform(7, 22)
            swatch = rng.choice(s.lights)
            alpha = rng.uniform(0.4, 0.95)
            disc = skia.Paint(Color=colour(swatch, alpha * 0.8), AntiAlias=True)
            canvas.drawCircle(x, y, radius, disc)
            disc.setStyle(skia.Paint.kStroke_Style)
            disc.setStrokeWidth(2.0)
            disc.setAlphaf(alpha * 0.55)
            canvas.drawCircle(x, y, radius - 1, disc)
            self._glow(canvas, x, y, radius * 3.2, swatch, alpha * 0.5)
