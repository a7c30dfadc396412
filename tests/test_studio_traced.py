"""Drawn faces against path-traced ones: what is handed over, how pictures compare. No pack, no Blender."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner

from studio.character import EyeSection, LightSection, linear
from studio.pack import StudioError
from studio.pose import Pose
from studio.presenter import Surface
from studio.raster.camera import Camera
from studio.raster.light import Lamp, Light, portrait_light
from studio.strands import Strands
from studio.truth import traced
from studio.truth.__main__ import cli
from studio.truth.render import Label
from studio.truth.traced_compare import (
    Figures,
    View,
    compare,
    correlation,
    gain_of,
    iou,
    overlap,
    psnr_db,
    ssim,
    summary,
)
from studio.truth.traced_scene import (
    REGIONS,
    drawn_width,
    environment,
    export,
    eye_paint,
    eye_uv,
    lens_of,
    shoulders,
    strand_points,
    to_tracer,
)
from studio.truth.traced_sheet import Row, sheet

pytestmark = pytest.mark.unit

CAMERA = Camera(np.array([0.0, 7.0, 20.0]), np.array([0.0, 7.0, 0.0]), 20.0, 100, 100)
SIZE = 64


# --- what is handed over


@pytest.mark.parametrize("roll", [0.0, 7.0, -3.0])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.2, -0.3)])
def test_a_tracers_lens_sees_points_where_the_camera_does(roll: float, centre: tuple[float, float]) -> None:
    camera = replace(CAMERA, centre=centre, roll_deg=roll)
    points = np.random.default_rng(1).normal(0, 1, (7, 3)) + np.array([0.0, 7.0, 0.0])
    lens = lens_of(camera)
    at = np.c_[to_tracer(points), np.ones(7)] @ np.linalg.inv(lens.matrix).T
    # A pinhole's picture, its film moved: what is seen goes the other way.
    seen = at[:, :2] / -at[:, 2:3] / np.tan(np.radians(lens.angle_deg) / 2) / 2 - np.array(lens.shift)
    pixels = (seen * (1, -1) + 0.5) * camera.height
    assert pixels == pytest.approx(camera.project(points), abs=1e-6)


def test_the_tracers_space_is_turned_not_mirrored() -> None:
    assert np.linalg.det(to_tracer(np.eye(3))) == pytest.approx(1.0)
    assert to_tracer(np.array([0.0, 1.0, 0.0])).tolist() == [0.0, 0.0, 1.0]


def test_a_lamps_light_arrives_from_where_it_hangs_and_in_full() -> None:
    towards = np.array([0.48, 0.6, 0.64])
    nothing = np.zeros(3)
    light = Light((Lamp(towards, 12.0, np.array([2.0, 1.0, 0.5])),), nothing, nothing, nothing)
    found = environment(light)
    height, width = found.shape[:2]
    up = np.pi / 2 - (np.arange(height) + 0.5) * np.pi / height
    angle = np.cos(up)[:, None, None] * (np.pi / height) * (2 * np.pi / width)
    assert (found * angle).sum((0, 1)) == pytest.approx([2.0, 1.0, 0.5], rel=1e-4)
    row, column = np.argwhere(found[..., 0] > 0).mean(0)
    # Cycles: the middle column is +x, columns to the left go on towards +y; rows from the zenith down.
    turn, rise = (0.5 - (column + 0.5) / width) * 2 * np.pi, np.pi / 2 - (row + 0.5) * np.pi / height
    way = np.array([np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)])
    assert way @ to_tracer(towards) > np.cos(np.radians(1.5))


def test_the_room_is_bright_above_as_it_is_for_the_renderer() -> None:
    light = portrait_light(LightSection(key=0, fill=0, rim=0))
    found = environment(light)
    assert found[0].mean(0) == pytest.approx(light.above, rel=0.01)
    assert found[-1].mean(0) == pytest.approx(light.below, rel=0.01)


def test_an_eyes_paint_has_a_pupil_an_iris_and_a_white() -> None:
    eyes = EyeSection(iris="#4060a0", white="#f0f0f0")
    paint = eye_paint(eyes, 128)
    ahead, aside, out = eye_uv(np.array([[0, 0, 1], [np.sin(0.35), 0, np.cos(0.35)], [0, 1, 0]], np.float32))
    at = [paint[min(127, int((1 - v) * 128)), min(127, int(u * 128))] for u, v in (ahead, aside, out)]
    assert at[0].max() < 0.01
    assert at[1][2] > at[1][0]
    assert at[2][0] > 0.5 * linear(eyes.white)[0]
    assert ahead == pytest.approx([0.5, 0.5])
    assert out == pytest.approx([0.5, 0.75])


def hairs(widths: float = 0.01) -> Strands:
    points = np.array([[[0, 0, 0], [0, 1, 0], [0, 2, 0]]], np.float32)
    return Strands(
        points,
        np.full((1, 3), widths, np.float32),
        np.full((1, 3, 3), 0.2, np.float32),
        np.array([[1.0, 0.5, 0.0]], np.float32),
    )


def test_hair_goes_with_the_head_or_with_the_shoulders() -> None:
    posed: Any = SimpleNamespace(turned=lambda points: points + np.array([2.0, 0.0, 0.0]))
    found = strand_points(hairs(), posed, np.array([0.0, 0.0, 4.0]))
    assert found[0].tolist() == [[2, 0, 0], [1, 1, 2], [0, 2, 4]]
    assert shoulders(Pose(shift_cm=2.0, breath=-1.0, lean_cm=-2.0)).tolist() == [0.1, 0.0, -0.1]


def test_no_hair_is_thinner_than_it_is_drawn() -> None:
    away = np.full((1, 2), 20.0)
    pixel = 2 * np.tan(np.radians(10)) * 20 / CAMERA.height
    found = drawn_width(np.array([[1e-5, 0.5]], np.float32), away, CAMERA)
    assert found[0] == pytest.approx([0.35 * pixel, 0.5])


def test_a_moment_is_exported_whole() -> None:
    faces = np.array([[0, 1, 2, 3]], np.int32)
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
    coat = np.array([0.5, 1.0, 0.0, 0.25], np.float32)
    square = Surface("skin", "skin", faces, corners, coat, coat, coat, corners)
    ball = replace(square, name="eye-left", material="eye", local=np.tile(np.float32([0, 0, 1]), (4, 1)))
    names = {s.name: corners for s in (square, ball)}
    posed = SimpleNamespace(points=names, normals=names, body=np.zeros((19158, 3)), turned=lambda p: p)
    presenter = SimpleNamespace(surfaces=(square, ball), character=SimpleNamespace(eyes=EyeSection()))
    person: Any = SimpleNamespace(presenter=presenter, strands=[hairs()])
    taken: Any = SimpleNamespace(camera=CAMERA, posed=posed)
    found = export(person, taken, Pose(), portrait_light(LightSection()))
    assert found["mesh_0_triangles"].tolist() == [[0, 1, 2], [0, 2, 3]]
    assert found["mesh_0_points"][2].tolist() == [1, 0, 1]
    assert found["mesh_0_coat"][:, 0] == pytest.approx(coat)
    assert [REGIONS[int(found[f"mesh_{k}_mark"][1])] for k in (0, 1)] == ["skin", "eyes"]
    assert found["mesh_1_uv"][0] == pytest.approx([0.5, 0.5])
    assert found["hair_0_radii"].shape == (1, 3)
    assert found["hair_0_mark"].tolist() == [0, 0]
    assert found["landmarks"].shape == (41, 3)
    assert not any(array.dtype == object for array in found.values())


# --- how pictures are compared


def face() -> tuple[View, npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Return a picture of a face with teeth, its paint and its regions."""
    rng = np.random.default_rng(2)
    albedo = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[8:56, 8:56] = Label.FACE
    labels[40:48, 20:44] = Label.TEETH
    regions = np.zeros_like(labels)
    regions[labels == Label.FACE] = REGIONS.index("skin")
    regions[labels == Label.TEETH] = REGIONS.index("teeth")
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    light = (0.3 + 0.5 * x + 0.1 * y + 0.05 * rng.random((SIZE, SIZE))).astype(np.float32)
    layer = np.ones((SIZE, SIZE, 4), np.float32)
    layer[..., :3] = albedo * light[..., None]
    layer[labels == 0] = 0
    return View(layer, labels), albedo, regions


