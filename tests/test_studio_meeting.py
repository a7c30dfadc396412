"""Lips, lids and teeth that meet, without the pack."""

from __future__ import annotations

import numpy as np
import pytest

from studio import landmarks
from studio.life import inside, lids, lips
from studio.life.rings import LID_LEFT, LID_RIGHT, LIPS

pytestmark = pytest.mark.unit


def _body(opening: float, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return points with lips like two sausages, teeth and tongue behind them, and almond eyes."""
    points = np.zeros((19158, 3))
    columns = np.arange(38)
    side = np.where(columns <= 19, 1.0, -1.0)
    k = np.where(columns <= 19, columns, 38 - columns)
    upper = (columns <= 11) | (columns >= 27)
    along = np.where(k <= 11, k / 11.5, (19 - k) / 7.5)
    x = 0.25 * side * np.minimum(along, 1.0)
    arch = 1 - (x / 0.25) ** 2
    for row in range(len(LIPS)):
        # From the skin over the red to the edge (row 6), and back inside.
        angle = np.pi * (row - 6) / 7
        y = np.where(upper, 1, -1) * (opening / 2 + 0.08 * (1 - np.cos(angle))) * arch + 6.6
        points[LIPS[row]] = np.stack((x, y, 1.5 + 0.05 * np.cos(angle) * arch), 1)
    if rng is not None:
        points[LIPS, 1] += rng.normal(0, 0.002, LIPS.shape)
    points[lips.INCISORS] = (0, 6.6, 1.46)
    points[15010] = (0, 6.59, 1.45)
    points[13380:13606, 2] = np.linspace(0.6, 1.35, 226)
    points[13380:13606, 1] = 6.5
    points[13381] = (0, 6.5, 1.39)
    for lid, sign in ((LID_LEFT, -1), (LID_RIGHT, 1)):
        for column in range(28):
            across = column / 13 if column <= 13 else (28 - column) / 15
            height = 0.06 * np.sin(np.pi * across) * (1 if column <= 13 else -1)
            for row in range(7):
                grow = 1 + 0.15 * abs(row - 2)
                flat = np.array([sign * (0.18 + 0.26 * across), 7.28 + height * grow])
                z = np.sqrt(max(0.0, 0.16**2 - ((flat - (sign * 0.31, 7.28)) ** 2).sum()))
                points[lid[row, column]] = (*flat, 1.24 + z)
    return points


_EYES = np.array([[-0.31, 7.28, 1.24], [0.31, 7.28, 1.24]])


@pytest.mark.parametrize("opening", [0.0, 0.01, 0.08, 0.3])
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_lips_meet_all_along(opening: float, seed: int | None) -> None:
    points = _body(opening, None if seed is None else np.random.default_rng(seed))
    before = points.copy()
    shut = lips.meet(points, 1.0)
    assert lips.gaps(shut).max() <= 0
    assert lips.gaps(shut).min() > -0.03 or seed is not None
    assert np.array_equal(points, before)
    pressed = lips.meet(points, 1.0, pressing=1.0)
    assert lips.gaps(pressed).max() <= 0


def test_lips_close_by_degrees_and_alike_on_both_sides() -> None:
    points = _body(0.2)
    middles = [lips.gaps(lips.meet(points, c))[6] for c in np.linspace(0, 1, 11)]
    assert (np.diff(middles) < 0).all()
    assert middles[0] == lips.gaps(points)[6]
    shut = lips.meet(points, 1.0)
    mirror = LIPS[:, (-np.arange(38)) % 38]
    assert np.allclose(shut[LIPS] * (-1, 1, 1), shut[mirror], atol=1e-12)


def test_pressed_lips_are_thinner() -> None:
    points = _body(0.0)
    pressed = lips.meet(points, 1.0, pressing=1.0)
    red = [p[LIPS[1, 0], 1] - p[LIPS[1, 19], 1] for p in (points, pressed)]
    assert red[1] < 0.85 * red[0]


def test_a_biting_lip_touches_the_teeth() -> None:
    points = _body(0.05)
    points[lips.INCISORS, 1] = 6.56
    bitten = lips.meet(points, 0.0, biting=1.0)
    high = bitten[LIPS[3:9, 19], 1].max()
    assert points[lips.INCISORS, 1] < high < points[lips.INCISORS, 1] + 0.02
    low = bitten[LIPS[3:9, 0], 1].min()
    assert low > high + 0.03
    assert np.allclose(bitten[LIPS[:, 11]], points[LIPS[:, 11]], atol=0.02)


@pytest.mark.parametrize("side", [0, 1])
def test_lids_meet_and_stay_off_the_eye(side: int) -> None:
    points = _body(0.0)
    shut = lids.meet(points, (1.0 - side, float(side)), _EYES)
    slits = lids.slits(shut)
    assert slits[side] <= 0
    assert slits[1 - side] == lids.slits(points)[1 - side] > 0.05
    lid = (LID_LEFT, LID_RIGHT)[side]
    away = [np.linalg.norm(p[lid] - _EYES[side], axis=-1) for p in (points, shut)]
    assert (away[1] > away[0] - 1e-9).all()


def test_the_jaw_takes_teeth_and_tongue_along_and_the_tip_finds_the_teeth() -> None:
    rest = _body(0.0)
    shut = inside.arrange(rest, rest, 0.0, 0.0, 0.0)
    opened = inside.arrange(rest, rest, 0.4, 0.0, 0.0)
    assert np.array_equal(shut[lips.INCISORS], opened[lips.INCISORS])
    assert shut[lips.INCISORS, 1] < lips.lip_line(rest)
    assert opened[15010, 1] < shut[15010, 1] - 0.1
    assert opened[13381, 1] < shut[13381, 1] - 0.1
    behind = inside.arrange(rest, rest, 0.1, 1.0, 0.0)
    between = inside.arrange(rest, rest, 0.1, 1.0, 1.0)
    tip = 13605
    assert behind[tip, 2] < behind[lips.INCISORS, 2] < between[tip, 2]
    assert between[tip, 1] < behind[tip, 1]


# --- indices


def test_loops_name_every_point_once_and_the_body_only() -> None:
    for table, shape in ((LIPS, (11, 38)), (LID_LEFT, (7, 28)), (LID_RIGHT, (7, 28))):
        assert table.shape == shape
        assert len(np.unique(table)) == table.size
        assert table.max() < 13380
    assert not set(LID_LEFT.ravel()) & set(LID_RIGHT.ravel())


def test_landmarks_mirror_onto_themselves() -> None:
    mirror = landmarks.MIRROR
    assert landmarks.FACE.shape == (72,)
    assert landmarks.MOUTH.shape == (41,)
    assert len(np.unique(landmarks.FACE)) == 72
    assert np.array_equal(mirror[mirror], np.arange(72))
    column = {int(v): (row, k) for row, loop in enumerate(LIPS) for k, v in enumerate(loop)}
    lid = {int(v): rc for table in (LID_LEFT, LID_RIGHT) for rc, v in np.ndenumerate(table)}
    for one, other in zip(landmarks.FACE, landmarks.FACE[mirror], strict=True):
        if int(one) in column:
            row, k = column[int(one)]
            assert column[int(other)] == (row, (38 - k) % 38)
        elif int(one) in lid:
            assert lid[int(one)] == lid[int(other)]
            assert (int(one) in LID_LEFT) != (int(other) in LID_LEFT)
    points = _body(0.1)
    assert np.allclose(points[landmarks.OUTER_LIPS] * (-1, 1, 1), points[landmarks.FACE[mirror]][40:60])
    assert (np.diff(points[landmarks.INNER_UPPER, 0]) > 0).all()
    assert (points[landmarks.INNER_UPPER, 1] > points[landmarks.INNER_LOWER, 1]).all()
    assert landmarks.aperture(points) == pytest.approx(0.1, rel=0.3)
