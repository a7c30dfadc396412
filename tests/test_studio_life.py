"""The studio's life, without the pack: motion between anchors, eyes, and what the daemon makes of them."""

from __future__ import annotations

import itertools
from random import Random

import numpy as np
import pytest

from studio.life import anchors as ch
from studio.life.anchors import ANCHORS, CHANNELS, channels_of, pose_of
from studio.life.curves import breath, min_jerk, saccade_s, stroke, window
from studio.life.gaze import BLINK_S, FPS, Blink, Fixation, blinks, spontaneous
from studio.life.gaze import lids as blinking
from studio.life.report import autocorrelation, live, main, measure
from studio.life.segments import Segment, plan
from studio.life.style import Style
from studio.pack import StudioError
from vcam_talker.core.types import Activity

pytestmark = pytest.mark.unit

_SEEDS = (1, 2, 3)
_PLANS = {seed: plan(seed) for seed in _SEEDS}


@pytest.fixture(params=_SEEDS)
def segments(request: pytest.FixtureRequest) -> tuple[Segment, ...]:
    return _PLANS[request.param]


# --- anchors and segments


def test_anchors_are_at_rest_near_frontal_and_differ() -> None:
    assert set(ANCHORS) == {"a", "b", "c"}
    for pose in ANCHORS.values():
        assert abs(pose.yaw_deg) < 3
        assert abs(pose.pitch_deg) < 2
        assert abs(pose.roll_deg) < 2
        assert (pose.gaze_right_deg, pose.gaze_up_deg, pose.smile, pose.squint) == (0, 0, 0, 0)
        assert max(map(abs, pose.lids)) < 0.05
        assert not pose.mouth.any()
        assert not pose.emotion
        assert pose.breath == ch.EMPTY
    for one, other in itertools.combinations(ANCHORS.values(), 2):
        assert np.abs(channels_of(one) - channels_of(other))[: ch.BREATH].max() > 0.5


def test_channels_and_poses_are_the_same_thing() -> None:
    values = np.arange(len(CHANNELS)) / 10
    assert channels_of(pose_of(values)).tolist() == values.tolist()


def test_a_plan_has_what_the_air_needs(segments: tuple[Segment, ...]) -> None:
    seconds = {a: [s.frames / FPS for s in segments if s.activity is a] for a in Activity}
    assert 90 < sum(sum(each) for each in seconds.values()) < 110
    assert all(3.2 <= s <= 6.0 for s in seconds[Activity.IDLE])
    assert all(1.8 <= s <= 3.5 for s in seconds[Activity.SPEAKING])
    assert sum(seconds[Activity.IDLE]) > max(sum(seconds[a]) for a in Activity if a is not Activity.IDLE)
    joined = {s.begins + s.ends for s in segments if s.activity is Activity.IDLE}
    assert joined == {a + b for a in ANCHORS for b in ANCHORS}
    for activity in Activity:
        assert {s.begins for s in segments if s.activity is activity} == set(ANCHORS)
        assert {s.ends for s in segments if s.activity is activity} == set(ANCHORS)


def test_the_same_seed_gives_the_same_motion_and_another_one_another() -> None:
    again = plan(1)
    assert all(np.array_equal(a.track, b.track) for a, b in zip(_PLANS[1], again, strict=True))
    assert not np.array_equal(_PLANS[1][0].track[:60], _PLANS[2][0].track[:60])


def test_a_segment_leaves_one_anchor_and_shows_the_other_last(segments: tuple[Segment, ...]) -> None:
    for segment in segments:
        assert channels_of(segment.pose(-1)).tolist() == channels_of(ANCHORS[segment.begins]).tolist()
        last = segment.pose(segment.frames - 1)
        assert channels_of(last).tolist() == channels_of(ANCHORS[segment.ends]).tolist()
        # The anchor's picture comes once, not at the end and at the beginning.
        assert channels_of(segment.pose(0)).tolist() != channels_of(segment.pose(-1)).tolist()
        for frame in (-2, segment.frames):
            with pytest.raises(IndexError):
                segment.pose(frame)


