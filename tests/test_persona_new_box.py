"""`--box`, and the places that are told, are in the pixels of the user's own picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.pictures import face_points
from vcam_talker.cli.main import main
from vcam_talker.core.errors import BadInputError, EngineError
from vcam_talker.persona_new.box import Box
from vcam_talker.persona_new.detect import FaceFinder
from vcam_talker.persona_new.landmarks import MODEL, Found, LandmarkNet, Points

pytestmark = pytest.mark.unit

SMALL = np.zeros((400, 600, 3), np.uint8)
OWN = (6000, 4000)


class Net:
    """Sees a face wherever it is sent, and remembers where that was."""

    def __init__(self) -> None:
        self.box: Box | None = None

    def find(self, _picture: np.ndarray, box: Box) -> Found:
        self.box = box
        middle = (box[0] + box[2] / 2, box[1] + box[3] / 2)
        return Found(face_points(middle, 100), 1.0, 0.0)


class Finder(FaceFinder):
    """Sees what it is told to."""

    def __init__(self, *faces: Points) -> None:
        self.seen = list(faces)
        self.asked = Net()
        self.net = self.asked  # type: ignore[assignment]

    def find(self, _picture: np.ndarray, _sides: Sequence[int] = ()) -> list[Points]:
        return self.seen


def refused(finder: FaceFinder, box: Box | None, size: tuple[int, int] | None = OWN) -> BadInputError:
    with pytest.raises(BadInputError) as error:
        finder.one(SMALL, "big.jpg", box, size)
    assert error.value.remedy
    return error.value


def test_a_box_of_the_own_picture_is_looked_at_where_it_lies_here() -> None:
    finder = Finder()
    points = finder.one(SMALL, "big.jpg", (4500, 1200, 700, 800), OWN)
    assert finder.asked.box == (450, 120, 70, 80)
    # The points stay those of the picture that goes on to be drawn.
    assert points[:, 0].max() < 600
    finder.one(SMALL, "small.jpg", (450, 120, 70, 80))
    assert finder.asked.box == (450, 120, 70, 80)


def test_what_lies_outside_is_told_in_the_own_size() -> None:
    assert "lies outside big.jpg, which is 6000x4000 pixels" in str(refused(Finder(), (6000, 0, 300, 300)))
    assert "which is 600x400 pixels" in str(refused(Finder(), (601, 0, 30, 30), None))


def test_faces_are_told_where_the_own_picture_shows_them() -> None:
    finder = Finder(face_points((150, 200), 100), face_points((450, 200), 90))
    words = refused(finder, None).why.replace(", ", " ").split()
    places = [word for word in words if word.count(",") == 3 and "X" not in word]
    for place, face in zip(places, finder.seen, strict=True):
        x, _, wide, _ = map(float, place.split(","))
        assert x + wide / 2 == pytest.approx(face[:, 0].mean() * 10, abs=20)
        # And what is told is what is taken.
        box = tuple(map(float, place.split(",")))
        assert len(box) == 4
        finder.one(SMALL, "big.jpg", box, OWN)
        assert finder.asked.box is not None
        assert finder.asked.box[0] * 10 == pytest.approx(x)


def test_a_face_too_small_is_told_in_own_pixels_and_how_to_keep_them() -> None:
    error = refused(Finder(face_points((300, 200), 40)), None)
    found = [int(word) for word in error.why.replace(",", " ").split() if word.isdigit()]
    assert found[0] > 300
    assert found[1] == 560
    assert "Cut the picture" in error.remedy
    assert "Cut" not in refused(Finder(face_points((300, 200), 40)), None, None).remedy


@pytest.mark.parametrize(
    ("box", "why"),
    [
        ((math.nan, math.nan, 100, 100), "four numbers"),
        ((0, 0, math.inf, math.inf), "four numbers"),
        ((0, 0, 1e300, 1e300), "much more than"),
        ((0, 0, 4, 100), "less than 8x8"),
        ((0, 0, -100, 100), "less than 8x8"),
        ((-500, 0, 100, 100), "lies outside"),
        ((1e300, 0, 100, 100), "lies outside"),
    ],
)
def test_a_box_that_is_none(box: Box, why: str) -> None:
    error = refused(Finder(), box)
    assert error.what == "--box"
    assert why in error.why


@pytest.mark.parametrize(
    "text", ["nan,nan,100,100", "0,0,inf,inf", "1e999,0,9,9", "0,0,0,100", "1,2,3", "a,b,c,d", ""]
)
def test_a_box_that_is_none_is_wrong_usage(text: str) -> None:
    done = CliRunner().invoke(main, ["persona", "new", "ada", "--portrait", "a.jpg", f"--box={text}"])
    assert done.exit_code == 2
    assert "is not X,Y,W,H in pixels" in done.output


@pytest.mark.parametrize("kept", [0, 3, 2000, -40, -1])
def test_half_of_the_weights_are_damage(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "landmarks.npz"
    path.write_bytes(MODEL.read_bytes()[:kept])
    with pytest.raises(EngineError) as error:
        LandmarkNet(path)
    assert "is missing or damaged" in str(error.value)


def test_weights_overwritten_inside_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "landmarks.npz"
    raw = bytearray(MODEL.read_bytes())
    raw[5000:5200] = bytes(200)
    path.write_bytes(raw)
    with pytest.raises(EngineError):
        LandmarkNet(path)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(EngineError):
        LandmarkNet(tmp_path / "one.npy")
