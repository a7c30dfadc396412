"""Raised-cosine fades: the shortest ones that are not heard as clicks."""

from __future__ import annotations

import numpy as np

from vcam_talker.core.types import Samples


def fade_in(samples: Samples, count: int) -> Samples:
    """Return a copy whose first `count` samples rise from silence (fewer when it is shorter)."""
    faded = np.array(samples, np.float32)
    count = min(count, faded.size)
    faded[:count] *= _rise(count)
    return faded


def fade_out(samples: Samples, count: int) -> Samples:
    """Return a copy whose last `count` samples fall to silence (fewer when it is shorter)."""
    faded = np.array(samples, np.float32)
    count = min(count, faded.size)
    if count:
        faded[-count:] *= _rise(count)[::-1]
    return faded


def _rise(count: int) -> Samples:
    """Return float32[count] strictly between 0 and 1, half a period of a raised cosine."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / max(1, count))).astype(np.float32)
