"""Smoothing and joining: bounded, exact where it must be, without a jump."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcam_talker.face.motion import REACH, Flow, Poses, dilate, runs, shut_through, smooth

pytestmark = pytest.mark.unit

COLUMNS = 7
masks = st.lists(st.booleans(), min_size=1, max_size=80).map(lambda bits: np.array(bits, bool))


def targets(seed: int, count: int) -> Poses:
    """Return targets that leap at random, width included."""
    rng = np.random.default_rng(seed)
    out = np.repeat(rng.random((count, COLUMNS)), rng.integers(1, 12, count), axis=0)[:count]
    out[:, 1] = out[:, 1] * 2 - 1
    return out


@given(masks)
def test_runs_give_back_the_mask(mask: np.ndarray) -> None:
    again = np.zeros_like(mask)
    for start, stop in runs(mask):
        assert stop > start
        again[start:stop] = True
    assert (again == mask).all()


@given(masks, st.integers(0, 9))
def test_dilate_reaches_exactly_that_far(mask: np.ndarray, by: int) -> None:
    where = np.flatnonzero(mask)
    expected = [bool(len(where)) and abs(where - i).min() <= by for i in range(len(mask))]
    assert dilate(mask, by).tolist() == expected


@given(masks, st.integers(2 * REACH + 1, 12))
def test_every_long_silence_has_a_pose_that_smooths_to_zero(silent: np.ndarray, at_least: int) -> None:
    hard = np.where(shut_through(silent, at_least), 0.0, 1.0)[:, None].repeat(COLUMNS, axis=1)
    edge = np.ones((REACH, COLUMNS))
    moved = smooth(hard, edge, edge)
    for start, stop in runs(silent):
        inside = start >= 1 and stop <= len(silent) - 1
        if inside and stop - start >= at_least + 1:
            assert (moved[start:stop] == 0).all(axis=1).any()


def test_a_short_silence_is_left_alone() -> None:
    silent = np.zeros(40, bool)
    silent[10:17] = True
    assert not shut_through(silent, 8).any()


@given(st.integers(0, 10_000), st.integers(3, 200))
def test_second_difference_of_smoothed_leaps_is_bounded(seed: int, count: int) -> None:
    leaps = targets(seed, count)
    leaps[:, 1] = (leaps[:, 1] + 1) / 2
    edge = np.zeros((REACH, COLUMNS))
    assert np.abs(np.diff(smooth(leaps, edge, edge), 2, axis=0)).max() <= 0.2


@given(st.integers(0, 10_000), st.integers(1, 200), st.booleans())
def test_motion_stays_in_range_and_ends_at_rest(seed: int, count: int, last: bool) -> None:
    values = Flow().run(targets(seed, count), last=last)
    assert values.shape == (count, COLUMNS)
    assert values.dtype == np.float32
    assert values.max() <= 1
    assert values[:, 1].min() >= -1
    assert np.delete(values, 1, axis=1).min() >= 0
    if last:
        assert not values[-1].any()


@given(st.integers(0, 10_000), st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_parts_join_without_a_jump(seed: int, lengths: list[int]) -> None:
    # An end needs time to come to rest; parts in between may be as short as a pose.
    lengths = [*lengths, 12]
    flow = Flow()
    whole = targets(seed, sum(lengths))
    parts = np.split(whole, np.cumsum(lengths)[:-1])
    joined = np.concatenate([flow.run(part, last=part is parts[-1]) for part in parts])
    slew = np.abs(np.diff(np.concatenate((np.zeros((1, COLUMNS)), joined)), axis=0))
    # A full stroke smoothed moves by 0.25 a pose; width spans twice the range.
    assert slew[:, 1].max() <= 1.0
    assert np.delete(slew, 1, axis=1).max() <= 0.55


def test_a_join_keeps_the_pose_and_the_speed() -> None:
    flow = Flow()
    rising = np.zeros((30, COLUMNS))
    rising[:, 0] = np.linspace(0, 0.6, 30)
    first = flow.run(rising, last=False)
    second = flow.run(np.full((30, COLUMNS), 0.1), last=False)
    step = second[0, 0] - first[-1, 0]
    assert abs(step - (first[-1, 0] - first[-2, 0])) < 0.06
    assert second[-1, 0] == pytest.approx(0.1, abs=1e-6)


def test_reset_forgets_the_last_pose() -> None:
    flow = Flow()
    flow.run(np.full((30, COLUMNS), 0.5), last=False)
    flow.reset()
    fresh, used = Flow(), flow
    part = targets(3, 40)
    assert (fresh.run(part, last=False) == used.run(part, last=False)).all()
