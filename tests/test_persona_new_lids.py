"""Blinks: eyes are where the picture shows them, not where the net has them, and lids are skin."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.support.pictures import face_points
from vcam_talker.persona_new.eyes import find_eyes
from vcam_talker.persona_new.lids import Lids

pytestmark = pytest.mark.unit

POINTS = face_points((320.0, 170.0), 200.0)
HIGHER_PX = 9
"""The net's points lie so far below the eyes that are drawn: half of what these are open."""
MIDDLES = [
    (round(float(x)), round(float(y)) - HIGHER_PX) for x, y in (POINTS[28:34].mean(0), POINTS[34:40].mean(0))
]
IRIS_PX, HALF_PX, HIGH_PX = 10, 26, 11


def skin() -> np.ndarray:
    """Return uint8[360, 640, 3] with pores, lit from the side."""
    grain = cv2.GaussianBlur(np.random.default_rng(4).normal(0, 12, (360, 640, 1)), (0, 0), 0.8)[..., None]
    light = np.linspace(1.05, 0.9, 640)[None, :, None]
    return np.clip(np.array((205.0, 160.0, 135.0)) * light + grain, 0, 255).astype(np.uint8)


def drawn(iris: tuple[int, int, int] = (60, 40, 30)) -> np.ndarray:
    """Return a face's skin with two open eyes, lashes and brows."""
    frame = skin()
    for x, y in MIDDLES:
        eye = np.zeros(frame.shape[:2], np.uint8)
        cv2.ellipse(eye, (x, y + 2), (HALF_PX, HIGH_PX), 0, 0, 360, 255, -1)
        ball = np.full_like(frame, (225, 220, 215))
        cv2.circle(ball, (x, y), IRIS_PX, iris, -1, cv2.LINE_AA)
        cv2.circle(ball, (x + 3, y - 4), 2, (255, 255, 255), -1, cv2.LINE_AA)
        frame[eye > 0] = ball[eye > 0]
        cv2.ellipse(frame, (x, y + 2), (HALF_PX, HIGH_PX), 0, 185, 355, (40, 25, 20), 3, cv2.LINE_AA)
        cv2.line(frame, (x - 24, y - 36), (x + 24, y - 36), (70, 50, 40), 5)
    return frame


def within(y: int, x: int, high: float, wide: float) -> np.ndarray:
    rows, columns = np.mgrid[0:360, 0:640]
    return ((rows - y) / high) ** 2 + ((columns - x) / wide) ** 2 <= 1


@pytest.mark.parametrize("iris", [(60, 40, 30), (90, 120, 150), (80, 100, 70)])
def test_eyes_are_found_where_the_picture_shows_them(iris: tuple[int, int, int]) -> None:
    eyes = find_eyes(drawn(iris), POINTS)
    assert eyes is not None
    for eye, (x, y) in zip(eyes, MIDDLES, strict=True):
        assert abs(eye.middle[0] - x) < 2.5
        assert abs(eye.middle[1] - eye.upper - (y + 2 - HIGH_PX)) < 3
        assert abs(eye.middle[1] + eye.lower - (y + 2 + HIGH_PX)) < 3


def test_a_shut_eye_is_skin_with_one_dark_line_below() -> None:
    frame = drawn()
    lids = Lids(frame, POINTS)
    assert lids.usable
    shut = lids.drawn(1.0)
    bare = skin()
    for x, y in MIDDLES:
        # All of the eye but for its lowest rim, and the old lashes above, in the light that is there.
        lid = within(y - 1, x, HIGH_PX, HALF_PX - 4)
        off = np.abs(shut[lid].astype(float) - bare[lid]).mean(1)
        assert np.percentile(off, 98) < 40
        assert off.mean() < 16
        # Neither smooth nor coarse: the grain is that of the skin around.
        grain = shut.astype(float).mean(2) - cv2.GaussianBlur(shut.astype(float).mean(2), (0, 0), 2)
        inner = within(y - 1, x, HIGH_PX - 4, HALF_PX - 8)
        about = within(y + 34, x, 10, HALF_PX)
        assert 0.4 < grain[inner].std() / grain[about].std() < 1.5
        column = shut[y : y + 2 * HIGH_PX, x].mean(1)
        assert abs(int(column.argmin()) - (2 + HIGH_PX)) <= 3
        assert column.min() < 0.65 * bare[y, x].mean()


def test_nothing_else_changes() -> None:
    frame = drawn()
    shut = Lids(frame, POINTS).drawn(1.0)
    changed = (shut != frame).any(2)
    for x, y in MIDDLES:
        changed &= ~within(y, x, HIGH_PX + 2 * IRIS_PX, HALF_PX + IRIS_PX)
    assert not changed.any()
    for x, y in MIDDLES:
        assert np.array_equal(shut[y - 42 : y - 32, x - 30 : x + 30], frame[y - 42 : y - 32, x - 30 : x + 30])


def test_a_half_shut_eye_shows_the_lower_half() -> None:
    frame = drawn()
    half = Lids(frame, POINTS).drawn(0.5)
    for x, y in MIDDLES:
        assert np.abs(half[y + 7, x].astype(int) - frame[y + 7, x]).max() <= 12
        assert half[y - 5, x].min() > 90


def test_dark_glasses_do_not_blink() -> None:
    frame = drawn()
    for x, y in MIDDLES:
        cv2.circle(frame, (x, y), 40, (18, 18, 22), -1)
    lids = Lids(frame, POINTS)
    assert not lids.usable
    assert lids.drawn(1.0) is frame


def test_eyes_that_are_shut_already_do_not_blink() -> None:
    assert not Lids(skin(), POINTS).usable
    assert not Lids(Lids(drawn(), POINTS).drawn(1.0), POINTS).usable


def test_a_face_at_the_rim_of_the_picture() -> None:
    frame = drawn()
    for move in ((-360, 0), (300, 0), (0, -200), (0, 260)):
        affine = np.array([[1, 0, move[0]], [0, 1, move[1]]], np.float32)
        moved = cv2.warpAffine(frame, affine, (640, 360), borderMode=cv2.BORDER_REPLICATE)
        lids = Lids(moved, (POINTS + np.array(move)).astype(np.float32))
        assert lids.drawn(1.0).shape == frame.shape
