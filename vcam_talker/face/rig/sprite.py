"""A layer kept as pixels, for what moves less often than the rest."""

from __future__ import annotations

import numpy as np
import skia


class Sprite:
    """A transparent BGRA layer of the picture's size, of which one box holds a drawing. One thread."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._width, self._height = size
        self._pixels = np.zeros((0, 0, 4), np.uint8)
        self._image: skia.Image | None = None
        self._place = (0, 0)
        self._surface: skia.Surface | None = None

    def begin(self, left: float, top: float, right: float, bottom: float) -> skia.Canvas:
        """Forget the drawing; returns a canvas in the picture's coordinates for a new one in the box."""
        x0, y0 = max(int(left), 0), max(int(top), 0)
        x1, y1 = min(int(right) + 1, self._width), min(int(bottom) + 1, self._height)
        width, height = max(x1 - x0, 1), max(y1 - y0, 1)
        if self._pixels.shape[:2] == (height, width):
            self._pixels.fill(0)
        else:
            self._pixels = np.zeros((height, width, 4), np.uint8)
        info = skia.ImageInfo.Make(width, height, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType)
        surface = skia.Surface.MakeRasterDirect(info, self._pixels)
        canvas: skia.Canvas = surface.getCanvas()
        canvas.translate(-x0, -y0)
        self._surface = surface
        self._image = skia.Image.fromarray(
            self._pixels, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType, copy=False
        )
        self._place = (x0, y0)
        return canvas

    def draw(self, canvas: skia.Canvas) -> None:
        """Draw the layer; whole pixels, the quickest way there is."""
        if self._image is not None:
            canvas.drawImage(self._image, *self._place)
