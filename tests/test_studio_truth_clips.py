"""A clip's mouth, sound and phones: styles that keep closures, frames that show them, clips that repeat."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from studio.truth.clips import AUDIO_MARGIN_S, FPS, SILENCE, VISEMES, Plan, make_clip
from studio.truth.draw import generator
from studio.truth.mouth import LAG_MAX_S, Style, at_frames, closed, pin_closures, random_style, styled
from tests.support.truth_voices import PHONES, reciting_speaker
from vcam_talker.core.types import NO_TURN, Sentence, Speech, VoiceSpec
from vcam_talker.face.evaluate import closures, open_in_silence
from vcam_talker.face.motion import JAW, PRESS, ROUNDING, TEETH, WIDTH
from vcam_talker.face.phonemes import PhonemeDriver

pytestmark = pytest.mark.unit

PLAN = Plan(seed=5, split="train", shard_frames=300, shard_clips=3, shard_people=2)


@pytest.fixture
def speech() -> Speech:
    from tests.support.truth_voices import Reciting

    return next(Reciting("x").synthesize(Sentence(NO_TURN, 0, "x"), VoiceSpec("x", "x"), lambda: False))


@pytest.fixture
def track(speech: Speech) -> np.ndarray:
    return PhonemeDriver().drive(speech).values


def test_an_ordinary_style_changes_nothing(track: np.ndarray) -> None:
    assert np.allclose(styled(track, Style()), track, atol=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_every_style_keeps_closures_teeth_and_silence(seed: int, track: np.ndarray, speech: Speech) -> None:
    rng = generator("style", seed)
    style = replace(random_style(rng), lag_s=float(rng.uniform(-LAG_MAX_S, LAG_MAX_S)))
    mine = styled(track, style)
    assert mine.shape == track.shape
    assert mine.min() >= -1
    assert mine.max() <= 1
    assert closures(speech, mine)[0] >= closures(speech, track)[0]
    assert closed(mine).sum() >= closed(track).sum() - 8  # a lag between poses shortens none by over one
    for k, phone in enumerate(PHONES):
        if phone in "fv":
            touching = mine[int(k * 6) : int(k * 6) + 7]
            assert ((touching[:, JAW] < 0.09) & (touching[:, TEETH] > 0.7)).any()
    assert open_in_silence(speech, mine) == 0


def test_a_strong_speaker_opens_and_rounds_more(track: np.ndarray) -> None:
    weak, strong = (styled(track, Style(strength=s)) for s in (0.8, 1.2))
    for column in (JAW, ROUNDING):
        assert strong[:, column].max() > 1.2 * weak[:, column].max()
    assert np.ptp(strong[:, WIDTH]) > 1.2 * np.ptp(weak[:, WIDTH])
    assert np.allclose(strong[:, PRESS], weak[:, PRESS])


def test_rounding_comes_before_its_vowel(track: np.ndarray) -> None:
    # s t u: the lips round during the consonants.
    begins = PHONES.index("u") * 6
    assert track[begins - 4, ROUNDING] > 0.15
    assert track[begins - 4, WIDTH] < track[PHONES.index("i") * 6 + 3, WIDTH] - 0.3


def test_a_closure_between_frames_is_shown_in_one() -> None:
    values = np.zeros((41, 7), np.float32)
    values[:, JAW] = 0.4
    values[17:20] = 0
    values[17:20, PRESS] = 1
    frames = at_frames(values, 10, FPS)
    assert not closed(frames).any()
    pin_closures(frames, values, [(0.17, 0.19)], FPS)
    assert closed(frames).tolist() == [k == 4 for k in range(10)]


def test_a_clip_repeats_by_its_number() -> None:
    speaker = reciting_speaker()
    first, other = make_clip(PLAN, 4, speaker), make_clip(PLAN, 3, speaker)
    again = make_clip(PLAN, 4, speaker)
    assert first.person == again.person
    assert (first.shot, first.voice) == (again.shot, again.voice)
    assert (first.spoken.audio == again.spoken.audio).all()
    assert (first.spoken.mouth == again.spoken.mouth).all()
    assert (first.body == again.body).all()
    assert first.shot != other.shot
    assert not np.array_equal(make_clip(replace(PLAN, seed=6), 4, speaker).body[:50], first.body[:50])


def test_a_shard_has_its_frames_and_takes_turns_with_people() -> None:
    plan = Plan(seed=1, split="train")
    for shard in range(40):
        lengths = plan.clip_frames(shard)
        assert sum(lengths) == plan.shard_frames
        assert min(lengths) >= 80
        assert max(lengths) <= 320
    seen = [plan.person_number(s, i) for s in range(60) for i in range(plan.shard_clips)]
    assert len(set(seen)) == 60 * plan.shard_people
    assert seen[:3] == seen[:1] * 3


def test_a_clip_holds_together() -> None:
    speaker = reciting_speaker()
    for number in range(6):
        clip = make_clip(PLAN, number, speaker)
        frames = len(clip)
        spoken = clip.spoken
        assert len(list(clip.poses())) == frames == len(spoken.mouth) == len(spoken.visemes)
        assert spoken.audio.size == frames * 640 + round(AUDIO_MARGIN_S * 16_000)
        assert np.abs(spoken.audio).max() > 500
        assert spoken.phones[0].start_s == 0
        assert spoken.phones[-1].end_s == pytest.approx(frames / FPS)
        gaps = [b.start_s - a.end_s for a, b in zip(spoken.phones, spoken.phones[1:], strict=False)]
        assert max(map(abs, gaps)) < 1e-9
        names = clip.phone_at_frames()
        shapes = [VISEMES[k] for k in spoken.visemes]
        assert any(name != SILENCE for name in names)
        for name, shape in zip(names, shapes, strict=True):
            assert (name == SILENCE) == (shape == "rest")
            assert name not in "mbp" or shape == name


@pytest.mark.parametrize("number", range(4))
def test_every_bilabial_is_shut_in_a_frame_of_its_own(number: int) -> None:
    clip = make_clip(replace(PLAN, seed=number), number, reciting_speaker())
    shut = closed(clip.spoken.mouth)
    for phone in clip.spoken.phones:
        if phone.symbol in "mbp" and phone.end_s + 0.02 <= len(clip) / FPS:
            first = int(np.ceil((phone.start_s - 0.02) * FPS - 1e-6))
            beyond = int(np.floor((phone.end_s + 0.02) * FPS + 1e-6)) + 1
            assert shut[first:beyond].any(), phone


def test_each_clip_begins_with_fresh_programs() -> None:
    from studio.truth.voices import Speaker
    from tests.support.truth_voices import Reciting

    engines = [Reciting("flite"), Reciting("espeak-ng")]
    speaker = Speaker(engines)
    for number in range(3):
        make_clip(PLAN, number, speaker)
    assert sum(e.closed for e in engines) == 3
