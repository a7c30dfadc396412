"""Matrix products on the caller's own thread.

OpenBLAS, which NumPy comes with, hands a product to all cores from some size on, and its threads spin while
they wait for each other. For products of this size, beside programs that draw and speak, that costs thirty
times as much processor as it saves (measured on two busy cores). It can be told so only before it is loaded;
but what is small enough stays where it is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

_ALONE: Final = 200_000
"""Multiplications up to which OpenBLAS takes one thread: 65536 * GEMM_MULTITHREAD_THRESHOLD, which is 4."""

Array = npt.NDArray[np.float32]


def product(a: Array, b: Array) -> Array:
    """Return `a` float32[T, C] @ `b` float32[C, D], some rows at a time."""
    rows = max(1, _ALONE // b.size)
    whole = len(a) // rows * rows
    out = np.empty((len(a), b.shape[1]), np.float32)
    if whole:
        stacked = np.ascontiguousarray(a[:whole]).reshape(-1, rows, a.shape[1])
        np.matmul(stacked, b, out=out[:whole].reshape(-1, rows, b.shape[1]))
    np.matmul(a[whole:], b, out=out[whole:])
    return out
