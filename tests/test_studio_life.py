"""The studio's life, without the pack: motion between anchors, moods and mouths, lips and lids that meet."""

from __future__ import annotations

import itertools
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from studio import landmarks
from studio.life import anchors as ch
from studio.life import inside, lids, lips
from studio.life.anchors import ANCHORS, CHANNELS, channels_of, pose_of
from studio.life.curves import breath, min_jerk, saccade_s, stroke, window
from studio.life.expressions import MOODS, SHUT_PRESS, brow_units, express, mood_units, mouth_units
from studio.life.gaze import BLINK_S, FPS, Blink, Fixation, blinks, spontaneous
from studio.life.gaze import lids as blinking
from studio.life.report import autocorrelation, live, main, measure
from studio.life.rings import LID_LEFT, LID_RIGHT, LIPS
from studio.life.segments import Segment, plan
from studio.life.style import Style
from studio.life.walk import walk
from studio.pack import StudioError
from studio.pose import Pose
from vcam_talker.core.types import MOUTH_PARAMS, Activity, Emotion
from vcam_talker.face.visemes import SHAPES, Kind

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
    life = np.concatenate([s.track[1:] for s in itertools.islice(walk(segments, 7), 30)])
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


# --- the walk and its measures


def test_a_walk_joins_and_does_not_repeat_itself_at_once(segments: tuple[Segment, ...]) -> None:
    steps = list(itertools.islice(walk(segments, 5, begin="b"), 200))
    assert steps[0].begins == "b"
    for before, after in itertools.pairwise(steps):
        assert before.ends == after.begins
        assert before is not after
    assert {id(s) for s in steps} == {id(s) for s in segments if s.activity is Activity.IDLE}
    with pytest.raises(ValueError, match="no idle segment"):
        next(walk((replace(segments[0], begins="c"),), 1))


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


# --- moods, brows, lids, mouths


def _mouth(**values: float) -> np.ndarray:
    return np.array([values.get(name, 0.0) for name in MOUTH_PARAMS], np.float32)


def _shape(name: str) -> np.ndarray:
    s = SHAPES[name]
    return _mouth(
        jaw=s.jaw,
        width=s.width,
        rounding=s.rounding,
        protrusion=s.protrusion,
        teeth=s.teeth,
        tongue=s.tongue,
        press=s.press,
    )


def test_every_mood_is_its_own_and_fades_with_its_strength() -> None:
    assert set(MOODS) == set(Emotion)
    assert not MOODS[Emotion.NEUTRAL]
    names = sorted({name for mood in MOODS.values() for name in mood})
    table = np.array([[mood.get(name, 0.0) for name in names] for mood in MOODS.values()])
    for one, other in itertools.combinations(table, 2):
        assert np.linalg.norm(one - other) > 0.3
    assert np.abs(table).max() <= 1.0
    half, whole = mood_units({Emotion.SAD: 0.5}), mood_units({Emotion.SAD: 1.0})
    assert all(half[name] == pytest.approx(whole[name] / 2) for name in whole)
    mixed = mood_units({Emotion.HAPPY: 0.5, Emotion.PLAYFUL: 0.5})
    assert mixed["mouth-corner-puller"] == pytest.approx(0.585)


def test_the_viewers_left_is_the_characters_right() -> None:
    units = brow_units((0.5, -0.5), 0.0)
    assert units["eyebrows-right-up"] > 0
    assert units["eyebrows-left-up"] == 0
    assert units["eyebrows-left-down"] > 0
    told = express(Pose(lids=(1.0, -0.3)), {})
    assert told.units["eye-right-closure"] == 1
    assert told.units["eye-left-closure"] == 0
    assert told.units["eye-left-opened-up"] == pytest.approx(0.6)
    assert told.shut == (1.0, 0.0)


