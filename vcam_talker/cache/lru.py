"""A least-recently-used store by bytes that a stream of one-offs can't sweep empty (segmented LRU).

After Karedla, Love and Wherry, "Caching strategies to improve disk system performance" (1994): what was used
once is on probation; what is used again moves to a protected segment, whose oldest fall back to probation.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

V = TypeVar("V")

PROTECTED_SHARE: Final = 0.75
"""Of the capacity: what one-offs can never push out."""


class SegmentedLru(Generic[V]):
    """Values by key, together never more than `capacity` bytes. Not thread-safe; nothing blocks."""

    def __init__(self, capacity: int) -> None:
        """`capacity`: in the unit of the sizes that `put` is told."""
        self.capacity = capacity
        self.evicted = 0
        """Values that had to go, since construction."""
        self._protected_capacity = int(capacity * PROTECTED_SHARE)
        self._probation: OrderedDict[str, tuple[V, int]] = OrderedDict()
        self._protected: OrderedDict[str, tuple[V, int]] = OrderedDict()
        self._probation_bytes = self._protected_bytes = 0

    def __len__(self) -> int:
        return len(self._probation) + len(self._protected)

    def __contains__(self, key: str) -> bool:
        return key in self._protected or key in self._probation

    @property
    def size(self) -> int:
        """Bytes in use."""
        return self._probation_bytes + self._protected_bytes

    def room(self) -> int:
        """Return how many bytes a protected value may have without pushing anything out."""
        return min(self._protected_capacity - self._protected_bytes, self.capacity - self.size)

    def peek(self, key: str) -> V | None:
        """Return the value without using it."""
        entry = self._protected.get(key) or self._probation.get(key)
        return entry[0] if entry else None

    def get(self, key: str) -> V | None:
        """Return the value, now the most recently used and protected; None when there is none."""
        if key in self._protected:
            self._protected.move_to_end(key)
            return self._protected[key][0]
        entry = self._probation.get(key)
        if entry is None:
            return None
        self._take(key)
        self._protect(key, *entry)
        return entry[0]

    def put(self, key: str, value: V, size: int, *, protected: bool = False) -> None:
        """Store a value of `size` bytes in place of any before it; the least recently used ones make room.

        A value that is larger than the whole store is not kept, and nothing goes for it.
        """
        self.pop(key)
        if size > self.capacity:
            return
        if protected:
            self._protect(key, value, size)
        else:
            self._probation[key] = (value, size)
            self._probation_bytes += size
        while self.size > self.capacity:
            _, (_, gone) = self._probation.popitem(last=False)
            self._probation_bytes -= gone
            self.evicted += 1

    def pop(self, key: str) -> None:
        """Forget a value; nothing happens when there is none."""
        if key in self:
            self._take(key)

    def clear(self) -> None:
        """Forget everything."""
        self._probation.clear()
        self._protected.clear()
        self._probation_bytes = self._protected_bytes = 0

    def _take(self, key: str) -> None:
        if key in self._protected:
            self._protected_bytes -= self._protected.pop(key)[1]
        else:
            self._probation_bytes -= self._probation.pop(key)[1]

    def _protect(self, key: str, value: V, size: int) -> None:
        if size > self._protected_capacity:
            # It would push out everything else: probation is all it gets, as its newest.
            self._probation[key] = (value, size)
            self._probation_bytes += size
            return
        self._protected[key] = (value, size)
        self._protected_bytes += size
        while self._protected_bytes > self._protected_capacity:
            oldest, entry = self._protected.popitem(last=False)
            self._protected_bytes -= entry[1]
            self._probation[oldest] = entry
            self._probation_bytes += entry[1]
