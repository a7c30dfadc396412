"""A bun: locks wound about a ball."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from studio.character import HairSection
from studio.fields import Field, ramp
from studio.hair.combs import KNOT
from studio.hair.frame import unit
from studio.hair.ground import Ground
from studio.hair.guides import Curves

_LOCKS: Final = 16
_POINTS: Final = 22
_RADIUS: Final = 0.25


def wound(
    ground: Ground, hair: HairSection, count: int, rng: np.random.Generator
) -> tuple[Curves, npt.NDArray[np.int64], Field]:
    """Return a bun's strands (head units), their locks, and how deep they lie."""
    up = ground.out(KNOT[None])[0]
    radius = _RADIUS * hair.volume**0.5
    middle = KNOT - up * float(ground.height(KNOT[None])[0]) + 0.78 * radius * up
    side = unit(np.cross(up, (1.0, 0.0, 0.0)))
    other = np.cross(up, side)
    lock = rng.integers(0, _LOCKS, count)
    # Each lock comes out at the foot, winds once about and goes in at the top.
    first = np.linspace(0, 2 * np.pi, _LOCKS, endpoint=False) + rng.normal(0, 0.1, _LOCKS)
    t = np.linspace(0.0, 1.0, _POINTS)[None, :]
    off, deep = rng.normal(0, 0.085, (2, count))
    off = np.clip(off, -0.17, 0.17)
    turn = first[lock][:, None] + 2 * np.pi * 0.72 * t + off[:, None] * 2.0
    lift = np.radians(-48 + 122 * ramp(t, 0.0, 1.0)) + off[:, None] * 0.9
    # A lock is round: its edges lie lower than its middle.
    edge = 1.0 - (off / 0.17) ** 2
    high = radius * (0.88 + 0.14 * edge + 0.02 * deep)[:, None] * (1.0 - 0.10 * ramp(t, 0.75, 1.0))
    flat = np.cos(lift) * high
    curves = (
        middle
        + flat[..., None] * (np.cos(turn)[..., None] * side + np.sin(turn)[..., None] * other)
        + (0.86 * np.sin(lift) * high)[..., None] * up
    )
    return curves, lock, 0.15 + 0.85 * np.clip(edge, 0, 1)
