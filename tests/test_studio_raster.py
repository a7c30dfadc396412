"""The studio's renderer, on shapes whose light is known; needs OpenGL, no head pack."""

from __future__ import annotations

from collections.abc import Iterator

import moderngl
import numpy as np
import numpy.typing as npt
import pytest

from studio.character import LightSection
from studio.raster import shaders
from studio.raster.bake import ShadowMaps, Spread
from studio.raster.camera import Camera
from studio.raster.light import ROOM, Samples, portrait_light
from studio.raster.ribbons import along, casting_mesh, quads
from studio.raster.stage import before, develop, open_context
from studio.sitting import Crop, cropped
from studio.strands import Strands
from studio.subdivide import Refined, Shading, refine, triangles

pytestmark = pytest.mark.unit

CUBE = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]], np.int32
)
CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
MIDDLE = np.array([0.0, 5.6, 0.3])
"""Of what shadow maps look at."""


@pytest.fixture(scope="module")
def context() -> Iterator[moderngl.Context]:
    found = open_context()
    yield found
    found.release()


@pytest.fixture(scope="module")
def ball() -> tuple[npt.NDArray[np.float32], Refined]:
    """A ball of radius 1 about MIDDLE."""
    fine = refine(CUBE, len(CORNERS), 4)
    points = np.asarray(fine.weights @ CORNERS)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return (points + MIDDLE).astype(np.float32), fine


def test_refining_keeps_a_plane_and_makes_a_cube_round() -> None:
    fine = refine(CUBE, len(CORNERS), 3)
    far = np.linalg.norm(fine.weights @ CORNERS, axis=1)
    assert far.max() / far.min() < 1.05
    assert np.asarray(fine.weights.sum(1)) == pytest.approx(1.0, abs=1e-5)
    # A sheet with a border, one of its faces a triangle: it stays flat, and its border stays straight.
    sheet = np.array([[0, 1, 4, 3], [1, 2, 5, 4], [3, 4, 6, -1]], np.int32)
    flat = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0], [1, 1, 0], [2, 1, 0], [0, 2, 0]], np.float64)
    finer = refine(sheet, 7, 2)
    points = finer.weights @ flat
    assert not points[:, 2].any()
    assert points[:, 1].min() == pytest.approx(0.0)
    assert (finer.faces >= 0).all()
    assert len(triangles(sheet)) == 5


def test_normals_of_a_ball_point_outwards(ball: tuple[npt.NDArray[np.float32], Refined]) -> None:
    points, fine = ball
    normals = Shading(fine.faces, len(points)).normals(points)
    out = points - MIDDLE.astype(np.float32)
    assert ((normals * out).sum(1) > 0.99).all()


def test_a_camera_projects_as_it_draws() -> None:
    camera = Camera(np.array([0.0, 5.0, 20.0]), np.array([0.0, 5.0, 0.0]), 20.0, 640, 360)
    middle, right, up = camera.project(np.array([[0.0, 5.0, 0.0], [1.0, 5.0, 0.0], [0.0, 6.0, 0.0]]))
    assert middle == pytest.approx([320, 180])
    assert right[0] > 320
    assert up[1] < 180
    pixel = 180 / np.tan(np.radians(10)) / 20
    assert right[0] - 320 == pytest.approx(pixel)
    shifted = Camera(camera.place, camera.target, 20.0, 640, 360, (0.5, -0.25))
    assert shifted.project(np.array([0.0, 5.0, 0.0])) == pytest.approx([320 + 90, 180 - 45])


@pytest.mark.parametrize("roll", [0.0, 30.0])
def test_a_crop_shows_the_same_pixels(roll: float) -> None:
    points = np.random.default_rng(1).normal((0.0, 5.0, 0.0), 1, (20, 3))
    camera = Camera(np.array([0.0, 5.2, 18.0]), np.array([0.0, 5.2, 0.0]), 22.0, 640, 360, (0.1, -0.2))
    crop = Crop(200, 96, 128, 160)
    assert cropped(camera, crop).project(points) == pytest.approx(camera.project(points) - (200, 96))
    whole = Camera(camera.place, camera.target, 22.0, 256, 256, roll_deg=roll)
    part = whole.zoomed((0.25, -0.125), 0.5, 512)
    at = whole.project(points) / 128 - 1
    turn = np.radians(roll)
    upright = at @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]).T
    wanted = (upright - (0.25, -0.125)) / 0.5
    back = part.project(points) / 256 - 1
    assert back @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]).T == pytest.approx(
        wanted
    )


def test_samples_bring_what_lamps_and_room_do() -> None:
    light = portrait_light(LightSection())
    samples = light.samples(30, 400)
    for k, lamp in enumerate(light.lamps):
        mine = samples.lamp == k
        assert samples.bring[mine].sum(0) == pytest.approx(lamp.irradiance)
        assert (samples.ways[mine] @ lamp.towards).min() > np.cos(np.radians(lamp.radius_deg + 1))
    room = samples.lamp == ROOM
    # A surface that faces up under an even sky gets pi times its radiance.
    up = samples.ways[room, 1].clip(0)
    assert (samples.bring[room] * up[:, None]).sum(0) == pytest.approx(
        np.pi * (light.level + (light.above - light.level) * 2 / 3), rel=0.03
    )


