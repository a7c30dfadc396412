"""What the sound network learns from: speech on disk, sound and mouth moved together, resumed runs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from studio.lips.sound import augment, data, human, report, train
from studio.lips.sound.augment import Noises, Shape, crop, degraded, plain
from studio.lips.sound.data import POSE, QUANTUM, TAKE_S, Take, make_set, read_takes, shard_path
from studio.lips.sound.evaluate import Case, cases_of, figures, offset
from studio.lips.sound.human import Recording
from studio.lips.sound.report import table
from studio.lips.sound.train import Recipe
from studio.pack import StudioError
from studio.truth.voices import AUDIO_RATE
from vcam_talker.core.types import Phone
from vcam_talker.face.audio import AudioDriver
from vcam_talker.face.neural.spectrum import BANDS

pytestmark = pytest.mark.unit

SHAPE = Shape(200, 62, 10)


def take(number: int = 0, voice: str = "espeak-ng/f1") -> Take:
    """Return a take in which the jaw is open where there is a buzz, and nowhere else."""
    rng = np.random.default_rng(number)
    spoken = np.zeros(TAKE_S * 100, bool)
    at = 40
    while at < len(spoken) - 80:
        length = int(rng.integers(20, 50))
        spoken[at : at + length] = True
        at += length + int(rng.integers(30, 60))
    t = np.arange(TAKE_S * AUDIO_RATE) / AUDIO_RATE
    buzz = np.sign(np.sin(2 * np.pi * 120 * t)) * 4000
    mouth = np.zeros((TAKE_S * 100, 7), np.int16)
    mouth[spoken, 0] = QUANTUM // 2
    return Take(
        (buzz * np.repeat(spoken, POSE)).astype(np.int16),
        mouth,
        voice,
        "en",
        "arpabet",
        (Phone("aa", 0.4, 0.7),),
    )


@pytest.fixture(scope="module")
def noises() -> Noises:
    return Noises([take()], np.random.default_rng(1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        takes = [take(n, "flite/slt" if n else "espeak-ng/f1") for n in range(2)]
        data.write_takes(shard_path(tmp_path, split, 0), takes, {"seed": 1, "split": split})  # type: ignore[arg-type]
    return tmp_path


def test_takes_come_back_as_they_were(folder: Path) -> None:
    found = read_takes(folder, "train")
    assert len(found) == 2
    assert (found[1].audio == take(1).audio).all()
    assert (found[1].mouth == take(1).mouth).all()
    assert found[1].phones == take(1).phones
    assert found[1].voice == "flite/slt"
    assert not read_takes(folder, "test")


def test_only_what_is_missing_or_damaged_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def fake(_seed: int, _split: str, number: int, _speaker: object) -> Take:
        made.append(number)
        return take(number)

    monkeypatch.setattr(data, "make_take", fake)
    monkeypatch.setattr(data, "TAKES", 2)
    hours = 3 * 2 * TAKE_S / 3600
    assert make_set(tmp_path, "train", 1, hours, str) == 3
    assert made == [0, 1, 2, 3, 4, 5]
    assert make_set(tmp_path, "train", 1, hours, str) == 0
    path = shard_path(tmp_path, "train", 1)
    path.write_bytes(path.read_bytes()[:500])
    made.clear()
    assert make_set(tmp_path, "train", 1, hours, str) == 1
    assert made == [2, 3]
    made.clear()
    # Voices move between splits; what an old one says there is not heard.
    gone = [take(2, "espeak-ng/Henrique"), take(3)]
    data.write_takes(shard_path(tmp_path, "train", 1), gone, {"seed": 1, "split": "train"})
    assert make_set(tmp_path, "train", 1, hours, str) == 1
    assert made == [2, 3]
    # Another seed is another set.
    assert make_set(tmp_path, "train", 2, hours, str) == 3


def test_sound_and_mouth_stay_together(noises: Noises) -> None:
    """Whatever the rate: where the jaw is open, there is the buzz."""
    rng = np.random.default_rng(5)
    agreed = []
    for _ in range(25):
        found = crop(take(), SHAPE, noises, rng)
        assert found.heard.shape == (SHAPE.whole, BANDS)
        assert found.mouth.shape == (SHAPE.length, 7)
        assert np.isfinite(found.heard).all()
        level = found.heard[SHAPE.past : SHAPE.past + SHAPE.length - 12].mean(axis=1)
        jaw = found.mouth[:-12, 0]
        if jaw.std() > 0 and level.std() > 0:
            lags = [np.corrcoef(np.roll(level, lag)[9:-9], jaw[9:-9])[0, 1] for lag in range(-8, 9)]
            agreed.append((max(lags), int(np.argmax(lags)) - 8))
    assert np.median([r for r, _ in agreed]) > 0.8
    assert abs(np.median([lag for _, lag in agreed])) <= 1


def test_crops_are_drawn_from_the_generator_alone(noises: Noises) -> None:
    a, b = (crop(take(), SHAPE, noises, np.random.default_rng(9)) for _ in range(2))
    assert (a.heard == b.heard).all()
    assert (a.mouth == b.mouth).all()


def test_a_plain_take_is_heard_where_it_is() -> None:
    heard = plain(take(), 62, 10)
    level = heard[62:-10].mean(axis=1)
    spoken = take().mouth[:, 0] > 0
    assert level[spoken].min() > level[~np.convolve(spoken, np.ones(5), "same").astype(bool)].max()


def test_noise_is_as_loud_as_it_says(noises: Noises) -> None:
    clean = take().samples

    def noise(snr_db: float) -> float:
        loud, none = (degraded(clean, noises, np.random.default_rng(1), db) for db in (snr_db, 200.0))
        return float(np.std(loud - none))

    voice = float(np.std(clean[take().mouth.repeat(POSE, 0)[:, 0] > 0]))
    assert 20 * np.log10(voice / noise(10)) == pytest.approx(10, abs=6)
    assert noise(10) == pytest.approx(10 * noise(30), rel=0.01)


def test_a_run_goes_on_where_it_was(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(augment, "_BANK_S", 6)
    monkeypatch.setattr(train, "judge", lambda *_: {"mae": 0.5})
    monkeypatch.setattr(train, "_SAVE_STEPS", 2)
    monkeypatch.setattr(train, "_JUDGE_STEPS", 1000)
    recipe = Recipe(steps=4, batch=2, length=60, channels=8, warm_up=1)
    whole = train.train(folder, tmp_path / "a", recipe, str)

    def stop(_line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.train(folder, tmp_path / "b", recipe, stop)
    resumed = train.train(folder, tmp_path / "b", recipe, str)
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    assert len((tmp_path / "b" / train.LOG).read_text().splitlines()) == 2
    net, kept, facts = train.load(tmp_path / "b")
    assert kept == recipe
    assert facts["trained_on"]["voices"] == 2
    assert not net.training
    with pytest.raises(StudioError, match="another recipe"):
        train.train(folder, tmp_path / "b", replace(recipe, seed=2), str)


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="make"):
        train.train(tmp_path, tmp_path / "run", Recipe(), str)
    with pytest.raises(StudioError, match="train"):
        train.load(tmp_path)


@pytest.mark.parametrize("late", [-4, 0, 7])
def test_a_delay_is_found(late: int) -> None:
    truth = take().values[:, 0]
    assert offset(truth, np.roll(truth, late)) == late


def test_figures_of_a_driver() -> None:
    cases = cases_of([take()])
    perfect: Any = type(
        "Perfect", (), {"drive": lambda _s, _speech: type("T", (), {"values": cases[0].reference})}
    )
    found = figures(perfect, cases, phones=True)
    assert found["r"]["jaw"] == 1.0
    assert found["mae"]["jaw"] == 0.0
    assert found["offset_ms"] == 0
    heard = figures(AudioDriver, [Case(cases[0].speech)])
    assert "r" not in heard
    assert "| set: audio | – |" in table({"set": {"audio": heard}})


def test_recordings_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speech = tmp_path / "speech"
    speech.mkdir()
    takes = [take(0), replace(take(1), language="sv")]
    data.write_takes(shard_path(speech, "test", 0), takes, {"seed": 1, "split": "test"})
    monkeypatch.setattr(report, "Noises", lambda *_: Noises([take()], np.random.default_rng(1)))
    monkeypatch.setattr(report, "figures", lambda *_, **__: {})
    # As where the extra `asr` is missing.
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    said: list[str] = []
    found = report.results(speech, None, tmp_path, 2, said.append)
    assert len(found) == 3
    for package in ("core-sounds-es-g722", "core-sounds-en-g722", "core-sounds-en)", "pocketsphinx-testdata"):
        assert package in said[0]
    assert len(human.lacking(tmp_path)) == human.PACKAGES
    assert "EXTRAS=prune,asr" in said[1]


@pytest.mark.parametrize("name", ["figures.json", "figures"])
def test_figures_go_into_a_file_or_a_folder(name: str, tmp_path: Path) -> None:
    path = report.write({"set": {"audio": {}}}, tmp_path / "new" / name)
    assert json.loads(path.read_text()) == {"set": {"audio": {}}}
    assert (path == tmp_path / "new" / name) is name.endswith(".json")


def test_prompts_become_words() -> None:
    assert human._words("Press 1, to agree.") == ("press", "one", "to", "agree")
    assert human._words("You have 24 messages") == ()
    assert human._words("Don't stop!") == ("don't", "stop")
    recording = Recording("a", "somebody", "en", np.zeros(AUDIO_RATE, np.float32), ("yes",))
    assert recording.speech().alphabet == "none"
    assert recording.speech((Phone("aa", 0, 1),)).alphabet == "arpabet"


def test_no_recordings_is_said(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="asterisk"):
        human.recordings(tmp_path)
    (tmp_path / "no.wav").write_bytes(b"nothing")
    with pytest.raises(StudioError, match="can't be read"):
        human.read_sound(tmp_path / "no.wav")
