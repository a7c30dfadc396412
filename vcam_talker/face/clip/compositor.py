"""Lays a patch over a frame: an affine, a soft mask, a tint that hides the seam; only its box is touched."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from vcam_talker.core.types import Pixels
from vcam_talker.face.clip.archive import Floats
from vcam_talker.face.clip.patch import Patch
from vcam_talker.face.clip.resample import averaged, bilinear, blurred, inverse, mapped

_CELL_PX: Final = 4
"""The tint is computed on a grid this coarse."""
_SPREAD_CELLS: Final = 6.0
"""How far inwards what is seen at the border counts; a Gaussian's sigma."""
_LIMIT: Final = 12.0
"""Code values: a greater difference is none of light; something else is to be seen there."""

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, all even, the end excluded."""


class Planes:
    """A yuv420p picture, uint8[H * 3 // 2, W], seen as its planes; they share its memory."""

    def __init__(self, pixels: Pixels) -> None:
        height, width = pixels.shape[0] * 2 // 3, pixels.shape[1]
        self.size = (width, height)
        self.luma = pixels[:height]
        self.chroma = pixels[height:].reshape(2, height // 2, width // 2)


def compose(pixels: Pixels, patch: Patch, to_patch: Floats) -> None:
    """Draw `patch` into `pixels` (yuv420p, writable).

    `to_patch` float32[2, 3] takes pixels of the picture to pixels of the patch. Does nothing where they
    do not meet. About 0.5 ms for a patch of 256x240.
    """
    picture = Planes(pixels)
    rows, columns = patch.mask.shape
    box = box_of((0.0, 0.0, float(columns), float(rows)), to_patch, picture.size)
    if box is None:
        return
    x0, y0, x1, y1 = box
    size, half = (x1 - x0, y1 - y0), ((x1 - x0) // 2, (y1 - y0) // 2)
    full, sub = sampling(to_patch, box)
    mask = mapped(patch.mask, full, size, fade=True)
    tint = _Tint(mask)
    here = picture.luma[y0:y1, x0:x1]
    there = mapped(patch.luma, full, size, fade=False)
    alpha = mask.astype(np.float32)
    alpha *= np.float32(patch.strength / 255.0)
    _blend(here, there, alpha, tint)
    # What four pixels of luma share is shown by the mean of their masks.
    alpha_half = averaged(alpha, half)
    tint_half = _Tint(averaged(mask, half))
    chroma = mapped(patch.chroma, sub, half, fade=False)
    for k in range(2):
        here = picture.chroma[k, y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
        _blend(here, chroma[:, :, k], alpha_half, tint_half)


def box_of(region: tuple[float, float, float, float], affine: Floats, size: tuple[int, int]) -> Box | None:
    """Return the box of a picture of `size` that `affine` takes into `region` (left, top, right, bottom)."""
    left, top, right, bottom = region
    back = inverse(affine)
    corners = np.array([[left, top, 1], [right, top, 1], [right, bottom, 1], [left, bottom, 1]], np.float32)
    places = corners @ back.T
    (low_x, low_y), (high_x, high_y) = places.min(0).tolist(), places.max(0).tolist()
    width, height = size
    x0, y0 = max(math.floor(low_x / 2) * 2, 0), max(math.floor(low_y / 2) * 2, 0)
    x1, y1 = min(math.ceil(high_x / 2) * 2, width), min(math.ceil(high_y / 2) * 2, height)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def sampling(affine: Floats, box: Box) -> tuple[Floats, Floats]:
    """Return for luma and for chroma how indices within `box` become indices within the patch's planes.

    Index k of a plane is the place k + 0.5, or 2 k + 1 in pixels of luma for a plane of half the size.
    """
    x0, y0, _, _ = box
    turn, shift = affine[:, :2], affine[:, 2]
    full = np.empty((2, 3), np.float32)
    full[:, :2] = turn
    full[:, 2] = turn @ np.array([x0 + 0.5, y0 + 0.5], np.float32) + shift - 0.5
    sub = np.empty((2, 3), np.float32)
    sub[:, :2] = turn
    sub[:, 2] = (turn @ np.array([x0 + 1.0, y0 + 1.0], np.float32) + shift) / 2 - 0.5
    return full, sub


class _Tint:
    """What the patch lacks to meet the frame: their difference where the mask is half, spread inwards."""

    def __init__(self, mask: Pixels) -> None:
        rows, columns = mask.shape
        self._grid = (max(columns // _CELL_PX, 1), max(rows // _CELL_PX, 1))
        self._size = (columns, rows)
        m = averaged(mask, self._grid).astype(np.float32)
        m *= np.float32(1 / 255)
        self._ring = m * (1.0 - m)

    def of(self, difference: Floats) -> Floats:
        """Return the tint for frame minus patch, float32[h, w]."""
        coarse = averaged(difference, self._grid)
        ring = self._ring * (np.abs(coarse) <= _LIMIT)
        tint = blurred(coarse * ring, _SPREAD_CELLS)
        tint /= blurred(ring, _SPREAD_CELLS) + np.float32(1e-4)
        return bilinear(tint, self._size)


def _blend(frame: Pixels, patch: Pixels, alpha: Floats, tint: _Tint) -> None:
    before = frame.astype(np.float32)
    difference = before - patch
    # frame + alpha * (patch + tint - frame)
    difference -= tint.of(difference)
    difference *= alpha
    before -= difference
    before += np.float32(0.5)
    np.clip(before, 0.0, 255.0, out=before)
    frame[...] = before.astype(np.uint8)
