"""Emotions on a face made of pictures: a field that moves its features, and a veil of light and shade."""

from __future__ import annotations

from typing import Final

import numpy as np

from vcam_talker.core.types import Emotion, Pixels
from vcam_talker.face.clip.archive import Floats
from vcam_talker.face.clip.assets import FaceAssets
from vcam_talker.face.clip.compositor import Planes, box_of
from vcam_talker.face.clip.resample import bilinear, fetched, mapped
from vcam_talker.face.spring import EMOTION_RATE, RESET_S, Spring, Vector, one_hot

_EMOTIONS: Final = tuple(Emotion)
_NONE: Final = 1.0 / 512
"""A smaller part of an emotion is none: it would move nothing by more than a fiftieth of a pixel."""
_LEAST_PX: Final = 0.02
_LEAST_RATIO: Final = 0.002
_CELL_PX: Final = 4
"""Pixels of the picture per point of the field, which is smooth."""
_BLACK: Final = 16.0
"""Luma that a ratio of light leaves as it is."""


class Mood:
    """Which emotions show, eased by a spring in time. One thread."""

    def __init__(self, default: Emotion) -> None:
        self._default = default
        self._spring = Spring(one_hot(default), EMOTION_RATE)
        self._last_s: float | None = None

    def at(self, t: float, emotion: Emotion) -> Vector:
        """Return the weights of all emotions at `t` seconds, float64[7], exact zeros and ones at rest.

        Neutral stands for the persona's own. A time before the last or far behind it shows it at once.
        """
        aim = one_hot(self._default if emotion is Emotion.NEUTRAL else emotion)
        last, self._last_s = self._last_s, t
        if last is None or t < last or t - last > RESET_S:
            self._spring.snap(aim)
        weights = self._spring.step(aim, 0.0 if last is None else max(t - last, 0.0))
        if np.abs(weights - aim).max() < _NONE:
            return aim
        return weights


class MoodField:
    """Draws weights of emotions into pictures. One thread."""

    def __init__(self, assets: FaceAssets, strength: float) -> None:
        """`strength` times what the files hold, 0 .. 2."""
        self._rows = [_EMOTIONS.index(emotion) for emotion in assets.emotions]
        self._strength = strength
        rows, columns = assets.emotion_flow.shape[1:3]
        self._flows = assets.emotion_flow.reshape(len(self._rows), rows * columns * 2)
        self._ratios = (assets.emotion_ratio - np.float32(1.0)).reshape(len(self._rows), rows * columns)
        self._shape = (rows, columns)
        left, top, right, bottom = assets.face_canvas
        across, down = columns / (right - left), rows / (bottom - top)
        self._to_canvas = np.array([[across, 0, -left * across], [0, down, -top * down]], np.float32)
        self._key = b""
        self._flow = np.zeros((rows, columns, 2), np.float32)
        self._ratio = np.zeros((rows, columns), np.float32)
        self._moved = (0.0, 0.0, 0.0, 0.0)

    def shows(self, weights: Vector) -> bool:
        """Return whether these weights change anything."""
        return self._strength > 0.0 and any(weights[row] for row in self._rows)

    def apply(self, pixels: Pixels, weights: Vector, to_patch: Floats) -> None:
        """Draw into `pixels` (yuv420p, writable); `to_patch` takes its pixels to those of the patch.

        About 1.5 ms for a face 350 px wide.
        """
        self._mix(weights)
        picture = Planes(pixels)
        lift = np.vstack([to_patch, [0, 0, 1]]).astype(np.float32)
        to_canvas = (self._to_canvas @ lift).astype(np.float32)
        box = box_of(self._moved, to_canvas, picture.size)
        if box is None:
            return
        x0, y0, x1, y1 = box
        size = (x1 - x0, y1 - y0)
        cells = (max(size[0] // _CELL_PX, 2), max(size[1] // _CELL_PX, 2))
        step = np.array([size[0] / cells[0], size[1] / cells[1]], np.float32)
        coarse = np.empty((2, 3), np.float32)
        coarse[:, :2] = to_canvas[:, :2] * step
        coarse[:, 2] = to_canvas[:, :2] @ (np.array([x0, y0]) + step / 2) + to_canvas[:, 2] - 0.5
        back = np.linalg.inv(to_patch[:, :2]).astype(np.float32)
        # From pixels of the patch to pixels of the picture, where the field is small.
        field = mapped(np.asarray(self._flow @ back.T, np.float32), coarse, cells, fade=True)
        ratio = bilinear(mapped(self._ratio, coarse, cells, fade=True), size)
        luma = picture.luma[y0:y1, x0:x1]
        moved = fetched(picture.luma, _places(field, size, (x0, y0))).astype(np.float32)
        veil = moved - np.float32(_BLACK)
        veil *= ratio
        moved += veil
        np.clip(moved, 0.0, 255.0, out=moved)
        luma[...] = np.rint(moved, out=moved)
        half = _places(field * np.float32(0.5), (size[0] // 2, size[1] // 2), (x0 // 2, y0 // 2))
        for plane in picture.chroma:
            plane[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2] = fetched(plane, half)

    def _mix(self, weights: Vector) -> None:
        chosen = weights[self._rows].astype(np.float32) * np.float32(self._strength)
        key = chosen.tobytes()
        if key == self._key:
            return
        self._key = key
        self._flow = np.asarray((chosen @ self._flows).reshape(*self._shape, 2), np.float32)
        self._ratio = np.asarray((chosen @ self._ratios).reshape(self._shape), np.float32)
        changed = (np.abs(self._flow).max(2) > _LEAST_PX) | (np.abs(self._ratio) > _LEAST_RATIO)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        self._moved = (0.0, 0.0, 0.0, 0.0)
        if len(rows) and len(columns):
            self._moved = (
                float(columns[0]) - 1.0, float(rows[0]) - 1.0,
                float(columns[-1]) + 2.0, float(rows[-1]) + 2.0,
            )  # fmt: skip


def _places(field: Floats, size: tuple[int, int], corner: tuple[int, int]) -> Floats:
    """Return where to fetch each pixel of a box at `corner`: its own place plus the coarse field."""
    places = bilinear(field, size)
    places[:, :, 0] += np.arange(corner[0], corner[0] + size[0], dtype=np.float32)
    places[:, :, 1] += np.arange(corner[1], corner[1] + size[1], dtype=np.float32)[:, None]
    return places
