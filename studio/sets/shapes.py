"""Meshes as arrays: what a room is built of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from studio.sets.framing import Points

Profile = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""Half width (of 1) along a leaf, from its stem at 0 to its tip at 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Points and the faces between them; `smooth` says whether the light flows over the edges."""

    points: Points
    faces: Sequence[tuple[int, ...]]
    smooth: bool = False


def box(width: float, depth: float, height: float) -> Mesh:
    """Return a box that stands on z = 0, its middle at x = y = 0."""
    corners = [(x, y, z) for z in (0, 1) for y in (-0.5, 0.5) for x in (-0.5, 0.5)]
    faces = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    return Mesh(np.array(corners) * (width, depth, height), faces)


def grid(points: npt.NDArray[np.float64], *, smooth: bool = True, round_: bool = False) -> Mesh:
    """Return rows and columns of points (float64[R, C, 3]) as a sheet; `round_` closes it to a pipe."""
    rows, columns = points.shape[:2]
    last = columns if round_ else columns - 1
    faces = [
        (
            r * columns + c,
            r * columns + (c + 1) % columns,
            (r + 1) * columns + (c + 1) % columns,
            (r + 1) * columns + c,
        )
        for r in range(rows - 1)
        for c in range(last)
    ]
    return Mesh(points.reshape(-1, 3).astype(np.float64), faces, smooth)


def sheet(width: float, height: float) -> Mesh:
    """Return an upright rectangle that faces the camera, standing on z = 0."""
    half = width / 2
    points = [(-half, 0, 0), (half, 0, 0), (half, 0, height), (-half, 0, height)]
    return Mesh(np.array(points, np.float64), [(0, 1, 2, 3)])


def lathe(profile: Sequence[tuple[float, float]], segments: int = 40) -> Mesh:
    """Return (radius, height) pairs turned about z; the pairs are joined by a smooth curve."""
    line = curve(np.array([(r, 0.0, z) for r, z in profile]), 4 * len(profile))
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    radius, height = np.maximum(line[:, :1], 0.0), line[:, 2:]
    around = np.stack(
        (radius * np.cos(angle), radius * np.sin(angle), np.broadcast_to(height, (len(line), segments))), -1
    )
    return grid(around, round_=True)


def cone(low: float, high: float, height: float, segments: int = 40) -> Mesh:
    """Return the open side of a cone or cylinder that stands on z = 0, with these radii."""
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    rings = [
        np.stack((r * np.cos(angle), r * np.sin(angle), np.full(segments, z)), -1)
        for r, z in ((low, 0), (high, height))
    ]
    return grid(np.stack(rings), round_=True)


def ball(radius: float = 1.0, rings: int = 16, segments: int = 28) -> Mesh:
    """Return a sphere about the origin."""
    polar = np.linspace(0, np.pi, rings)[:, None]
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)[None]
    points = np.stack(
        (np.sin(polar) * np.cos(angle), np.sin(polar) * np.sin(angle), -np.cos(polar) + 0 * angle), -1
    )
    return grid(points * radius, round_=True)


def curve(points: Points, count: int) -> Points:
    """Return `count` points of a smooth curve through `points` (Catmull and Rom's spline)."""
    ends = np.concatenate((2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]))
    at = np.linspace(0, len(points) - 1, count)
    k = np.minimum(at.astype(int), len(points) - 2)
    t = (at - k)[:, None]
    a, b, c, d = (ends[k + n] for n in range(4))
    found = 2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    return np.asarray(found / 2, np.float64)


def tube(path: Points, radius: float | npt.NDArray[np.float64], sides: int = 10) -> Mesh:
    """Return a tube along `path`; `radius` may differ along it (float64[N])."""
    ahead = np.gradient(path, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    # Any direction that the path never takes gives a frame; it need not be the same all along.
    aside = np.cross(ahead, np.where(np.abs(ahead[:, 2:]) > 0.9, [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]]))
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    above = np.cross(aside, ahead)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    thick = np.broadcast_to(np.asarray(radius, np.float64), len(path))[:, None, None]
    around = np.cos(angle)[None, :, None] * aside[:, None] + np.sin(angle)[None, :, None] * above[:, None]
    return grid(path[:, None] + thick * around, round_=True)


