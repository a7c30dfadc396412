"""Histograms and contact sheets as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import skia

from vcam_talker.core.types import Pixels

_CELL: Final = (300, 190)
_MARGIN: Final = 26
_COLUMNS: Final = 4
_BINS: Final = 48
_INK, _BAR = 0xFF30343A, 0xFF4F81BD


@dataclass(frozen=True, slots=True)
class Histogram:
    """Values to count between two ends."""

    title: str
    values: npt.NDArray[Any]
    low: float
    high: float


def draw_histograms(histograms: Sequence[Histogram]) -> Pixels:
    """Return them on one sheet, uint8[H, W, 3]; bars by the root of the count, so that tails show."""
    rows = -(-len(histograms) // _COLUMNS)
    width, height = _CELL
    sheet = np.full((rows * height, _COLUMNS * width, 4), 255, np.uint8)
    surface = _surface(sheet)
    canvas = surface.getCanvas()
    font = skia.Font(skia.FontMgr().matchFamilyStyle("sans-serif", skia.FontStyle.Normal()), 13)
    ink, bar = skia.Paint(Color=_INK, AntiAlias=True), skia.Paint(Color=_BAR)
    for n, histogram in enumerate(histograms):
        x, y = n % _COLUMNS * width + _MARGIN, n // _COLUMNS * height + _MARGIN
        wide, tall = width - 2 * _MARGIN, height - 2 * _MARGIN - 6
        counts, _ = np.histogram(histogram.values, _BINS, (histogram.low, histogram.high))
        roots = np.sqrt(counts / max(1, counts.max()))
        for k, root in enumerate(roots):
            left = x + wide * k / _BINS
            canvas.drawRect(skia.Rect(left, y + tall * (1 - root), left + wide / _BINS - 1, y + tall), bar)
        canvas.drawLine(x, y + tall + 0.5, x + wide, y + tall + 0.5, ink)
        canvas.drawString(histogram.title, x, y - 6, font, ink)
        canvas.drawString(f"{histogram.low:g}", x, y + tall + 15, font, ink)
        end = f"{histogram.high:.3g}"
        canvas.drawString(end, x + wide - font.measureText(end), y + tall + 15, font, ink)
    surface.flushAndSubmit()
    return np.ascontiguousarray(sheet[..., :3])


def draw_sheet(cells: Sequence[Pixels], columns: int) -> Pixels:
    """Return pictures of one size (uint8[H, W, 3]) in a grid."""
    height, width = cells[0].shape[:2]
    sheet = np.full((-(-len(cells) // columns) * height, columns * width, 3), 255, np.uint8)
    for n, cell in enumerate(cells):
        y, x = n // columns * height, n % columns * width
        sheet[y : y + height, x : x + width] = cell
    return sheet


def save_png(rgb: Pixels, path: Path) -> None:
    """Write uint8[H, W, 3] as PNG."""
    rgba = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    skia.Image.fromarray(rgba, colorType=skia.kRGBA_8888_ColorType).save(str(path), skia.kPNG)


def _surface(pixels: Pixels) -> skia.Surface:
    info = skia.ImageInfo.Make(
        pixels.shape[1], pixels.shape[0], skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType
    )
    return skia.Surface.MakeRasterDirect(info, pixels)
