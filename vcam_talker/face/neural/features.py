"""What a network computed of a face, kept by frame of the clip: the least recently used goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Features = dict[str, npt.NDArray[Any]]
"""Named as the network's outputs, without the batch's axis."""


class FeatureCache:
    """Bounded in bytes. One thread."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[int, Features] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes(self) -> int:
        """What is kept takes this much memory."""
        return self._bytes

    def of(self, key: int, compute: Callable[[], Features]) -> Features:
        """Return what is kept under `key`; else compute and keep it."""
        found = self.get(key)
        if found is None:
            found = compute()
            self.put(key, found)
        return found

    def get(self, key: int) -> Features | None:
        """Return what is kept under `key`, or None."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: int, features: Features) -> None:
        """Keep features, unless they alone are too large."""
        self._bytes -= _bytes_of(self._kept.pop(key, {}))
        size = _bytes_of(features)
        if size > self._max_bytes:
            return
        self._kept[key] = features
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= _bytes_of(gone)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._bytes = 0


def unbatched(outputs: Features, row: int) -> Features:
    """Return one picture's part of a network's outputs, as arrays of their own."""
    return {name: np.array(values[row]) for name, values in outputs.items()}


def _bytes_of(features: Features) -> int:
    return sum(values.nbytes for values in features.values())
