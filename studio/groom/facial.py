"""Hair of the face, which follows the skin: brows, lashes, beards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from studio.character import linear
from studio.garment import read_garment
from studio.groom.surface import scatter
from studio.life.rings import LID_LEFT, LID_RIGHT
from studio.presenter import Posed, Presenter
from studio.strands import Strands
from studio.subdivide import triangles

_POINTS: Final = 5
_BROW_HAIRS: Final = 1100
_UPPER_LASHES: Final = 260
_LOWER_LASHES: Final = 90
_RIM: Final = 2
"""Row of the lids' loops that carries the lashes."""
_UPPER: Final = slice(1, 13)
_LOWER: Final = slice(27, 14, -1)
_BEARD_HAIRS: Final = 22_000
_LEAST_BEARD: Final = 0.5

Curves = npt.NDArray[np.float32]
"""float32[N, _POINTS, 3]."""
_Placed = Callable[[Posed], Curves]


def brows(presenter: Presenter, seed: int) -> Strands:
    """Return the brows: hairs on the pack's strip, upright at the nose and along the brow further out."""
    section = presenter.character.brows
    rng = np.random.default_rng([seed, 11])
    garment = read_garment(presenter.pack.part("eyebrows", section.part))
    faces = garment.mesh.faces
    at_rest = garment.fitted(presenter.rest)
    quad = at_rest[np.where(faces < 0, faces[:, :1], faces)]
    area = np.linalg.norm(np.cross(quad[:, 2] - quad[:, 0], quad[:, 3] - quad[:, 1]), axis=1)
    count = max(60, round(_BROW_HAIRS * min(section.thickness, 1.6)))
    chosen = rng.choice(len(faces), count, p=area / area.sum())
    u, v = rng.random((2, count, 1)) * 0.96 + 0.02
    tilt = rng.normal(0, 0.14, (count, 1))
    long = rng.uniform(0.6, 1.1, (count, 1, 1)) * 0.050
    corners = faces[chosen]
    t = np.linspace(0.0, 1.0, _POINTS)[None, :, None]
    middle = float(np.abs(at_rest[:, 0]).min())
    reach = float(np.abs(at_rest[:, 0]).max()) - middle

    def placed(posed: Posed) -> Curves:
        points = garment.fitted(posed.local_body)
        a, b, c, d = (points[corners[:, k]] for k in range(4))
        root = (a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v
        side = np.sign(root[:, :1])
        out = np.clip((np.abs(root[:, :1]) - middle) / reach, 0, 1)
        way = np.concatenate((side * (0.45 + 0.75 * out), 0.85 - 1.25 * out + tilt, -0.15 - 0.75 * out), 1)
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        away = np.concatenate((side * (0.15 + 0.5 * out), 0.15 + 0 * out, 1 - 0.3 * out), 1)
        curve = root[:, None] + way[:, None] * t * long
        curve += away[:, None] * (0.012 * np.sin(t * 2.6) + 0.004)
        return posed.turned(curve).astype(np.float32)

    width = 0.0036 * (0.7 + 0.3 * section.thickness) * np.linspace(1.0, 0.35, _POINTS, dtype=np.float32)
    return _following(presenter, placed, width, linear(section.colour), count, 0.25)


def lashes(presenter: Presenter, seed: int) -> Strands:
    """Return the lashes: on the lids' rims, fanned out, bent up; they come down with the lids."""
    share = presenter.character.brows.lashes
    rng = np.random.default_rng([seed, 13])
    eyes = presenter.eyes
    rows: list[npt.NDArray[np.int64]] = []
    places: list[npt.NDArray[np.float64]] = []
    kinds: list[npt.NDArray[np.float64]] = []
    # The viewer's left eye is the character's right one.
    for number, lid in ((1, LID_LEFT), (0, LID_RIGHT)):
        for columns, usual, above in ((_UPPER, _UPPER_LASHES, 1.0), (_LOWER, _LOWER_LASHES, 0.0)):
            rim = lid[_RIM, columns]
            count = max(8, round(usual * (0.5 + 0.5 * share)))
            along = np.sort(rng.random(count)) * (len(rim) - 1)
            k = np.minimum(along.astype(int), len(rim) - 2)
            rows.append(np.stack((rim[k], rim[k + 1]), 1))
            places.append(along - k)
            kinds.append(np.stack((np.full(count, number), np.full(count, above), along / (len(rim) - 1)), 1))
    pair, place = np.concatenate(rows), np.concatenate(places)[:, None]
    kind = np.concatenate(kinds)
    count = len(pair)
    eyeball, upper, out = kind[:, 0].astype(int), kind[:, 1:2], kind[:, 2:]
    # Longest at two thirds of the way out.
    long = np.where(upper > 0, 0.060, 0.020) * (
        0.35 + 0.65 * np.sin(np.pi * np.clip(0.25 + 0.62 * out, 0, 1))
    )
    long = long * rng.uniform(0.75, 1.1, (count, 1)) * (0.45 + 0.75 * share)
    fan = rng.normal(0, 0.10, (count, 1))
    t = np.linspace(0.0, 1.0, _POINTS)[None, :, None]
    outward = np.where(eyeball == 0, 1.0, -1.0)[:, None]

    def placed(posed: Posed) -> Curves:
        ends = posed.local_body[pair]
        root = ends[:, 0] * (1 - place) + ends[:, 1] * place
        away = root - eyes[eyeball]
        away /= np.linalg.norm(away, axis=1, keepdims=True)
        up = np.array([0.0, 1.0, 0.0]) - away[:, 1:2] * away
        up /= np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-9)
        sign = 2 * upper - 1
        side = np.concatenate((outward * ((out - 0.35) * 0.9 + fan), 0 * fan, 0 * fan), 1)
        way = away + side + sign * up * 0.65
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        bend = sign * up * (0.6 * long)
        curve = root[:, None] + way[:, None] * (t * long[:, None]) + bend[:, None] * t**2
        return posed.turned(curve).astype(np.float32)

    width = (0.0024 * np.linspace(1.0, 0.2, _POINTS)).astype(np.float32)
    return _following(presenter, placed, width, (0.010, 0.007, 0.006), count, 0.15)