def against(change: float, where: npt.NDArray[np.bool_] | None = None) -> Figures:
    drawn, albedo, regions = face()
    layer = drawn.layer.copy()
    at = drawn.labels > 0 if where is None else where
    layer[at, :3] *= np.float32(change)
    return compare(drawn, View(layer, drawn.labels), albedo, regions, 1.0)


def test_twins_are_alike() -> None:
    found = against(1.0)
    assert found.error == 0
    assert found.psnr_db == 99
    assert found.ssim == pytest.approx(1.0, abs=1e-4)
    assert found.shading == pytest.approx(1.0, abs=1e-6)
    assert all(both == either for both, either in found.outlines.values())


def test_exposure_alone_is_no_difference() -> None:
    found = against(0.25)
    assert found.gain_stops == pytest.approx(2.0, abs=1e-4)
    assert found.error == pytest.approx(0.0, abs=1e-5)
    assert found.ssim == pytest.approx(1.0, abs=1e-3)


def test_teeth_too_bright_are_told_from_skin() -> None:
    drawn, _, _ = face()
    found = against(0.25, drawn.labels == Label.TEETH)
    assert found.stops["teeth"] - found.stops["skin"] == pytest.approx(2.0, abs=1e-3)
    assert found.shading == pytest.approx(1.0, abs=1e-6)
    assert found.error > 0.05
    assert "tongue" not in found.stops


def test_light_from_the_other_side_is_seen_in_the_shading() -> None:
    drawn, albedo, regions = face()
    layer = drawn.layer[:, ::-1].copy()
    assert compare(drawn, View(layer, drawn.labels), albedo, regions, 1.0).shading < -0.5


