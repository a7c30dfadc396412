"""OpenCV's resampling with types: the one place that calls it.

Arrays are [h, w] or [h, w, channels], uint8 or float32; results have the input's type.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import Pixels
from vcam_talker.face.clip.archive import Floats

T = TypeVar("T", np.uint8, np.float32)
Size = tuple[int, int]
"""Columns, rows."""
_NO_MAP: Final[Any] = None


def use_one_thread() -> None:
    """Have OpenCV compute in the calling thread, for the whole process.

    Its pool would wake other cores for pieces of work that take tens of microseconds.
    """
    cv2.setNumThreads(1)


def bilinear(plane: npt.NDArray[T], size: Size) -> npt.NDArray[T]:
    """Return `plane` made larger."""
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), plane.dtype)


def bicubic(plane: npt.NDArray[T], size: Size) -> npt.NDArray[T]:
    """Return `plane` made larger, sharper than `bilinear`."""
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC), plane.dtype)


def averaged(plane: npt.NDArray[T], size: Size) -> npt.NDArray[T]:
    """Return `plane` made smaller: each pixel is the mean of what it covers."""
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), plane.dtype)


def blurred(plane: Floats, sigma: float) -> Floats:
    """Return `plane` under a Gaussian of `sigma` pixels; beyond its edges lies 0."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT), np.float32)


def widest(plane: Floats, reach: int) -> Floats:
    """Return the greatest value of the square of `reach` pixels around each."""
    return np.asarray(cv2.dilate(plane, np.ones((reach, reach), np.uint8)), np.float32)


def fetched(plane: npt.NDArray[T], places: Floats) -> npt.NDArray[T]:
    """Return what lies at `places` float32[h, w, 2] (column, row); beyond the edges they go on."""
    found = cv2.remap(plane, places, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, plane.dtype)


def blended(under: Pixels, over: Pixels, share: Floats) -> Pixels:
    """Return pictures uint8[h, w, channels] mixed: `share` float32[h, w] in 0 .. 1 of `over`."""
    return np.asarray(cv2.blendLinear(under, over, 1 - share, share), np.uint8)


def lit(picture: Pixels, light: Floats) -> Pixels:
    """Return a picture uint8[h, w, channels] times `light` of the same shape; what is too bright is white."""
    return np.asarray(cv2.multiply(picture, light, dtype=cv2.CV_8U), np.uint8)


def mapped(plane: npt.NDArray[T], matrix: Floats, size: Size, *, fade: bool) -> npt.NDArray[T]:
    """Return what `matrix` float32[2, 3] takes indices of a picture of `size` to.

    Beyond the edges lies 0 with `fade`, else they go on.
    """
    found = cv2.warpAffine(
        plane,
        matrix,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT if fade else cv2.BORDER_REPLICATE,
    )
    return np.asarray(found, plane.dtype)


def inverse(affine: Floats) -> Floats:
    """Return the affine float32[2, 3] that undoes `affine`."""
    return np.asarray(cv2.invertAffineTransform(affine), np.float32)