def test_velocity_is_zero_at_every_join(segments: tuple[Segment, ...]) -> None:
    # Per frame: so small a step cannot be told from rest, and what follows it grows smoothly.
    bars = np.array([0.02, 0.02, 0.02, 0.005, 0.01, 0.02, 0.01, 0.01, *[0.002] * 7])
    for segment in segments:
        steps = np.abs(np.diff(segment.track, axis=0))
        assert (steps[0] < bars).all(), CHANNELS[int((steps[0] - bars).argmax())]
        assert (steps[-1] < bars).all(), CHANNELS[int((steps[-1] - bars).argmax())]


def test_nothing_jumps_but_eyes_and_lids(segments: tuple[Segment, ...]) -> None:
    life = live(segments, 7, Activity.IDLE, 2.0)
    jolts = np.abs(np.diff(life, 2, axis=0)).max(axis=0)
    for channel, bar in ((ch.YAW, 0.5), (ch.PITCH, 0.5), (ch.ROLL, 0.3), (ch.SHIFT, 0.08), (ch.LEAN, 0.1)):
        assert jolts[channel] < bar
    assert jolts[ch.BREATH] < 0.06
    assert jolts[[ch.BROW_LEFT, ch.BROW_RIGHT, ch.BROW_INNER, ch.SMILE, ch.SQUINT]].max() < 0.2


@pytest.mark.parametrize("energy", [0.3, 1.0, 1.3])
def test_the_head_stays_where_mouth_patches_fit(energy: float) -> None:
    for segment in plan(11, Style(energy=energy, sway=1.5 if energy > 1 else 1.0)):
        low, high = segment.track.min(axis=0), segment.track.max(axis=0)
        for channel, bar in ((ch.YAW, 6.0), (ch.PITCH, 4.0), (ch.ROLL, 4.0), (ch.SHIFT, 1.2), (ch.LEAN, 2.0)):
            assert -bar <= low[channel]
            assert high[channel] <= bar
        assert low[ch.BREATH] >= -1
        assert high[ch.BREATH] <= 1
        assert low[[ch.LID_LEFT, ch.LID_RIGHT]].min() >= -0.4
        assert high[[ch.LID_LEFT, ch.LID_RIGHT]].max() <= 1
        assert np.abs(segment.track[:, [ch.BROW_LEFT, ch.BROW_RIGHT]]).max() <= 1
        for channel in (ch.BROW_INNER, ch.SMILE, ch.SQUINT):
            assert low[channel] >= -1e-9
            assert high[channel] <= 1


def test_activities_look_like_what_they_are(segments: tuple[Segment, ...]) -> None:
    of = {a: np.concatenate([s.track for s in segments if s.activity is a]) for a in Activity}
    gaze = {a: np.hypot(v[:, ch.GAZE_X], v[:, ch.GAZE_Y]) for a, v in of.items()}
    assert (gaze[Activity.LISTENING] < 3).mean() > 0.9
    assert (gaze[Activity.THINKING] > 5).mean() > 0.4
    assert of[Activity.THINKING][:, ch.GAZE_Y].max() > 4
    assert of[Activity.LISTENING][:, ch.LEAN].mean() > of[Activity.IDLE][:, ch.LEAN].mean()
    speed = {a: np.abs(np.diff(v[:, :3], axis=0)).mean() for a, v in of.items()}
    assert speed[Activity.SPEAKING] > 1.5 * speed[Activity.IDLE]
    assert not of[Activity.SPEAKING][:, ch.SMILE].any()
    # The head turns to where the eyes went, after them.
    for segment in (s for s in segments if s.activity is Activity.THINKING):
        away = int(np.argmax(np.abs(segment.track[:, ch.GAZE_X]) > 3))
        turned = segment.track[:, ch.YAW] - segment.track[away, ch.YAW]
        assert np.abs(turned[: away + 1]).max() < 0.4
        assert (
            turned[away : away + 30][np.abs(turned[away : away + 30]).argmax()]
            * segment.track[away + 2, ch.GAZE_X]
            > 0
        )


