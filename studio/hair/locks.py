"""Locks: guides drawn together, waved and curled, and filled with the strands that are seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from studio.fields import Field, ramp
from studio.hair.frame import unit
from studio.hair.guides import Curves
from studio.mesh import Points

Numbers = npt.NDArray[np.int64]

_NARROWS: Final = 0.5
"""Of a large lock: how far its guides come together at its tip."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Unit vectors at every point of curves (float64[N, K, 3] each): along, across, away from the head."""

    along: Curves
    across: Curves
    away: Curves


def frames(curves: Curves, out: Points) -> Frames:
    """Return the frames of curves that start on a skin with normals `out`; they do not twist (Bishop's)."""
    along = unit(np.gradient(curves, axis=1))
    away = np.empty_like(along)
    last = out
    for k in range(curves.shape[1]):
        t = along[:, k]
        last = unit(last - (last * t).sum(1, keepdims=True) * t)
        away[:, k] = last
    return Frames(along, np.cross(away, along), away)


def nearest(keys: npt.NDArray[np.float64], leaders: npt.NDArray[np.float64]) -> Numbers:
    """Return int64[N]: for each of `keys` (float64[N, D]) the nearest of `leaders` (float64[M, D])."""
    return np.asarray(cKDTree(leaders).query(keys, workers=2)[1], np.int64)


def spread_out(points: Points, count: int, rng: np.random.Generator) -> Numbers:
    """Return `count` rows of `points` (float64[N, D]) that are spread evenly, or all if there are no more."""
    if not 0 < count < len(points):
        return np.arange(len(points))
    rows = rng.choice(len(points), count, replace=False)
    # Two steps of Lloyd's: each place moves to the middle of what is nearest to it.
    for _ in range(2):
        mine = cKDTree(points[rows]).query(points, workers=2)[1]
        size = np.maximum(np.bincount(mine, minlength=len(rows)), 1)
        middle = np.stack(
            [np.bincount(mine, points[:, d], len(rows)) / size for d in range(points.shape[1])], 1
        )
        rows = np.unique(cKDTree(points).query(middle, workers=2)[1])
    return np.asarray(rows, np.int64)


def carried(
    leaders: Curves, leading: Frames, mine: Numbers, roots: Points, narrow: npt.NDArray[np.float64]
) -> Curves:
    """Return curves from `roots` that go along with their leaders, beside them as at the root.

    `narrow` (float64[K] or float64[N, K]): how much of the distance to the leader is left.
    """
    apart = roots - leaders[mine, 0]
    parts = [(apart * axis[mine, 0]).sum(1) for axis in (leading.along, leading.across, leading.away)]
    narrow = np.broadcast_to(narrow, (len(mine), leaders.shape[1]))[..., None]
    moved = (
        parts[0][:, None, None] * leading.along[mine]
        + parts[1][:, None, None] * leading.across[mine]
        + parts[2][:, None, None] * leading.away[mine]
    )
    return np.asarray(leaders[mine] + narrow * moved)


def drawn_together(guides: Curves, out: Points, big: Numbers, mine: Numbers, amount: Field) -> Curves:
    """Return guides drawn to those numbered `big`, by `amount` (float64[N]); `mine`: each one's of these."""
    t = np.linspace(0.0, 1.0, guides.shape[1])
    leaders = guides[big]
    together = carried(
        leaders, frames(leaders, out[big]), mine, guides[:, 0], 1.0 - _NARROWS * ramp(t, 0.1, 1.0)
    )
    weight = amount[:, None] * ramp(t, 0.05, 0.75)
    return np.asarray(guides + weight[..., None] * (together - guides))


def along_length(curves: Curves) -> npt.NDArray[np.float64]:
    """Return float64[N, K]: the way along each curve."""
    steps = np.linalg.norm(np.diff(curves, axis=1), axis=2)
    return np.concatenate((np.zeros((len(curves), 1)), np.cumsum(steps, 1)), 1)


@dataclass(frozen=True, slots=True)
class Wave:
    """Waves lie in the plane of the hair, curls turn about its way."""

    size: float = 0.0
    long: float = 0.5
    """Of one wave, head units."""
    turning: float = 0.35
    """0 a wave, 1 a corkscrew."""
    begins: float = 0.15
    """Share of the way from root to tip."""
    full: float = 0.6
    loose: float = 0.4
    """How much the waves of neighbouring locks differ, 0 .. 1 turns."""


def waved(curves: Curves, out: Points, lock: Numbers, wave: Wave, rng: np.random.Generator) -> Curves:
    """Return curves with waves; what belongs to one `lock` (int64[N]) waves together."""
    if not wave.size:
        return curves
    frame = frames(curves, out)
    root = curves[:, 0]
    drift = 0.9 * np.sin(root[:, 0] * 2.9 + 0.4) + 0.8 * np.sin(root[:, 2] * 2.3 + root[:, 1] * 1.7)
    phase = (
        drift
        + 2 * np.pi * wave.loose * rng.random(int(lock.max()) + 1)[lock]
        + 0.25 * rng.normal(size=len(lock))
    )
    pace = 1.0 + 0.22 * wave.loose * rng.normal(size=int(lock.max()) + 1)[lock]
    t = np.linspace(0.0, 1.0, curves.shape[1])
    turn = phase[:, None] + 2 * np.pi * pace[:, None] * along_length(curves) / wave.long
    sway = wave.size * ramp(t, wave.begins, wave.full)
    wide = (sway * np.sin(turn))[..., None] * frame.across
    high = (sway * wave.turning * np.cos(turn))[..., None] * frame.away
    return np.asarray(curves + wide + high)


def filled(
    leaders: Curves,
    out: Points,
    mine: Numbers,
    roots: Points,
    thick: tuple[float, float],
    tight: Field,
    rng: np.random.Generator,
) -> tuple[Curves, Field]:
    """Return strands from `roots` within their leaders' locks, and how far out in it each lies, 0 .. 1.

    `thick`: half a lock's width and height besides what its roots give; `tight`
    (float64[M]): how far it narrows to its tip.
    """
    count, points = len(roots), leaders.shape[1]
    leading = frames(leaders, out)
    t = np.linspace(0.0, 1.0, points)
    narrow = 1.0 - tight[mine, None] * ramp(t, 0.0, 1.0)
    along = carried(leaders, leading, mine, roots, narrow)
    angle, far = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.random(count))
    body = ramp(t, 0.0, 0.25) * (1.0 - 0.75 * tight[mine, None] * t**2)
    wide, high = thick[0] * far * np.cos(angle), thick[1] * far * np.sin(angle)
    found = along + body[..., None] * (
        wide[:, None, None] * leading.across[mine] + high[:, None, None] * leading.away[mine]
    )
    return found, np.asarray(0.5 + 0.5 * far * np.sin(angle))
