"""How the camera was held, as PNG files tell it: Skia reads that of JPEG and WebP, but not of PNG."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

UPRIGHT: Final = 1
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_TAG: Final = 0x0112
_SHORT: Final = 3
_BYTE_ORDERS: Final = {b"II*\0": "<", b"MM\0*": ">"}


def png_orientation(data: bytes) -> int:
    """Return EXIF's orientation of a PNG file, 1 to 8; 1 where none is told, or none that makes sense."""
    for kind, body in _chunks(data):
        if kind == b"eXIf":
            return _orientation(body)
    return UPRIGHT


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and body of each chunk; nothing of what is no PNG."""
    at = len(_PNG) if png.startswith(_PNG) else len(png)
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length


def _orientation(tiff: bytes) -> int:
    order = _BYTE_ORDERS.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return UPRIGHT
    (first,) = struct.unpack_from(order + "I", tiff, 4)
    if first + 2 > len(tiff):
        return UPRIGHT
    (count,) = struct.unpack_from(order + "H", tiff, first)
    for at in range(first + 2, min(first + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, at)
        if tag == _TAG and kind == _SHORT and 1 <= value <= 8:
            return int(value)
    return UPRIGHT
