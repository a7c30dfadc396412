"""Clips as cameras and editors leave them: pixels that are not square, black and fades at their ends."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.support.pictures import face_points, write_clip
from vcam_talker.core.errors import BadInputError
from vcam_talker.persona_new.detect import FaceFinder
from vcam_talker.persona_new.ends import without_ends
from vcam_talker.persona_new.landmarks import Found, Points
from vcam_talker.persona_new.track import Track, follow, shut_part
from vcam_talker.persona_new.video import Clip, open_clip

pytestmark = pytest.mark.unit

FPS = 10
FACE = face_points((64.0, 36.0), 60.0)


def grey(level: float) -> np.ndarray:
    return np.full((72, 128, 3), round(level), np.uint8)


class Eyes:
    """In place of the net: a face is in every picture of middling brightness."""

    def track(self, picture: np.ndarray, _points: Points) -> Found:
        return Found(FACE, 0.5 if 30 < picture.mean() < 220 else 0.0, 0.0)


class Finder(FaceFinder):
    """Counts how often it has to look for a face."""

    def __init__(self) -> None:
        self.net = Eyes()  # type: ignore[assignment]
        self.looks = 0

    def find(self, picture: np.ndarray, _sides: Sequence[int] = ()) -> list[Points]:
        self.looks += 1
        return [FACE] if 30 < picture.mean() < 220 else []


def clip_of(tmp_path: Path, levels: Sequence[float]) -> Clip:
    path = write_clip(tmp_path / "clip.mp4", map(grey, levels), [n * 1000 // FPS for n in range(len(levels))])
    return open_clip(path)


def followed(tmp_path: Path, levels: Sequence[float]) -> Track:
    return follow(clip_of(tmp_path, levels), Finder(), None)


def refused(tmp_path: Path, levels: Sequence[float]) -> str:
    with pytest.raises(BadInputError) as error:
        followed(tmp_path, levels)
    assert error.value.remedy
    return str(error.value)


def test_a_clip_that_shows_a_face_throughout_is_kept_whole(tmp_path: Path) -> None:
    track = followed(tmp_path, [120] * 40)
    assert (track.first, len(track.points), track.after) == (0, 40, 0)
    assert track.size == (128, 72)


def test_black_at_both_ends_is_left_out(tmp_path: Path) -> None:
    track = followed(tmp_path, [10] * 12 + [120] * 40 + [10] * 9)
    # A face is looked for every quarter of a second.
    assert 12 <= track.first <= 14
    assert track.after == 9
    assert track.first + len(track.points) + track.after == 61
    assert len(track.small) == len(track.gaps) == len(track.points)
    assert track.small.mean(1).min() > 100


def test_fades_are_left_out_though_the_face_is_seen(tmp_path: Path) -> None:
    rise = np.linspace(0, 120, 16).tolist()
    track = followed(tmp_path, [*rise, *[120] * 40, *rise[::-1]])
    assert 12 <= track.first <= 15
    assert 12 <= track.after <= 15
    assert track.small.mean(1).min() > 100


def test_a_fade_is_kept_rather_than_too_little(tmp_path: Path) -> None:
    track = followed(tmp_path, [60] * 8 + [120] * 26)
    assert (track.first, track.after) == (0, 0)


def test_light_that_changes_for_long_is_no_fade() -> None:
    level = np.array([60.0] * 50 + [120.0] * 60, np.float32)[:, None]
    assert without_ends([FACE] * 110, level, FPS) == range(110)
    assert without_ends([None] * 5, level[:5], FPS) == range(0)


def test_a_gap_in_the_middle_is_told_with_its_time_in_the_file(tmp_path: Path) -> None:
    told = refused(tmp_path, [10] * 12 + [120] * 35 + [10] * 8 + [120] * 35)
    assert "shows no face at 4.7-5." in told


def test_a_clip_without_a_face_says_until_when_it_was_looked_at(tmp_path: Path) -> None:
    finder = Finder()
    with pytest.raises(BadInputError) as error:
        follow(clip_of(tmp_path, [10] * 300), finder, None)
    assert "no face is found in its first 10.1 s" in str(error.value)
    assert finder.looks < 60
    assert "no face is found in its first 0.3 s" in refused(tmp_path, [10] * 32)
    boxed = (0.0, 0.0, 100.0, 60.0)
    with pytest.raises(BadInputError) as error:
        follow(clip_of(tmp_path, [10] * 32), NoOneInTheBox(), boxed)
    assert "in the box, in its first 0.3 s" in str(error.value)


class NoOneInTheBox(Finder):
    """Makes out nobody."""

    def _in_box(self, *_: object) -> None:
        return None


def test_too_little_between_the_ends_is_told(tmp_path: Path) -> None:
    assert "shows a face for 1.0 s" in refused(tmp_path, [120] * 10 + [10] * 40)


def test_an_open_mouth_is_told_with_its_time_in_the_file(tmp_path: Path) -> None:
    clip = clip_of(tmp_path, [120] * 60)
    gaps = np.zeros(50, np.float32)
    gaps[::8] = 0.3
    track = Track(np.repeat(FACE[None], 50, 0), gaps, np.zeros((50, 4), np.float32), (128, 72), 10)
    with pytest.raises(BadInputError) as error:
        shut_part(track, clip)
    assert "open at 1.0-1.1 s" in str(error.value)


@pytest.mark.parametrize(
    ("size", "aspect", "shown"),
    [
        ((144, 108), Fraction(4, 3), (192, 108)),
        ((144, 116), Fraction(16, 15), (154, 116)),
        ((144, 96), Fraction(8, 9), (144, 108)),
        ((192, 108), Fraction(1), (192, 108)),
    ],
)
def test_pixels_are_made_square(
    tmp_path: Path, size: tuple[int, int], aspect: Fraction, shown: tuple[int, int]
) -> None:
    circle = np.full((shown[1], shown[0], 3), 40, np.uint8)
    cv2.circle(circle, (shown[0] // 2, shown[1] // 2), 40, (240, 240, 240), -1)
    clip = open_clip(anamorphic(tmp_path / "tape.mp4", cv2.resize(circle, size), aspect))
    found = next(clip.pictures())
    assert found.shape == (shown[1], shown[0], 3)
    high, wide = np.ptp(np.argwhere(found[..., 0] > 140), axis=0)
    assert abs(int(high) - int(wide)) <= 2


def test_pixels_of_no_format_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as error:
        open_clip(anamorphic(tmp_path / "odd.mp4", grey(90), Fraction(50)))
    assert "50:1 wide to high" in str(error.value)
    assert "setsar=1" in error.value.remedy


def anamorphic(path: Path, rgb: np.ndarray, aspect: Fraction) -> Path:
    """Write a clip of 4 s whose pixels are `aspect` times as wide as high."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = rgb.shape[1], rgb.shape[0], "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        stream.options = {"preset": "ultrafast", "crf": "12"}
        for number in range(100):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
