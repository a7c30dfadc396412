"""The transcriber around a model: what is buffered, when work begins, what `finish` waits for."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vcam_talker.asr import faster_whisper
from vcam_talker.asr.faster_whisper import RATE, FasterWhisperTranscriber, has_voice
from vcam_talker.asr.whisper_rules import Candidate
from vcam_talker.config import EarsConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.core.types import Samples

pytestmark = pytest.mark.unit


class FakeModel:
    """Says how many hundredths of a second it was given; works only while `go` is set."""

    made: list[FakeModel] = []  # noqa: RUF012 - emptied by the fixture

    def __init__(self, *_: object) -> None:
        self.go = threading.Event()
        self.go.set()
        self.heard: list[Samples] = []
        self.fails = False
        self.closed = 0
        self.made.append(self)

    def transcribe(self, sound: Samples) -> list[Candidate]:
        self.heard.append(sound)
        assert self.go.wait(10)
        if self.fails:
            raise EngineError("model 'base'", "failed on an utterance (out of memory)")
        return [Candidate(f"{sound.size * 100 // RATE} hundredths", -0.1, 0.0, 1.0, 3, "en")]

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Iterator[FasterWhisperTranscriber]:
    fake = types.ModuleType("fake")
    fake.WhisperModel = FakeModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vcam_talker.asr.whisper_model", fake)
    monkeypatch.setattr(faster_whisper, "find_model", lambda _name: Path())
    FakeModel.made.clear()
    ears = FasterWhisperTranscriber(EarsConfig(max_utterance_s=4), "en")
    ears.begin()
    yield ears
    model().go.set()
    ears.close()


def model() -> FakeModel:
    return FakeModel.made[-1]


def voice(seconds: float, level: float = 0.2) -> Samples:
    t = np.arange(int(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * 200 * t) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))).astype(np.float32)


def silence(seconds: float, level: float = 0.0005) -> Samples:
    return np.random.default_rng(1).normal(0, level, int(seconds * RATE)).astype(np.float32)


def test_a_whole_utterance(ears: FasterWhisperTranscriber) -> None:
    for block in np.array_split(voice(1.5), 40):
        ears.feed(block)
    assert ears.partial() == ""
    assert ears.finish().text == "150 hundredths"


def test_the_pause_does_not_wait_and_finish_takes_its_result(ears: FasterWhisperTranscriber) -> None:
    model().go.clear()
    ears.feed(voice(1.0))
    ears.pause()
    assert ears.partial() == ""
    for _ in range(4):
        ears.feed(silence(0.1))
    model().go.set()
    assert ears.finish().text == "100 hundredths"
    assert len(model().heard) == 1


def test_a_finished_guess_is_the_partial(ears: FasterWhisperTranscriber) -> None:
    ears.feed(voice(1.0))
    ears.pause()
    guess = ears._guess
    assert guess is not None
    guess.result(10)
    assert ears.partial() == "100 hundredths"


def test_silence_after_a_pause_is_not_transcribed_again(ears: FasterWhisperTranscriber) -> None:
    ears.feed(np.concatenate([silence(0.3), voice(1.0), silence(0.1)]))
    ears.pause()
    ears.feed(silence(0.3))
    ears.pause()
    ears.feed(silence(0.3))
    assert ears.finish().text == "140 hundredths"
    assert len(model().heard) == 1


def test_words_after_a_pause_are_not_lost(ears: FasterWhisperTranscriber) -> None:
    ears.feed(voice(1.0))
    ears.pause()
    ears.feed(silence(0.3))
    ears.feed(voice(0.5))
    assert ears.finish().text == "180 hundredths"


def test_a_guess_that_waits_is_replaced_by_the_next(ears: FasterWhisperTranscriber) -> None:
    model().go.clear()
    for _ in range(3):
        ears.feed(voice(0.5))
        ears.pause()
    model().go.set()
    assert ears.finish().text == "150 hundredths"
    assert len(model().heard) <= 2


def test_begin_forgets_the_utterance_before(ears: FasterWhisperTranscriber) -> None:
    ears.feed(voice(1.0))
    ears.pause()
    ears.begin()
    assert ears.partial() == ""
    ears.feed(voice(0.5))
    assert ears.finish().text == "50 hundredths"
    assert ears.finish().text == ""


def test_the_caller_may_use_its_buffer_again(ears: FasterWhisperTranscriber) -> None:
    block = voice(0.5)
    expected = block.copy()
    ears.feed(block)
    block[:] = 0
    ears.finish()
    assert np.array_equal(model().heard[0], expected)
    assert model().heard[0].dtype == np.float32


def test_an_endless_utterance_is_bounded(ears: FasterWhisperTranscriber) -> None:
    for _ in range(50):
        ears.feed(voice(0.3))
    assert ears.finish().text == "400 hundredths"


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_next_to_nothing_is_nothing(ears: FasterWhisperTranscriber, seconds: float) -> None:
    ears.feed(voice(seconds))
    ears.pause()
    assert ears.finish().text == ""
    assert model().heard == []


def test_a_failure_is_told_once_and_the_next_utterance_works(ears: FasterWhisperTranscriber) -> None:
    model().fails = True
    ears.feed(voice(1.0))
    ears.pause()
    with pytest.raises(EngineError, match="out of memory"):
        ears.finish()
    model().fails = False
    ears.feed(voice(0.5))
    assert ears.finish().text == "50 hundredths"


def test_close_twice(ears: FasterWhisperTranscriber) -> None:
    ears.close()
    ears.close()
    assert model().closed >= 1


def test_without_the_extra_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faster_whisper, "find_model", lambda _name: Path())
    monkeypatch.setitem(sys.modules, "vcam_talker.asr.whisper_model", None)
    with pytest.raises(EngineError) as caught:
        FasterWhisperTranscriber(EarsConfig(), "en")
    assert caught.value.remedy.startswith("Install it: pip install 'vcam-talker[asr]'")


@pytest.mark.parametrize("noise", [0.0, 0.0005, 0.01])
@pytest.mark.parametrize("level", [0.05, 0.5])
def test_voice_and_silence_by_level(noise: float, level: float) -> None:
    speech = np.concatenate([silence(0.2, noise), voice(1.0, level), silence(0.1, noise)])
    speech += silence(1.3, noise)
    assert not has_voice(silence(0.4, noise), speech)
    assert not has_voice(np.zeros(0, np.float32), speech)
    more = np.concatenate([np.zeros(RATE // 5, np.float32), voice(0.2, level * 0.7)])
    assert has_voice(more + silence(0.4, noise), speech)


def test_a_click_is_no_voice() -> None:
    click = silence(0.4)
    click[3000:3100] = 0.5
    assert not has_voice(click, voice(1.0))
