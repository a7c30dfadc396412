"""The rooms behind the presenters, as data: what the camera sees of them, their colours, their light."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from studio.character import SetSection
from studio.pack import StudioError
from studio.sets.__main__ import main
from studio.sets.ambient import directions, gathered, irradiance, load_ambient, reduced, solid_angles
from studio.sets.framing import CALM, View
from studio.sets.palette import family, from_lightness, hexed, lightness_chroma_hue, tuned
from studio.sets.props import windows
from studio.sets.render import KINDS, build_set, render_set
from studio.sets.scene import Scene, rotation
from studio.sets.shapes import Mesh, arch, ball, box, curve, drape, lathe, leaf, oval, pierced, tube
from vcam_talker.core.errors import ExitCode

pytestmark = pytest.mark.unit

WALLS = {"study": "#3c4654", "shop": "#e6dccf", "night": "#2b2458"}


def room(kind: str, seed: int = 1, accent: str = "#c9745c") -> Scene:
    return build_set(SetSection(kind=kind, wall=WALLS[kind], accent=accent, seed=seed))


def corners(scene: Scene) -> np.ndarray:
    return np.array([[*t.points().min(0), *t.points().max(0)] for t in scene.things])


def area(mesh: Mesh) -> float:
    found = 0.0
    for face in mesh.faces:
        points = mesh.points[list(face)]
        fan = np.cross(points[1:-1] - points[0], points[2:] - points[0])
        found += float(np.linalg.norm(fan.sum(0))) / 2
    return found


# --- framing


def test_the_eyes_are_where_the_view_says() -> None:
    view = View(eye_line=0.4)
    assert view.project(np.array([[0.0, 0.0, view.eye_height_m]]))[0] == pytest.approx((0.5, 0.4))


def test_right_is_right_and_up_is_up() -> None:
    view = View()
    middle, right, up = view.project(np.array([[0, 1, 1.2], [0.1, 1, 1.2], [0, 1, 1.3]], np.float64))
    assert right[0] > middle[0]
    assert right[1] == pytest.approx(middle[1])
    assert up[1] < middle[1]


def test_the_edge_of_the_picture_is_its_half_width() -> None:
    view = View()
    at = view.project(np.array([[view.half_width(2.5), 2.5, 1.0]]))
    assert at[0, 0] == pytest.approx(1.0)


def test_what_is_behind_the_lens_lands_nowhere() -> None:
    assert np.isnan(View().project(np.array([[0.0, -5.0, 1.0]]))).all()


def test_only_the_face_is_sharp() -> None:
    view = View()
    assert view.blur(0.0) == 0.0
    assert 0.005 < view.blur(2.6) < view.blur(20.0) < 0.04


# --- palette


@pytest.mark.parametrize("colour", ["#000000", "#ffffff", "#3c4654", "#ff4f9e", "#00ff00"])
def test_a_colour_comes_back_from_lightness_chroma_hue(colour: str) -> None:
    found = from_lightness(*lightness_chroma_hue(hexed(colour)))
    assert found == pytest.approx(hexed(colour), abs=0.03)


def test_lighter_keeps_the_hue() -> None:
    old = lightness_chroma_hue(hexed("#6b3f2a"))
    new = lightness_chroma_hue(tuned(hexed("#6b3f2a"), lighter=0.1))
    assert new[0] == pytest.approx(old[0] + 0.1, abs=1e-3)
    assert new[2] == pytest.approx(old[2], abs=0.5)


def test_a_colour_that_no_screen_shows_loses_chroma_not_lightness() -> None:
    found = from_lightness(0.8, 0.4, 264)
    assert 0 <= min(found) <= max(found) <= 1
    light, chroma, _ = lightness_chroma_hue(found)
    assert light == pytest.approx(0.8, abs=0.01)
    assert chroma < 0.2


def test_a_family_is_seeded_and_holds_the_accent() -> None:
    wall, accent = hexed("#3c4654"), hexed("#c98b52")
    first, again, other = (family(wall, accent, np.random.default_rng(s), 40) for s in (5, 5, 6))
    assert first == again != other
    hue = lightness_chroma_hue(accent)[2]
    near = [
        c for c in first if abs(lightness_chroma_hue(c)[2] - hue) < 30 and lightness_chroma_hue(c)[1] > 0.07
    ]
    assert near


# --- shapes

MESHES = {
    "box": box(1, 2, 3),
    "ball": ball(),
    "lathe": lathe([(0, 0), (1, 0), (0.5, 1)]),
    "tube": tube(curve(np.array([[0, 0, 0], [0, 0, 1], [1, 0, 2]], np.float64), 12), 0.1),
    "leaf": leaf(0.2, 0.1, oval),
    "drape": drape(1, 2, 6, 0.03, np.random.default_rng(1)),
    "pierced": pierced(4, 2.7, arch(1, 1.5)),
}


@pytest.mark.parametrize("name", MESHES)
def test_every_face_names_points_that_are_there(name: str) -> None:
    mesh = MESHES[name]
    assert np.isfinite(mesh.points).all()
    used = {k for face in mesh.faces for k in face}
    assert min(used) == 0
    assert max(used) == len(mesh.points) - 1


def test_a_box_stands_on_its_foot() -> None:
    mesh = box(1, 2, 3)
    assert mesh.points.min(0).tolist() == [-0.5, -1, 0]
    assert mesh.points.max(0).tolist() == [0.5, 1, 3]
    assert area(mesh) == pytest.approx(22)


def test_a_balls_area_is_a_spheres() -> None:
    assert area(ball(2.0, 64, 96)) == pytest.approx(4 * np.pi * 4, rel=0.01)


def test_a_pierced_wall_lacks_its_arch() -> None:
    hole = 1.0 * 1.5 + np.pi * 0.25 / 2
    assert area(pierced(4, 2.7, arch(1, 1.5, 200))) == pytest.approx(4 * 2.7 - hole, rel=1e-3)


def test_a_curve_passes_through_its_points() -> None:
    points = np.array([[0, 0, 0], [1, 0, 1], [0, 1, 2]], np.float64)
    found = curve(points, 21)
    assert found[[0, 10, 20]] == pytest.approx(points)


def test_a_leaf_grows_along_y_and_droops() -> None:
    mesh = leaf(0.2, 0.1, oval, droop_deg=60, fold=0.0)
    assert 0.14 < mesh.points[:, 1].max() < 0.2
    assert mesh.points[:, 2].min() < -0.05
    assert np.ptp(mesh.points[:, 0]) == pytest.approx(0.1, rel=0.05)


def test_turns_are_about_x_then_y_then_z() -> None:
    assert rotation((90, 0, 0)) @ (0, 1, 0) == pytest.approx((0, 0, 1))
    assert rotation((90, 0, 90)) @ (1, 0, 0) == pytest.approx((0, 1, 0))
    assert rotation((0, 90, 0)) @ (0, 0, 1) == pytest.approx((1, 0, 0))


# --- ambient


def test_directions_are_the_presenters() -> None:
    ways = directions()
    assert np.linalg.norm(ways, axis=-1) == pytest.approx(1)
    assert ways[0, :, 1].min() > 0.99
    assert ways[16, 32] == pytest.approx((0, 0, -1), abs=0.1)  # the middle: at the set
    assert ways[16, 48] == pytest.approx((1, 0, 0), abs=0.1)
    assert ways[16, 0] == pytest.approx((0, 0, 1), abs=0.1)


def test_all_around_is_four_pi() -> None:
    assert solid_angles().sum() == pytest.approx(4 * np.pi)


def test_white_paper_in_even_light_is_white() -> None:
    normals = np.array([[0, 1, 0], [1, 0, 0], [0.6, 0, -0.8]])
    assert irradiance(np.ones((32, 64, 3), np.float32), normals) == pytest.approx(1, rel=0.01)


def test_a_lamp_on_the_right_lights_what_faces_right() -> None:
    light = np.zeros((32, 64, 3), np.float32)
    light[16, 48] = 5
    right, left = irradiance(light, np.array([[1.0, 0, 0], [-1.0, 0, 0]]))
    assert right[0] > 0.01
    assert left[0] == 0


def test_gathered_light_loses_nothing() -> None:
    rng = np.random.default_rng(2)
    light = rng.random((32, 64, 3)).astype(np.float32)
    ways = rng.normal(size=(50, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    assert gathered(light, ways).sum(0) == pytest.approx((light * solid_angles()[..., None]).sum((0, 1)))


def test_reduced_keeps_the_mean() -> None:
    around = np.random.default_rng(1).random((128, 256, 3)).astype(np.float32)
    small = reduced(around)
    assert small.shape == (32, 64, 3)
    assert small.mean() == pytest.approx(float(around.mean()), rel=1e-4)


def test_an_ambient_comes_back_and_other_files_do_not(tmp_path: Path) -> None:
    good, bad, words = tmp_path / "a.npy", tmp_path / "b.npy", tmp_path / "c.npy"
    np.save(good, np.ones((32, 64, 3), np.float32))
    np.save(bad, -np.ones((32, 64, 3), np.float32))
    words.write_text("no array")
    assert load_ambient(good).shape == (32, 64, 3)
    for path in (bad, words, tmp_path / "none.npy"):
        with pytest.raises(StudioError):
            load_ambient(path)


# --- rooms


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_stands_behind_the_head(kind: str, seed: int) -> None:
    view = View()
    left, top, right, bottom = CALM
    for thing in room(kind, seed).things:
        if thing.backdrop or not thing.in_picture:
            continue
        points = thing.points()
        if points[:, 1].min() <= -view.distance_m:
            continue
        on = view.project(points)
        (x0, y0), (x1, y1) = on.min(0), on.max(0)
        apart = x1 < left or x0 > right or y1 < top or y0 > bottom
        assert apart, (thing.material, on.min(0), on.max(0))


@pytest.mark.parametrize("kind", KINDS)
def test_both_sides_of_the_picture_are_dressed(kind: str) -> None:
    on = View().project(
        np.concatenate([t.points().mean(0)[None] for t in room(kind).things if not t.backdrop])
    )
    seen = on[(on > 0).all(1) & (on < 1).all(1)]
    assert (seen[:, 0] < 0.36).sum() > 12
    assert (seen[:, 0] > 0.64).sum() > 12


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_is_a_room(kind: str) -> None:
    first, again, other = corners(room(kind, 4)), corners(room(kind, 4)), corners(room(kind, 5))
    assert np.isfinite(first).all()
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


@pytest.mark.parametrize("kind", KINDS)
def test_the_accent_colours_things(kind: str) -> None:
    def tones(accent: str) -> set[tuple[float, float, float]]:
        return {t.material.colour for t in room(kind, accent=accent).things}

    assert len(tones("#c9745c") - tones("#5c8ac9")) >= 4


@pytest.mark.parametrize("kind", KINDS)
def test_the_presenter_is_inside_and_nothing_is_in_the_lens(kind: str) -> None:
    view = View()
    spans = corners(room(kind))
    assert spans[:, 1].min() < -view.distance_m < 0 < spans[:, 4].max()
    near = (spans[:, 1] < 0.4) & (spans[:, 4] > -view.distance_m - 0.2)
    between = near & (spans[:, 0] < 0.5) & (spans[:, 3] > -0.5) & (spans[:, 2] < 1.6) & (spans[:, 5] > 0.5)
    assert not between.any()


def test_no_tower_cuts_the_disc_of_a_far_light() -> None:
    tower = windows._Tower(left=1.0, right=2.0, front=10.0, top=3.0)
    eye = View().place

    def behind(x: float, z: float) -> tuple[float, float, float]:
        """Return what is seen through the point (x, z) of the tower's front, three times as far away."""
        share = 3.0
        return eye[0] + (x - eye[0]) * share, eye[1] + (10.0 - eye[1]) * share, eye[2] + (z - eye[2]) * share

    assert tower.hides(behind(1.5, 2.0))
    assert tower.hides(behind(1.5, 3.05))  # just above the roof
    assert not tower.hides(behind(1.5, 3.5))
    assert not tower.hides(behind(0.5, 2.0))
    assert not tower.hides((1.5, 9.9, 2.0))


# --- asking for one


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(StudioError, match="night, shop, study"):
        build_set(SetSection(kind="castle"))


def test_without_blender_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "bpy", None)
    with pytest.raises(StudioError, match="Install bpy"):
        render_set(SetSection(), 64, 36, tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--wall", "grey"], "--wall: is no colour"),
        (["--size", "big"], "is no size"),
        (["--size", "0x10"], "is no size"),
        (["--kind", "castle"], "There are: night, shop, study"),
        (["--samples", "0"], "--samples"),
    ],
)
def test_a_wrong_flag_is_one_line(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", "--out", str(tmp_path / "a.png"), *arguments]) in (
        ExitCode.BAD_INPUT,
        ExitCode.CONFIG,
    )
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
