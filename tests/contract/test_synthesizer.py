"""Every synthesizer in the registry keeps the promises of `Synthesizer`."""

import os
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from vcam_talker import registry
from vcam_talker.core.stages import Synthesizer
from vcam_talker.core.types import Phone, Sentence, Speech, TurnId, VoiceSpec
from vcam_talker.tts.edges import SILENT

pytestmark = pytest.mark.contract

NAMES = tuple(registry.ENGINES["synthesizer"])
HOSTILE = (
    "-o injected.wav",
    "--version",
    "-",
    "; rm -rf /tmp/nothing; $(touch injected) `id`",
    "| cat /etc/passwd > injected",
    "/etc/passwd",
    "<speak><voice name='xx'>a<break time='60s'/></voice></speak>",
    "<audio src='file:///etc/passwd'/> [[m@]] %s%n {0}",
    "nul\x00 esc\x1b[31m bell\x07",
    "\ud800 lone surrogate",
    "zalgo" + "\u0301" * 200,
    "https://example.com/" + "a" * 300 + "?q=1",
    "1234567890" * 20,
    "😀 emoji 👍",
    "你好 Привет שלום",
)


@pytest.fixture(scope="module", params=NAMES)
def engine(request: pytest.FixtureRequest) -> Iterator[Synthesizer]:
    made: Synthesizer = registry.find("synthesizer", request.param)()
    yield made
    made.close()


def spec_for(engine: Synthesizer, **changes: float) -> VoiceSpec:
    """The engine's English voice, or any."""
    voices = engine.voices()
    assert voices, f"{engine.name} offers no voice here; install it to run its contract"
    voice = next((v for v in voices if v.language.startswith("en")), voices[0])
    return VoiceSpec(engine.name, voice.name, "en", **changes)


def speak(engine: Synthesizer, text: str, **changes: float) -> list[Speech]:
    sentence = Sentence(TurnId(1), 0, text, language="en")
    return list(engine.synthesize(sentence, spec_for(engine, **changes), lambda: False))


def check(parts: list[Speech]) -> None:
    """What holds for the parts of any sentence."""
    assert parts
    assert [p.last for p in parts] == [False] * (len(parts) - 1) + [True]
    for part in parts:
        assert part.samples.dtype == np.float32
        assert part.samples.ndim == 1
        assert part.samples.size > 0
        assert np.all(np.isfinite(part.samples))
        assert np.abs(part.samples).max() <= 1
        assert 8_000 <= part.rate <= 48_000
        duration_s = part.samples.size / part.rate
        assert part.phones, "a mouth could not follow"
        assert part.phones[0].start_s == pytest.approx(0, abs=1e-6)
        assert part.phones[-1].end_s == pytest.approx(duration_s, abs=1e-3)
        for phone in part.phones:
            assert 0 <= phone.start_s < phone.end_s <= duration_s + 1e-6
        for before, after in pairwise(part.phones):
            assert after.start_s == pytest.approx(before.end_s, abs=1e-6), "a gap between phones"
        for word in part.words:
            assert 0 <= word.start_s <= word.end_s <= duration_s + 1e-6
        assert [w.start_s for w in part.words] == sorted(w.start_s for w in part.words)


def seconds(parts: list[Speech]) -> float:
    return sum(p.samples.size / p.rate for p in parts)


def test_names_itself_as_registered(engine: Synthesizer) -> None:
    assert engine.name in NAMES
    assert all(v.engine == engine.name for v in engine.voices())
    assert len({v.name for v in engine.voices()}) == len(engine.voices())


def test_speaks_a_sentence(engine: Synthesizer) -> None:
    text = "Hello there, this is a short test of the voice."
    parts = speak(engine, text)
    check(parts)
    assert 1.5 < seconds(parts) < 8
    assert parts[0].sentence.text == text
    assert [w.text for p in parts for w in p.words] == text.split()


def test_sound_and_phones_agree_on_silence(engine: Synthesizer) -> None:
    (part,) = speak(engine, "Hello there, this is a test.")
    rate = part.rate

    def level(phone: Phone) -> float:
        piece = part.samples[round(phone.start_s * rate) : round(phone.end_s * rate)]
        return float(np.sqrt(np.mean(piece**2))) if piece.size else 0.0

    silent = [level(p) for p in part.phones if p.symbol in SILENT and p.end_s - p.start_s > 0.01]
    voiced = [level(p) for p in part.phones if p.symbol not in SILENT]
    assert np.median(voiced) > 20 * np.median(silent)


