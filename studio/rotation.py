"""Rotations in MakeHuman's space (y up, z towards the viewer), with the daemon's signs."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Rotation = npt.NDArray[np.float64]
"""float64[3, 3]; `points @ rotation.T` turns points."""


def about(axis: Literal["x", "y", "z"], degrees: float) -> Rotation:
    """Return the right-handed rotation about an axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    found = np.eye(3)
    found[i, i] = found[j, j] = c
    found[i, j], found[j, i] = -s, s
    return found


def head_rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> Rotation:
    """Return a head's: yaw to the viewer's right, pitch up, roll clockwise as the viewer sees it."""
    return np.asarray(about("y", yaw_deg) @ about("x", -pitch_deg) @ about("z", -roll_deg))


def turning(towards: npt.NDArray[np.float64]) -> Rotation:
    """Return the rotation that takes +z to `towards` (float64[3]) by yaw and pitch alone."""
    yaw = np.degrees(np.arctan2(towards[0], towards[2]))
    pitch = np.degrees(np.arctan2(towards[1], np.hypot(towards[0], towards[2])))
    return head_rotation(float(yaw), float(pitch), 0.0)
