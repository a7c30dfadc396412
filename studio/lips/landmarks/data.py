"""Samples for training: cuts of drawn faces under a random place, size, angle, side, light and sharpness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from studio.landmarks import MIRROR
from studio.lips.landmarks.scenes import files_of
from studio.pack import StudioError
from studio.truth import container
from studio.truth.draw import Split
from studio.truth.pictures import unpack_jpeg
from vcam_talker.core.types import Pixels
from vcam_talker.persona_new.landmarks import INPUT, cut, frame_of

Floats = npt.NDArray[np.float32]

_HIDDEN: Final = 0.45
"""Share of samples with something before the face: a hand, a microphone, hair."""
_GREY: Final = 0.15


@dataclass(frozen=True, slots=True)
class Faces:
    """All faces of a split."""

    pictures: Pixels
    """uint8[N, 192, 192, 3]"""
    points: Floats
    """float32[N, 72, 2]"""

    def __len__(self) -> int:
        return len(self.points)


def load(folder: Path, split: Split) -> Faces:
    """Decode the files of a split; some 2 ms a face. Raises StudioError when there are none."""
    pictures: list[Pixels] = []
    points: list[Floats] = []
    for path in files_of(folder, split):
        found = container.read(path)
        ends = found["jpeg_at"]
        for first, last in pairwise(ends.tolist()):
            pictures.append(unpack_jpeg(found["jpeg"][first:last].tobytes()))
        points.append(found["points"])
    if not points:
        why = f"has no files of split {split}"
        raise StudioError(str(folder), why, "Make them: python -m studio.lips.landmarks make")
    return Faces(np.stack(pictures), np.concatenate(points))


def batches(faces: Faces, size: int, seed: int) -> Iterator[tuple[Pixels, Floats]]:
    """Yield varied batches for ever: uint8[B, 96, 96, 3], and the points in them, float32[B, 72, 2]."""
    rng = np.random.default_rng(seed)
    while True:
        rows = [_varied(faces, int(n), rng) for n in rng.integers(len(faces), size=size)]
        pictures, points = zip(*rows, strict=True)
        yield np.stack(pictures), np.stack(points)


def still(faces: Faces, chosen: Sequence[int]) -> tuple[Pixels, Floats]:
    """Return faces in cuts as they are after the first look: right but for a little."""
    rng = np.random.default_rng(1)
    rows = [_moved(faces, n, _jitter(faces.points[n], rng, 0.35), mirrored=False) for n in chosen]
    pictures, points = zip(*rows, strict=True)
    return np.stack(pictures), np.stack(points)


def _varied(faces: Faces, index: int, rng: np.random.Generator) -> tuple[Pixels, Floats]:
    affine = _jitter(faces.points[index], rng, 1.0 if rng.random() < 0.6 else 0.35)
    picture, points = _moved(faces, index, affine, mirrored=bool(rng.random() < 0.5))
    if rng.random() < _HIDDEN:
        _hide(picture, rng)
    return _exposed(_softened(picture, rng), rng), points


def _jitter(points: Floats, rng: np.random.Generator, much: float) -> Floats:
    """Return the affine from a picture's pixels to a cut's, float32[2, 3]."""
    frame = frame_of(points)
    side = frame.side * float(np.exp(np.clip(rng.normal(0, 0.13 * much), -0.3, 0.3)))
    centre = frame.centre + np.clip(rng.normal(0, 0.07 * much, 2), -0.16, 0.16) * side
    turn = frame.turn + float(np.radians(np.clip(rng.normal(0, 9 * much), -25, 25)))
    scale = INPUT / side
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    # Faces of photographs are longer or wider than those of any one model of heads.
    stretch = np.diag(np.exp(rng.normal(0, 0.06 * much, 2)))
    matrix = stretch @ np.array([[cos, sin], [-sin, cos]])
    return np.column_stack((matrix, INPUT / 2 - matrix @ centre)).astype(np.float32)


def _moved(faces: Faces, index: int, affine: Floats, *, mirrored: bool) -> tuple[Pixels, Floats]:
    picture, points = faces.pictures[index], faces.points[index] @ affine[:, :2].T + affine[:, 2]
    indices = affine.copy()
    indices[:, 2] += affine[:, :2] @ np.array([0.5, 0.5], np.float32) - 0.5
    seen = cut(picture, indices)
    if mirrored:
        seen = np.ascontiguousarray(seen[:, ::-1])
        points = points[MIRROR] * np.array([-1, 1]) + np.array([INPUT, 0])
    return seen, points.astype(np.float32)


def _hide(picture: Pixels, rng: np.random.Generator) -> None:
    if rng.random() < 0.5:
        middle = tuple(int(v) for v in rng.integers(0, INPUT, 2))
    else:
        # Hair and collars lie about the rim.
        turn = rng.uniform(0, 2 * np.pi)
        middle = tuple(int(INPUT * (0.5 + 0.48 * f(turn))) for f in (np.cos, np.sin))
    axes = tuple(int(v) for v in rng.integers(5, 22, 2))
    colour = tuple(int(v) for v in rng.integers(0, 256, 3))
    cv2.ellipse(picture, middle, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)


def _softened(picture: Pixels, rng: np.random.Generator) -> Pixels:
    chance = rng.random()
    if chance < 0.25:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 1.8))), np.uint8)
    if chance < 0.45:
        small = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (INPUT, INPUT), interpolation=cv2.INTER_LINEAR), np.uint8)
    if chance < 0.6:
        sharp = cv2.addWeighted(picture, 2.0, cv2.GaussianBlur(picture, (0, 0), 1.0), -1.0, 0)
        return np.asarray(sharp, np.uint8)
    return picture


def _exposed(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Return it under another light, from a side, by another sensor."""
    x = picture.astype(np.float32) / 255
    if rng.random() < _GREY:
        x[...] = x.mean(2, keepdims=True)
    gains = np.exp(rng.normal(0, 0.1, 3) + rng.normal(0, 0.2)).astype(np.float32)
    x = x ** np.float32(np.exp(rng.normal(0, 0.3))) * gains
    across = np.linspace(-1, 1, INPUT, dtype=np.float32)
    slope = rng.normal(0, 0.2, 2).astype(np.float32)
    x *= (1 + slope[0] * across[None, :] + slope[1] * across[:, None])[..., None]
    contrast = np.float32(np.exp(rng.normal(0, 0.2)))
    x = (x - x.mean()) * contrast + x.mean()
    if rng.random() < 0.3:
        x += rng.normal(0, rng.uniform(0.005, 0.04), x.shape).astype(np.float32)
    return np.asarray(np.clip(x * 255 + 0.5, 0, 255), np.uint8)
