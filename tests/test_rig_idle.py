"""Idle life and emotions: alive, never repeating, the same at any frame rate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from vcam_talker.core.types import Activity, Emotion, FaceInput
from vcam_talker.face.rig.emotion import FIELDS, PRESETS, EmotionBlend
from vcam_talker.face.rig.idle import BLINK_S, IdleLife
from vcam_talker.face.rig.pose import Bounce, Poser
from vcam_talker.face.rig.style import load_style
from vcam_talker.persona import IdleSection, Persona, load_persona

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def persona() -> Persona:
    return load_persona("mira")


def highest_echo(values: list[float], dt: float) -> float:
    """Return the peak of the autocorrelation at lags of 2 to 150 s."""
    x = np.array(values) - np.mean(values)
    spectrum = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    echo = np.fft.irfft(spectrum)[: len(x)] / (x @ x)
    return float(echo[round(2 / dt) : round(150 / dt)].max())


@pytest.mark.parametrize("seed", [1, 7, 12])
def test_idle_motion_never_loops(seed: int) -> None:
    life, dt = IdleLife(seed, IdleSection()), 0.2
    moments = [life.at(n * dt) for n in range(round(300 / dt))]
    for field in ("yaw", "pitch", "roll", "shift_x", "breath", "gaze_x", "gaze_y", "brow"):
        assert highest_echo([getattr(m, field) for m in moments], dt) < 0.5, field


def test_idle_motion_is_alive_but_calm() -> None:
    life, dt = IdleLife(3, IdleSection()), 0.05
    moments = [life.at(n * dt) for n in range(4000)]
    for field, least, most, fastest in (("yaw", 0.7, 6, 9), ("roll", 0.3, 4, 6), ("breath", 0.3, 2, 4)):
        x = np.array([getattr(m, field) for m in moments])
        assert x.std() > least, field
        assert np.abs(x).max() < most, field
        assert np.abs(np.diff(x)).max() / dt < fastest, field


def blink_starts(life: IdleLife, minutes: int) -> list[float]:
    dt = 0.02
    shut = np.array([life.blink(n * dt) for n in range(round(minutes * 60 / dt))]) > 0
    return list(np.flatnonzero(shut[1:] & ~shut[:-1]) * dt)


def test_blinks_come_at_the_rate_asked_for_and_irregularly() -> None:
    starts = blink_starts(IdleLife(5, IdleSection(blinks_per_min=15)), 30)
    assert 12 < len(starts) / 30 < 18
    gaps = np.diff(starts)
    assert gaps.std() / gaps.mean() > 0.4
    assert (gaps < 0.5).mean() > 0.03, "some are double"
    assert gaps.max() < 25


def test_a_blink_shuts_the_eye_and_takes_its_time() -> None:
    life = IdleLife(5, IdleSection())
    start = blink_starts(life, 1)[0]
    phases = [life.blink(start + n * 0.005) for n in range(round(BLINK_S / 0.005) + 6)]
    assert max(phases) == 1.0
    assert phases[-1] == 0.0
    assert 0.15 <= BLINK_S <= 0.25


def test_no_blinks_when_none_are_wanted() -> None:
    life = IdleLife(5, IdleSection(blinks_per_min=0))
    assert all(life.blink(n * 0.05) == 0 for n in range(4000))


def test_the_eyes_rest_on_the_viewer_and_on_a_listener_always() -> None:
    life = IdleLife(2, IdleSection())
    idle = np.array([life.at(n * 0.1).gaze_x for n in range(6000)])
    assert (np.abs(idle) < 0.1).mean() > 0.6
    assert (np.abs(idle) > 0.2).mean() > 0.03
    listening = np.array([life.at(n * 0.1, Activity.LISTENING).gaze_x for n in range(3000)])
    assert np.abs(listening).max() < 0.1
    thinking = np.array([life.at(n * 0.1, Activity.THINKING).gaze_y for n in range(3000)])
    assert thinking.mean() < -0.4


def test_idle_life_is_a_function_of_time_alone() -> None:
    forward, anew = IdleLife(4, IdleSection()), IdleLife(4, IdleSection())
    seen = [forward.at(n * 0.1) for n in range(1500)]
    assert anew.at(149.0) == seen[1490]
    assert anew.at(12.3) == forward.at(12.3)


def test_every_emotion_is_eased_in_within_half_a_second() -> None:
    for emotion in Emotion:
        if emotion is Emotion.NEUTRAL:
            continue
        blend = EmotionBlend(Emotion.NEUTRAL, 1.0)
        weights = []
        for _ in range(60):
            blend.step(emotion, 0.01)
            weights.append(blend.weight(emotion))
        assert weights[4] < 0.2, "no jump"
        assert weights[-1] > 0.97
        assert all(a <= b + 1e-9 for a, b in itertools.pairwise(weights))


def test_an_emotion_may_be_interrupted_without_a_jump() -> None:
    blend = EmotionBlend(Emotion.NEUTRAL, 1.0)
    last = blend.step(Emotion.HAPPY, 0.0)
    wanted = [Emotion.HAPPY] * 12 + [Emotion.SAD] * 5 + [Emotion.ANGRY] * 30
    for emotion in wanted:
        now = blend.step(emotion, 1 / 60)
        # Degrees move in larger numbers than shares.
        assert all(
            abs(now[f] - last[f]) < (2.0 if f in {"yaw", "pitch", "roll", "shoulders"} else 0.3)
            for f in FIELDS
        )
        last = now


def test_presets_name_known_fields_only() -> None:
    for emotion, preset in PRESETS.items():
        assert set(preset) <= set(FIELDS), emotion


def test_strength_zero_shows_no_emotion() -> None:
    blend = EmotionBlend(Emotion.NEUTRAL, 0.0)
    rest = blend.step(Emotion.NEUTRAL, 0.0)
    for _ in range(20):
        assert blend.step(Emotion.ANGRY, 0.1) == pytest.approx(rest)


@pytest.mark.parametrize("fps", [10, 25, 60])
def test_poses_do_not_depend_on_the_frame_rate(persona: Persona, fps: int) -> None:
    style = load_style(persona.root / persona.face.file)

    def run(rate: int) -> list[float]:
        poser = Poser(persona, style, 3)
        face = FaceInput(emotion=Emotion.HAPPY, activity=Activity.SPEAKING, energy=0.5)
        poser.at(0.0, FaceInput())
        for n in range(1, rate + 1):
            pose = poser.at(n / rate, face)
        return [pose.yaw, pose.pitch, pose.roll, pose.blush, *pose.smile]

    assert run(fps) == pytest.approx(run(300), abs=0.15)


def test_hair_follows_late_and_comes_to_rest() -> None:
    spring = Bounce(6.5, 0.38)
    path = [spring.step(10.0, 1 / 60) for _ in range(240)]
    assert path[2] < 1.0
    assert max(path) > 10.5, "it swings past"
    assert path[-1] == pytest.approx(10.0, abs=0.05)
    coarse = Bounce(6.5, 0.38)
    assert [coarse.step(10.0, 4 / 60) for _ in range(60)] == pytest.approx(path[3::4])


def test_loud_speech_moves_brows_and_head(persona: Persona) -> None:
    style = load_style(persona.root / persona.face.file)

    def travel(energy: float) -> float:
        poser = Poser(persona, style, 3)
        total, last = 0.0, None
        for n in range(90):
            loud = energy * (n // 6 % 2)
            pose = poser.at(20 + n / 30, FaceInput(activity=Activity.SPEAKING, energy=loud))
            now = pose.pitch + 4 * pose.brow_raise[0]
            total += 0.0 if last is None else abs(now - last)
            last = now
        return total

    assert travel(0.9) > 1.5 * travel(0.0)


def test_a_playful_mood_opens_with_a_wink(persona: Persona) -> None:
    calm = persona.model_copy(update={"idle": IdleSection(blinks_per_min=0)})
    poser = Poser(calm, load_style(persona.root / persona.face.file), 3)
    poser.at(0.0, FaceInput())
    lids = [poser.at(n / 30, FaceInput(emotion=Emotion.PLAYFUL)).lids for n in range(1, 60)]
    assert min(right for _, right in lids) < 0.05
    assert min(left for left, _ in lids) > 0.6
    assert lids[-1][1] > 0.2
