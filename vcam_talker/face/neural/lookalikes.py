"""What a network computed of a face, kept by look: a clip shows nearly the same face over and over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from vcam_talker.face.clip.archive import Floats
from vcam_talker.face.clip.resample import averaged
from vcam_talker.face.neural.features import Features

_LOOK: Final = (32, 24)
"""Columns and rows in which faces are compared: coarse enough to be quick, fine enough to see a head turn."""
_NEAR: Final = 2.0 / 255
"""Root mean square difference of faces that share what was computed of one of them."""
_FAR: Final = 8.0 / 255
"""The same when there is no room for another face."""


class Lookalikes:
    """Bounded in bytes; the latest is kept besides. One thread.

    For networks that only tell how to move and mix the picture they are given: one that paints a picture of
    its own would show the other face.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: list[Features] = []
        self._looks: Floats = np.empty((0, _LOOK[0] * _LOOK[1] * 3), np.float32)
        """Of the kept ones; more rows than those are in use."""
        self._same: dict[int, int] = {}
        """Which of the kept ones stands for a key."""
        self._bytes = 0
        self._latest: tuple[int, Features] | None = None
        self.computed = 0
        """How many faces were computed in all."""

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, key: int, see: Callable[[], Floats], compute: Callable[[Floats], Features]) -> Features:
        """Return what was computed of the face under `key`, or of one that looks like it.

        `see` returns the face as the network takes it, float32[h, w, 3] in 0 .. 1, and is not asked again
        once something is kept for a key; `compute` is asked for what no other face can stand for.
        """
        found = self._same.get(key)
        if found is not None:
            return self._kept[found]
        if self._latest is not None and self._latest[0] == key:
            return self._latest[1]
        face = see()
        look = averaged(face, _LOOK).reshape(-1)
        full = self._bytes >= self._max_bytes
        found = self._nearest(look, _FAR if full else _NEAR)
        if found is not None:
            self._same[key] = found
            return self._kept[found]
        features = compute(face)
        self.computed += 1
        self._latest = key, features
        if not full:
            self._keep(key, look, features)
        return features

    def clear(self) -> None:
        """Forget everything but how much was computed."""
        self._kept.clear()
        self._same.clear()
        self._bytes = 0
        self._latest = None

    def _nearest(self, look: Floats, limit: float) -> int | None:
        if not self._kept:
            return None
        apart = np.square(self._looks[: len(self._kept)] - look).mean(1)
        nearest = int(apart.argmin())
        return nearest if apart[nearest] <= limit**2 else None

    def _keep(self, key: int, look: Floats, features: Features) -> None:
        number = len(self._kept)
        if number == len(self._looks):
            self._looks = np.resize(self._looks, (max(16, 2 * number), len(look)))
        self._looks[number] = look
        self._same[key] = number
        self._kept.append(features)
        self._bytes += sum(values.nbytes for values in features.values())