def oval(t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the half width of a rubber plant's leaf."""
    return np.asarray(np.sin(np.pi * np.clip(t, 0, 1) ** 0.85) ** 0.75)


def heart(t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the half width of an ivy-like leaf: broad at the stem, pointed."""
    return np.asarray(np.minimum(1.0, (t / 0.16) ** 0.5) * (1 - t) ** 0.8 * 1.25)


def blade(t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the half width of a palm's leaflet or a blade of grass."""
    return np.asarray(np.minimum(1.0, (t / 0.1) ** 0.5) * (1 - t**2.2))


def leaf(length: float, width: float, profile: Profile, droop_deg: float = 40.0, fold: float = 0.35) -> Mesh:
    """Return a leaf that grows from the origin along y, its face up.

    `droop_deg` is how far it bends down from stem to tip, `fold` how far its halves rise along the midrib.
    """
    along = np.linspace(0, 1, 13)
    across = np.linspace(-1, 1, 7)
    bend = -np.radians(droop_deg) * along
    step = length / (len(along) - 1)
    y = np.concatenate(([0.0], np.cumsum(np.cos(bend[1:]) * step)))
    z = np.concatenate(([0.0], np.cumsum(np.sin(bend[1:]) * step)))
    half = width / 2 * profile(along)
    x = half[:, None] * across
    rise = fold * np.abs(x) + 0.04 * width * np.sin(7 * along)[:, None] * across**2
    return grid(np.stack((x, np.broadcast_to(y[:, None], x.shape), z[:, None] + rise), -1))


def drape(width: float, height: float, folds: float, depth: float, rng: np.random.Generator) -> Mesh:
    """Return hanging cloth that faces the camera, standing on z = 0: folds that widen towards the hem."""
    across = np.linspace(0, 1, max(24, int(folds * 14)))
    down = np.linspace(0, 1, 24)[:, None]
    phase = 2 * np.pi * folds * (across + 0.06 * np.sin(2 * np.pi * across * 1.7 + rng.uniform(0, 6)))
    second = np.sin(phase * 0.53 + rng.uniform(0, 6))
    wave = np.sin(phase + 0.5 * second * down) * (0.7 + 0.3 * second)
    y = depth * (0.55 + 0.45 * down) * wave
    x = (across - 0.5) * width + 0.02 * width * np.sin(3 * down + second)
    return grid(np.stack((np.broadcast_to(x, y.shape), y, np.broadcast_to(height * (1 - down), y.shape)), -1))


def prism(outline: npt.NDArray[np.float64], depth: float) -> Mesh:
    """Return a flat outline (float64[N, 2]: x and z) with thickness; its front is at y = 0."""
    count = len(outline)
    front = np.stack((outline[:, 0], np.zeros(count), outline[:, 1]), -1)
    points = np.concatenate((front, front + np.array([0.0, depth, 0.0])))
    sides = [(k, k + count, (k + 1) % count + count, (k + 1) % count) for k in range(count)]
    return Mesh(points, [tuple(range(count)), tuple(range(2 * count - 1, count - 1, -1)), *sides])


def polygon(corners: int, radius: float, turn_deg: float = 0.0) -> npt.NDArray[np.float64]:
    """Return a regular outline (float64[N, 2])."""
    angle = np.radians(turn_deg) + np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return radius * np.stack((np.cos(angle), np.sin(angle)), -1)


def arch(width: float, spring: float, steps: int = 28) -> npt.NDArray[np.float64]:
    """Return an opening with a round head (float64[N, 2]: x and z); `spring` is the height where it bends."""
    angle = np.linspace(0, np.pi, steps)
    head = np.stack((np.cos(angle) * width / 2, spring + np.sin(angle) * width / 2), -1)
    return np.concatenate(([(-width / 2, 0.0), (width / 2, 0.0)], head))


def pierced(width: float, height: float, hole: npt.NDArray[np.float64]) -> Mesh:
    """Return an upright wall that faces the camera with an arch in it, whose foot stands on the wall's foot.

    `hole` is what `arch` returns, moved sideways as needed; the wall reaches from -width/2 to width/2.
    """
    head = hole[2:][::-1]
    left, right = float(hole[:, 0].min()), float(hole[:, 0].max())
    half = width / 2
    strips = [
        [(-half, 0.0), (left, 0.0), (left, height), (-half, height)],
        [(right, 0.0), (half, 0.0), (half, height), (right, height)],
    ]
    for (x0, z0), (x1, z1) in pairwise(head):
        strips.append([(x0, z0), (x1, z1), (x1, height), (x0, height)])
    points = np.array([(x, 0.0, z) for strip in strips for x, z in strip], np.float64)
    return Mesh(points, [(4 * k, 4 * k + 1, 4 * k + 2, 4 * k + 3) for k in range(len(strips))])
