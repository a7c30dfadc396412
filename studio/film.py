"""Pictures in colour as the daemon's clips want them: BT.601, limited range."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from studio.raster.stage import Picture

Planes = npt.NDArray[np.uint8]
"""uint8[H * 3 // 2, W]: yuv420p."""

_LUMA: Final = (0.299, 0.587, 0.114)


def to_yuv(picture: Picture) -> Planes:
    """Return a picture of even size in yuv420p; a chroma value is the mean of four pixels."""
    height, width = picture.shape[:2]
    red, green, blue = (picture[..., k].astype(np.float32) for k in range(3))
    luma = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    u, v = 0.564 * (blue - luma), 0.713 * (red - luma)

    def halved(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        small = plane.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
        return np.asarray(small * (224 / 255) + 128, np.float32)

    y = luma * np.float32(219 / 255) + 16
    planes = [np.clip(np.rint(p), 0, 255).astype(np.uint8).ravel() for p in (y, halved(u), halved(v))]
    return np.concatenate(planes).reshape(height * 3 // 2, width)
