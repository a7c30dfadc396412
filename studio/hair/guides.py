"""Guides: the curves that carry a hairdo's shape. They follow a comb, gravity and the body below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from studio.fields import Field, ramp
from studio.hair.frame import unit
from studio.hair.ground import Ground
from studio.mesh import Points

Curves = npt.NDArray[np.float64]
"""float64[N, K, 3]: N curves of K points, roots first, head units."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where guides leave the skin, head units."""

    at: Points
    out: Points
    """Unit: away from the skin."""
    side: Field
    """float64[N]: which side of the parting they belong to, -1 or 1."""
    layer: Field
    """float64[N]: how high in the hair they lie, 0 on the skin .. 1 outermost."""
    apart: Field
    """float64[N], 0 .. 1: how much the parting parts them from their neighbours on its other side."""

    def take(self, rows: npt.NDArray[np.int64]) -> Start:
        """Return some of them."""
        return Start(self.at[rows], self.out[rows], self.side[rows], self.layer[rows], self.apart[rows])

    def key(self) -> npt.NDArray[np.float64]:
        """Return float64[N, 4]: what is near in it belongs together."""
        return np.concatenate((self.at, (0.8 * self.side * self.apart)[:, None]), 1)


@dataclass(frozen=True, slots=True)
class Now:
    """Guides while they grow."""

    at: Points
    out: Points
    start: Start
    t: float
    """How far along, 0 root .. 1 tip."""


@dataclass(frozen=True, slots=True)
class Pull:
    """How strongly what acts on a guide; see `grown`."""

    lift: float = 0.4
    """How steeply it leaves the skin."""
    inertia: float = 0.9
    comb: float = 0.8
    gravity: float = 0.1
    hug: float = 0.4
    """How firmly it is laid to its height."""
    hug_above: float = -9.0
    """Only where it is this high above the eyes."""
    tuck: float = 0.0
    """How far the tips bend in."""
    open_face: bool = False
    """Whether `beside_face` holds it."""


_LOW_DY: Final = (-2.6, -1.5, -1.05, -0.75, -0.30, 0.05, 0.28, 0.46, 0.56, 0.66)
_LEAST_DEG: Final = (32.0, 40.0, 58.0, 70.0, 72.0, 67.0, 58.0, 38.0, 14.0, 0.0)
"""How far from straight ahead long hair hangs, by the height above the eyes: face and throat are free."""
_AXIS_Z: Final = 0.10
_RISES: Final = 0.14


def cut(curves: Curves, low: Field) -> Curves:
    """Return curves cut where they first come below `low` (float64[N]), as many points as before."""
    count, points = curves.shape[:2]
    y = curves[:, :, 1]
    under = y < low[:, None]
    under[:, :3] = False
    first = np.where(under.any(1), under.argmax(1), points - 1)
    rows = np.arange(count)
    over = y[rows, first - 1] - low
    share = np.where(under.any(1), over / np.maximum(y[rows, first - 1] - y[rows, first], 1e-6), 1.0)
    end = first - 1 + np.clip(share, 0.0, 1.0)
    at = end[:, None] * np.linspace(0.0, 1.0, points)
    k = np.minimum(at.astype(int), points - 2)
    f = (at - k)[..., None]
    return np.asarray(curves[rows[:, None], k] * (1 - f) + curves[rows[:, None], k + 1] * f)


def grown(
    start: Start,
    length: Field,
    height: Callable[[Now], Field],
    flow: Callable[[Now], Points],
    pull: Pull,
    ground: Ground,
    points: int,
) -> Curves:
    """Return guides of `points` points each; every piece of a guide is as long as the others.

    `height`: how high above the ground they should lie; `flow`: unit directions that they are combed in.
    """
    step = (length / (points - 1))[:, None]
    found = np.empty((len(start.at), points, 3))
    found[:, 0] = at = start.at
    out = start.out
    way = unit(pull.lift * out + flow(Now(at, out, start, 0.0)))
    for k in range(1, points):
        now = Now(at, out, start, k / (points - 1))
        way = pull.inertia * way + pull.comb * flow(now)
        way[:, 1] -= pull.gravity * min(1.0, 3.0 * now.t)
        if pull.tuck:
            way += pull.tuck * float(ramp(now.t, 0.62, 1.0)) * _inward(at)
        place = at + unit(way) * step
        place = _laid(place, now, height, pull, ground, k * step[:, 0])
        if pull.open_face:
            place = beside_face(place, start.side)
        way = unit(place - at)
        at = at + way * step
        out = ground.out(at)
        found[:, k] = at
    return found


def _laid(
    place: Points,
    now: Now,
    height: Callable[[Now], Field],
    pull: Pull,
    ground: Ground,
    way: Field,
) -> Points:
    there = Now(place, ground.out(place), now.start, now.t)
    high = ground.height(place)
    # It rises to its height soon after the root, or a parting were a ditch.
    wanted = height(there) * np.minimum(1.0, way / _RISES)
    held = (place[:, 1] > pull.hug_above) & (high < wanted + 0.5)
    down = np.where(held, np.maximum(high - wanted, 0.0), 0.0) * pull.hug
    up = np.maximum(wanted - high, 0.0) * 0.7
    return np.asarray(place + (up - down)[:, None] * there.out)


def _inward(at: Points) -> Points:
    return np.stack((-np.sign(at[:, 0]), 0 * at[:, 0], -0.35 * np.sign(at[:, 2] - _AXIS_Z)), 1)


def beside_face(at: Points, side: Field) -> Points:
    """Return places (float64[N, 3]) moved about the neck until they are beside the face, on their `side`."""
    z = at[:, 2] - _AXIS_Z
    least = np.radians(np.interp(at[:, 1], _LOW_DY, _LEAST_DEG))
    angle = np.arctan2(at[:, 0] * side, z)
    before = (angle < least) & (z > 0) & (angle > -np.pi / 2)
    far = np.hypot(at[:, 0], z)
    found = at.copy()
    found[before, 0] = (side * far * np.sin(least))[before]
    found[before, 2] = (far * np.cos(least) + _AXIS_Z)[before]
    return found
