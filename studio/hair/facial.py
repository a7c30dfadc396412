"""Hair of the face, which goes where the skin goes: brows, lashes, beards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from studio.character import linear
from studio.fields import Field, ramp
from studio.garment import read_garment
from studio.hair.frame import unit
from studio.hair.roots import Roots, scatter
from studio.hairline import beard as where_beard
from studio.life.rings import LID_LEFT, LID_RIGHT
from studio.mesh import Points
from studio.presenter import Posed, Presenter
from studio.strands import Strands
from studio.subdivide import triangles

_POINTS: Final = 5
_BROW_HAIRS: Final = 2600
_BROW_BINS: Final = 12
_WIDER: Final = 0.8
"""Brow hairs get wider by this power as they get fewer."""
_UPPER_LASHES: Final = 120
_LOWER_LASHES: Final = 44
_TUFT: Final = 3
"""So many lashes meet at their tips."""
_RIM: Final = 2
"""Row of the lids' loops that carries the lashes."""
_UPPER: Final = slice(1, 13)
_LOWER: Final = slice(27, 14, -1)
_BEARD_HAIRS: Final = 24_000
_LEAST_BEARD: Final = 0.55
_GREY: Final = np.array([0.34, 0.335, 0.33])

Curves = npt.NDArray[np.float32]
"""float32[N, _POINTS, 3]."""
_T: Final = np.linspace(0.0, 1.0, _POINTS)[None, :, None]


def brows(presenter: Presenter, seed: int, density: float = 1.0) -> Strands:
    """Return the brows: hairs that lie on the pack's strip, upright at the nose, then along the brow.

    `density`: share of the usual number of hairs; fewer are wider.
    """
    section = presenter.character.brows
    rng = np.random.default_rng([seed, 11])
    garment = presenter.pack.kept(read_garment, presenter.pack.part("eyebrows", section.part))
    at_rest = garment.fitted(presenter.rest)
    corners = triangles(garment.mesh.faces)
    count = max(80, round(_BROW_HAIRS * density * min(1.0, 0.55 + 0.45 * section.thickness)))
    roots = scatter(at_rest, corners, np.ones(len(at_rest)), count, rng)
    place = roots.of(at_rest)
    along, across = _on_strip(at_rest, place)
    # A brow fades at its borders, most at its inner end.
    full = (1 - 0.75 * np.abs(across) ** 2.5) * ramp(along, -0.06, 0.26) * ramp(1.04 - along, 0.0, 0.14)
    kept = rng.random(count) < full
    roots = Roots(roots.corners[kept], roots.shares[kept])
    along, across, place = along[kept], across[kept], place[kept]
    count = len(along)
    side = np.sign(place[:, 0])
    tilt = rng.normal(0, 0.13, count)
    # Up at the nose, outwards along the arch, and towards the middle from both borders.
    rise = 1.15 - 2.1 * ramp(along, 0.0, 0.55) ** 0.8 - 0.55 * across + tilt
    way = unit(np.stack((side * (0.45 + 0.8 * ramp(along, 0.0, 0.3)), rise, -0.1 - 0.5 * along), 1))
    size = (0.040 + 0.030 * ramp(along, 0.05, 0.5)) * rng.uniform(0.65, 1.1, count) * (1 - 0.25 * across**2)
    size = (size * (0.85 + 0.15 * section.thickness))[:, None, None]
    a, b, c = roots.corners.T

    def placed(posed: Posed) -> Curves:
        points = garment.fitted(posed.local_body)
        root = roots.of(points)
        out = np.cross(points[b] - points[a], points[c] - points[a])
        out = unit(out * np.where(out[:, 2:] < 0, -1.0, 1.0))
        lying = unit(way - (way * out).sum(1, keepdims=True) * out)
        curve = root[:, None] + lying[:, None] * _T * size
        curve += out[:, None] * (0.003 + 0.20 * size * np.sin(2.6 * _T) * 0.35)
        return posed.turned(curve).astype(np.float32)

    wide = 0.0031 * density**-_WIDER
    width = wide * (0.6 + 0.4 * section.thickness) * (1.0 - 0.7 * np.linspace(0, 1, _POINTS) ** 1.5)
    fine = (0.65 + 0.35 * ramp(along, 0.0, 0.25)) * (1 - 0.3 * np.abs(across))
    found = _following(presenter, placed, width, linear(section.colour), rng, 0.2)
    found.widths[:] *= fine[:, None].astype(np.float32)
    return found


