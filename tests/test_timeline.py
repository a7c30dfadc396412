"""The timeline on virtual time: sound and mouth together, silence otherwise, interruptions."""

from __future__ import annotations

import numpy as np
import pytest

from vcam_talker.air.mouth_easing import MouthEasing
from vcam_talker.air.timeline import QUANTUM, QUANTUM_NS, FaceSample, Timeline, TimelineEvent
from vcam_talker.core.types import NO_TURN, NS_PER_S, SAMPLE_RATE, Pts, TurnId, rest_mouth

pytestmark = pytest.mark.unit


def _speech(quanta: int, level: float = 0.2, jaw: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    mouth = np.zeros((quanta, 7), np.float32)
    mouth[:, 0] = jaw
    return np.full(quanta * QUANTUM, level, np.float32), mouth


def test_silence_when_nothing_waits() -> None:
    timeline = Timeline()
    chunk = timeline.pull()
    assert chunk.pts == 0
    assert not chunk.samples.any()
    assert chunk.turn == NO_TURN
    assert timeline.pull().pts == QUANTUM_NS


def test_sound_and_mouth_share_their_place() -> None:
    timeline = Timeline()
    for _ in range(7):
        timeline.pull()
    samples, mouth = _speech(10)
    mouth[:, 0] = np.linspace(0.1, 1.0, 10)
    timeline.push(TurnId(1), samples, mouth)
    first = timeline.pull()
    assert first.pts == 7 * QUANTUM_NS
    # The pose of quantum k describes its middle, whether it has left yet or still waits.
    for k in range(10):
        sample = timeline.face_at(Pts((7 + k) * QUANTUM_NS + QUANTUM_NS // 2))
        assert sample.mouth[0] == pytest.approx(mouth[k, 0])
        assert sample.turn == 1


def test_events_tell_start_and_end_with_what_was_played() -> None:
    events: list[TimelineEvent] = []
    timeline = Timeline(events.append)
    timeline.push(TurnId(3), *_speech(5))
    timeline.finish(TurnId(3))
    for _ in range(6):
        timeline.pull()
    assert [e.kind for e in events] == ["started", "ended"]
    playout = events[1].playout
    assert playout is not None
    assert (playout.turn, playout.played_s, playout.interrupted) == (3, 0.05, False)


def test_a_turn_without_sound_ends_at_once() -> None:
    events: list[TimelineEvent] = []
    timeline = Timeline(events.append)
    timeline.finish(TurnId(4))
    assert [e.kind for e in events] == ["ended"]


def test_flush_fades_and_then_is_silent() -> None:
    events: list[TimelineEvent] = []
    timeline = Timeline(events.append)
    timeline.push(TurnId(1), *_speech(50))
    for _ in range(10):
        timeline.pull()
    assert timeline.flush(TurnId(1))
    fade = timeline.pull().samples
    assert fade[0] == pytest.approx(0.2, abs=0.01)
    assert abs(fade[-1]) < 0.001
    assert np.all(np.diff(fade) <= 0)
    assert not timeline.pull().samples.any()
    playout = events[-1].playout
    assert playout is not None
    assert playout.interrupted
    assert playout.played_s == pytest.approx(0.1)


def test_the_fade_of_a_cut_turn_is_heard_at_once_even_under_the_next() -> None:
    timeline = Timeline()
    timeline.push(TurnId(1), *_speech(50, level=0.5))
    timeline.pull()
    timeline.flush(TurnId(1))
    timeline.push(TurnId(2), *_speech(2, level=0.1))
    assert timeline.pull().samples[0] == pytest.approx(0.6, abs=0.01)
    assert np.abs(timeline.pull().samples).max() == pytest.approx(0.1)
    assert not timeline.pull().samples.any()


def test_speech_of_a_dead_turn_is_dropped() -> None:
    timeline = Timeline()
    timeline.push(TurnId(1), *_speech(5))
    timeline.flush(TurnId(1))
    timeline.push(TurnId(1), *_speech(5))
    timeline.finish(TurnId(1))
    assert timeline.waiting_ms == 0
    timeline.push(TurnId(2), *_speech(5))
    assert timeline.waiting_ms == 50


def test_flush_of_what_has_not_begun_still_ends_it() -> None:
    events: list[TimelineEvent] = []
    timeline = Timeline(events.append)
    timeline.push(TurnId(2), *_speech(5))
    assert timeline.flush(TurnId(2))
    assert [e.kind for e in events] == ["ended"]
    assert not timeline.flush(TurnId(2))


def test_bad_numbers_never_reach_a_device() -> None:
    timeline = Timeline()
    samples, mouth = _speech(1)
    samples[:3] = [np.nan, np.inf, 7.0]
    mouth[0, :2] = [np.nan, 9.0]
    timeline.push(TurnId(1), samples, mouth)
    drawn = timeline.face_at(Pts(QUANTUM_NS // 2)).mouth
    assert np.all(np.isfinite(drawn))
    assert drawn.max() <= 1.0
    out = timeline.pull().samples
    assert np.all(np.isfinite(out))
    assert np.abs(out).max() <= 1.0


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="quanta"):
        Timeline().push(TurnId(1), np.zeros(100, np.float32), np.zeros((1, 7), np.float32))


def test_mouth_shuts_completely_after_a_break_and_never_jumps() -> None:
    easing = MouthEasing()
    open_mouth = rest_mouth()
    open_mouth[0] = 0.8
    period = 33_333_333
    poses = []
    for n in range(30):
        speaking = 5 <= n < 15
        sample = (
            FaceSample(open_mouth, 0.5, TurnId(1)) if speaking else FaceSample(rest_mouth(), 0.0, NO_TURN)
        )
        poses.append(float(easing.shape(Pts(n * period), sample)[0]))
    assert poses[4] == 0
    assert poses[8] == pytest.approx(0.8)
    # 100 ms after the break the lips touch; on the way there no frame moves them more than half the way.
    assert poses[19] == 0
    closing = np.abs(np.diff(poses[14:20]))
    assert closing.max() < 0.8 * 0.5


def test_the_sound_around_a_moment_is_what_is_heard_then() -> None:
    timeline = Timeline()
    ramp = np.linspace(0.0, 0.5, 30 * QUANTUM, dtype=np.float32)
    for _ in range(20):
        timeline.pull()
    timeline.push(TurnId(1), ramp, np.zeros((30, 7), np.float32))
    heard = np.concatenate([np.zeros(20 * QUANTUM, np.float32), ramp, np.zeros(20 * QUANTUM, np.float32)])
    for pulled in (0, 7, 30):
        for _ in range(pulled):
            timeline.pull()
        for at in (205_000_000, 250_000_007, 333_333_333, 500_000_000):
            sound = timeline.sound_at(Pts(at), 0.1, 0.15)
            start = at * SAMPLE_RATE // NS_PER_S - SAMPLE_RATE // 10
            np.testing.assert_array_equal(sound, heard[start : start + SAMPLE_RATE // 4])


def test_the_sound_before_and_after_all_that_is_known_is_silence() -> None:
    timeline = Timeline()
    assert not timeline.sound_at(Pts(0), 0.5, 0.5).any()
    assert timeline.sound_at(Pts(0), 0.1, 0.3).shape == (round(0.4 * SAMPLE_RATE),)
