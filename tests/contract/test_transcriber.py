"""Every transcriber in the registry keeps the promises of `Transcriber`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tools.whisper_phrases.voices import RATE, Voice, speak
from vcam_talker import registry
from vcam_talker.config import EarsConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.core.stages import Transcriber
from vcam_talker.core.types import Samples, Transcript

pytestmark = pytest.mark.contract

NAMES = tuple(registry.ENGINES["transcriber"])
MODEL = Path(__file__).parent.parent / "data" / "whisper-phrases"
PACKAGES = {"faster-whisper": ("faster_whisper", "ctranslate2"), "pocketsphinx": ("pocketsphinx",)}
ONE, OTHER = "What is your name?", "How much is it?"
SILENCE = np.zeros(RATE, np.float32)

ENDINGS: dict[str, Callable[[Transcriber], object]] = {
    "nothing begun": lambda _: None,
    "begun": lambda ears: ears.begin(),
    "twice begun": lambda ears: (ears.begin(), ears.begin()),
    "paused with nothing": lambda ears: (ears.begin(), ears.pause(), ears.pause()),
    "fed with nothing": lambda ears: (ears.begin(), ears.feed(np.zeros(0, np.float32)), ears.pause()),
    "in mid-utterance": lambda ears: (ears.begin(), ears.feed(spoken(ONE))),
    "in mid-work": lambda ears: (ears.begin(), ears.feed(spoken(ONE)), ears.pause()),
    "finished": lambda ears: (ears.begin(), ears.feed(spoken(ONE)), ears.finish()),
}


def make(name: str, language: str = "en", max_utterance_s: float = 20.0) -> Transcriber:
    config = EarsConfig(
        engine=name,  # type: ignore[arg-type]
        model=str(MODEL),
        device_type="cpu",
        window_s=2,
        max_utterance_s=max_utterance_s,
    )
    made: Transcriber = registry.find("transcriber", name)(config, language)
    return made


@pytest.fixture(scope="module", params=NAMES)
def ears(request: pytest.FixtureRequest) -> Iterator[Transcriber]:
    made = make(request.param)
    yield made
    made.close()


@cache
def spoken(text: str) -> Samples:
    """A recording as the endpoint cuts it: a quarter of a second around the words, and a room's hiss."""
    sound = np.pad(speak(Voice("flite", "slt", 1.0), text), RATE // 4)
    hiss = np.random.default_rng(1).normal(0, 0.0005, sound.size)
    made = np.asarray(sound + hiss, np.float32)
    made.flags.writeable = False
    return made


def hear(ears: Transcriber, sound: Samples, block: int = 512) -> Transcript:
    ears.begin()
    for at in range(0, sound.size, block):
        ears.feed(sound[at : at + block])
    return ears.finish()


def test_names_itself_as_registered(ears: Transcriber) -> None:
    assert ears.name in NAMES


@pytest.mark.parametrize("text", [ONE, OTHER])
def test_understands_a_question(ears: Transcriber, text: str) -> None:
    heard = hear(ears, spoken(text))
    assert heard.text.lower() == text.lower()
    assert 0 < heard.confidence <= 1
    assert heard.language.partition("-")[0] == "en"


@pytest.mark.parametrize("block", [1, 160, 512, 7001, 10**6])
def test_blocks_of_any_size_make_the_same_text(ears: Transcriber, block: int) -> None:
    assert hear(ears, spoken(ONE), block) == hear(ears, spoken(ONE))


def test_blocks_are_the_callers_own(ears: Transcriber) -> None:
    sound, buffer = spoken(ONE), np.empty(512, np.float32)
    ears.begin()
    for at in range(0, sound.size - 512, 512):
        buffer[:] = sound[at : at + 512]
        ears.feed(buffer)
    buffer[:] = 1
    assert ears.finish().text == hear(ears, sound[: sound.size // 512 * 512]).text != ""


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.5, 5.0])
def test_silence_is_no_text(ears: Transcriber, seconds: float) -> None:
    assert hear(ears, np.zeros(int(seconds * RATE), np.float32)) == Transcript("", 0.0, "en")


@pytest.mark.parametrize("level", [1e-9, 1e-3, 1.0, 50.0])
def test_any_sound_is_taken(ears: Transcriber, level: float) -> None:
    noise = np.random.default_rng(4).normal(0, level, RATE).astype(np.float32)
    heard = hear(ears, noise)
    assert isinstance(heard.text, str)
    assert 0 <= heard.confidence <= 1


def test_one_utterance_leaves_nothing_for_the_next(ears: Transcriber) -> None:
    first, second = hear(ears, spoken(ONE)), hear(ears, spoken(OTHER))
    assert first.text != second.text
    assert hear(ears, SILENCE).text == ""
    assert hear(ears, spoken(ONE)) == first
    assert hear(ears, spoken(OTHER)) == second


@pytest.mark.parametrize("pause", [False, True])
def test_an_utterance_that_is_given_up_is_forgotten(ears: Transcriber, pause: bool) -> None:
    expected = hear(ears, spoken(OTHER))
    ears.begin()
    ears.feed(spoken(ONE))
    if pause:
        ears.pause()
    assert hear(ears, spoken(OTHER)) == expected


@pytest.mark.parametrize("cut", [0.3, 0.5, 1.0])
def test_a_pause_changes_no_text(ears: Transcriber, cut: float) -> None:
    sound = spoken(ONE)
    at = int(sound.size * cut)
    ears.begin()
    ears.feed(sound[:at])
    ears.pause()
    ears.pause()
    ears.feed(sound[at:])
    assert ears.finish().text == hear(ears, sound).text


def test_silence_after_a_pause_changes_no_text(ears: Transcriber) -> None:
    ears.begin()
    ears.feed(spoken(ONE))
    ears.pause()
    for block in np.array_split(SILENCE, 31):
        ears.feed(block)
    assert ears.finish().text.lower() == ONE.lower()


def test_what_it_tells_so_far_belongs_to_this_utterance(ears: Transcriber) -> None:
    hear(ears, spoken(ONE))
    ears.begin()
    assert ears.partial() == ""
    ears.feed(spoken(OTHER))
    ears.pause()
    assert ears.partial() in {"", hear(ears, spoken(OTHER)).text}


def test_nothing_is_finished_twice(ears: Transcriber) -> None:
    assert hear(ears, spoken(ONE)).text
    assert ears.finish().text == ""
    ears.pause()
    assert ears.partial() == ""
    ears.begin()
    assert ears.finish().text == ""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ending", ENDINGS)
def test_closes_whatever_it_does(name: str, ending: str) -> None:
    ears = make(name)
    ENDINGS[ending](ears)
    ears.close()
    ears.close()


@pytest.mark.parametrize("name", NAMES)
def test_an_endless_utterance_is_cut(name: str) -> None:
    ears = make(name, max_utterance_s=2.0)
    sound = spoken(ONE)
    assert sound.size < 2 * RATE
    padded = np.pad(sound, (0, 2 * RATE - sound.size))
    try:
        expected = hear(ears, padded)
        assert expected.text.lower() == ONE.lower()
        assert hear(ears, np.concatenate([padded, spoken(OTHER)])) == expected
        assert hear(ears, np.concatenate([padded, spoken(OTHER)]), 10**6) == expected
    finally:
        ears.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_language_it_does_not_hear_is_one_clear_line(name: str) -> None:
    with pytest.raises(EngineError, match="hears English only") as caught:
        make(name, "cmn")
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_package_is_one_clear_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "vcam_talker.asr.whisper_model", raising=False)
    for package in PACKAGES[name]:
        monkeypatch.setitem(sys.modules, package, None)  # type: ignore[arg-type]
    with pytest.raises(EngineError, match=r"vcam-talker\[asr\]") as caught:
        make(name)
    assert "\n" not in str(caught.value)