def _on_strip(strip: Points, at: Points) -> tuple[Field, Field]:
    """Return where places are on the brows: 0 nose .. 1 temple, and -1 lower .. 1 upper border."""
    x = np.abs(strip[:, 0])
    low, high = float(x.min()), float(x.max())
    edges = np.linspace(low, high, _BROW_BINS + 1)
    middle = 0.5 * (edges[1:] + edges[:-1])
    reach = edges[1] - edges[0]
    near = np.abs(x[None] - middle[:, None]) < reach
    below = np.array([strip[n, 1].min() for n in near])
    above = np.array([strip[n, 1].max() for n in near])
    ax = np.abs(at[:, 0])
    bottom, top = np.interp(ax, middle, below), np.interp(ax, middle, above)
    across = 2 * (at[:, 1] - bottom) / np.maximum(top - bottom, 1e-6) - 1
    return (ax - low) / (high - low), np.clip(across, -1, 1)


def lashes(presenter: Presenter, seed: int) -> Strands:
    """Return the lashes: tufts on the lids' rims, fanned out, bent up; they come down with the lids."""
    share = presenter.character.brows.lashes
    rng = np.random.default_rng([seed, 13])
    eyes = presenter.eyes
    pairs, kinds = [], []
    # The viewer's left eye is the character's right one.
    for number, lid in ((1, LID_LEFT), (0, LID_RIGHT)):
        for columns, usual, above in ((_UPPER, _UPPER_LASHES, 1.0), (_LOWER, _LOWER_LASHES, 0.0)):
            rim = np.asarray(lid)[_RIM, columns]
            count = max(9, round(usual * (0.45 + 0.55 * share)))
            along = (np.arange(count) + rng.uniform(0.2, 0.8, count)) / count
            tip = (np.arange(count) // _TUFT * _TUFT + 0.5 * _TUFT) / count
            at = along * (len(rim) - 1)
            k = np.minimum(at.astype(int), len(rim) - 2)
            pairs.append(np.stack((rim[k], rim[k + 1]), 1))
            kinds.append(np.stack((np.full(count, number), np.full(count, above), along, tip, at - k), 1))
    pair, kind = np.concatenate(pairs), np.concatenate(kinds)
    count = len(pair)
    eye = kind[:, 0].astype(int)
    upper, place, tip, between = (kind[:, k : k + 1] for k in range(1, 5))
    # Longest at two thirds of the way out.
    long = np.where(upper > 0, 0.058, 0.020) * (0.30 + 0.70 * np.sin(np.pi * (0.12 + 0.70 * place)) ** 1.3)
    long = long * rng.uniform(0.82, 1.05, (count, 1)) * (0.5 + 0.6 * share)
    outward = np.where(eye == 0, 1.0, -1.0)[:, None]
    fan = (place - 0.38) * 1.25 + 5.0 * (tip - place) + rng.normal(0, 0.05, (count, 1))
    sign = 2 * upper - 1

    def placed(posed: Posed) -> Curves:
        ends = posed.local_body[pair]
        root = ends[:, 0] * (1 - between) + ends[:, 1] * between
        away = unit(root - eyes[eye])
        up = unit(np.array([0.0, 1.0, 0.0]) - away[:, 1:2] * away)
        aside = np.concatenate((outward * fan, 0 * fan, 0 * fan), 1)
        way = unit(away + 0.8 * aside + 0.12 * sign * up)
        bend = sign * up * (0.7 * long)
        curve = root[:, None] + way[:, None] * (_T * long[:, None]) + bend[:, None] * _T**2.2
        return posed.turned(curve).astype(np.float32)

    width = 0.0034 * (1.0 - 0.88 * np.linspace(0.0, 1.0, _POINTS))
    found = _following(presenter, placed, width, (0.010, 0.007, 0.006), rng, 0.1)
    found.widths[:] *= np.where(upper > 0, 0.75 + 0.35 * share, 0.36).astype(np.float32)
    return found


def beard(presenter: Presenter, seed: int, density: float = 1.0) -> Strands | None:
    """Return a short beard where the skin's paint has one, None when it is shaved."""
    skin = presenter.character.skin
    if skin.beard < _LEAST_BEARD:
        return None
    rng = np.random.default_rng([seed, 17])
    surface = presenter.surfaces[0]
    rest = presenter.at_rest().points["skin"].astype(np.float64)
    grows = where_beard(
        rest,
        presenter.head,
        presenter.places.mouth[1],
        surface.lips.astype(float),
        surface.inside.astype(float),
    )
    roots = scatter(rest, triangles(surface.faces), grows, round(_BEARD_HAIRS * density), rng)
    count = len(roots.shares)
    full = roots.of(grows[:, None])[:, 0]
    at = roots.of(rest)
    middle, jaw = presenter.places.mouth, presenter.places.jaw
    x, y = at[:, 0], at[:, 1]
    lip = ramp(y - middle[1], -0.02, 0.06) * ramp(0.36 - np.abs(x), 0.0, 0.08)
    chin = ramp(0.45 - np.abs(x), 0.0, 0.35) * ramp(middle[1] - 0.12 - y, 0.0, 0.15)
    below = ramp(jaw[1] - 0.12 - y, 0.0, 0.25)
    length = 0.030 + 0.14 * (skin.beard - 0.5) * (0.45 + 0.85 * chin - 0.15 * lip) * (1 - 0.5 * below)
    size = (length * (0.35 + 0.65 * ramp(full, 0.1, 0.6)) * rng.uniform(0.7, 1.1, count))[:, None, None]
    side = np.sign(x) * ramp(np.abs(x), 0.0, 0.06)
    comb = np.stack(
        (
            side * (0.15 + 0.75 * lip - 0.30 * chin),
            -1.0 + 0.35 * lip,
            -0.15 + 0.45 * chin + 0.35 * lip + 0.35 * below,
        ),
        1,
    )
    # Hair grows in small tufts.
    cell = np.floor(at / 0.055) @ np.array([12.99, 78.23, 37.72])
    tuft = np.stack([np.sin(cell * k) for k in (1.0, 1.7, 2.3)], 1)
    comb = (unit(comb) + 0.22 * tuft + 0.16 * rng.normal(size=(count, 3))).astype(np.float32)
    size, along = size.astype(np.float32), _T.astype(np.float32)
    at_roots = roots.matrix(len(rest))

    def placed(posed: Posed) -> Curves:
        both = at_roots @ np.concatenate((posed.points["skin"], posed.normals["skin"]), 1)
        root, out = both[:, :3], both[:, 3:]
        way = comb @ posed.head.T.astype(np.float32)
        way -= (way * out).sum(1, keepdims=True) * out
        way *= 0.92 / np.sqrt((way * way).sum(1, keepdims=True))
        way += 0.40 * out
        curve = root[:, None] + (way[:, None] - 0.20 * out[:, None] * along) * (along * size)
        curve -= 0.003 * out[:, None]
        return np.asarray(curve, np.float32)

    wider = min(4.0, max(density, 1e-3) ** -0.55)
    width = 0.0036 * wider * (1.0 - 0.75 * np.linspace(0.0, 1.0, _POINTS) ** 1.5)
    found = _following(presenter, placed, width, linear(skin.beard_colour), rng, 0.15)
    grey = rng.random(count) < presenter.character.hair.grey * (0.6 + 1.2 * chin)
    dark = np.array(linear(skin.beard_colour))
    found.albedo[grey] = dark + (_GREY - dark) * rng.uniform(0.25, 0.9, (int(grey.sum()), 1, 1))
    return found


def _following(
    presenter: Presenter,
    placed: Callable[[Posed], Curves],
    width: npt.NDArray[np.float64],
    colour: tuple[float, float, float],
    rng: np.random.Generator,
    shine: float,
) -> Strands:
    points = placed(presenter.at_rest())
    count = len(points)
    shade = np.exp(0.14 * rng.normal(size=(count, 1, 1)))
    albedo = (np.array(colour) * shade * np.ones((1, _POINTS, 1))).astype(np.float32)
    widths = np.tile(width.astype(np.float32), (count, 1))
    return Strands(points, widths, albedo, np.ones((count, _POINTS), np.float32), shine, placed)
