"""The walk through a clip: joins at anchors, follows the activity, repeats nothing soon."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from vcam_talker.core.types import Activity
from vcam_talker.face.clip.assets import Segment
from vcam_talker.face.clip.walk import Step, Walk

pytestmark = pytest.mark.unit

IDLE, LISTENING, SPEAKING, THINKING = (
    Activity.IDLE,
    Activity.LISTENING,
    Activity.SPEAKING,
    Activity.THINKING,
)


def table(*rows: tuple[Activity, str, str, int]) -> list[Segment]:
    found, first = [], 0
    for activity, begins, ends, frames in rows:
        found.append(Segment(first, frames, activity, begins, ends))
        first += frames
    return found


RICH = table(
    *((IDLE, a, b, 40 + 7 * n) for n, (a, b) in enumerate(2 * [x + y for x in "abc" for y in "abc"])),
    *((SPEAKING, a, b, 30) for a, b in ("aa", "ab", "ba", "bb", "ca")),
    (LISTENING, "a", "a", 33),
)


def steps_of(walk: Walk, frames: range, activity: Activity = IDLE) -> list[Step]:
    found: list[Step] = []
    for n in frames:
        step = walk.at(n, activity)[0]
        if not found or step is not found[-1]:
            found.append(step)
    return found


def test_each_segment_begins_at_the_anchor_and_the_frame_where_the_one_before_ended() -> None:
    steps = steps_of(Walk(RICH, 1, 12), range(6000))
    assert len(steps) > 50
    for before, after in pairwise(steps):
        assert after.segment.begins == before.segment.ends
        assert after.begin == before.end


def test_every_frame_lies_in_its_segment() -> None:
    walk = Walk(RICH, 2, 12)
    for n in range(2000):
        step = walk.at(n, IDLE)[0]
        assert step.begin <= n < step.end
        frame = step.clip_frame(n)
        assert step.segment.first <= frame < step.segment.first + step.segment.frames


def test_the_plan_reaches_ahead_without_a_hole() -> None:
    walk = Walk(RICH, 3, 100)
    for n in range(0, 3000, 7):
        plan = walk.at(n, IDLE)
        assert plan[-1].end > n + 100
        assert all(a.end == b.begin for a, b in pairwise(plan))


@pytest.mark.parametrize("seed", range(5))
def test_no_segment_follows_itself_while_there_is_another_and_all_are_used(seed: int) -> None:
    steps = steps_of(Walk(RICH, seed, 12), range(20_000))
    assert all(a.segment != b.segment for a, b in pairwise(steps))
    counts = Counter(step.segment.first for step in steps)
    idle = [s for s in RICH if s.activity is IDLE]
    assert set(counts) == {s.first for s in idle}
    assert max(counts.values()) < 4 * min(counts.values())


def test_two_ways_on_from_every_anchor_make_no_loop() -> None:
    few = table(*((LISTENING, a, b, 90) for a, b in ("ab", "ac", "ba", "bc", "ca", "cb")))
    order = [step.segment.first for step in steps_of(Walk(few, 1, 12), range(20_000), LISTENING)]
    assert len(order) > 200
    for period in range(1, 13):
        alike = sum(a == b for a, b in zip(order, order[period:], strict=False))
        assert alike < 0.6 * len(order), f"segments come again after {period}"


def test_the_same_seed_and_calls_give_the_same_life_and_another_seed_another() -> None:
    first, same, other = (steps_of(Walk(RICH, seed, 12), range(3000)) for seed in (4, 4, 5))
    assert first == same
    assert first != other


def test_skipped_frames_do_not_change_the_order() -> None:
    every, third = (steps_of(Walk(RICH, 6, 12), range(0, 3000, step)) for step in (1, 3))
    assert [s.segment for s in every] == [s.segment for s in third]


def test_the_activity_decides_at_the_next_anchor_that_is_not_planned_yet() -> None:
    walk = Walk(RICH, 7, 12)
    first = walk.at(0, IDLE)[0]
    steps = steps_of(walk, range(first.end + 900), SPEAKING)
    assert steps[0] == first
    # Anchor c has one way to speak on, so from the second step on everything is speech.
    assert {s.segment.activity for s in steps[2:]} == {SPEAKING}
    back = steps_of(walk, range(steps[-1].end, steps[-1].end + 900), IDLE)
    assert back[-1].segment.activity is IDLE


def test_an_activity_without_segments_is_idle() -> None:
    steps = steps_of(Walk(RICH, 8, 12), range(3000), THINKING)
    assert {s.segment.activity for s in steps} == {IDLE}


def test_it_goes_to_the_anchor_where_the_activity_can_begin() -> None:
    walk = Walk(RICH, 9, 0)
    begin = next(n for n in range(3000) if walk.at(n, IDLE)[0].segment.ends == "c")
    end = walk.at(begin, IDLE)[0].end
    assert walk.at(end, LISTENING)[0].segment.ends == "a"
    assert walk.at(walk.at(end, LISTENING)[0].end, LISTENING)[0].segment.activity is LISTENING


def test_an_anchor_with_only_one_way_on_is_no_dead_end() -> None:
    steps = steps_of(Walk(table((IDLE, "a", "a", 30)), 1, 12), range(500))
    assert len(steps) > 10


@pytest.mark.parametrize("jump", [-5000, -300, 2000, 30 * 86_400])
def test_after_a_jump_life_goes_on_there(jump: int) -> None:
    walk = Walk(RICH, 10, 12)
    walk.at(10_000, IDLE)
    step = walk.at(10_000 + jump, IDLE)[0]
    assert step.begin <= 10_000 + jump < step.end
    assert len(steps_of(walk, range(10_000 + jump, 10_000 + jump + 500))) > 3


def test_a_small_step_back_stays_in_the_segment() -> None:
    walk = Walk(RICH, 11, 12)
    step = walk.at(0, IDLE)[0]
    walk.at(20, IDLE)
    assert walk.at(15, IDLE)[0] == step
