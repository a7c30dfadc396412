"""Where hair grows on a head and a face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studio.fields import Field, ramp
from studio.mesh import Points


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


def beard(at: Points, head: Head, mouth_y: float, lips: Field, inside: Field) -> Field:
    """Return how dense a beard grows, 0 .. 1: from a line between ear and mouth to the throat, a moustache.

    `mouth_y`: of the middle of the upper teeth; `lips`, `inside`: masks of the skin at the same places.
    """
    scale = head.unit
    x, y, z = np.abs(at[:, 0]), at[:, 1], (at[:, 2] - head.head_z) / scale
    # From the ear's front to the mouth's corner; then from the throat to the ear's foot.
    high = np.interp(z, (0.05, 0.25, 0.50, 0.72, 0.90), (0.42, 0.30, 0.17, 0.09, 0.10)) * scale + mouth_y
    low = np.interp(z, (0.05, 0.20, 0.45, 0.80), (0.10, -0.16, -0.36, -0.52)) * scale + mouth_y
    found = ramp(high + 0.03 - y, 0.0, 0.12) * ramp(y - low, 0.0, 0.16) * ramp(z, 0.13, 0.23)
    under_nose = ramp(0.42 * scale - x, 0.0, 0.16) * ramp(z, 0.6, 0.7)
    edge = mouth_y + (0.185 - 0.20 * x) * scale
    moustache = under_nose * ramp(edge - y, 0.0, 0.07) * ramp(y, mouth_y, mouth_y + 0.02)
    # A bare place on both sides of the lower lip.
    aside = np.exp(-(((x - 0.17 * scale) / 0.07) ** 2) - ((y - mouth_y + 0.13 * scale) / 0.05) ** 2)
    clear = np.clip(1 - 1.6 * lips, 0, 1) * (1 - np.clip(inside, 0, 1)) * (1 - 0.6 * aside * (z > 0.5))
    return np.asarray(np.maximum(found, moustache) * clear * (y < head.eye_y))
