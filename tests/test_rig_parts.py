"""The rig's parts: rig files, curves, and the canvas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vcam_talker.core.errors import PersonaError
from vcam_talker.face.rig.canvas import YuvCanvas
from vcam_talker.face.rig.figure import fill_paint
from vcam_talker.face.rig.geometry import Outline, ellipse, grow, parse_outline, ribbon, ribbon_corners
from vcam_talker.face.rig.sheet import contact_sheet
from vcam_talker.face.rig.splines import Splines
from vcam_talker.face.rig.style import RigStyle, load_style
from vcam_talker.persona import load_persona

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def rig_text() -> str:
    persona = load_persona("mira")
    return (persona.root / persona.face.file).read_text(encoding="utf-8")


def load(tmp_path: Path, text: str) -> RigStyle:
    path = tmp_path / "rig.toml"
    path.write_text(text, encoding="utf-8")
    return load_style(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[eyes]\n", "[eyes]\nwidht = 3\n", r"unknown key 'eyes.widht'.*Did you mean 'width'"),
        ('skin = "#', 'skin = "', r"palette.skin"),
        ("yaw = -4", "yaw = 99", r"rig.toml:\d+: 'figure.yaw' = 99"),
        ('fill = "knit"', 'fill = "knitt"', r"rig.toml:\d+: colour 'knitt' is not in \[palette\].*'knit'"),
        ('inside = "neck"', 'inside = "nekc"', r"no earlier part.*'neck'"),
        ("ribbon = [0, 2.2, 0]", "ribbon = [0, 2.2]", r"'ribbon' has 2 widths for 3 points"),
        ('outline = "0,', 'outline = "0;', r"is not a point"),
        ('rides = "body"', 'rides = "boddy"', r"Did you mean 'body'"),
        ("things = [", 'things = ["nothing_there", ', r"'nothing_there' is not in \[palette\]"),
    ],
)
def test_mistakes_in_a_rig_file_are_named(
    tmp_path: Path, rig_text: str, old: str, new: str, message: str
) -> None:
    assert old in rig_text
    with pytest.raises(PersonaError, match=message):
        load(tmp_path, rig_text.replace(old, new, 1))


def test_a_rig_without_parts_still_has_a_face(tmp_path: Path, rig_text: str) -> None:
    bare = rig_text[: rig_text.index("[[part]]")]
    style = load(tmp_path, bare)
    assert style.part == ()


@pytest.mark.parametrize("text", ["1,2", "", "1,2 3", "1,2 x,3", "nan,1 2,3", "1,2 9e9,1"])
def test_bad_outlines_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="point"):
        parse_outline(text)


def test_a_curve_through_eight_points_is_a_circle() -> None:
    splines = Splines()
    shape = splines.add(np.zeros(8, np.bool_))
    bounds = splines.paths(ellipse(50, 60, 30, 30))[shape].computeTightBounds()
    edges = (bounds.left(), bounds.top(), bounds.right(), bounds.bottom())
    assert edges == pytest.approx((20, 30, 80, 90), abs=0.2)


def test_corners_are_sharp_and_joined_shapes_share_a_path() -> None:
    splines = Splines()
    square = np.ones(4, np.bool_)
    first, second = splines.add(square), splines.add(square)
    splines.join(first, second)
    points = np.array([[0, 0], [10, 0], [10, 10], [0, 10], [20, 0], [30, 0], [30, 10], [20, 10]], np.float64)
    paths = splines.paths(points)
    assert paths[second].isEmpty()
    for x, inside in ((0.2, True), (9.8, True), (15, False), (20.2, True), (29.8, True)):
        assert paths[first].contains(x, 0.2) is inside
    moved = splines.paths(points + 100)
    assert moved[first].contains(100.2, 100.2)


def test_moved_shapes_and_their_bounds() -> None:
    splines = Splines()
    for _ in range(3):
        splines.add(np.zeros(8, np.bool_))
    before = np.concatenate([ellipse(10, 10, 5, 5), ellipse(40, 10, 5, 5), ellipse(70, 10, 5, 5)])
    after = before.copy()
    after[9] += 1.0
    moved = splines.moved(before, after, 0.5)
    assert moved.tolist() == [False, True, False]
    assert splines.bounds(before, moved) == pytest.approx((35, 5, 45, 15))
    assert splines.bounds(before, ~moved & moved) is None


def test_a_ribbon_is_as_wide_as_told() -> None:
    line = np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]])
    outline = ribbon(line, (2.0, 6.0, 0.0))
    assert outline[1].tolist() == pytest.approx([10.0, -3.0])
    assert outline[4].tolist() == pytest.approx([10.0, 3.0])
    assert outline[2].tolist() == outline[3].tolist() == [20.0, 0.0]
    assert ribbon_corners(3).tolist() == [True, False, True, True, False, True]


@pytest.mark.parametrize("step", [1, -1])
def test_growing_goes_outwards_whichever_way_a_shape_winds(step: int) -> None:
    square = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])[::step]
    grown = grow(Outline(square, np.ones(4, np.bool_)), np.full(4, 2.0))
    assert grown.min() == pytest.approx(-2.0)
    assert grown.max() == pytest.approx(12.0)


def noise_canvas(width: int = 96, height: int = 64) -> YuvCanvas:
    backdrop = np.random.default_rng(1).integers(0, 255, (height, width, 4), np.uint8)
    backdrop[..., 3] = 255
    return YuvCanvas(backdrop)


@pytest.mark.parametrize(
    "box", [(0, 0, 20, 20), (13.2, 7.9, 55.0, 41.3), (60, 30, 400, 400), (-50, -50, 3, 3)]
)
def test_converting_a_region_equals_converting_everything(box: tuple[float, float, float, float]) -> None:
    canvas = noise_canvas()
    region = canvas.region(*box)
    assert all(edge % 2 == 0 for edge in region)
    canvas.begin(region).drawCircle(30, 20, 25, fill_paint(0xFFFF2010))
    partial = canvas.finish()
    canvas.convert((0, 0, 96, 64))
    assert np.array_equal(partial, canvas.finish())


def test_the_backdrop_comes_back() -> None:
    canvas = noise_canvas()
    clean = canvas.finish()
    region = canvas.region(10, 10, 50, 50)
    canvas.begin(region).drawCircle(30, 30, 20, fill_paint(0xFFFF2010))
    assert not np.array_equal(canvas.finish(), clean)
    canvas.begin(region)
    assert np.array_equal(canvas.finish(), clean)


def test_colours_are_bt601_limited_range() -> None:
    backdrop = np.zeros((16, 48, 4), np.uint8)
    backdrop[:, :16] = (255, 255, 255, 255)
    backdrop[:, 16:32] = (0, 0, 255, 255)
    backdrop[:, 32:] = (0, 0, 0, 255)
    picture = YuvCanvas(backdrop).finish().astype(int)
    luma, blue, red = picture[4, [4, 20, 40]], picture[16:20].reshape(8, 24), picture[20:].reshape(8, 24)
    assert luma.tolist() == pytest.approx([235, 81, 16], abs=1)
    assert blue[2, 10] == pytest.approx(90, abs=1)
    assert red[2, 10] == pytest.approx(240, abs=1)


def test_a_contact_sheet_holds_its_cells() -> None:
    cells = [(str(n), np.full((40, 30, 3), 40 * n, np.uint8)) for n in range(5)]
    sheet = contact_sheet(cells, 3)
    assert sheet.shape == (80, 90, 3)
    assert sheet[75, 40].tolist() == [160, 160, 160]