def test_speech_starts_at_once_and_ends_in_silence(engine: Synthesizer) -> None:
    (part,) = speak(engine, "Hello there.")
    peak = np.abs(part.samples).max()
    onset_s = np.flatnonzero(np.abs(part.samples) > peak / 50)[0] / part.rate
    assert onset_s < 0.1
    tail = part.samples[-round(0.05 * part.rate) :]
    assert np.abs(tail).max() < peak / 50
    assert abs(part.samples[0]) < 0.01


def test_says_the_same_thing_the_same_way(engine: Synthesizer) -> None:
    first, second = (speak(engine, "The same again.") for _ in range(2))
    assert [p.symbol for p in first[0].phones] == [p.symbol for p in second[0].phones]
    # espeak-ng adds breath from an unseeded source: bit for bit would be too much to ask.
    assert seconds(first) == pytest.approx(seconds(second), abs=0.005)


@pytest.mark.parametrize(("rate", "low", "high"), [(0.7, 1.25, 1.6), (1.5, 0.55, 0.8)])
def test_rate_changes_the_speed(engine: Synthesizer, rate: float, low: float, high: float) -> None:
    text = "One sentence that is long enough to be measured properly"
    ratio = seconds(speak(engine, text, rate=rate)) / seconds(speak(engine, text))
    assert low < ratio < high


def test_pitch_changes_the_pitch_and_hardly_the_speed(engine: Synthesizer) -> None:
    text = "A long low alley by the river"
    plain, high = speak(engine, text), speak(engine, text, pitch_semitones=5.0)
    ratio = fundamental_hz(high) / fundamental_hz(plain)
    assert 1.2 < ratio < 1.5
    assert 0.85 < seconds(high) / seconds(plain) < 1.15


def fundamental_hz(parts: list[Speech]) -> float:
    """Median over voiced frames of the strongest autocorrelation between 60 and 600 Hz."""
    found = []
    for part in parts:
        size = part.rate // 20
        for start in range(0, part.samples.size - 2 * size, size):
            frame = part.samples[start : start + 2 * size]
            if np.sqrt(np.mean(frame**2)) < 0.3 * np.sqrt(np.mean(part.samples**2)):
                continue
            correlation = np.correlate(frame, frame, "full")[frame.size - 1 :]
            low, high = part.rate // 600, part.rate // 60
            lag = low + int(np.argmax(correlation[low:high]))
            if correlation[lag] > 0.4 * correlation[0]:
                found.append(part.rate / lag)
    return float(np.median(found))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text(
    engine: Synthesizer, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parts = speak(engine, text)
    check(parts)
    assert list(tmp_path.iterdir()) == []
    assert seconds(parts) < 120


@pytest.mark.parametrize("text", ["", " ", "...", "!?", "—", "<>", "\x00"])
def test_nothing_to_speak_is_a_short_silence(engine: Synthesizer, text: str) -> None:
    parts = speak(engine, text)
    check(parts)
    assert seconds(parts) < 0.5
    assert np.abs(parts[0].samples).max() == 0


def test_ten_kilobytes_come_in_parts_and_can_be_stopped(engine: Synthesizer) -> None:
    sentence = Sentence(TurnId(1), 0, "All work and no play makes a dull day " * 260, language="en")
    dead = False
    speech = engine.synthesize(sentence, spec_for(engine), lambda: dead)
    first = next(speech)
    assert not first.last
    assert first.samples.size / first.rate < 40
    dead = True
    started = time.monotonic()
    assert list(speech) == []
    assert time.monotonic() - started < 1


def test_a_turn_that_is_dead_already_says_nothing(engine: Synthesizer) -> None:
    engine.voices()
    sentence = Sentence(TurnId(1), 0, "Nobody hears this.")
    assert list(engine.synthesize(sentence, spec_for(engine), lambda: True)) == []
    check(speak(engine, "And the next one is fine."))


def test_an_abandoned_sentence_leaves_nothing_behind(engine: Synthesizer) -> None:
    sentence = Sentence(TurnId(1), 0, "One two three four five six seven eight nine ten. " * 20)
    speech = engine.synthesize(sentence, spec_for(engine), lambda: False)
    next(speech)
    speech.close()  # type: ignore[attr-defined]
    check(speak(engine, "Still there."))


def test_close_twice_then_speak_again(engine: Synthesizer) -> None:
    engine.close()
    engine.close()
    check(speak(engine, "Back again."))


def test_no_program_is_left_running(engine: Synthesizer) -> None:
    speak(engine, "Hello.")
    engine.close()
    listing = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True, check=False
    )
    assert "flite" not in listing.stdout
    assert "espeak" not in listing.stdout


def test_it_tells_its_version_the_same_every_time(engine: Synthesizer) -> None:
    assert engine.version()
    assert engine.version() == engine.version()
