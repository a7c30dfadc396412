"""How the clip fills a picture of another size: scaled, and cut where the shapes differ."""

from __future__ import annotations

import numpy as np

from vcam_talker.core.types import Pixels
from vcam_talker.face.clip.archive import Floats
from vcam_talker.face.clip.resample import averaged, bicubic


class Framing:
    """Cuts and scales pictures of the clip. Immutable; any thread."""

    def __init__(self, clip: tuple[int, int], picture: tuple[int, int], focus: tuple[float, float]) -> None:
        """Sizes are width and height; `focus` in pixels of the clip stays as near the middle as can be."""
        width, height = clip
        across, down = picture
        cut_width = min(width, _even(height * across / down))
        cut_height = min(height, _even(width * down / across))
        self._x = min(max(_even(focus[0] - cut_width / 2), 0), width - cut_width)
        self._y = min(max(_even(focus[1] - cut_height / 2), 0), height - cut_height)
        self._cut = (cut_width, cut_height)
        self._clip, self._picture = clip, picture

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the picture per pixel of the clip, across and down."""
        return self._picture[0] / self._cut[0], self._picture[1] / self._cut[1]

    def from_clip(self, affines: Floats) -> Floats:
        """Return affines [T, 2, 3] that take pixels of the clip as ones that take pixels of the picture."""
        across, down = self.scale
        framed = affines.astype(np.float32)
        framed[:, :, 2] += affines[:, :, :2] @ np.array([self._x, self._y], np.float32)
        framed[:, :, :2] *= np.array([1 / across, 1 / down], np.float32)
        return framed

    def fit(self, pixels: Pixels) -> Pixels:
        """Return a picture of the clip (yuv420p) in the size wanted; the same object if it has it."""
        if self._clip == self._picture:
            return pixels
        width, height = self._clip
        cut_width, cut_height = self._cut
        across, down = self._picture
        y, x = slice(self._y, self._y + cut_height), slice(self._x, self._x + cut_width)
        luma = pixels[:height][y, x]
        chroma = pixels[height:].reshape(2, height // 2, width // 2)
        y, x = slice(y.start // 2, y.stop // 2), slice(x.start // 2, x.stop // 2)
        found = np.empty((down * 3 // 2, across), np.uint8)
        planes = found[down:].reshape(2, down // 2, across // 2)
        resized = averaged if across < cut_width else bicubic
        found[:down] = resized(luma, (across, down))
        for plane, target in zip(chroma, planes, strict=True):
            target[...] = resized(plane[y, x], (across // 2, down // 2))
        return found


def _even(value: float) -> int:
    return round(value / 2) * 2
