"""The measures of a head that glasses are made to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from studio.fields import Field
from studio.mesh import Points

EAR_TOP: Final = (12024, 5425)
EAR_LOBE: Final = (12019, 5420)
"""Points of the base mesh, the character's left one first: where a temple rests, and an earring sits."""
_CELL_DM: Final = 0.02
_ABOUT_EYES_DM: Final = 0.6
_BEHIND_EARS_DM: Final = 0.45


@dataclass(frozen=True, slots=True)
class Face:
    """A head that looks ahead, decimetres."""

    eyes: Points
    """float64[2, 3]: middles of the eyeballs, the character's left one first."""
    ears: Points
    """float64[2, 3]: where the tops of the ears leave the head."""
    lobes: Points
    """float64[2, 3]: the lobes' outer sides."""
    moods: Sequence[Points]
    """The skin's points at rest and as it moves furthest, lids shut among them; float64[V, 3] each."""
    triangles: npt.NDArray[np.int32]
    """Of the skin, without the ears."""


class Relief:
    """How far a head reaches, to the front or aside, in all its moods; both its sides as one."""

    def __init__(self, face: Face, way: Literal["front", "aside"]) -> None:
        """`front`: z over (abs(x), y); `aside`: abs(x) over (y, z)."""
        middle, back = face.eyes.mean(0), face.ears[:, 2].min() - _BEHIND_EARS_DM
        high = np.abs(np.stack(face.moods)[:, face.triangles[:, 0], 1] - middle[1]).min(0) < _ABOUT_EYES_DM
        far = face.moods[0][face.triangles[:, 0], 2] > back
        chosen = face.triangles[high & far]
        at = np.concatenate([_samples(mood[chosen]) for mood in face.moods])
        at[:, 0] = np.abs(at[:, 0])
        place, reach = (at[:, :2], at[:, 2]) if way == "front" else (at[:, 1:], at[:, 0])
        self._low = place.min(0)
        cells = np.rint((place - self._low) / _CELL_DM).astype(int)
        heights = np.full(tuple(cells.max(0) + 1), -np.inf)
        np.maximum.at(heights, (cells[:, 0], cells[:, 1]), reach)
        # Where nothing is, it is as high as beside it: ears leave holes.
        nearest = ndimage.distance_transform_edt(
            np.isinf(heights), return_distances=False, return_indices=True
        )
        self._heights = heights[tuple(nearest)]
        self._wide: dict[int, npt.NDArray[np.float64]] = {}

    def around(self, u: Field, v: Field, radius: float) -> Field:
        """Return the furthest within `radius` of places (float64[N] each), decimetres."""
        size = 2 * int(np.ceil(radius / _CELL_DM)) + 1
        if size not in self._wide:
            self._wide[size] = ndimage.maximum_filter(self._heights, size)
        wide = self._wide[size]
        row, column = (
            np.clip(np.rint((w - low) / _CELL_DM), 0, count - 1).astype(int)
            for w, low, count in zip((u, v), self._low, wide.shape, strict=True)
        )
        return np.asarray(wide[row, column])


def _samples(corners: npt.NDArray[np.float64], steps: int = 5) -> Points:
    """Return points all over triangles (float64[N, 3, 3])."""
    a, b = (k.ravel() / steps for k in np.indices((steps + 1, steps + 1)))
    shares = np.stack((a, b, 1 - a - b), 1)[a + b <= 1]
    return np.asarray((shares @ corners).reshape(-1, 3))
