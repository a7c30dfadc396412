"""Token buckets per client address."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

_MAX_ADDRESSES = 4096


class RateLimiter:
    """Lets each address through `rate_per_s` times a second on average, in bursts of twice as many.

    Remembers the 4096 addresses seen last; not thread-safe (one event loop).
    """

    def __init__(self, rate_per_s: float, now_s: Callable[[], float]) -> None:
        self._rate_per_s = rate_per_s
        self._burst = max(1.0, 2.0 * rate_per_s)
        self._now_s = now_s
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """Take one token: return 0, or after how many whole seconds to come back when there is none."""
        now = self._now_s()
        level, since = self._buckets.pop(address, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate_per_s)
        allowed = level >= 1.0
        self._buckets[address] = (level - 1.0 if allowed else level, now)
        if len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return 0 if allowed else max(1, math.ceil((1.0 - level) / self._rate_per_s))
