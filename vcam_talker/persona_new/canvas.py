"""How a picture becomes a presenter's frame: cut about the face, and widened where it is too narrow."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from vcam_talker.core.types import Pixels
from vcam_talker.persona_new.detect import face_height
from vcam_talker.persona_new.landmarks import Floats, Points

_FACE_HEIGHTS: Final = 3.8
"""Height of the frame in heights of the face, brows to chin: head and shoulders."""
_EYES_AT: Final = 0.36
"""Of the frame's height: where the brows lie, if the picture allows."""
_BLUR: Final = 0.035
"""Of the frame's height: deviation of what widens it."""
_FEATHER: Final = 0.03
"""Of the frame's width: over which the picture fades into that."""


class Canvas:
    """Draws pictures of one size into frames of another, always in the same way. Immutable."""

    def __init__(self, picture: tuple[int, int], points: Points, frame: tuple[int, int]) -> None:
        """Sizes are width and height, those of `frame` even; `points` say where the face is."""
        wide, high = picture
        self.size = frame
        cut_high = min(float(high), _FACE_HEIGHTS * face_height(points))
        cut_wide = cut_high * frame[0] / frame[1]
        if cut_wide > wide:
            # Narrower is better than widened, as long as the head has room.
            cut_high = max(min(cut_high, wide * frame[1] / frame[0]), 0.75 * cut_high)
            cut_wide = cut_high * frame[0] / frame[1]
        brows = points[9:19].mean(0)
        middle = float(points[:, 0].mean())
        top = min(max(float(brows[1]) - _EYES_AT * cut_high, 0.0), high - cut_high)
        left = middle - cut_wide / 2
        left = (
            min(max(left, 0.0), wide - cut_wide) if cut_wide <= wide else min(max(left, wide - cut_wide), 0.0)
        )
        self.scale = frame[1] / cut_high
        """Pixels of the frame per pixel of the picture."""
        self._shift = np.array([-left, -top], np.float32) * np.float32(self.scale)
        self._picture = picture
        self._share = self._shares()

    def places(self, points: Points) -> Points:
        """Return where points of the picture lie in the frame."""
        return np.asarray(points * np.float32(self.scale) + self._shift, np.float32)

    def draw(self, picture: Pixels) -> Pixels:
        """Return the frame uint8[H, W, 3] of a picture uint8[h, w, 3]. Some 10 ms."""
        affine = self._affine()
        if self.scale < 0.5:
            # Averaged first: a sample of every third pixel would flicker.
            by = float(2 * self.scale)
            picture = np.asarray(
                cv2.resize(picture, None, fx=by, fy=by, interpolation=cv2.INTER_AREA), np.uint8
            )
            affine[:, :2] /= np.float32(by)
        kind = cv2.INTER_CUBIC if self.scale >= 1 else cv2.INTER_LINEAR
        seen = cv2.warpAffine(picture, affine, self.size, flags=kind, borderMode=cv2.BORDER_REFLECT_101)
        if self._share is None:
            return np.asarray(seen, np.uint8)
        blurred = cv2.GaussianBlur(seen, (0, 0), _BLUR * self.size[1], borderType=cv2.BORDER_REPLICATE)
        mixed = blurred + (seen.astype(np.float32) - blurred) * self._share
        return np.asarray(np.rint(mixed), np.uint8)

    @property
    def widened(self) -> bool:
        """Whether the picture does not fill the frame."""
        return self._share is not None

    def _affine(self) -> Floats:
        """Return the affine from indices of the picture to those of the frame."""
        scale = self.scale
        shift = self._shift + (scale - 1) / 2
        return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)

    def _shares(self) -> Floats | None:
        """Return how much of the picture shows, float32[1, W, 1]; None when it fills the frame."""
        first = float(self._shift[0])
        last = first + self._picture[0] * self.scale
        width = self.size[0]
        if first < 0.5 and last > width - 0.5:
            return None
        ease = _FEATHER * width
        at = np.arange(width, dtype=np.float32) + 0.5
        share = np.ones(width, np.float32)
        if first >= 0.5:
            share = np.minimum(share, np.clip((at - first) / ease, 0, 1))
        if last <= width - 0.5:
            share = np.minimum(share, np.clip((last - at) / ease, 0, 1))
        smooth = share * share * (3 - 2 * share)
        return np.asarray(smooth[None, :, None], np.float32)
