"""Reads a photograph that anybody may have made: bounded, upright, as plain RGB."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import skia

from vcam_talker.core.errors import BadInputError
from vcam_talker.core.types import Pixels
from vcam_talker.persona_new.jpeg import is_damaged_jpeg
from vcam_talker.persona_new.orientation import UPRIGHT, png_orientation
from vcam_talker.persona_new.source import check_source

MAX_PIXELS: Final = 120_000_000
_MAX_BYTES: Final = 100_000_000
_MAX_SIDE_PX: Final = 4096
"""Larger pictures are made smaller: no picture on air is that large."""
_MIN_SIDE_PX: Final = 64
_BEHIND: Final = 128
"""What shows through where a picture is transparent."""
_FORMATS: Final = "Give a JPEG, PNG or WebP file"


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph, turned as its EXIF data say."""

    pixels: Pixels
    """uint8[H, W, 3], sRGB, longer side 4096 at most."""
    size: tuple[int, int]
    """Width and height in the file, upright: the pixels that its owner counts in."""
    pictures: int
    """How many the file holds; the first one was taken."""


def load_photo(path: Path) -> Photo:
    """Return the photograph in a file.

    Its size is looked at before it is decoded. Blocks for a second or two at most. Raises BadInputError.
    """
    # The codec reads from `data` without holding on to it: it has to live as long as the codec.
    raw = _read(path)
    data = skia.Data.MakeWithCopy(raw)
    try:
        codec = skia.Codec.MakeFromData(data)
    except RuntimeError as e:
        raise BadInputError(str(path), "is no picture that can be read", _FORMATS) from e
    size = codec.dimensions()
    width, height = int(size.width()), int(size.height())
    if width * height > MAX_PIXELS:
        why = f"is {width}x{height} pixels, more than {MAX_PIXELS // 1_000_000} million"
        raise BadInputError(str(path), why, "Make it smaller: 4000 pixels on its longer side are plenty")
    if min(width, height) < _MIN_SIDE_PX:
        why = f"is {width}x{height} pixels, too small for a face"
        raise BadInputError(str(path), why, "Give a larger one")
    pixels = np.empty((height, width, 4), np.uint8)
    # Phones write Display P3: with a colour space to go to, Skia converts what has another one.
    kind, alpha, space = skia.kRGBA_8888_ColorType, skia.kUnpremul_AlphaType, skia.ColorSpace.MakeSRGB()
    info = skia.ImageInfo.Make(width, height, kind, alpha, space)
    result = codec.getPixels(info, pixels, pixels.strides[0])
    if result != skia.Codec.kSuccess or is_damaged_jpeg(raw):
        raise BadInputError(str(path), "is damaged: it can't be decoded whole", "Give an undamaged copy")
    origin = int(codec.getOrigin())
    if origin == UPRIGHT:
        origin = png_orientation(raw)
    shown = _upright(_smaller(_opaque(pixels)), origin)
    return Photo(shown, (height, width) if origin >= 5 else (width, height), max(codec.getFrameCount(), 1))


def _read(path: Path) -> bytes:
    try:
        check_source(path, _FORMATS)
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as e:
        raise BadInputError(str(path), f"can't be read ({e.strerror or e})", "Check the path") from e
    if len(data) > _MAX_BYTES:
        why = f"is larger than {_MAX_BYTES // 1_000_000} MB"
        raise BadInputError(str(path), why, "Make it smaller: 4000 pixels on its longer side are plenty")
    return data


def _opaque(rgba: Pixels) -> Pixels:
    alpha = rgba[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    share = alpha.astype(np.float32) / 255
    return np.asarray(np.rint(rgba[..., :3] * share + _BEHIND * (1 - share)), np.uint8)


def _smaller(rgb: Pixels) -> Pixels:
    longer = max(rgb.shape[:2])
    if longer <= _MAX_SIDE_PX:
        return rgb
    scale = _MAX_SIDE_PX / longer
    size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _upright(rgb: Pixels, origin: int) -> Pixels:
    """Undo what the EXIF data say of how the camera was held, 1 to 8."""
    if origin >= 5:
        rgb = rgb.transpose(1, 0, 2)
    if origin in {3, 4, 7, 8}:
        rgb = rgb[::-1]
    if origin in {2, 3, 6, 7}:
        rgb = rgb[:, ::-1]
    return np.ascontiguousarray(rgb)
