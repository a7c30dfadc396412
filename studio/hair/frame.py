"""Measures of a head that styles are given in, and small functions of places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from studio.mesh import Points


@dataclass(frozen=True, slots=True)
class Frame:
    """Head units: the crown is 1.06 of them above the eyes.

    x to the viewer's right, y up from the eyes, z towards the viewer from between the ears.
    """

    middle: npt.NDArray[np.float64]
    """float64[3], decimetres."""
    unit: float
    """Decimetres."""

    def into(self, points: Points) -> Points:
        """Return places (float64[..., 3], decimetres) in head units."""
        return np.asarray((points - self.middle) / self.unit)

    def back(self, points: Points) -> Points:
        """Return places in decimetres."""
        return np.asarray(points * self.unit + self.middle)


def unit(vectors: Points) -> Points:
    """Return vectors (float64[..., 3]) of length 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9))


def flat(ways: Points, out: Points, keep: float) -> Points:
    """Return directions along a surface, unit: of what points into or out of it, the share `keep` stays."""
    return unit(ways - (1 - keep) * (ways * out).sum(1, keepdims=True) * out)
