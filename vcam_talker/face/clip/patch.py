"""The seam between what makes a mouth and what lays it over the clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vcam_talker.core.stages import NO_NEEDS, SceneNeeds
from vcam_talker.core.types import MouthPose, Pixels, Pts, Samples
from vcam_talker.face.clip.archive import Floats

View = tuple[float, float]
"""Yaw and pitch of the head in degrees."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is about to be shown, the mouth still at rest. Arrays are read-only."""

    pts: Pts
    frame: int
    """Of the clip."""
    picture: Pixels
    """That frame, yuv420p in the size that is drawn."""
    affine: Floats
    """float32[2, 3]: from pixels of the picture to pixels of the patch."""
    view: View
    mouth: MouthPose
    sound: Samples | None = None
    """As in `FaceInput`."""


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
    place: Floats | None = None
    """float32[2, 3]: from the presenter's patch coordinates to those of these pictures, where they differ."""

    def affine(self, to_patch: Floats) -> Floats:
        """Return the affine to these pictures' coordinates, given the one to the presenter's."""
        if self.place is None:
            return to_patch
        found = self.place[:, :2] @ to_patch
        found[:, 2] += self.place[:, 2]
        return np.asarray(found, np.float32)


class PatchSource(Protocol):
    """Gives the mouth of a moment. Used from one thread; waits for `needs.patience_s` at most."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a patch; all have the same."""
        ...

    @property
    def needs(self) -> SceneNeeds:
        """What it asks of the scene's owner."""
        ...

    def patch(self, moment: Moment) -> Patch | None:
        """Return the patch for a moment; None when the clip's own mouth, at rest, is to show.

        Equal moments may return the same object.
        """
        ...

    def aperture_px(self, mouth: MouthPose) -> float:
        """Return the gap between the lips as drawn, in pixels of the patch; exactly 0.0 when they touch."""
        ...


class RestPatches:
    """PatchSource of a presenter of whom no mouth but the one at rest is known."""

    needs = NO_NEEDS

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a patch."""
        return self._size

    def patch(self, moment: Moment) -> Patch | None:  # noqa: ARG002 - there is nothing to choose from
        """Return None."""
        return None

    def aperture_px(self, mouth: MouthPose) -> float:  # noqa: ARG002 - as above
        """Return 0.0."""
        return 0.0
