"""What colour a skin is where, and how it shines: attributes of the body's points, painted by place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from studio.character import SkinSection, linear
from studio.fields import Field, ramp
from studio.hairline import Head, beard
from studio.mesh import Points


@dataclass(frozen=True, slots=True)
class Places:
    """Where a face has what; decimetres, the body at rest."""

    eyes: Points
    """float64[2, 3]: middles of the eyeballs, the character's left one first."""
    mouth: npt.NDArray[np.float64]
    """Middle of the upper teeth."""
    jaw: npt.NDArray[np.float64]
    head: npt.NDArray[np.float64]
    lashes: Points
    """Points along the rims of the lids, which are shut."""


@dataclass(frozen=True, slots=True)
class SkinPaint:
    """Attributes of the body's points."""

    albedo: npt.NDArray[np.float32]
    """float32[V, 3], linear."""
    gloss: npt.NDArray[np.float32]
    """float32[V]: 0 matt .. 1 wet."""
    inside: npt.NDArray[np.float32]
    """float32[V]: 1 within the mouth."""
    lips: npt.NDArray[np.float32]


_INSIDE: Final = np.array([0.30, 0.055, 0.05])
_ENVELOPE_DM: Final = 0.5


def paint(
    points: Points,
    shut: Points,
    places: Places,
    head: Head,
    skin: SkinSection,
    lips: Field,
    inside: Field,
) -> SkinPaint:
    """Return how `points` (float64[V, 3], at rest) look.

    `shut`: the same with the lids down; `lips` and `inside` (float64[V]) are masks 0 .. 1.
    """
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    eye_x, eye_y, eye_z = np.abs(places.eyes[0, 0]), places.eyes[0, 1], places.eyes[0, 2]
    front = ramp(z, eye_z - 0.45, eye_z - 0.05)

    def spot(cx: float, cy: float, sx: float, sy: float) -> Field:
        return np.asarray(np.exp(-(((x - cx) / sx) ** 2) - ((y - cy) / sy) ** 2) * front)

    cheeks = spot(eye_x * 1.5, eye_y - 0.40, 0.24, 0.19)
    nose = spot(0.0, eye_y - 0.44, 0.13, 0.11)
    chin = spot(0.0, places.jaw[1], 0.20, 0.12)
    ears = ramp(x, 0.66, 0.74) * np.exp(-(((y - eye_y + 0.15) / 0.3) ** 2)) * ramp(z, -0.6, -0.3)
    blush = np.clip(cheeks + 0.55 * nose + 0.2 * chin + 0.6 * ears, 0, 1) * skin.blush_strength
    socket = spot(eye_x, eye_y + 0.12, 0.24, 0.09) + 0.5 * spot(eye_x * 0.8, eye_y - 0.12, 0.2, 0.05)
    near, _ = cKDTree(_denser(places.lashes)).query(shut)
    rim = 1.0 - ramp(near, 0.012, 0.045)
    liner = rim * np.where(y > eye_y - 0.02, 1.0, 0.45) * skin.liner
    stubble = beard(points, head, places.mouth[1], lips, inside)

    albedo = np.broadcast_to(np.array(linear(skin.tone)), points.shape).copy()
    for amount, colour in (
        (blush, linear(skin.blush)),
        (np.clip(socket, 0, 1) * skin.shadow, linear(skin.shadow_colour)),
        (stubble * skin.beard * 0.75, linear(skin.beard_colour)),
        (lips * skin.lips_strength, linear(skin.lips)),
        (np.clip(liner, 0, 0.9), (0.03, 0.015, 0.011)),
    ):
        albedo += amount[:, None] * (np.array(colour) - albedo)
    albedo += inside[:, None] * (_INSIDE - albedo)
    oily = np.clip(1.3 * nose + spot(0.0, eye_y + 0.55, 0.3, 0.25) + 0.4 * cheeks, 0, 1)
    gloss = 0.18 + 0.30 * skin.shine + 0.12 * oily * skin.shine - 0.1 * stubble * skin.beard
    gloss = gloss + lips * (0.25 + 0.5 * skin.lips_gloss - gloss) * 0.8 + inside * (0.75 - gloss)
    return SkinPaint(
        albedo.astype(np.float32),
        np.clip(gloss, 0, 1).astype(np.float32),
        inside.astype(np.float32),
        lips.astype(np.float32),
    )


def _denser(points: Points, between: int = 5) -> Points:
    """Return `points` and more of them on the way from each to its three nearest."""
    _, near = cKDTree(points).query(points, k=4)
    steps = np.linspace(0.0, 1.0, between + 2)[:, None, None, None]
    return np.asarray((points[:, None] * (1 - steps) + points[near] * steps).reshape(-1, 3))