def test_a_rest_is_kept_and_not_written_to() -> None:
    rest = {"mouth-corner-puller": 0.3, "eyebrows-left-inner-up": 0.2}
    told = express(Pose(), rest)
    assert told.units["mouth-corner-puller"] == 0.3
    assert told.units["eyebrows-left-inner-up"] == 0.2
    assert rest == {"mouth-corner-puller": 0.3, "eyebrows-left-inner-up": 0.2}
    rounded = express(Pose(mouth=_mouth(rounding=1.0)), rest)
    assert rounded.units["mouth-corner-puller"] < 0.3


def test_a_shut_eye_is_neither_wide_nor_narrow() -> None:
    surprised = {Emotion.SURPRISED: 1.0}
    assert express(Pose(emotion=surprised), {}).units["eye-left-opened-up"] > 0.5
    told = express(Pose(emotion=surprised, lids=(1.0, 1.0), squint=1.0), {})
    assert told.units["eye-left-opened-up"] == 0
    assert told.units["eye-left-slit"] < 0.2


@pytest.mark.parametrize(
    ("parameter", "unit"),
    [
        ("jaw", "mouth-open"),
        ("width", "mouth-retraction"),
        ("width", "mouth-upward-retraction"),
        ("rounding", "mouth-pursing"),
        ("protrusion", "mouth-protusion"),
        ("teeth", "mouth-elevation"),
        ("press", "mouth-compression"),
    ],
)
def test_units_rise_with_their_parameter(parameter: str, unit: str) -> None:
    weights = [mouth_units(_mouth(**{parameter: x})).units[unit] for x in np.linspace(0, 1, 41)]
    assert weights[0] == 0
    assert (np.diff(weights) > 0).all()


def test_mouths_are_continuous() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        a = rng.uniform((0, -1, 0, 0, 0, 0, 0), 1.0).astype(np.float32)
        b = (a + rng.uniform(-0.01, 0.01, 7)).clip((0, -1, 0, 0, 0, 0, 0), 1).astype(np.float32)
        one, other = mouth_units(a), mouth_units(b)
        assert one.units.keys() == other.units.keys()
        assert max(abs(one.units[n] - other.units[n]) for n in one.units) < 0.06
        for name in ("jaw", "tongue_up", "tongue_out", "closing", "biting", "pressing"):
            assert abs(getattr(one, name) - getattr(other, name)) < 0.25
            assert 0 <= getattr(one, name) <= 1


def test_an_open_jaw_is_no_scream() -> None:
    assert mouth_units(_mouth(jaw=1.0)).jaw < 0.5
    assert mouth_units(_mouth(jaw=0.7)).jaw > 0.3


@pytest.mark.parametrize("name", [n for n, s in SHAPES.items() if s.kind is not Kind.MARK])
def test_what_must_meet_meets(name: str) -> None:
    shape, told = SHAPES[name], mouth_units(_shape(name))
    if shape.kind in {Kind.REST, Kind.BILABIAL}:
        assert told.closing == 1
    if shape.kind is Kind.BILABIAL:
        assert told.pressing > 0.95
        # As much as smoothing leaves of a short closure still shuts it.
        assert mouth_units(_shape(name) * np.float32(0.84)).closing == 1
    else:
        assert told.pressing == 0
    assert (told.biting > 0.8) == (shape.kind is Kind.LABIODENTAL)
    if name in {"th", "l"}:
        assert told.tongue_up == 1
        assert (told.tongue_out > 0.9) == (name == "th")
    if shape.jaw >= 0.15 and shape.rounding == 0:
        assert told.closing == 0


def test_press_alone_shuts_an_open_mouth() -> None:
    assert mouth_units(_mouth(jaw=0.5, teeth=0.5, press=SHUT_PRESS)).closing == 1
    closing = [mouth_units(_mouth(jaw=j)).closing for j in np.linspace(0, 1, 41)]
    assert (np.diff(closing) <= 0).all()
    assert (closing[0], closing[-1]) == (1, 0)


# --- lips, lids, teeth


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