def beard(presenter: Presenter, seed: int, density: float = 1.0) -> Strands | None:
    """Return a short beard where the skin's paint has one, None when it is shaved."""
    skin = presenter.character.skin
    if skin.beard < _LEAST_BEARD:
        return None
    rng = np.random.default_rng([seed, 17])
    rest, rows = presenter.rest, presenter.skin_rows
    where = np.zeros(len(rest))
    where[rows] = presenter.beard[rows]
    faces = triangles(presenter.base.faces)
    faces = faces[(where[faces] > 0.12).all(1)]
    count = round(_BEARD_HAIRS * density * skin.beard)
    roots = scatter(rest, faces, where**1.5, count, rng)
    long = rng.uniform(0.6, 1.1, (count, 1, 1)) * (0.02 + 0.09 * (skin.beard - 0.4))
    ruffle = rng.normal(0, 0.25, (count, 3))
    t = np.linspace(0.0, 1.0, _POINTS)[None, :, None]
    a, b, c = roots.triangles.T

    def placed(posed: Posed) -> Curves:
        body = posed.local_body
        root = roots.on(body)
        normal = np.cross(body[b] - body[a], body[c] - body[a])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        way = 0.55 * normal + ruffle
        way[:, 1] -= 0.85
        way += np.maximum(0.25 - (way * normal).sum(1, keepdims=True), 0.0) * normal
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        curve = root[:, None] - 0.004 * normal[:, None] + way[:, None] * t * long
        return posed.turned(curve).astype(np.float32)

    width = (0.0036 / max(density, 1e-3) ** 0.5 * np.linspace(1.0, 0.3, _POINTS)).astype(np.float32)
    found = _following(presenter, placed, width, linear(skin.beard_colour), count, 0.3)
    grey = rng.random(count) < presenter.character.hair.grey
    found.albedo[grey] = 0.36
    return found


def _following(
    presenter: Presenter,
    placed: _Placed,
    width: npt.NDArray[np.float32],
    colour: tuple[float, float, float],
    count: int,
    shine: float,
) -> Strands:
    points = placed(presenter.at_rest())
    shade = np.random.default_rng(count).uniform(0.8, 1.2, (count, 1, 1))
    albedo = (np.array(colour) * shade * np.ones((1, _POINTS, 1))).astype(np.float32)
    widths = np.tile(width, (count, 1))
    return Strands(points, widths, albedo, np.ones((count, _POINTS), np.float32), shine, placed)
