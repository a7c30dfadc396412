"""Boxes around faces, in the pixels that the owner of a picture counts in, however small it was made here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from vcam_talker.core.types import Pixels
from vcam_talker.persona_new.landmarks import Points

Box = tuple[float, float, float, float]
"""Left, top, width, height, pixels of the picture."""
Size = tuple[int, int]
"""Width and height, pixels."""

_LEAST_PX: Final = 8
_LARGEST: Final = 2.0
"""Of the picture's longer side: a box may reach over the rim with a face that does."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Between a picture and the larger one that it was made of."""

    size: Size
    """Of the larger one."""
    x: float
    """Its pixels per pixel of the picture."""
    y: float

    @classmethod
    def of(cls, picture: Pixels, size: Size | None) -> Scale:
        """Return that of a picture uint8[H, W, 3] that was `size` large; None: as large as it is."""
        height, width = picture.shape[:2]
        size = size or (width, height)
        return cls(size, size[0] / width, size[1] / height)

    def inwards(self, box: Box) -> Box:
        """Return a box of the larger one as one of the picture."""
        return box[0] / self.x, box[1] / self.y, box[2] / self.x, box[3] / self.y

    def told(self, points: Points) -> str:
        """Return the box of a face as `--box` takes it."""
        points = np.asarray(points * np.array([self.x, self.y]), np.float32)
        low = points.min(0)
        wide, high = points.max(0) - low
        # The points begin at the brows; a box of a face has some of the forehead.
        return f"{max(low[0], 0):.0f},{max(low[1] - 0.15 * high, 0):.0f},{wide:.0f},{1.15 * high:.0f}"


def unusable(box: Box, size: Size, what: str) -> str:
    """Return why nobody can look into a box of the picture `what`; empty when one can."""
    x, y, w, h = box
    width, height = size
    of = f"{what}, which is {width}x{height} pixels"
    if not all(map(math.isfinite, box)):
        return "is not made of four numbers"
    if w < _LEAST_PX or h < _LEAST_PX:
        return f"is {w:g}x{h:g} pixels, less than {_LEAST_PX}x{_LEAST_PX}"
    if max(w, h) > _LARGEST * max(size):
        return f"is {w:g}x{h:g} pixels, much more than {of}"
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        return f"lies outside {of}"
    return ""
