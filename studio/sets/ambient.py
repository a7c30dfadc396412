"""The light that a room sends to the presenter's face, as a small picture of everything around.

An ambient is float32[H, W, 3], linear light on the scale that the set's picture is exposed for; row 0 is up.
Directions are the presenters' own: x to the right of the picture, y up, z towards the camera. The middle
column looks away from it, at the set; columns go on to the right, and meet at the camera.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from studio.pack import StudioError

Ambient = npt.NDArray[np.float32]
"""float32[H, W, 3]"""
Directions = npt.NDArray[np.float64]
"""float64[..., 3], unit length."""
WIDTH: Final = 64
HEIGHT: Final = 32


def directions(height: int = HEIGHT, width: int = WIDTH) -> Directions:
    """Return float64[H, W, 3]: where each pixel of an ambient looks."""
    up = np.pi / 2 - (np.arange(height)[:, None] + 0.5) * np.pi / height
    right = ((np.arange(width)[None] + 0.5) / width - 0.5) * 2 * np.pi
    return np.stack((np.cos(up) * np.sin(right), np.sin(up) + 0 * right, -np.cos(up) * np.cos(right)), -1)


def solid_angles(height: int = HEIGHT, width: int = WIDTH) -> npt.NDArray[np.float64]:
    """Return float64[H, W], steradians; their sum is 4 pi."""
    edges = np.cos(np.linspace(0, np.pi, height + 1))
    return np.repeat((edges[:-1] - edges[1:])[:, None] * 2 * np.pi / width, width, axis=1)


def gathered(ambient: Ambient, towards: Directions) -> npt.NDArray[np.float64]:
    """Return float64[N, 3]: the light, times its solid angle, of the pixels nearest to each of `towards`.

    Nothing is lost: for directions all around, the sum is the sum over the ambient.
    """
    height, width = ambient.shape[:2]
    nearest = np.argmax(directions(height, width).reshape(-1, 3) @ towards.T, axis=1)
    light = ambient.reshape(-1, 3) * solid_angles(height, width).reshape(-1, 1)
    found = np.zeros((len(towards), 3))
    np.add.at(found, nearest, light)
    return found


def irradiance(ambient: Ambient, normals: Directions) -> npt.NDArray[np.float64]:
    """Return float64[..., 3]: what falls on surfaces facing `normals`, over pi: how white paper looks."""
    height, width = ambient.shape[:2]
    light = ambient.reshape(-1, 3) * solid_angles(height, width).reshape(-1, 1) / np.pi
    cosine = np.maximum(normals @ directions(height, width).reshape(-1, 3).T, 0.0)
    return np.asarray(cosine @ light, np.float64)


def reduced(panorama: npt.NDArray[np.float32], height: int = HEIGHT, width: int = WIDTH) -> Ambient:
    """Return a larger panorama (float32[n*H, m*W, 3]), row 0 up, as the means of its blocks."""
    rows, columns = panorama.shape[0] // height, panorama.shape[1] // width
    blocks = panorama[: rows * height, : columns * width].reshape(height, rows, width, columns, 3)
    return np.ascontiguousarray(blocks.mean(axis=(1, 3)), np.float32)


def load_ambient(path: Path) -> Ambient:
    """Read what a render saved. Raises StudioError."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as e:
        raise StudioError(str(path), f"is no ambient light ({e})", "Render the set again") from None
    if found.ndim != 3 or found.shape[2] != 3 or not np.isfinite(found).all() or found.min() < 0:
        raise StudioError(str(path), "is no ambient light", "Render the set again")
    return np.asarray(found, np.float32)
