"""Numbers that vary over a surface."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float64]
"""float64[V]."""


def ramp(x: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> Field:
    """Return 0 below `low`, 1 above `high`, smooth between them; `low` may be the larger one."""
    start = np.asarray(low, np.float64)
    t = np.clip((np.asarray(x) - start) / (np.asarray(high) - start), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))
