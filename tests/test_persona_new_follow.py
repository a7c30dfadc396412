"""A face that can't be followed, or not as it was taken, is told soon and for what it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.pictures import face_points, write_clip
from vcam_talker.core.errors import BadInputError
from vcam_talker.persona_new.box import Box
from vcam_talker.persona_new.detect import FaceFinder
from vcam_talker.persona_new.landmarks import Found, Points
from vcam_talker.persona_new.track import follow
from vcam_talker.persona_new.video import Clip, open_clip

pytestmark = pytest.mark.unit

FPS = 10
LEFT, RIGHT = face_points((34.0, 36.0), 60.0), face_points((94.0, 36.0), 62.0)


class Blind:
    """In place of the net: loses every face at once, but makes one out in a box."""

    def track(self, _picture: np.ndarray, points: Points) -> Found:
        return Found(points, 0.0, 0.0)

    def find(self, _picture: np.ndarray, _box: Box) -> Found:
        return Found(LEFT, 1.0, 0.0)


class Finder(FaceFinder):
    """Sees `first` in the first picture and `then` in the others."""

    def __init__(self, first: Sequence[Points], then: Sequence[Points]) -> None:
        self.net = Blind()  # type: ignore[assignment]
        self._first, self._then = list(first), list(then)
        self.looks = 0

    def find(self, _picture: np.ndarray, _sides: Sequence[int] = ()) -> list[Points]:
        self.looks += 1
        return self._first if self.looks == 1 else self._then


def clip_of(tmp_path: Path, seconds: int) -> Clip:
    some = [np.full((72, 128, 3), 120, np.uint8)] * (seconds * FPS)
    return open_clip(write_clip(tmp_path / "clip.mp4", some, [n * 1000 // FPS for n in range(len(some))]))


def refused(clip: Clip, finder: FaceFinder, box: Box | None = None) -> BadInputError:
    with pytest.raises(BadInputError) as error:
        follow(clip, finder, box)
    assert error.value.remedy
    return error.value


def test_a_face_lost_in_every_picture_is_given_up(tmp_path: Path) -> None:
    finder = Finder([LEFT], [LEFT])
    error = refused(clip_of(tmp_path, 30), finder)
    assert "is lost 13 times from 0.1 to 1.3 s" in error.why
    assert finder.looks < 20


def test_a_second_face_seen_later_is_told(tmp_path: Path) -> None:
    finder = Finder([LEFT], [RIGHT, LEFT])
    error = refused(clip_of(tmp_path, 30), finder)
    assert "shows 2 faces at 0.1 s, at " in error.why
    assert "--box" in error.remedy
    assert finder.looks == 2


def test_one_that_was_chosen_is_followed_where_it_is(tmp_path: Path) -> None:
    class Once(Blind):
        lost = 0

        def track(self, _picture: np.ndarray, points: Points) -> Found:
            self.lost += 1
            return Found(points, 0.0 if self.lost == 5 else 1.0, 0.0)

    finder = Finder([RIGHT, LEFT], [RIGHT, LEFT])
    finder.net = Once()  # type: ignore[assignment]
    track = follow(clip_of(tmp_path, 4), finder, (10.0, 5.0, 50.0, 60.0))
    assert finder.looks == 1
    assert np.abs(track.points.mean(1) - LEFT.mean(0)).max() < 1


def test_a_face_that_never_comes_back_is_looked_for_ever_less_often(tmp_path: Path) -> None:
    finder = Finder([LEFT], [])
    assert "shows a face for 0.1 s" in refused(clip_of(tmp_path, 60), finder).why
    assert finder.looks < 45


class Upside(FaceFinder):
    """Makes a leaning face of one that is upside down, as the net does at times."""

    def __init__(self, *, leans_only: bool = False) -> None:
        self.leans_only = leans_only

    def find(self, picture: np.ndarray, _sides: Sequence[int] = ()) -> list[Points]:
        points = face_points((200.0, 150.0), 150.0)
        if not self.leans_only and picture.shape == (300, 400, 3) and picture[-1].max() > 200:
            return [points]
        matrix = cv2.getRotationMatrix2D((200, 150), -60, 1)
        return [(points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)]


def test_upside_down_is_no_lean() -> None:
    picture = np.full((300, 400, 3), 90, np.uint8)
    picture[0] = 255
    with pytest.raises(BadInputError) as error:
        Upside().one(picture, "a.jpg")
    assert "is upside down" in error.value.why
    with pytest.raises(BadInputError) as error:
        Upside(leans_only=True).one(picture, "a.jpg")
    assert "leans by 60 degrees" in error.value.why
    assert "counter-clockwise" in error.value.remedy
