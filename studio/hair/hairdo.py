"""A hairdo on any head: guides are grown, gathered into locks, waved, and filled with strands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from studio.character import HairSection
from studio.fields import Field, ramp
from studio.hair.colour import coloured
from studio.hair.combs import part_x, parted
from studio.hair.frame import unit
from studio.hair.ground import Ground
from studio.hair.guides import Curves, Start, beside_face, cut, grown
from studio.hair.knot import wound
from studio.hair.locks import along_length, drawn_together, filled, nearest, spread_out, waved
from studio.hair.roots import scatter
from studio.hair.styles import STYLES, Style
from studio.mesh import Points
from studio.pack import StudioError

_LEAST: Final = 60
_OVER: Final = 0.09
"""How far beyond the parting that hair starts which is combed over it."""
_CLEAR: Final = 0.008
"""Strands stay this far off the ground, head units."""
_WIDER: Final = 0.62
"""Strands get wider by this power as they get fewer: fewer of them overlap."""
_WIDEST: Final = 5.0


@dataclass(frozen=True, slots=True)
class Scalp:
    """Where hair grows, head units."""

    points: Points
    normals: Points
    triangles: npt.NDArray[np.int32]
    grows: npt.NDArray[np.floating]
    """float[V]: 0 bare .. 1 full."""
    ground: Ground
    """What hair lies on: the head, and the shoulders with what they wear."""


@dataclass(frozen=True, slots=True)
class Hairdo:
    """N strands of K points."""

    curves: Curves
    widths: npt.NDArray[np.float32]
    """float32[N, K], decimetres."""
    albedo: npt.NDArray[np.float32]
    """float32[N, K, 3], linear."""


def dressed(scalp: Scalp, hair: HairSection, seed: int, density: float = 1.0) -> Hairdo:
    """Return the hairdo of `hair.style` in head units; the same seed grows the same shape at any density.

    Takes one to three seconds at density 1. Raises StudioError for an unknown style.
    """
    if hair.style not in STYLES:
        raise StudioError(
            f"hair style '{hair.style}'", "is not known", f"There are: none, {', '.join(STYLES)}"
        )
    coats = STYLES[hair.style]
    points = max(coat.points for coat in coats)
    grounds: dict[float, Ground] = {0.0: scalp.ground}
    parts = []
    for number, coat in enumerate(coats):
        if coat.closed not in grounds:
            grounds[coat.closed] = scalp.ground.closed(coat.closed)
        parts.append(_coat(scalp, grounds[coat.closed], hair, coat, [seed, 7, number], density))
    if hair.style == "bun":
        parts.append(_knot(scalp, hair, [seed, 7, 99], density))
    parts = [part for part in parts if len(part.curves)] or parts[:1]
    if len(parts) == 1:
        return parts[0]
    same = [_resampled(part, points) for part in parts]
    return Hairdo(
        np.concatenate([p.curves for p in same]),
        np.concatenate([p.widths for p in same]),
        np.concatenate([p.albedo for p in same]),
    )


def _coat(
    scalp: Scalp, ground: Ground, hair: HairSection, style: Style, seed: list[int], density: float
) -> Hairdo:
    # The shape has its own chance: it does not depend on how many strands fill it.
    shape, fill = (np.random.default_rng([*seed, k]) for k in range(2))
    where = scalp.grows * (style.where(scalp.points, hair) if style.where else 1.0)
    start = _start(scalp, where, 3 * style.guides, hair, style, shape)
    rows = spread_out(start.key(), style.guides, shape)
    start = start.take(rows)
    if not len(rows):
        return _nothing(style.points)
    guides, lock = _guides(start, ground, hair, style, shape)
    count = max(_LEAST, round(style.count * density))
    strands = _start(scalp, where, count, hair, style, fill)
    mine = nearest(strands.key(), start.key())
    curves, deep = filled(guides, start.out, mine, strands.at, style.thick, style.tight * _long(guides), fill)
    curves = _loose(curves, style, fill)
    if style.pull.open_face:
        side = np.repeat(strands.side, style.points)
        flat = beside_face(curves.reshape(-1, 3), side).reshape(curves.shape)
        curves[:, 2:] = flat[:, 2:]
    curves = _above(curves, ground)
    depth = np.clip(0.25 + 0.45 * start.layer[mine] + 0.45 * deep, 0, 1)
    albedo = coloured(strands.at, hair, lock[mine], depth, style.points, fill)
    widths = _widths(style, len(curves), density, fill)
    edge = _full(scalp, strands.at)
    widths *= (0.55 + 0.45 * ramp(edge, 0.1, 0.8))[:, None].astype(np.float32)
    return Hairdo(curves, widths, albedo)


def _nothing(points: int) -> Hairdo:
    thin = np.zeros((0, points), np.float32)
    return Hairdo(np.zeros((0, points, 3)), thin, np.zeros((0, points, 3), np.float32))


def _full(scalp: Scalp, at: Points) -> Field:
    """Return how full hair grows at places near the scalp, 0 .. 1."""
    return np.asarray(scalp.grows[cKDTree(scalp.points).query(at, workers=2)[1]], np.float64)


def _start(
    scalp: Scalp,
    where: npt.NDArray[np.floating],
    count: int,
    hair: HairSection,
    style: Style,
    rng: np.random.Generator,
) -> Start:
    roots = scatter(scalp.points, scalp.triangles, where, count, rng)
    at, out = roots.of(scalp.points), unit(roots.of(scalp.normals))
    # A parting is drawn by a comb, not by a ruler.
    line = part_x(at[:, 2], hair) + 0.014 * np.sin(at[:, 2] * 23.0)
    # Some hair is combed over the parting to the side that has more, and so hides the scalp.
    line += np.sign(hair.parting or 1.0) * _OVER * rng.random(len(at)) ** 1.5
    side = np.where(at[:, 0] > line, 1.0, -1.0)
    layer = np.clip(0.8 * ramp(at[:, 1], -0.5, 0.95) + rng.uniform(-0.15, 0.25, len(at)), 0.0, 1.0)
    return Start(at - 0.012 * out, out, side, layer, parted(at) * style.parted)


def _guides(
    start: Start, ground: Ground, hair: HairSection, style: Style, rng: np.random.Generator
) -> tuple[Curves, npt.NDArray[np.int64]]:
    """Return guides in their final shape and, for each, its lock."""
    count = len(start.at)
    if style.locks:
        big = spread_out(start.key(), style.locks, rng)
        lock = nearest(start.key(), start.take(big).key())
    else:
        big, lock = np.arange(count), np.arange(count)
    uneven = np.exp(style.uneven * rng.normal(size=len(big)))[lock] * np.exp(
        0.4 * style.uneven * rng.normal(size=count)
    )
    found = grown(
        start,
        style.length(start, hair) * uneven,
        lambda now: style.height(now, hair),
        lambda now: style.flow(now, hair),
        style.pull,
        ground,
        style.points,
    )
    if style.cut is not None:
        found = cut(
            found,
            style.cut(start, hair)
            + style.uneven * (rng.normal(size=len(big))[lock] + 0.3 * rng.normal(size=count)),
        )
    if style.gather:
        found = drawn_together(found, start.out, big, lock, style.gather * _long(found))
    wave = style.wave
    if hair.curl:
        wave = type(wave)(
            wave.size * (1 + hair.curl) + 0.03 * hair.curl,
            wave.long * (1 - 0.45 * hair.curl),
            wave.turning + (1 - wave.turning) * 0.6 * hair.curl,
            wave.begins,
            wave.full,
            wave.loose,
        )
    found = waved(found, start.out, lock, wave, rng)
    return found, lock


def _long(guides: Curves) -> Field:
    """Return 0 for stubble .. 1: what is shorter than its lock is wide can't lean to the lock's middle."""
    return ramp(along_length(guides)[:, -1], 0.05, 0.40)


def _loose(curves: Curves, style: Style, rng: np.random.Generator) -> Curves:
    """Return strands of which some leave their lock."""
    count, points = curves.shape[:2]
    t = np.linspace(0.0, 1.0, points)[None, :, None]
    far = 0.004 + 0.05 * (rng.random((count, 1, 1)) < style.stray)
    bend = rng.normal(size=(count, 1, 3)) * t**1.5 + 0.35 * rng.normal(size=(count, 1, 3)) * np.sin(
        t * rng.uniform(3.0, 8.0, (count, 1, 1))
    )
    return np.asarray(curves + far * bend * min(1.0, points / 10))


def _above(curves: Curves, ground: Ground) -> Curves:
    """Return strands lifted out of the ground, but for their roots."""
    found = curves.copy()
    inner = found[:, 1:].reshape(-1, 3)
    for _ in range(2):
        high = ground.height(inner)
        low = high < _CLEAR
        inner[low] += (_CLEAR - high[low])[:, None] * ground.out(inner[low])
    found[:, 1:] = inner.reshape(found[:, 1:].shape)
    return found


def _widths(style: Style, count: int, density: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    t = np.linspace(0.0, 1.0, style.points)
    # Fine where they leave the skin, so that a hairline is soft, and at the tips.
    shape = (1.0 - 0.8 * t**3) * (0.5 + 0.5 * np.minimum(1.0, t / 0.15))
    wider = min(_WIDEST, max(density, 1e-3) ** -_WIDER)
    return np.asarray(style.width_dm * wider * shape * rng.uniform(0.75, 1.15, (count, 1)), np.float32)


def _knot(scalp: Scalp, hair: HairSection, seed: list[int], density: float) -> Hairdo:
    rng = np.random.default_rng(seed)
    style = STYLES["bun"][0]
    curves, lock, depth = wound(scalp.ground, hair, round(0.2 * style.count * density), rng)
    albedo = coloured(curves[:, 0], hair, lock, depth, curves.shape[1], rng)
    albedo *= np.float32(1.25)
    widths = np.full(curves.shape[:2], style.width_dm * min(_WIDEST, density**-_WIDER), np.float32)
    return Hairdo(curves, widths, albedo)


def _resampled(part: Hairdo, points: int) -> Hairdo:
    """Return strands with another number of points."""
    have = part.curves.shape[1]
    if have == points:
        return part
    at = np.linspace(0, have - 1, points)
    low = np.minimum(at.astype(int), have - 2)
    share = at - low

    def between(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        f = share.reshape(-1, *([1] * (values.ndim - 2)))
        return np.asarray(values[:, low] * (1 - f) + values[:, low + 1] * f)

    return Hairdo(
        between(part.curves),
        between(part.widths).astype(np.float32),
        between(part.albedo).astype(np.float32),
    )
