"""The part of a face that a network sees, cut from the clip's frame, and how it is laid back over it."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vcam_talker.core.errors import PersonaError
from vcam_talker.core.types import Pixels
from vcam_talker.face.clip.archive import Floats
from vcam_talker.face.clip.assets import FaceAssets
from vcam_talker.face.clip.compositor import Planes, sampling
from vcam_talker.face.clip.patch import Moment, Patch
from vcam_talker.face.clip.resample import averaged, inverse, mapped
from vcam_talker.face.neural.crossing import MAX_SIDE_PX
from vcam_talker.face.neural.region import Region

_LEAST_MOUTH_PX: Final = 4.0
_FEATHER: Final = 0.06
"""Of a crop's sides: over which it fades out where the persona's mask goes on beyond it."""


class Crops:
    """Cuts crops (yuv420p, uint8[h * 3 // 2, w], sides even) of one presenter. Immutable; any thread."""

    def __init__(self, assets: FaceAssets, region: Region, size: tuple[int, int]) -> None:
        """`size`: height and width of the network's pictures, which fix the shape. Raises PersonaError."""
        rest = assets.landmarks[:, 0].mean(0)
        mouth_px = float(np.hypot(*(rest[10] - rest[0])))
        if mouth_px < _LEAST_MOUTH_PX:
            raise PersonaError(str(assets.path), "the mouth at rest has no width", "Make the persona anew")
        # As fine as the presenter's own patches are.
        shrink = min(1.0, MAX_SIDE_PX / (region.width_mouths * mouth_px * max(1.0, size[0] / size[1])))
        width = _even(region.width_mouths * mouth_px * shrink)
        height = _even(width * size[0] / size[1])
        self.size = (width, height)
        """Width and height."""
        self._place = _centred(region.affine(rest, (height, width)))
        back = sampling(inverse(self._place), (0, 0, width, height))
        self._back, self._back_half = back
        mask = mapped(assets.mask, self._back, self.size, fade=True)
        self._mask = _faded(mask)
        self._mask.flags.writeable = False

    def cut(self, picture: Pixels, to_patch: Floats) -> Pixels:
        """Return what is seen of a picture (yuv420p); beyond its borders they go on. About 0.2 ms."""
        width, height = self.size
        full, sub = sampling(inverse(_after(self._place, to_patch)), (0, 0, width, height))
        planes = Planes(picture)
        found = np.empty((height * 3 // 2, width), np.uint8)
        there = Planes(found)
        there.luma[...] = mapped(planes.luma, full, self.size, fade=False)
        for plane, target in zip(planes.chroma, there.chroma, strict=True):
            target[...] = mapped(plane, sub, (width // 2, height // 2), fade=False)
        return found

    def of(self, moment: Moment) -> Pixels:
        """Return the crop of a moment."""
        return self.cut(moment.picture, moment.affine)

    def patch(self, crop: Pixels, strength: float) -> Patch:
        """Return a drawn crop as a patch."""
        planes = Planes(crop)
        return Patch(planes.luma, np.stack(tuple(planes.chroma), -1), self._mask, strength, self._place)

    def seen(self, patch: Patch) -> Pixels:
        """Return what a patch in the presenter's own coordinates looks like as a crop."""
        width, height = self.size
        found = np.empty((height * 3 // 2, width), np.uint8)
        planes = Planes(found)
        planes.luma[...] = mapped(patch.luma, self._back, self.size, fade=False)
        colours = mapped(patch.chroma, self._back_half, (width // 2, height // 2), fade=False)
        planes.chroma[0], planes.chroma[1] = colours[:, :, 0], colours[:, :, 1]
        return found


def to_rgb(crop: Pixels) -> Pixels:
    """Return a crop as uint8[h, w, 3], RGB."""
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_YUV2RGB_I420), np.uint8)


def to_yuv(rgb: Pixels) -> Pixels:
    """Return an RGB picture uint8[h, w, 3], sides even, as a crop.

    Four pixels share the mean of their colours; OpenCV's own conversion would give them that of one of them.
    """
    rows, columns = rgb.shape[:2]
    found = np.empty((rows * 3 // 2, columns), np.uint8)
    planes = Planes(found)
    planes.luma[...] = cv2.transform(rgb, _LUMA)
    colours = cv2.transform(averaged(rgb, (columns // 2, rows // 2)), _CHROMA)
    planes.chroma[0], planes.chroma[1] = colours[:, :, 0], colours[:, :, 1]
    return found


# BT.601, limited range: rows of (R, G, B, offset).
_LUMA: Final = np.array([[65.481, 128.553, 24.966, 16 * 255]], np.float32) / np.float32(255)
_CHROMA: Final = np.array(
    [[-37.797, -74.203, 112.0, 128 * 255], [112.0, -93.786, -18.214, 128 * 255]], np.float32
) / np.float32(255)


def _centred(affine: Floats) -> Floats:
    """Return an affine of indices as one of places, where pixel centres lie at +0.5."""
    found = affine.copy()
    found[:, 2] += 0.5 - affine[:, :2] @ np.array([0.5, 0.5], np.float32)
    return found


def _after(second: Floats, first: Floats) -> Floats:
    """Return the affine that does `first`, then `second`."""
    found = second[:, :2] @ first
    found[:, 2] += second[:, 2]
    return np.asarray(found, np.float32)


def _faded(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the mask, eased to 0 towards every border that it does not end before."""
    shares = []
    for axis in (0, 1):
        count = mask.shape[axis]
        ease = max(_FEATHER * count, 2.0)
        at = np.arange(count, dtype=np.float32)
        lines = mask.max(1 - axis)
        share = np.ones(count, np.float32)
        if lines[0]:
            share = np.minimum(share, at / ease)
        if lines[-1]:
            share = np.minimum(share, (count - 1 - at) / ease)
        shares.append(share * share * (3.0 - 2.0 * share))
    return np.asarray(np.rint(mask * np.outer(*shares)), np.uint8)


def _even(value: float) -> int:
    return max(round(value / 2) * 2, 2)
