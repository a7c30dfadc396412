"""A photograph's life, a clip's loop, and the tables that say where the mouth is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.pictures import face_points
from vcam_talker.core.errors import BadInputError
from vcam_talker.face.clip.assets import load_assets
from vcam_talker.persona_new.canvas import Canvas
from vcam_talker.persona_new.landmarks import JAW, LIPS, MIRROR, frame_of, gap, mouth_landmarks, mouth_width
from vcam_talker.persona_new.lids import Lids
from vcam_talker.persona_new.living import LivingPhoto
from vcam_talker.persona_new.loop import best_loop
from vcam_talker.persona_new.motion import FPS, life
from vcam_talker.persona_new.patch import Patch, Stretch
from vcam_talker.persona_new.track import Track, shut_part, to_rest, told
from vcam_talker.persona_new.video import Clip

pytestmark = pytest.mark.unit

CLIP = Clip(Path("a.mp4"), 30, 1, 300, 0.0)


def test_life_goes_on_without_a_jump_whatever_follows_what() -> None:
    segments = life(3)
    ends = {each.ends for each in segments}
    assert ends == {each.begins for each in segments}
    for one in segments:
        assert 8 * FPS <= one.frames <= 12 * FPS
        for other in segments:
            if one.ends != other.begins:
                continue
            steps = np.abs(np.diff(np.concatenate((one.head[-9:], other.head[:9])), axis=0))
            assert steps[:, :2].max() < 0.002
            assert steps[:, 2].max() < 0.08
            assert abs(other.breath[0] - one.breath[-1]) < 0.02


def test_it_blinks_as_people_do() -> None:
    segments = life(5)
    lids = np.concatenate([each.lids for each in segments])
    shut = (lids[1:] > 0.5) & (lids[:-1] <= 0.5)
    per_minute = shut.sum() / len(lids) * FPS * 60
    assert 8 <= per_minute <= 30
    assert lids.max() > 0.85
    assert all(each.lids[:8].max() == each.lids[-8:].max() == 0 for each in segments)
    assert max(each.lids.max() for each in life(5, blinks=False)) == 0


def test_a_photograph_moves_where_it_is_said_to() -> None:
    points = face_points()
    frame = np.full((360, 640, 3), 60, np.uint8)
    marks = points[[*range(40, 72, 4), 22, 36]]
    for x, y in marks:
        cv2.circle(frame, (round(float(x) * 16 - 8), round(float(y) * 16 - 8)), 24, (255,) * 3, -1, shift=4)
    living = LivingPhoto(frame, points)
    head = np.array([0.04, 0.02, 1.6, 0.006, 0.02, 0.01])
    moved = living.frame(head, 1.0, 0.0)
    affine = living.to_rest(head, 1.0)
    back = affine.copy()
    back[:, 2] += affine[:, :2] @ [0.5, 0.5] - 0.5
    again = cv2.warpAffine(moved, back, (640, 360))
    mouth = (slice(180, 220), slice(290, 350))
    before = np.abs(moved[mouth].astype(float) - frame[mouth]).mean()
    after = np.abs(again[mouth].astype(float) - frame[mouth]).mean()
    assert after < 0.35 * before
    # At rest it is the photograph itself, and its rim stays in any case.
    assert np.abs(living.frame(np.zeros(6), 0.0, 0.0).astype(int) - frame).max() <= 1
    assert np.array_equal(moved[:, :4], frame[:, :4])
    assert np.array_equal(moved[:2], frame[:2])


def test_shut_or_hidden_eyes_do_not_blink() -> None:
    points = face_points()
    points[28:34, 1] = points[28:34, 1].mean()
    frame = np.zeros((360, 640, 3), np.uint8)
    lids = Lids(frame, points)
    assert not lids.usable
    assert lids.drawn(1.0) is frame


@pytest.mark.parametrize(("size", "widened"), [((1600, 900), False), ((400, 800), True), ((900, 900), False)])
def test_the_face_stands_in_the_frame(size: tuple[int, int], widened: bool) -> None:
    points = face_points((size[0] * 0.5, size[1] * 0.4), 150)
    picture = np.full((size[1], size[0], 3), 40, np.uint8)
    nose = points[22]
    cv2.circle(picture, (int(nose[0]), int(nose[1])), 6, (255, 255, 255), -1)
    canvas = Canvas(size, points, (640, 360))
    frame = canvas.draw(picture)
    assert frame.shape == (360, 640, 3)
    assert canvas.widened == widened
    bright = np.argwhere(frame[..., 0] > 150).mean(0)[::-1]
    assert np.abs(bright - canvas.places(nose[None])[0]).max() < 1.5
    assert 200 < canvas.places(points)[:, 0].mean() < 440


def test_the_tables_are_what_the_daemon_reads(tmp_path: Path) -> None:
    points = face_points()
    patch = Patch(points)
    moves = np.tile(np.array([[1, 0, 0], [0, 1, 0]], np.float32), (50, 1, 1))
    stretches = [Stretch(20, "a", "b"), Stretch(30, "b", "a")]
    patch.write(tmp_path / "face.npz", (640, 360), 30, stretches, moves)
    assets = load_assets(tmp_path / "face.npz")
    assert [s.first for s in assets.segments] == [0, 20]
    corner = assets.frame_to_patch[0] @ np.append(points[LIPS][10], 1)
    assert np.allclose(corner, assets.landmarks[0, 0, 10], atol=1e-3)
    marks = assets.landmarks[0, 0]
    assert np.allclose(marks, patch.places(mouth_landmarks(points)))
    mask = assets.mask
    x, y = marks[:32].mean(0).astype(int)
    assert mask[y, x] == 255
    # The nose's tip and the eyes are no business of the mouth.
    x, y = patch.places(points[22:23])[0].astype(int)
    assert y < 0 or mask[y, x] < 8
    below = marks[36] + [0, 0.2 * mouth_width(points)]
    assert mask[int(below[1]), int(below[0])] > 200


def test_points_of_a_mouth() -> None:
    points = face_points()
    assert abs(gap(points)) < 0.02
    opened = points.copy()
    opened[40 + 26 : 40 + 32, 1] += 10
    assert gap(opened) == pytest.approx(10 / mouth_width(points), rel=0.3)
    turned = (points - points.mean(0)) @ np.array([[0.0, 1.0], [-1.0, 0.0]], np.float32)
    assert frame_of(turned).turn == pytest.approx(np.pi / 2, abs=0.01)
    assert points[JAW][4][1] == points[:, 1].max()


def track(points: np.ndarray, gaps: np.ndarray, small: np.ndarray) -> Track:
    return Track(points.astype(np.float32), gaps.astype(np.float32), small.astype(np.float32), (640, 360))


def test_a_loop_closes_where_the_clip_comes_back() -> None:
    t = np.arange(300)
    sway = 6 * np.sin(2 * np.pi * t / 110) + 0.02 * t
    points = face_points()[None] + np.stack((sway, 0 * sway), 1)[:, None]
    looks = np.outer(sway, np.ones(36 * 64))
    found = best_loop(track(points, np.zeros(300), looks), range(300), 30)
    assert found.frames >= 150
    assert found.first >= found.fade
    assert abs(sway[found.first] - sway[found.end]) < 1.0
    drift = (sway[found.first + 1] - sway[found.first]) * (sway[found.end] - sway[found.end - 1])
    assert drift > 0


def test_parts_with_an_open_mouth_are_left_out_or_told() -> None:
    points = np.repeat(face_points()[None], 300, 0)
    gaps = np.zeros(300)
    gaps[30:45] = 0.3
    run, opened = shut_part(track(points, gaps, np.zeros((300, 4))), CLIP)
    assert (run.start, run.stop) == (45, 300)
    assert told(opened, 30) == "1.0-1.5 s"
    gaps[::60] = 0.3
    with pytest.raises(BadInputError) as error:
        shut_part(track(points, gaps, np.zeros((300, 4))), CLIP)
    assert "the mouth is open at" in str(error.value)


def test_faces_are_brought_onto_each_other() -> None:
    rest = face_points()
    angle, scale = 0.2, 1.1
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * scale
    moved = (rest @ turn + [30, -12]).astype(np.float32)
    affine = to_rest(moved[None], rest)[0]
    assert np.allclose(moved @ affine[:, :2].T + affine[:, 2], rest, atol=0.01)


def test_a_face_in_a_mirror_is_a_face() -> None:
    points = face_points((0.0, 0.0))
    mirrored = points[MIRROR] * np.array([-1, 1], np.float32)
    assert np.allclose(mirrored, points, atol=0.01)
    assert np.array_equal(np.sort(MIRROR), np.arange(72))
