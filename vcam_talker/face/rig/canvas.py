"""The picture: a BGRA surface, and its yuv420p copy kept up to date region by region.

Skia is fastest on BGRA; the daemon's format is yuv420p (BT.601, limited range). Only the region that was
drawn is converted (swscale), so that a still background costs nothing.
"""

from __future__ import annotations

from typing import Final

import av
import numpy as np
import skia
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from vcam_talker.core.types import Pixels

_PAD: Final = 8
"""Pixels converted around a region and thrown away: filters may look past its edge."""

Region = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, all even, the end excluded."""


class YuvCanvas:
    """A canvas with a constant backdrop; width and height are even. One thread."""

    def __init__(self, backdrop: Pixels) -> None:
        """Take the backdrop, uint8[H, W, 4] BGRA, opaque."""
        self._backdrop = backdrop
        self._bgra = backdrop.copy()
        self._height, self._width = backdrop.shape[:2]
        info = skia.ImageInfo.Make(
            self._width, self._height, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType
        )
        self._surface = skia.Surface.MakeRasterDirect(info, self._bgra)
        self._reformatter = VideoReformatter()
        self._yuv = np.empty((self._height * 3 // 2, self._width), np.uint8)
        self._dirty: Region = (0, 0, 0, 0)
        self.convert((0, 0, self._width, self._height))

    @property
    def bgra(self) -> Pixels:
        """The surface's pixels uint8[H, W, 4], shared."""
        return self._bgra

    def begin(self, region: Region) -> skia.Canvas:
        """Put the backdrop back into `region`; returns the canvas, clipped to it, for what belongs there."""
        x0, y0, x1, y1 = region
        self._bgra[y0:y1, x0:x1] = self._backdrop[y0:y1, x0:x1]
        self._dirty = _union(self._dirty, region)
        canvas: skia.Canvas = self._surface.getCanvas()
        canvas.restoreToCount(1)
        canvas.save()
        canvas.clipRect(skia.Rect.MakeLTRB(*region))
        return canvas

    def finish(self) -> Pixels:
        """Convert what was drawn since the last picture; returns a new read-only uint8[H * 3 // 2, W]."""
        self.convert(self._dirty)
        self._dirty = (0, 0, 0, 0)
        picture = self._yuv.copy()
        picture.flags.writeable = False
        return picture

    def region(self, left: float, top: float, right: float, bottom: float) -> Region:
        """Return the smallest even region that holds the given pixels and lies in the picture."""
        return (
            max(int(left) // 2 * 2, 0),
            max(int(top) // 2 * 2, 0),
            min(int(right) // 2 * 2 + 2, self._width),
            min(int(bottom) // 2 * 2 + 2, self._height),
        )

    def convert(self, region: Region) -> None:
        """Bring one region of the yuv420p copy up to date."""
        x0, y0, x1, y1 = region
        if x0 >= x1 or y0 >= y1:
            return
        left, top = max(x0 - _PAD, 0), max(y0 - _PAD, 0)
        right, bottom = min(x1 + _PAD, self._width), min(y1 + _PAD, self._height)
        source = av.VideoFrame.from_numpy_buffer(self._bgra[top:bottom, left:right], format="bgra")
        frame = self._reformatter.reformat(
            source,
            format="yuv420p",
            src_colorspace=Colorspace.ITU601,
            dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            # Chroma of every second pixel as it is: averaged, flat colours look the same and take longer.
            interpolation=Interpolation.POINT,
            threads=1,
        )
        height, width = self._height, self._width
        luma = self._yuv[:height]
        chroma = self._yuv[height:].reshape(2, height // 2, width // 2)
        for plane, target, step in zip(frame.planes, (luma, chroma[0], chroma[1]), (1, 2, 2), strict=True):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            a, b = (y0 - top) // step, (x0 - left) // step
            target[y0 // step : y1 // step, x0 // step : x1 // step] = rows[
                a : a + (y1 - y0) // step, b : b + (x1 - x0) // step
            ]


def _union(a: Region, b: Region) -> Region:
    if a[0] >= a[2]:
        return b
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
