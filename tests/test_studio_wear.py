"""Glasses and earrings: closed, outside the head, within their budget, and where the head is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

import moderngl
import numpy as np
import numpy.typing as npt
import pytest

from studio.character import ClothesSection
from studio.mesh import NO_CORNER, Faces, Points
from studio.presenter import Posed
from studio.raster import shaders
from studio.raster.figure import LABELS
from studio.raster.stage import open_context
from studio.rotation import head_rotation
from studio.subdivide import Shading, triangles
from studio.truth.render import Label
from studio.wear import Rigid, made
from studio.wear_fit import Face, Relief
from studio.wear_shapes import Shape, ball, disc, joined, tube

pytestmark = pytest.mark.unit

Glasses = Literal["round", "square"]
_MIDDLE = np.array([0.0, 6.5, 0.4])
_RADII = np.array([0.72, 1.05, 0.95])
_BOTH = pytest.mark.parametrize("glasses", ["round", "square"])
_FINE = pytest.mark.parametrize("fine", [True, False])


def skin(size: float = 1.0, nose: float = 0.10, cheeks: float = 0.0) -> tuple[Points, npt.NDArray[np.int32]]:
    """An egg with a nose `nose` dm wide to either side, and cheeks that may be puffed."""
    egg = ball(np.zeros(3), 1.0, 96)
    points = egg.points * _RADII
    x, y, z = points.T
    ridge = np.exp(-((x / nose) ** 4) - ((y + 0.15) / 0.3) ** 4) * (z > 0)
    puffed = np.exp(-(((np.abs(x) - 0.35) / 0.15) ** 2) - ((y + 0.12) / 0.12) ** 2) * (z > 0)
    points[:, 2] += 0.22 * ridge + cheeks * puffed
    return points * size + _MIDDLE, triangles(egg.faces)


def head(size: float = 1.0, nose: float = 0.10, cheeks: float = 0.0) -> Face:
    points, corners = skin(size, nose)
    moods = (points, skin(size, nose, cheeks)[0])

    def both(x: float, y: float, z: float) -> Points:
        return np.asarray(np.array([[x, y, z], [-x, y, z]]) * size + _MIDDLE)

    return Face(both(0.29, 0.08, 0.60), both(0.72, 0.1, 0.0), both(0.72, -0.35, 0.05), moods, corners)


def worn(glasses: Glasses, face: Face | None = None, *, fine: bool = True) -> dict[str, Rigid]:
    clothes = ClothesSection(glasses=glasses, earrings=True)
    return {part.surface.name: part for part in made(face or head(), clothes, fine=fine)}


def edges(faces: Faces) -> Counter[tuple[int, int]]:
    corners = triangles(faces)
    return Counter((int(t[k]), int(t[(k + 1) % 3])) for t in corners for k in range(3))


def is_closed(faces: Faces) -> bool:
    """Each edge is of two faces that face the same way."""
    found = edges(faces)
    return all(count == 1 and found[(b, a)] == 1 for (a, b), count in found.items())


def volume(points: Points, faces: Faces) -> float:
    a, b, c = (points[triangles(faces)[:, k]] for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def way(count: int, *, closed: bool) -> Points:
    t = np.linspace(0, 2 * np.pi if closed else np.pi, count, endpoint=not closed)
    return np.stack((np.cos(t), np.sin(t), 0.2 * np.sin(2 * t)), 1)


@pytest.mark.parametrize("sides", [3, 4, 8])
@pytest.mark.parametrize("closed", [True, False])
def test_a_tube_is_closed_and_faces_outwards(sides: int, *, closed: bool) -> None:
    path = way(40, closed=closed)
    found = tube(path, path, (0.05, 0.03), sides, closed=closed)
    assert is_closed(found.faces)
    assert volume(found.points, found.faces) > 0
    side = found.points[: 40 * sides]
    out = side - np.repeat(path, sides, 0)
    normals = Shading(found.faces, len(found.points)).normals(found.points.astype(np.float32))
    assert ((out * normals[: len(side)]).sum(1) > 0).all()
    assert np.linalg.norm(out, axis=1).max() <= 0.05 + 1e-9


@pytest.mark.parametrize("sides", [4, 8, 13])
def test_a_ball_is_closed_and_round(sides: int) -> None:
    middle = np.array([1.0, 2.0, 3.0])
    found = ball(middle, 0.5, sides)
    assert is_closed(found.faces)
    assert np.linalg.norm(found.points - middle, axis=1) == pytest.approx(0.5)
    assert 0 < volume(found.points - middle, found.faces) < 4 / 3 * np.pi * 0.5**3


def test_a_mirror_keeps_the_outside_outside() -> None:
    shape = ball(np.array([2.0, 0.0, 0.0]), 0.5, 6)
    mirrored = shape.mirrored()
    assert mirrored.points[:, 0].mean() == pytest.approx(-2)
    assert volume(mirrored.points, mirrored.faces) == pytest.approx(volume(shape.points, shape.faces))
    assert (mirrored.faces[:, -1] == NO_CORNER).sum() == (shape.faces[:, -1] == NO_CORNER).sum()
    two = joined(shape, mirrored)
    assert is_closed(two.faces)
    assert len(triangles(two.faces)) == 2 * len(triangles(shape.faces))


def test_a_disc_faces_the_viewer() -> None:
    rim = np.stack((np.cos(t := np.arange(12) / 12 * 2 * np.pi), np.sin(t), 0 * t), 1)
    found: Shape = disc(rim, np.zeros(3))
    normals = Shading(found.faces, 13).normals(found.points.astype(np.float32))
    assert normals[:, 2] == pytest.approx(1)


@_BOTH
@_FINE
def test_what_is_worn_is_closed_symmetric_and_cheap(glasses: Glasses, *, fine: bool) -> None:
    parts = worn(glasses, fine=fine)
    assert list(parts) == ["glasses", "lenses", "earrings"]
    assert [part.surface.material for part in parts.values()] == ["frame", "lens", "metal"]
    total = sum(len(triangles(part.surface.faces)) for part in parts.values())
    assert total <= (1500 if fine else 400)
    for part in (parts["glasses"], parts["earrings"]):
        assert is_closed(part.surface.faces)
        assert volume(part.points, part.surface.faces) > 0
    for part in parts.values():
        assert len(part.points) == len(part.normals) == len(part.surface.albedo)
        assert np.linalg.norm(part.normals, axis=1) == pytest.approx(1, abs=1e-5)
        there, back = (np.round(part.points * (side, 1, 1), 6) + 0.0 for side in (1, -1))
        assert {tuple(p) for p in there} == {tuple(p) for p in back}
    assert (parts["lenses"].normals[:, 2] > 0.8).all()


@_BOTH
@_FINE
@pytest.mark.parametrize("size", [0.85, 1.0, 1.2])
@pytest.mark.parametrize("nose", [0.07, 0.14])
def test_nothing_cuts_into_the_head(glasses: Glasses, size: float, nose: float, *, fine: bool) -> None:
    face = head(size, nose, cheeks=0.05)
    parts = worn(glasses, face, fine=fine)
    for name in ("glasses", "lenses"):
        points = parts[name].points
        within = (points - _MIDDLE) / (_RADII * size)
        assert (np.linalg.norm(within, axis=1) > 1.0).all()
        ahead = points[(points[:, 2] > face.eyes[0, 2]) & (np.abs(points[:, 0]) < 0.5 * size)]
        skin_z = Relief(face, "front").around(np.abs(ahead[:, 0]), ahead[:, 1], 0.0)
        assert (ahead[:, 2] > skin_z).all()


@_BOTH
def test_eyes_look_through_the_lenses(glasses: Glasses) -> None:
    face = head()
    lens = worn(glasses, face)["lenses"].points
    for eye, side in zip(face.eyes, (1, -1), strict=True):
        rim = lens[lens[:, 0] * side > 0]
        low, high = rim.min(0), rim.max(0)
        assert (low[:2] + 0.08 < eye[:2]).all()
        assert (eye[:2] < high[:2] - 0.08).all()
        assert 0 < side * ((low + high) / 2 - eye)[0] < 0.1


@_BOTH
def test_they_fit_who_wears_them(glasses: Glasses) -> None:
    def front(face: Face) -> Points:
        return worn(glasses, face)["lenses"].points

    small, large = front(head(0.85)), front(head(1.2))
    assert np.ptp(large[:, 0]) > np.ptp(small[:, 0]) + 0.2
    assert front(head(cheeks=0.2))[:, 2].mean() > front(head())[:, 2].mean() + 0.02
    thin, broad = (np.abs(front(head(nose=n))[:, 0]).min() for n in (0.05, 0.15))
    assert broad > thin


def test_temples_reach_behind_the_ears() -> None:
    face = head()
    frame = worn("square", face)["glasses"].points
    behind = frame[frame[:, 2] < face.ears[0, 2] - 0.2]
    assert len(behind)
    assert (behind[:, 1] < face.ears[0, 1]).all()
    over = frame[np.abs(frame[:, 2] - face.ears[0, 2]) < 0.01]
    assert (over[:, 1] >= face.ears[0, 1] - 1e-9).all()


def test_earrings_sit_in_the_lobes() -> None:
    face = head()
    points = worn("round", face)["earrings"].points
    for lobe in face.lobes:
        assert np.linalg.norm(points - lobe, axis=1).min() < 0.03


@pytest.mark.parametrize("glasses", ["none", "round"])
@pytest.mark.parametrize("earrings", [True, False])
def test_only_what_is_described_is_worn(glasses: Any, *, earrings: bool) -> None:
    names = {
        p.surface.name for p in made(head(), ClothesSection(glasses=glasses, earrings=earrings), fine=True)
    }
    assert names == ({"glasses", "lenses"} if glasses != "none" else set()) | (
        {"earrings"} if earrings else set()
    )


def test_it_goes_where_the_head_goes() -> None:
    turn, pivot, offset = head_rotation(30, -12, 7), np.array([0.0, 5.5, 0.2]), np.array([0.1, 0.02, -0.05])
    none = np.zeros((0, 3))
    posed = Posed({}, {}, none, none, turn, pivot, offset, np.zeros((2, 3)), (turn, turn))
    part = worn("round")["glasses"]
    points, normals = part.placed(posed.turned, posed.head)
    assert points.dtype == normals.dtype == np.float32
    assert points == pytest.approx((part.points - pivot) @ turn.T + pivot + offset, abs=1e-5)
    again = Shading(part.surface.faces, len(points)).normals(points)
    assert normals == pytest.approx(again, abs=2e-3)


def test_masks_call_it_nothing() -> None:
    assert LABELS["frame"] == LABELS["metal"] == Label.NOTHING


@pytest.fixture(scope="module")
def context() -> Iterator[moderngl.Context]:
    found = open_context()
    yield found
    found.release()


@pytest.mark.parametrize("fragment", ["frame", "lens"])
def test_its_programs_compile(context: moderngl.Context, fragment: str) -> None:
    assert "to_clip" in shaders.load(context, "surface", fragment)
