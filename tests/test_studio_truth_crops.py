"""What makes truth crops cheap changes nothing that is seen; needs OpenGL, no head pack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import moderngl
import numpy as np
import numpy.typing as npt
import pytest

from studio.garment import Garment
from studio.hair.ground import CELL, ground
from studio.mesh import Mesh
from studio.morphs import Morphs
from studio.pack import HeadPack
from studio.pose import Pose
from studio.presenter import Posed
from studio.raster import shaders
from studio.raster.bake import Seen, ShadowMaps
from studio.raster.camera import Camera, within
from studio.raster.crops import CropStage
from studio.raster.figure import Figure
from studio.raster.light import Samples
from studio.raster.stage import Stage, before, open_context
from studio.strands import Strands

pytestmark = pytest.mark.unit

SIZE = 32
MIDDLE = np.array([0.0, 5.6, 0.3])
"""Of what shadow maps look at."""
CAMERA = Camera(np.array([0.0, 5.0, 20.0]), np.array([0.0, 5.0, 0.0]), 20.0, 64, 64)
_FLAT = """#version 330
in vec2 place; out vec2 at;
void main() { at = place; gl_Position = vec4(place, 0.0, 1.0); }
"""
_BRIGHT = """#version 330
in vec2 at;
layout(location = 0) out vec4 colour;
layout(location = 1) out vec4 mask;
void main() { colour = vec4(at.x + 1.0, 0.3, 6.0 * (at.y + 1.0), 1.0); mask = vec4(at.x < 0.0 ? 0.25 : 0.5); }
"""


@pytest.fixture(scope="module")
def context() -> Iterator[moderngl.Context]:
    found = open_context()
    yield found
    found.release()


@dataclass
class Triangle:
    """Draws a bright triangle, whatever the pose: half of it label 2, half 4."""

    context: moderngl.Context

    def draw(self, *given: object) -> None:
        program = self.context.program(vertex_shader=_FLAT, fragment_shader=_BRIGHT)
        corners = np.array([[-0.9, -0.9], [0.93, -0.7], [-0.2, 0.85]], np.float32)
        target = cast("moderngl.Framebuffer", given[-1])
        target.use()
        self.context.enable_only(moderngl.DEPTH_TEST)
        self.context.vertex_array(program, [(self.context.buffer(corners), "2f", "place")]).render()


def nobody() -> tuple[Posed, Pose]:
    return cast("Posed", None), Pose()


def test_a_crop_is_what_a_stage_draws_and_develops(context: moderngl.Context) -> None:
    figure = cast("Figure", Triangle(context))
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    backdrop = np.stack((x, y, 1 - x), -1)
    stage, crops = Stage(context, SIZE, SIZE), CropStage(context, SIZE)
    layer = stage.draw(figure, *nobody(), CAMERA)
    for exposure in (1.0, 0.4):
        picture, labels = crops.draw(figure, *nobody(), CAMERA, backdrop, exposure)
        wanted = before(layer, backdrop, exposure)
        assert np.abs(picture.astype(int) - wanted).max() <= 2
        assert (labels == stage.labels()).all()
        assert set(np.unique(labels)) == {0, 2, 4}
    assert np.abs(crops.layer() - layer).max() < 0.02
    # Another backdrop takes the first one's place.
    dark, _ = crops.draw(figure, *nobody(), CAMERA, np.zeros_like(backdrop), 1.0)
    assert not dark[0, 0].any()


def test_programs_that_light_vertices_are_made_once(context: moderngl.Context) -> None:
    for name in ("surface", "strand"):
        assert shaders.load_lit(context, name) is shaders.load_lit(context, name)
        assert shaders.load_lit(context, name) is not shaders.load(context, name, name)


def test_what_directions_see_is_the_same_when_it_is_known(context: moderngl.Context) -> None:
    rng = np.random.default_rng(3)
    sheet = np.array([[-1, 6, 0], [1, 6, 0], [1, 6, 1], [-1, 6, 1]], np.float32)
    blockers = [(sheet, np.array([[0, 1, 2], [0, 2, 3]], np.int32))]
    points = np.stack((rng.uniform(-2, 2, 200), np.full(200, 5.0), rng.uniform(-1, 2, 200)), 1)
    receivers = points.astype(np.float32), np.tile(np.array([0, 1, 0], np.float32), (200, 1))
    ways = np.array([[0.0, 1.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.8, 0.6]])
    maps, known = ShadowMaps(context, 128), cast("Seen", {})
    bounce = np.full(3, 0.5)
    for strength in (1.0, 3.0):
        light = Samples(ways, np.full((3, 3), strength), np.array([0, 0, -1]))
        kept = maps.cast(blockers, receivers, light, bounce, MIDDLE, known)
        fresh = maps.cast(blockers, receivers, light, bounce, MIDDLE)
        assert len(known) == 3
        assert (kept.light == fresh.light).all()
        assert (kept.lamps == fresh.lamps).all()
        assert np.ptp(kept.light) > 0


def test_nothing_that_shows_is_said_to_be_outside() -> None:
    rng = np.random.default_rng(1)
    middles = rng.normal((0, 5, 0), 3, (500, 3))
    radii = rng.uniform(0.01, 0.6, 500)
    for camera in (CAMERA, CAMERA.zoomed((0.3, -0.2), 0.3, 32), Camera(*_tilted())):
        kept = within(camera.matrix(), middles, radii)
        assert 0 < kept.sum() < 500
        ways = rng.normal(size=(500, 40, 3))
        ways /= np.linalg.norm(ways, axis=2, keepdims=True)
        at = camera.project(middles[:, None] + radii[:, None, None] * ways)
        inside = np.all((at >= 0) & (at <= np.array([camera.width, camera.height])), axis=2)
        shows = inside.any(axis=1)
        assert not (shows & ~kept).any()


def _tilted() -> tuple[Any, ...]:
    return np.array([3.0, 7.0, 15.0]), np.array([0.0, 5.0, 0.0]), 12.0, 64, 64, (0.1, 0.2), 20.0


def test_coarser_hairs_keep_their_roots_and_tips() -> None:
    points = np.random.default_rng(2).normal(size=(5, 9, 3)).astype(np.float32)
    row = np.tile(np.arange(9, dtype=np.float32), (5, 1))
    hairs = Strands(points, row, points, row, 0.3, lambda _: points + 1)
    coarse = hairs.coarser(4)
    assert coarse.points.shape == (5, 4, 3)
    assert (coarse.points[:, [0, -1]] == points[:, [0, -1]]).all()
    assert coarse.shine == 0.3
    assert coarse.placed is not None
    assert (coarse.placed(nobody()[0]) == coarse.points + 1).all()
    assert hairs.coarser(9) is hairs
    still = Strands(points, row, points, row)
    assert still.coarser(3).placed is None


def test_a_garment_of_some_points_fits_as_the_whole_one() -> None:
    rng = np.random.default_rng(4)
    body = rng.normal(size=(50, 3))
    mesh = Mesh(
        np.zeros((20, 3)), np.zeros((1, 2)), np.zeros((0, 4), np.int32), np.zeros((0, 4), np.int32), ()
    )
    rulers = ((0, 1, 2.0), (2, 3, 1.0), (4, 5, 3.0))
    nothing = np.zeros(0, np.int64)
    whole = Garment(
        mesh, rng.integers(0, 50, (20, 3)), rng.random((20, 3)), rng.random((20, 3)), rulers, nothing
    )
    rows = np.array([3, 0, 17])
    assert (whole.only(rows).fitted(body) == whole.fitted(body)[rows]).all()


def test_a_coarser_ground_is_nearly_as_high() -> None:
    rng = np.random.default_rng(5)
    way = rng.normal(size=(6000, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    fine, coarse = ground(0.9 * way, way), ground(0.9 * way, way, 2 * CELL)
    assert coarse.distance.size < fine.distance.size / 6
    at = way[:500] * rng.uniform(0.9, 1.2, (500, 1))
    assert np.abs(coarse.height(at) - fine.height(at)).max() < 0.03
    assert ((coarse.out(at) * fine.out(at)).sum(1) > 0.97).all()


def test_a_target_is_read_alike_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "plain.target").write_text("# made by hand\n3 0.5 -1 2e-3\n7 0 0 1\n")
    (tmp_path / "twice.target").write_text("3 9 9 9\n3 0.5 -1 2e-3 # again\n7 0 0 1\n")
    morphs = Morphs(tmp_path)
    for name in ("plain", "twice"):
        morph = morphs.get(name)
        assert morph.vertices.tolist() == [3, 7]
        assert morph.offsets.tolist() == [[0.5, -1.0, 0.002], [0.0, 0.0, 1.0]]


def test_a_pack_reads_what_many_people_share_once(tmp_path: Path) -> None:
    pack = object.__new__(HeadPack)
    pack._kept = {}
    calls: list[Path] = []

    def read(path: Path) -> npt.NDArray[np.float64]:
        calls.append(path)
        return np.zeros(3)

    assert pack.kept(read, tmp_path) is pack.kept(read, tmp_path)
    assert len(calls) == 1
    pack.kept(len_of, tmp_path)
    assert len(calls) == 1


def len_of(path: Path) -> int:
    return len(str(path))