def test_paint_is_no_shading() -> None:
    drawn, albedo, regions = face()
    rng = np.random.default_rng(3)
    spots = rng.uniform(0.2, 1.0, (SIZE, SIZE, 1)).astype(np.float32)
    layer = drawn.layer.copy()
    layer[..., :3] *= spots
    found = compare(View(layer, drawn.labels), View(layer, drawn.labels), albedo * spots, regions, 1.0)
    assert found.shading == pytest.approx(1.0, abs=1e-5)
    apart = compare(drawn, View(layer, drawn.labels), albedo, regions, 1.0)
    assert apart.shading < 0.7


def test_a_mouth_that_is_elsewhere_lowers_its_outline_only() -> None:
    drawn, albedo, regions = face()
    labels = drawn.labels.copy()
    labels[40:48, 20:44] = Label.FACE
    labels[44:52, 20:44] = Label.TEETH
    found = compare(drawn, View(drawn.layer, labels), albedo, regions, 1.0)
    assert iou(*found.outlines["teeth"]) == pytest.approx(1 / 3)
    assert iou(*found.outlines["inside the mouth"]) == pytest.approx(1 / 3)
    assert iou(*found.outlines["face"]) == 1


def test_small_figures() -> None:
    white, grey = np.ones((4, 3), np.float32), np.full((4, 3), 0.5, np.float32)
    assert gain_of(white, grey) == pytest.approx(2.0)
    assert psnr_db(white, grey) == pytest.approx(6.0206, abs=1e-3)
    assert overlap(np.array([True, True, False]), np.array([True, False, False])) == (1, 2)
    assert iou(0, 0) == 1
    assert correlation(np.ones(5, np.float32), np.arange(5, dtype=np.float32)) == 0
    flat = np.full((16, 16), 0.5, np.float32)
    # Two flat pictures: only the term of brightness is left.
    expected = (2 * 0.5 * 0.7 + 1e-4) / (0.25 + 0.49 + 1e-4)
    assert ssim(flat, flat + 0.2)[8, 8] == pytest.approx(expected, abs=1e-3)


def test_outlines_are_pooled_and_the_worst_is_named() -> None:
    first, second = against(1.0), against(0.5, face()[0].labels == Label.TEETH)
    second = replace(second, outlines={**second.outlines, "teeth": (0, 64)})
    found = summary([first, second])
    teeth = first.outlines["teeth"][1]
    assert found["outlines"]["teeth"] == pytest.approx(teeth / (teeth + 64))
    assert found["error"]["worst"] == second.error
    assert found["ssim"]["worst"] == min(first.ssim, second.ssim)
    assert found["stops"]["teeth"]["pictures"] == 2
    lines = "\n".join(traced.explained({**found, "landmarks_px": 0.0, "cpu_s": 12.0}))
    assert "2 pictures" in lines
    assert "teeth" in lines


def test_a_sheet_shows_drawn_traced_and_what_differs() -> None:
    drawn, _, _ = face()
    rows = [Row("7 open", drawn, drawn, against(1.0), 1.0)] * 3
    picture = sheet(rows)
    assert picture.shape == (2 * SIZE, 6 * SIZE, 3)
    # Twins differ nowhere: grey, away from the words.
    assert (picture[30:SIZE, 2 * SIZE : 3 * SIZE] == 128).all()


# --- the command


def test_moments_depend_on_the_seed_alone_and_show_every_pose() -> None:
    first, again = list(traced.moments(8, 3)), list(traced.moments(8, 3))
    assert first == again
    assert len({number for number, _ in first}) == 8
    assert {m.pose for _, each in first for m in each} == set(traced.POSES)
    assert [n for n, _ in traced.moments(8, 4)] != [n for n, _ in first]


def interpreter(folder: Path, body: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_an_interpreter_that_is_missing_or_has_no_blender_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="can't be started"):
        traced.trace(str(tmp_path / "none"), {}, 8, 1)
    poor = interpreter(
        tmp_path, "echo Traceback >&2; echo \"ModuleNotFoundError: No module named 'bpy'\" >&2; exit 1"
    )
    with pytest.raises(StudioError, match="No module named 'bpy'") as caught:
        traced.trace(poor, {"size": np.array(8)}, 8, 1)
    assert "\n" not in str(caught.value)
    assert "--python" in str(caught.value)


def test_the_tracer_is_given_files_and_its_answer_is_read(tmp_path: Path) -> None:
    # Stands for Blender: sends the moment back as the answer.
    echo = interpreter(tmp_path, 'test "$4 $5" = "16 2" && cp "$2" "$3"')
    found = traced.trace(echo, {"size": np.array(8), "eye": np.ones((2, 2, 3))}, 16, 2)
    assert int(found["size"]) == 8
    assert found["eye"].shape == (2, 2, 3)


def test_the_command_is_there() -> None:
    done = CliRunner().invoke(cli, ["traced", "--help"])
    assert done.exit_code == 0
    assert "--samples" in done.output