def test_a_still_style_moves_less_and_never_blinks() -> None:
    calm = plan(1, Style(energy=0.3, sway=0.0, brows=0.0, blinks_per_min=0.0, smile=0.0))
    idle = [s.track for s in calm if s.activity is Activity.IDLE]
    lively = [s.track for s in _PLANS[1] if s.activity is Activity.IDLE]
    assert np.ptp(np.concatenate(idle)[:, ch.YAW]) < np.ptp(np.concatenate(lively)[:, ch.YAW])
    assert all(not track[:, [ch.SMILE, ch.BROW_INNER]].any() for track in idle)
    with pytest.raises(StudioError, match=r"life\.energy"):
        Style(energy=2.0)


# --- what the daemon makes of them


def test_idle_life_does_not_loop(segments: tuple[Segment, ...]) -> None:
    found = measure(live(segments, 1, Activity.IDLE, 10.0))
    assert max(found.correlation.values()) < 0.5
    assert max(found.returns.values()) < 0.3
    assert 8 < found.blinks_per_min < 28
    assert 0.25 < found.fixation_s[0] < 2.0
    assert found.on_viewer > 0.8
    assert found.still < 0.25


def test_a_loop_would_be_found() -> None:
    once = live(_PLANS[1], 1, Activity.IDLE, 0.4)
    found = measure(np.concatenate([once] * 8))
    assert min(found.returns.values()) > 0.95


def test_autocorrelation_of_a_wave() -> None:
    wave = np.sin(np.arange(3000) * 2 * np.pi / 100)
    assert autocorrelation(wave, np.array([0, 50, 100])) == pytest.approx([1, -1, 1], abs=0.02)


def test_the_report_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--seed", "2", "--minutes", "1"])
    text = capsys.readouterr().out
    assert all(word in text for word in ("autocorrelation", "blinks", "fixations", "still", *Activity))


# --- curves, eyes


def test_curves_begin_and_end_flat() -> None:
    t = np.linspace(0, 2, 2001)
    for curve in (min_jerk(t), stroke(t, 0.2, 0.3, 0.2, 0.5), window(t, 2.0, 0.5), breath(t / 2, 0.4, 0.1)):
        assert abs(curve[1] - curve[0]) < 1e-5
        assert abs(curve[-1] - curve[-2]) < 1e-5
        assert curve.min() >= -1e-12
        assert curve.max() <= 1 + 1e-12
    lungs = breath(t / 2, 0.4, 0.1)
    assert lungs.argmax() / len(t) == pytest.approx(0.4, abs=0.01)
    assert np.abs(lungs[t > 1.8]).max() < 1e-12


def test_larger_saccades_take_longer_within_30_to_70_ms() -> None:
    assert [saccade_s(d) for d in (0.1, 10, 90)] == pytest.approx([0.03, 0.043, 0.07])


def test_a_blink_shuts_both_eyes_and_opens_more_slowly() -> None:
    t = np.arange(60) / FPS
    left, right = blinking(t, [Blink(0.5, 5 / FPS)], 0.008)
    for lid in (left, right):
        assert lid.max() == 1.0
        shut = np.flatnonzero(lid == 1.0)
        down = np.flatnonzero(lid > 0)[0]
        up = np.flatnonzero(lid > 0)[-1]
        assert up - shut[-1] > shut[0] - down
        assert 0.2 < (up - down + 1) / FPS < 0.4
    assert (left != right).any()


def test_blinks_go_with_large_gaze_shifts_and_keep_off_the_ends() -> None:
    shifts = [Fixation(1.0, 12.0, 5.0), Fixation(3.0, 0.0, 0.0)]
    found = [blinks(5.0, [0.01, 4.99], shifts, Random(seed)) for seed in range(40)]
    assert any(abs(b.start_s - 0.96) < 0.03 for each in found for b in each)
    for each in found:
        assert all(0.1 <= b.start_s <= 5.0 - BLINK_S - 0.08 for b in each)
        assert all(b.start_s - a.start_s >= BLINK_S - 2 / FPS for a, b in itertools.pairwise(each))
    hour = spontaneous(3600.0, 15.0, Random(1))
    assert len(hour) == pytest.approx(15 * 60, rel=0.15)
    gaps = np.log(np.diff(hour)[np.diff(hour) > 0.7])
    assert abs(((gaps - gaps.mean()) ** 3).mean() / gaps.std() ** 3) < 0.5
