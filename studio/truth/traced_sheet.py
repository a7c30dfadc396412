"""A contact sheet of drawn faces, traced ones, and what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from studio.raster.stage import Layer, before
from studio.truth.charts import draw_sheet
from studio.truth.traced_compare import Figures, View
from vcam_talker.core.types import Pixels

_COLUMNS: Final = 2
_BEHIND: Final = 0.35
_MORE: Final = 2.0
"""Differences are shown so many times as large, about grey."""


@dataclass(frozen=True, slots=True)
class Row:
    """One moment, drawn and traced."""

    title: str
    drawn: View
    traced: View
    figures: Figures
    exposure: float


def sheet(rows: Sequence[Row]) -> Pixels:
    """Return the pictures, uint8[H, W, 3], two moments beside each other: drawn, traced, difference."""
    return draw_sheet([_strip(row) for row in rows], min(_COLUMNS, len(rows)))


def _strip(row: Row) -> Pixels:
    gain = np.float32(2.0**row.figures.gain_stops)
    scaled: Layer = row.traced.layer * np.array([gain, gain, gain, 1], np.float32)
    behind = np.full((*row.drawn.labels.shape, 3), _BEHIND, np.float32)
    first, second = (before(layer, behind, row.exposure) for layer in (row.drawn.layer, scaled))
    apart = (first.astype(np.float32) - second) * _MORE + 128
    apart[(row.drawn.labels == 0) & (row.traced.labels == 0)] = 128
    strip = np.hstack((first, second, np.clip(apart, 0, 255).astype(np.uint8)))
    words = f"{row.title}  SSIM {row.figures.ssim:.3f}"
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(strip, words, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, width, cv2.LINE_AA)
    return strip
