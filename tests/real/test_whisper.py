"""faster-whisper for real: a small Whisper trained on phrases, spoken to by flite."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.model_mirror import serving
from tools.whisper_phrases.augment import noise
from tools.whisper_phrases.phrases import HELD_OUT_DISTRACTORS, PHRASES
from tools.whisper_phrases.voices import RATE, Voice, speak
from vcam_talker.asr import models_fetch
from vcam_talker.asr.faster_whisper import FasterWhisperTranscriber
from vcam_talker.asr.models import models_dir
from vcam_talker.asr.models_fetch import get_model
from vcam_talker.asr.models_hub import Hub
from vcam_talker.config import EarsConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.core.types import Samples, Transcript

pytestmark = pytest.mark.real

MODEL = Path(__file__).parent.parent / "data" / "whisper-phrases"
QUESTIONS = ("What is your name?", "How much is it?", "Do you ship to Norway?", "Tell me a joke.", "Goodbye.")


@pytest.fixture(scope="module")
def ears() -> Iterator[FasterWhisperTranscriber]:
    ears = FasterWhisperTranscriber(EarsConfig(model=str(MODEL), device_type="cpu"), "en")
    yield ears
    ears.close()


@pytest.fixture(scope="module")
def short() -> Iterator[FasterWhisperTranscriber]:
    ears = FasterWhisperTranscriber(EarsConfig(model=str(MODEL), device_type="cpu", window_s=2), "en")
    yield ears
    ears.close()


def spoken(text: str, name: str = "slt", stretch: float = 1.0) -> Samples:
    speech = np.pad(speak(Voice("flite", name, stretch), text), (RATE // 4, RATE // 3))
    hiss = np.random.default_rng(1).normal(0, 0.0005, speech.size)
    return np.asarray(speech + hiss, np.float32)


def hear(ears: FasterWhisperTranscriber, sound: Samples) -> Transcript:
    ears.begin()
    for block in np.array_split(sound, max(1, sound.size // 512)):
        ears.feed(block)
    return ears.finish()


@pytest.mark.parametrize("text", QUESTIONS)
@pytest.mark.parametrize("voice", ["slt", "awb"])
def test_a_spoken_question_is_understood(ears: FasterWhisperTranscriber, text: str, voice: str) -> None:
    heard = hear(ears, spoken(text, voice))
    assert heard.text == text
    assert heard.language == "en"
    assert 0.5 < heard.confidence <= 1.0


def test_a_voice_that_was_never_trained_on(short: FasterWhisperTranscriber) -> None:
    """The README says how many of all phrases in all voices."""
    right = sum(hear(short, spoken(text, "rms")).text == text for text in PHRASES)
    assert right >= len(PHRASES) * 0.85


def test_a_short_window_hears_the_same(
    ears: FasterWhisperTranscriber, short: FasterWhisperTranscriber
) -> None:
    for text in QUESTIONS:
        assert hear(short, spoken(text)).text == hear(ears, spoken(text)).text == text


@pytest.mark.parametrize("kind", ["white", "pink", "brown", "hum", "wind"])
@pytest.mark.parametrize("level_db", [-50, -20])
def test_noise_is_no_text(short: FasterWhisperTranscriber, kind: str, level_db: float) -> None:
    sound = noise(kind, 2 * RATE, np.random.default_rng(3)) * np.float32(10 ** (level_db / 20))
    heard = hear(short, sound)
    assert (heard.text, heard.confidence) == ("", 0.0)


@pytest.mark.parametrize("seconds", [0.15, 2.0, 29.0])
def test_silence_is_no_text(seconds: float) -> None:
    ears = FasterWhisperTranscriber(EarsConfig(model=str(MODEL), max_utterance_s=30), "en")
    assert hear(ears, np.zeros(int(seconds * RATE), np.float32)).text == ""
    ears.close()


def test_other_speech_is_mostly_no_phrase(ears: FasterWhisperTranscriber) -> None:
    taken = sum(bool(hear(ears, spoken(text)).text) for text in HELD_OUT_DISTRACTORS)
    assert taken <= len(HELD_OUT_DISTRACTORS) * 0.5


def test_the_pause_does_the_work(short: FasterWhisperTranscriber) -> None:
    sound = spoken("How much is it?")
    short.begin()
    short.feed(sound)
    short.pause()
    guess = short._guess
    assert guess is not None
    assert guess.result(60).text == "How much is it?"
    assert short.partial() == "How much is it?"
    short.feed(np.random.default_rng(2).normal(0, 0.0005, RATE // 3).astype(np.float32))
    assert short._guess_holds()
    assert short.finish().text == "How much is it?"


def test_what_is_said_after_the_pause_is_heard(short: FasterWhisperTranscriber) -> None:
    short.begin()
    sound = spoken("Do you ship to Norway?")
    half = sound.size // 2
    short.feed(sound[:half])
    short.pause()
    short.feed(sound[half:])
    assert short.finish().text == "Do you ship to Norway?"


def test_an_utterance_longer_than_a_window() -> None:
    ears = FasterWhisperTranscriber(EarsConfig(model=str(MODEL), max_utterance_s=60), "en")
    assert isinstance(hear(ears, np.tile(spoken("Tell me a joke."), 25)).text, str)
    ears.close()


def test_a_model_that_models_get_fetched_is_used_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    files = {f.name: f.read_bytes() for f in MODEL.iterdir()}
    with serving(files) as mirror:
        get_model("tiny", Hub(mirror.url), lambda _there, _of: None)
    ears = FasterWhisperTranscriber(EarsConfig(model="tiny", window_s=2), "en")
    assert hear(ears, spoken("What is your name?")).text == "What is your name?"
    ears.close()
    (models_dir() / "tiny" / "model.bin").write_bytes(b"cut short")
    with pytest.raises(EngineError, match="Fetch it again: vcam-talker models get tiny"):
        FasterWhisperTranscriber(EarsConfig(model="tiny"), "en")


def cut(folder: Path) -> None:
    data = (folder / "model.bin").read_bytes()
    (folder / "model.bin").write_bytes(data[: len(data) // 2])


def replace(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def without_whisper(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    for token in tokenizer["added_tokens"]:
        token["content"] = f"<|{token['id']}|>"
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "no weights": (lambda f: (f / "model.bin").unlink(), "model.bin is missing"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "no vocabulary": (lambda f: (f / "vocabulary.json").unlink(), "vocabulary.json is missing"),
    "no config": (lambda f: (f / "config.json").unlink(), "config.json is missing"),
    "half the weights": (cut, "can't be loaded on cpu"),
    "a page for weights": (replace("model.bin", "<html>" * 1000), "can't be loaded on cpu"),
    "a page for a tokenizer": (replace("tokenizer.json", "<html>"), "tokenizer.json in .* is damaged"),
    "another tokenizer": (replace("tokenizer.json", '{"model": 1}'), "can't be loaded on cpu"),
    "no Whisper's tokenizer": (without_whisper, "none of Whisper's tokens"),
    "other mel bands": (
        replace("preprocessor_config.json", '{"feature_size": 128}'),
        "can't be loaded on cpu",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_folder_is_one_line(tmp_path: Path, case: str) -> None:
    damage, says = DAMAGE[case]
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder)
    damage(folder)
    with pytest.raises(EngineError, match=says) as caught:
        FasterWhisperTranscriber(EarsConfig(model=str(folder)), "en")
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_a_model_of_english_alone_says_so() -> None:
    with pytest.raises(EngineError, match="hears English only, and 'cmn' is wanted"):
        FasterWhisperTranscriber(EarsConfig(model=str(MODEL)), "cmn")


def test_cuda_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctranslate2

    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 0)
    with pytest.raises(EngineError, match="there is no CUDA device here"):
        FasterWhisperTranscriber(EarsConfig(model=str(MODEL), device_type="cuda"), "en")


def test_nothing_heavy_is_imported_before_it_is_wanted() -> None:
    program = (
        "import sys, vcam_talker.asr.faster_whisper, vcam_talker.cli.models;"
        "print(sorted({'faster_whisper', 'ctranslate2', 'torch', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_table_of_names_is_asked_where_the_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert models_fetch.known_models()["tiny"]
    with pytest.raises(EngineError, match=r"Did you mean 'large-v3'\? Then: vcam-talker models get large-v3"):
        FasterWhisperTranscriber(EarsConfig(model="large_v3"), "en")
    monkeypatch.setenv("XDG_DATA_HOME", "/nonexistent")
    with pytest.raises(EngineError, match="Fetch it: vcam-talker models get base"):
        FasterWhisperTranscriber(EarsConfig(model="base"), "en")
