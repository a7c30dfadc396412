"""Sessions have shapes of their own: what is to be drawn comes to them in batches of one size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import Pixels

Floats = npt.NDArray[np.float32]
DrawBatch = Callable[[Sequence[Pixels], Sequence[int], Sequence[Floats]], list[Pixels]]


def in_batches(
    draw: DrawBatch, batch: int, crops: Sequence[Pixels], keys: Sequence[int], conditions: Sequence[Floats]
) -> list[Pixels]:
    """Draw everything, at most `batch` at once (see `model.LipsModel.draw`)."""
    drawn: list[Pixels] = []
    for first in range(0, len(crops), batch):
        part = slice(first, first + batch)
        drawn += draw(crops[part], keys[part], conditions[part])
    return drawn


def filled(count: int, batch: int) -> list[int]:
    """Return which of `count` rows to put into a batch: the last one again for those that are missing."""
    return [*range(count), *([count - 1] * (batch - count))]
