"""The seam between what makes a mouth and what lays it over the clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import MouthPose, Pixels

View = tuple[float, float]
"""Yaw and pitch of the head in degrees."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A picture of mouth and chin, in patch coordinates (docs/faces.md). Arrays are read-only."""

    luma: Pixels
    """uint8[h, w], BT.601 limited range; h and w even."""
    chroma: Pixels
    """uint8[h / 2, w / 2, 2]: U and V."""
    mask: npt.NDArray[np.uint8]
    """uint8[h, w]: 255 where only the patch shows, 0 where only the clip does."""
    strength: float = 1.0
    """0 .. 1, times the mask."""


class PatchSource(Protocol):
    """Gives the mouth of a moment. Used from one thread; does not block."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a patch; all have the same."""
        ...

    def patch(self, mouth: MouthPose, view: View) -> Patch | None:
        """Return the patch for a mouth pose; None when the clip's own mouth, at rest, is to show.

        Equal arguments may return the same object.
        """
        ...
