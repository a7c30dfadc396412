"""Where hair grows on a head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studio.mesh import Points
from studio.skin import Field, ramp


@dataclass(frozen=True, slots=True)
class Head:
    """The measures that styles are given in, decimetres."""

    eye_y: float
    head_z: float
    """Of the joint between the ears."""
    crown_y: float

    @property
    def unit(self) -> float:
        """The height of the crown above the eyes against the one that styles were made for."""
        return (self.crown_y - self.eye_y) / 1.06


def scalp(at: Points, head: Head, *, rough: bool = True) -> Field:
    """Return 1 where hair grows on a head, 0 on the face and neck, soft along the hairline.

    `rough`: no line is as straight as a ruler.
    """
    x, dy, dz = np.abs(at[:, 0]), (at[:, 1] - head.eye_y) / head.unit, at[:, 2] - head.head_z
    front = 0.60 - 0.18 * x**2 - 0.03 * np.exp(-((x / 0.12) ** 2))
    line = np.interp(
        dz,
        [-2.0, -0.75, -0.30, -0.06, 0.06, 0.20, 0.34, 0.60, 1.2],
        [-0.80, -0.66, -0.36, -0.02, -0.10, 0.10, 0.38, 0.48, 0.60],
    )
    line = np.where(dz > 0.5, np.maximum(line, front), line)
    wander = 0.03 * np.sin(at[:, 0] * 31 + at[:, 2] * 17) + 0.02 * np.sin(at[:, 0] * 67 - at[:, 2] * 41)
    if rough:
        dy = dy + wander
    return ramp(dy, line - 0.03, line + 0.09)
