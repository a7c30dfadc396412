"""Hair on an egg of a head: where it starts, where it may not go, how much of it there is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from studio.character import HairSection
from studio.groom.scalp import _clear_of_face, _clumped, _coloured, _grown, _shaped
from studio.groom.styles import HAIR_STYLES, STYLES
from studio.groom.surface import Ground, scatter
from studio.hairline import Head, scalp
from studio.subdivide import Refined, Shading, refine, triangles

pytestmark = pytest.mark.unit

HEAD = Head(eye_y=6.6, head_z=0.4, crown_y=7.66)
RADII = np.array([0.78, 1.06, 0.95])
MIDDLE = np.array([0.0, 6.6, 0.5])
Points = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def egg() -> tuple[Points, Points, Refined]:
    """Points, normals and mesh of a head-sized egg."""
    cube = np.array(
        [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]], np.int32
    )
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
    fine = refine(cube, 8, 5)
    round_ = np.asarray(fine.weights @ corners)
    points = round_ / np.linalg.norm(round_, axis=1, keepdims=True) * RADII + MIDDLE
    normals = Shading(fine.faces, len(points)).normals(points.astype(np.float32)).astype(np.float64)
    return points, normals, fine


def inside(points: Points) -> npt.NDArray[np.float64]:
    """Return how deep points lie in the egg, decimetres, about; negative: outside."""
    return np.asarray((1 - np.linalg.norm((points - MIDDLE) / RADII, axis=-1)) * RADII.min())


def strands_of(
    style: str, egg: tuple[Points, Points, Refined], hair: HairSection, count: int = 400
) -> Points:
    points, normals, fine = egg
    rng = np.random.default_rng(3)
    roots = scatter(points, triangles(fine.faces), scalp(points, HEAD), count, rng)
    grown = _grown(
        roots.on(points), roots.on(normals), Ground(points, normals), HEAD, hair, STYLES[style], rng
    )
    return _shaped(_clumped(grown, STYLES[style], rng), hair, STYLES[style], rng)


def test_hair_grows_on_top_and_behind_not_on_the_face() -> None:
    crown, forehead, cheek, nape, back = scalp(
        np.array([[0, 7.6, 0.3], [0, 6.9, 1.4], [0.5, 6.2, 1.2], [0, 5.6, -0.6], [0, 6.8, -0.5]]), HEAD
    )
    assert crown == back == 1
    assert forehead == cheek == nape == 0


def test_roots_are_spread_by_area_and_density(egg: tuple[Points, Points, Refined]) -> None:
    points, _, fine = egg
    density = (points[:, 1] > MIDDLE[1]).astype(float)
    roots = scatter(points, triangles(fine.faces), density, 4000, np.random.default_rng(1))
    at = roots.on(points)
    assert (at[:, 1] > MIDDLE[1] - 0.1).all()
    left, right = (at[:, 0] < 0).sum(), (at[:, 0] > 0).sum()
    assert abs(left - right) < 200
    assert np.abs(inside(at)).max() < 0.02
    assert not len(scatter(points, triangles(fine.faces), density * 0, 10, np.random.default_rng(1)).shares)


@pytest.mark.parametrize("style", STYLES)
def test_hair_stays_out_of_the_head(style: str, egg: tuple[Points, Points, Refined]) -> None:
    found = strands_of(style, egg, HairSection(style=style))
    assert np.isfinite(found).all()
    # What waves and curls may dip into the skin where it leaves it, no strand runs through the head.
    assert np.quantile(inside(found[:, 2:]), 0.99) < 0.06
    steps = np.linalg.norm(np.diff(found, axis=1), axis=-1)
    assert steps.max() < 0.6


def test_the_same_seed_grows_the_same_hair(egg: tuple[Points, Points, Refined]) -> None:
    hair = HairSection(style="lob", curl=0.5)
    assert (strands_of("lob", egg, hair) == strands_of("lob", egg, hair)).all()


def test_longer_hair_hangs_lower(egg: tuple[Points, Points, Refined]) -> None:
    short = strands_of("bob", egg, HairSection(style="bob"))
    long = strands_of("long", egg, HairSection(style="long"))
    longer = strands_of("long", egg, HairSection(style="long", length=1.5))
    lowest = [np.quantile(s[:, -1, 1], 0.2) for s in (short, long, longer)]
    assert lowest[0] > lowest[1] + 0.3
    assert lowest[1] > lowest[2] + 0.3


def test_no_strand_hangs_before_the_face() -> None:
    t = np.linspace(0, 1, 10)[:, None]
    over_face = np.array([0.0, 7.2, 1.4]) * (1 - t) + np.array([0.1, 6.0, 1.6]) * t
    beside = np.array([0.7, 7.2, 0.6]) * (1 - t) + np.array([0.8, 5.5, 0.6]) * t
    assert _clear_of_face(np.stack((over_face, beside)), HEAD).tolist() == [False, True]


def test_grey_comes_hair_by_hair() -> None:
    points = np.random.default_rng(1).normal(0, 1, (2000, 6, 3))
    found = _coloured(points, HairSection(colour="#201008", grey=0.3), np.random.default_rng(2))
    light = found[:, 2].mean(1) > 0.2
    assert light.mean() == pytest.approx(0.3, abs=0.05)
    assert found.min() > 0


def test_every_style_has_its_fields() -> None:
    assert HAIR_STYLES[0] == "none"
    at = np.array([[0.2, 7.4, 0.4], [0.7, 6.4, 0.1]])
    for style in STYLES.values():
        way = style.flow(at, np.array([[0, 1.0, 0], [1.0, 0, 0]]), HEAD, HairSection())
        assert np.isfinite(way).all()
        assert (style.length(at, HEAD, HairSection()) > 0).all()
        assert (style.off(at, HEAD) > 0).all()
