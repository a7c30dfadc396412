"""Hair on an egg of a head: where it starts, what it keeps out of, one shape at any density."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from studio.character import HairSection
from studio.hair.colour import coloured
from studio.hair.ground import Ground, ground
from studio.hair.guides import beside_face, cut
from studio.hair.hairdo import Hairdo, Scalp, dressed
from studio.hair.locks import frames
from studio.hair.roots import scatter
from studio.hair.styles import HAIR_STYLES, STYLES
from studio.pack import StudioError

pytestmark = pytest.mark.unit

Points = npt.NDArray[np.float64]
RADII = np.array([0.72, 1.05, 0.92])
MIDDLE = np.array([0.0, 0.0, 0.06])
_HIGHEST = 1.05
DENSITY = 0.04
FALLING = ("bob", "lob", "long", "waves_short")


@pytest.fixture(scope="module")
def egg() -> Scalp:
    """A head in head units: hair grows on its top and back."""
    down, around = np.meshgrid(
        np.linspace(0.0, np.pi, 41), np.linspace(0, 2 * np.pi, 80, endpoint=False), indexing="ij"
    )
    way = np.stack((np.sin(down) * np.sin(around), np.cos(down), np.sin(down) * np.cos(around)), -1)
    points = (way * RADII + MIDDLE).reshape(-1, 3)
    normals = (way / RADII).reshape(-1, 3)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    row, column = np.meshgrid(np.arange(40), np.arange(80), indexing="ij")
    a, b = row * 80 + column, row * 80 + (column + 1) % 80
    triangles = np.concatenate(
        [np.stack(t, -1).reshape(-1, 3) for t in ((a, a + 80, b), (b, a + 80, b + 80))]
    )
    grows = ((points[:, 1] > 0.55) | ((points[:, 2] < 0.0) & (points[:, 1] > -0.4))).astype(np.float64)
    return Scalp(points, normals, triangles.astype(np.int32), grows, ground(points, normals))


def depth(points: Points) -> Points:
    """Return about how deep points lie in the egg."""
    return np.asarray((1 - np.linalg.norm((points - MIDDLE) / RADII, axis=-1)) * RADII.min())


@pytest.fixture(scope="module")
def hairdos(egg: Scalp) -> dict[str, Hairdo]:
    return {name: dressed(egg, HairSection(style=name), 3, DENSITY) for name in STYLES}


def test_the_ground_knows_how_far_away_it_is(egg: Scalp) -> None:
    way = np.random.default_rng(1).normal(size=(300, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    on = way * RADII + MIDDLE
    normal = way / RADII
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    for far in (-0.05, 0.0, 0.08, 0.25):
        at = on + far * normal
        assert np.abs(egg.ground.height(at) - far).max() < 0.03
        assert ((egg.ground.out(at) * normal).sum(1) > 0.9).all()
    assert (egg.ground.height(MIDDLE[None]) < -0.3).all()


def test_a_closed_ground_bridges_hollows() -> None:
    rng = np.random.default_rng(2)
    way = rng.normal(size=(6000, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    # Two balls side by side: the gap between them is a hollow.
    points = np.concatenate([0.5 * way + (0.0, y, 0.0) for y in (0.55, -0.55)])
    found = ground(points, np.concatenate((way, way)))
    gap = np.array([[0.20, 0.0, 0.0]])
    assert found.height(gap)[0] > 0.05
    assert found.closed(0.4).height(gap)[0] < 0.0
    # What no hollow is stays as it was.
    out = np.array([[0.0, 1.15, 0.0], [0.6, 0.6, 0.0]])
    assert np.abs(found.closed(0.4).height(out) - found.height(out)).max() < 0.05


@pytest.mark.parametrize("style", STYLES)
def test_strands_start_on_the_scalp(style: str, hairdos: dict[str, Hairdo]) -> None:
    roots = hairdos[style].curves[:, 0]
    if style == "bun":  # the knot's own strands start in the knot
        roots = roots[np.abs(depth(roots)) < 0.05]
        assert len(roots) > 100
    assert np.abs(depth(roots)).max() < 0.05
    assert ((roots[:, 1] > 0.5) | ((roots[:, 2] < 0.1) & (roots[:, 1] > -0.5))).all()


@pytest.mark.parametrize("style", STYLES)
def test_no_strand_enters_the_head(style: str, hairdos: dict[str, Hairdo]) -> None:
    hairdo = hairdos[style]
    assert np.isfinite(hairdo.curves).all()
    assert depth(hairdo.curves[:, 1:]).max() < 0.05
    # Nor does it jump.
    steps = np.linalg.norm(np.diff(hairdo.curves, axis=1), axis=-1)
    assert steps.max() < 0.6


@pytest.mark.parametrize("style", FALLING)
def test_long_hair_hangs_beside_the_face(style: str, hairdos: dict[str, Hairdo]) -> None:
    x, y, z = np.moveaxis(hairdos[style].curves, -1, 0)
    before_face = (z > 0.5) & (np.abs(x) < 0.45) & (y < 0.35) & (y > -0.8)
    assert not before_face.any()


@pytest.mark.parametrize("style", STYLES)
def test_widths_and_colours_can_be_drawn(style: str, hairdos: dict[str, Hairdo]) -> None:
    hairdo = hairdos[style]
    assert hairdo.curves.shape[:2] == hairdo.widths.shape == hairdo.albedo.shape[:2]
    assert hairdo.widths.min() > 0
    assert hairdo.widths.max() < 0.06
    assert 0 < hairdo.albedo.min() <= hairdo.albedo.max() < 1


def test_the_same_seed_grows_the_same_hair(egg: Scalp, hairdos: dict[str, Hairdo]) -> None:
    again = dressed(egg, HairSection(style="lob"), 3, DENSITY)
    assert (again.curves == hairdos["lob"].curves).all()
    assert (again.albedo == hairdos["lob"].albedo).all()
    other = dressed(egg, HairSection(style="lob"), 4, DENSITY)
    assert other.curves.shape != again.curves.shape or (other.curves != again.curves).any()


@pytest.mark.parametrize("style", ["bob", "side_part", "curls"])
def test_density_changes_how_many_strands_there_are_not_their_shape(
    style: str, egg: Scalp, hairdos: dict[str, Hairdo]
) -> None:
    few, many = hairdos[style], dressed(egg, HairSection(style=style), 3, 4 * DENSITY)
    assert len(many.curves) == pytest.approx(4 * len(few.curves), rel=0.05)
    assert few.widths.mean() > 1.5 * many.widths.mean()
    for low, high in ((0.02, 0.05), (0.98, 0.95)):
        size = [np.quantile(each.curves.reshape(-1, 3), low, axis=0) for each in (few, many)]
        assert np.abs(size[0] - size[1]).max() < 0.06, high


def test_length_and_volume_are_heeded(egg: Scalp) -> None:
    def grown(**wish: float) -> Points:
        return dressed(egg, HairSection.model_validate({"style": "lob"} | wish), 3, DENSITY).curves

    usual, long, flat, full = grown(), grown(length=1.4), grown(volume=0.5), grown(volume=1.6)
    assert np.quantile(long[:, -1, 1], 0.1) < np.quantile(usual[:, -1, 1], 0.1) - 0.3
    tops = [np.quantile(each[..., 1], 0.999) for each in (flat, usual, full)]
    assert tops[0] < tops[1] < tops[2]


def test_the_parting_moves(egg: Scalp) -> None:
    def parted(parting: float) -> float:
        curves = dressed(egg, HairSection(style="bob", parting=parting), 3, DENSITY).curves
        front = curves[(curves[:, 0, 1] > 0.7) & (curves[:, 0, 2] > 0.2)]
        rightward = front[:, 6, 0] > front[:, 0, 0]
        # Between hair that goes left and hair that goes right.
        return float(0.5 * (front[~rightward, 0, 0].max() + front[rightward, 0, 0].min()))

    assert parted(-0.7) < -0.1
    assert abs(parted(0.0)) < 0.1
    assert parted(0.7) > 0.1


def test_an_unknown_style_is_named() -> None:
    assert HAIR_STYLES[0] == "none"
    nothing = np.zeros((0, 3))
    bare = Scalp(nothing, nothing, np.zeros((0, 3), np.int32), np.zeros(0), Ground(nothing, nothing))
    with pytest.raises(StudioError, match="mullet"):
        dressed(bare, HairSection(style="mullet"), 1)


def test_hair_is_cut_at_a_line() -> None:
    falling = np.stack((np.zeros(11), np.linspace(1, -1, 11), np.zeros(11)), 1)
    found = cut(np.stack((falling, falling)), np.array([-0.33, -5.0]))
    assert found[0, -1, 1] == pytest.approx(-0.33)
    assert np.ptp(np.diff(found[0, :, 1])) < 1e-9
    assert found[1] == pytest.approx(falling)


def test_places_before_the_face_go_to_its_side() -> None:
    at = np.array([[0.1, -0.2, 1.0], [0.9, -0.2, 0.2], [0.0, 1.0, 1.0]])
    found = beside_face(at, np.array([-1.0, 1.0, 1.0]))
    assert found[0, 0] < -0.5
    assert found[1:] == pytest.approx(at[1:])


def test_frames_do_not_twist() -> None:
    t = np.linspace(0, 2, 40)
    curve = np.stack((np.sin(t), np.cos(t), 0.3 * t), 1)[None]
    found = frames(curve, np.array([[0.0, 1.0, 0.0]]))
    for axis in (found.along, found.across, found.away):
        assert np.linalg.norm(axis, axis=-1) == pytest.approx(1.0)
    assert (found.along * found.away).sum(-1) == pytest.approx(0.0, abs=1e-9)
    assert ((found.away[:, 1:] * found.away[:, :-1]).sum(-1) > 0.99).all()


def test_roots_are_even_and_where_hair_grows(egg: Scalp) -> None:
    roots = scatter(egg.points, egg.triangles, egg.grows, 3000, np.random.default_rng(1))
    at = roots.of(egg.points)
    left, right = (at[:, 0] < 0).sum(), (at[:, 0] > 0).sum()
    assert abs(int(left) - int(right)) < 100
    assert (roots.of(egg.grows[:, None]) > 0).all()
    assert not len(scatter(egg.points, egg.triangles, 0 * egg.grows, 10, np.random.default_rng(1)).shares)


def test_grey_comes_hair_by_hair_and_roots_are_darker() -> None:
    rng = np.random.default_rng(1)
    roots, one = rng.normal(0, 0.3, (4000, 3)), np.zeros(4000, np.int64)

    def colours(grey: float) -> npt.NDArray[np.float32]:
        hair = HairSection(colour="#20140c", grey=grey)
        return coloured(roots, hair, one, np.ones(4000), 8, np.random.default_rng(2))

    dark, mixed = colours(0.0), colours(0.5)
    assert (dark[:, 0].mean(0) < dark[:, 3].mean(0)).all()
    changed = (np.abs(mixed - dark).max((1, 2)) > 0.01).mean()
    assert 0.35 < changed < 0.75
