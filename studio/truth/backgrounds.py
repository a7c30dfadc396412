"""What is behind a person in a crop: soft, out of focus, of three colours."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from studio.truth.shot import Shot

_SMALL: Final = 32


def background(shot: Shot, size: int) -> npt.NDArray[np.float32]:
    """Return float32[size, size, 3], display colours 0 .. 1. Pure."""
    rng = np.random.default_rng(shot.background_seed)
    first, second, third = (
        np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)], np.float32)
        for colour in shot.background_colours
    )
    y, x = np.mgrid[0:_SMALL, 0:_SMALL].astype(np.float32) / _SMALL
    found = np.tile(first, (_SMALL, _SMALL, 1))
    if shot.background in {"gradient", "room"}:
        turn = rng.uniform(0, 2 * np.pi)
        along = np.clip((x - 0.5) * np.cos(turn) + (y - 0.5) * np.sin(turn) + 0.5, 0, 1)
        found += along[..., None] * (second - first)
    if shot.background in {"blobs", "room"}:
        for _ in range(int(rng.integers(3, 9))):
            cx, cy, radius = rng.uniform(-0.1, 1.1), rng.uniform(-0.1, 1.1), rng.uniform(0.05, 0.35)
            spot = np.exp(-((((x - cx) / radius) ** 2 + ((y - cy) / radius) ** 2) ** 2))
            found += spot[..., None] * ((second if rng.random() < 0.5 else third) - found)
    if shot.background == "stripes":
        wave = np.sin(2 * np.pi * (x * rng.uniform(-4, 4) + y * rng.uniform(-4, 4)) + rng.uniform(0, 6))
        found += (wave[..., None] > 0) * (third - first)
    soft = cv2.GaussianBlur(found.astype(np.float32), (0, 0), float(rng.uniform(0.6, 2.5)))
    large = cv2.resize(soft, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(large, 0, 1), np.float32)
