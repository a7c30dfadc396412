"""Which part of a face a picture net draws, told by the mouth at rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_CORNERS: Final = (0, 10)
"""Of the 41 landmarks of docs/faces.md."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle that lies as the mouth at rest lies: level with its corners, as wide as its width says."""

    mouth_at: tuple[float, float] = (0.5, 0.34)
    """Where the middle between the corners is, right and down, in shares of the rectangle."""
    width_mouths: float = 2.5
    """Width of the rectangle in distances between the corners."""

    def affine(self, landmarks: Floats, size: tuple[int, int], margin: int = 0) -> Floats:
        """Return the affine float32[2, 3] from pixels to those of the region's own picture.

        `landmarks` float32[41, 2] of the mouth at rest, pixel centres at +0.5; `size` height and width of
        the region's picture, which fixes its shape too; `margin` pixels are kept around it. The affine is
        for indices of pixels (centres at whole numbers), as `cv2.warpAffine` takes it.
        """
        left, right = (landmarks[k].astype(np.float64) for k in _CORNERS)
        across = right - left
        scale = size[1] / self.width_mouths / float(np.hypot(*across))
        cos, sin = across / np.hypot(*across) * scale
        matrix = np.array([[cos, sin], [-sin, cos]])
        place = np.array([size[1] * self.mouth_at[0], size[0] * self.mouth_at[1]]) + margin
        shift = place - matrix @ ((left + right) / 2)
        # From centres at +0.5 to centres at whole numbers, on both sides.
        shift += matrix @ np.array([0.5, 0.5]) - 0.5
        return np.column_stack((matrix, shift)).astype(np.float32)


REGION: Final = Region()
"""Of this project's own nets."""
