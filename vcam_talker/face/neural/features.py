"""What a network computed of a face, kept by frame of the clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Features = dict[str, npt.NDArray[Any]]
"""Named as the network's outputs, without the batch's axis."""


class FeatureCache:
    """Bounded in bytes; the latest is kept besides. One thread.

    When it is full, what came first stays. A clip is shown over and over: were what is least recently used
    given up, every frame of a clip that is longer than the cache would be gone when it comes again.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: dict[int, Features] = {}
        self._bytes = 0
        self._latest: tuple[int, Features] | None = None
        self.computed = 0
        """How many were computed in all."""

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes(self) -> int:
        """What is kept takes this much memory, the latest not counted."""
        return self._bytes

    def of(self, key: int, compute: Callable[[], Features]) -> Features:
        """Return what is kept under `key`; else compute it, and keep it if there is room."""
        found = self._kept.get(key)
        if found is None and self._latest is not None and self._latest[0] == key:
            found = self._latest[1]
        if found is None:
            found = compute()
            self.computed += 1
            size = sum(values.nbytes for values in found.values())
            if self._bytes + size <= self._max_bytes:
                self._kept[key] = found
                self._bytes += size
            self._latest = key, found
        return found

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._bytes = 0
        self._latest = None


def unbatched(outputs: Features, row: int) -> Features:
    """Return one picture's part of a network's outputs, as arrays of their own."""
    return {name: np.array(values[row]) for name, values in outputs.items()}