def one_lamp(way: tuple[float, float, float]) -> Samples:
    return Samples(np.array([way]), np.array([[np.pi, np.pi, np.pi]]), np.array([0]))


def test_a_ball_is_lit_where_it_faces_the_lamp(
    context: moderngl.Context, ball: tuple[npt.NDArray[np.float32], Refined]
) -> None:
    points, fine = ball
    normals = (points - MIDDLE).astype(np.float32)
    lit = ShadowMaps(context).cast(
        [(points, triangles(fine.faces))], (points, normals), one_lamp((1.0, 0.0, 0.0)), np.zeros(3), MIDDLE
    )
    assert lit.light[:, 0] == pytest.approx(normals[:, 0].clip(0), abs=0.03)
    assert lit.lamps[normals[:, 0] > 0.3, 0] == pytest.approx(1.0, abs=0.02)


def test_what_stands_before_a_lamp_casts_a_shadow(
    context: moderngl.Context, ball: tuple[npt.NDArray[np.float32], Refined]
) -> None:
    points, fine = ball
    y, z = np.meshgrid(np.linspace(-2, 2, 41), np.linspace(-2, 2, 41))
    wall = (np.stack((np.full_like(y, -2.0), y, z), -1).reshape(-1, 3) + MIDDLE).astype(np.float32)
    normals = np.tile(np.array([1, 0, 0], np.float32), (len(wall), 1))
    lit = ShadowMaps(context).cast(
        [(points, triangles(fine.faces))], (wall, normals), one_lamp((1.0, 0.0, 0.0)), np.zeros(3), MIDDLE
    )
    far = np.hypot(*(wall - MIDDLE)[:, 1:].T)
    assert not lit.light[far < 0.95].any()
    assert lit.light[far > 1.05] == pytest.approx(1.0)


def test_shadows_fall_on_tall_and_on_small_people(
    context: moderngl.Context, ball: tuple[npt.NDArray[np.float32], Refined]
) -> None:
    points, fine = ball
    normals = (points - MIDDLE).astype(np.float32)
    found = []
    for rise in (0.0, -4.0, 6.0):
        up = np.array([0.0, rise, 0.0], np.float32)
        lit = ShadowMaps(context).cast(
            [(points + up, triangles(fine.faces))],
            (points + up, normals),
            one_lamp((0.0, 1.0, 0.0)),
            np.zeros(3),
            MIDDLE + up,
        )
        found.append(lit.light[:, 0])
    assert found[0].max() > 0.9
    for light in found[1:]:
        assert light == pytest.approx(found[0], abs=0.02)


def test_light_spreads_within_skin_and_is_not_lost(
    ball: tuple[npt.NDArray[np.float32], Refined],
) -> None:
    points, fine = ball
    spread = Spread(fine.faces, points)
    edge = np.repeat((points[:, :1] > 0).astype(np.float32), 3, 1)
    soft = spread.within(edge, (0.2, 0.05, 0.0))
    red, green, blue = soft.T
    near = np.abs(points[:, 0]) < 0.1
    assert np.abs(red - edge[:, 0])[near].mean() > np.abs(green - edge[:, 0])[near].mean() > 0
    assert (blue == edge[:, 0]).all()
    assert soft.mean(0) == pytest.approx(edge.mean(0), abs=0.01)


def test_every_program_compiles(context: moderngl.Context) -> None:
    for vertex, fragment in (
        ("surface", "surface"),
        ("surface", "eye"),
        ("strand", "strand"),
        ("depth", "depth"),
    ):
        assert "to_clip" in shaders.load(context, vertex, fragment)


def test_ribbons_of_strands() -> None:
    points = np.zeros((3, 5, 3), np.float32)
    points[..., 1] = -np.linspace(0, 1, 5)
    points[:, :, 0] = np.arange(3)[:, None]
    assert along(points) == pytest.approx(np.broadcast_to([0, -1, 0], (3, 5, 3)), abs=1e-6)
    assert quads(3, 5).shape == (3 * 4 * 2, 3)
    assert quads(3, 5).max() == 3 * 5 * 2 - 1
    widths = np.full((3, 5), 0.01, np.float32)
    strands = Strands(points, widths, points * 0, np.ones((3, 5), np.float32))
    mesh, index = casting_mesh(strands)
    assert np.isfinite(mesh).all()
    assert index.max() < len(mesh)


def test_developing_keeps_black_and_orders_light() -> None:
    ladder = np.linspace(0, 8, 50, dtype=np.float32)
    shown = develop(ladder, 1.0)
    assert shown[0] == 0
    assert (np.diff(shown) >= 0).all()
    assert shown[-1] <= 1
    layer = np.zeros((4, 4, 4), np.float32)
    layer[:2] = 1.0
    picture = before(layer, np.full((4, 4, 3), 0.5, np.float32), 1.0)
    assert (picture[2:] == 128).all()
    assert (picture[:2] > 128).all()
