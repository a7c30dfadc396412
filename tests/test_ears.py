"""Voice activity, endpoint, sentences, and the guards against hearing itself."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from vcam_talker.asr.choice import choose_transcriber
from vcam_talker.asr.endpoint import Endpointer, Step
from vcam_talker.asr.sentence import sentence
from vcam_talker.asr.vad import RATE, WINDOW, WINDOW_NS, EnergyVad, SileroVad, VoiceActivity
from vcam_talker.config import EarsConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.core.types import Samples, Sentence, Transcript, TurnId, VoiceSpec
from vcam_talker.senses.echo import EchoGuard, SaidGuard
from vcam_talker.tts.flite import FliteSynthesizer

pytestmark = pytest.mark.unit

WINDOW_S = WINDOW / RATE


def spoken(text: str, voice: str = "slt") -> Samples:
    """Return a line in one of flite's voices at 16 kHz."""
    flite = FliteSynthesizer()
    try:
        parts = list(
            flite.synthesize(
                Sentence(TurnId(1), 0, text, language="en"), VoiceSpec("flite", voice), lambda: False
            )
        )
    finally:
        flite.close()
    sound = np.concatenate([p.samples for p in parts])
    return np.asarray(soxr.resample(sound, parts[0].rate, RATE), np.float32)


@pytest.fixture(scope="module")
def own_voice() -> Samples:
    text = "Hello and welcome to the show, today I will tell you about the blue mug, and about the red one, "
    return spoken(text + "which I like more, and then we will see what else there is.")


@pytest.fixture(scope="module")
def somebody() -> Samples:
    sound = spoken("wait a moment please I have got a question about that", "awb")
    return sound[np.flatnonzero(np.abs(sound) > 0.02)[0] :]


def windows(sound: Samples) -> list[Samples]:
    return [sound[i : i + WINDOW] for i in range(0, len(sound) - WINDOW, WINDOW)]


def silence(seconds: float, level: float = 0.0) -> Samples:
    rng = np.random.default_rng(1)
    return (rng.standard_normal(int(seconds * RATE)) * level).astype(np.float32)


@pytest.mark.parametrize("vad", [SileroVad(), EnergyVad()], ids=["silero", "energy"])
def test_a_voice_is_told_from_silence(vad: VoiceActivity) -> None:
    voice = spoken("what is your name")
    quiet = [vad.probability(w) for w in windows(silence(1.5, 0.001))]
    loud = [vad.probability(w) for w in windows(voice)]
    after = [vad.probability(w) for w in windows(silence(1.0, 0.001))]
    assert max(quiet[5:]) < 0.5
    assert np.mean(np.array(loud) > 0.5) > 0.5
    assert max(after[5:]) < 0.5
    assert vad.probability(np.zeros(WINDOW, np.float32)) == 0.0


def test_silero_does_not_take_noise_for_a_voice() -> None:
    vad = SileroVad()
    rng = np.random.default_rng(2)
    clicks = np.zeros(2 * RATE, np.float32)
    clicks[rng.integers(0, len(clicks), 60)] = 0.9
    hum = 0.2 * np.sin(2 * np.pi * 120 * np.arange(2 * RATE) / RATE).astype(np.float32)
    for noise in (silence(2.0, 0.1), clicks, hum):
        found = [vad.probability(w) for w in windows(noise)]
        assert np.mean(np.array(found) > 0.5) < 0.05


def steps(probabilities: list[float], **changes: object) -> list[tuple[Step, int]]:
    options: dict[str, object] = {"threshold": 0.5, "sure_ms": 90, "endpoint_ms": 450, "max_utterance_s": 5.0}
    ends = Endpointer(**{**options, **changes})  # type: ignore[arg-type]
    found = [(ends.step(p), i) for i, p in enumerate(probabilities)]
    return [(step, i) for step, i in found if step is not None]


def test_an_utterance_from_onset_to_end() -> None:
    found = steps([0.0] * 5 + [0.9] * 20 + [0.0] * 20)
    assert [step for step, _ in found] == [Step.ONSET, Step.BEGAN, Step.PAUSED, Step.ENDED]
    at = dict(found)
    assert at[Step.BEGAN] - at[Step.ONSET] == 2, "90 ms are three windows"
    assert at[Step.ENDED] - 24 == pytest.approx(0.45 / WINDOW_S, abs=1)
    assert at[Step.PAUSED] - 24 == pytest.approx(0.18 / WINDOW_S, abs=1)


def test_a_breath_does_not_end_it() -> None:
    found = steps([0.9] * 20 + [0.0] * 9 + [0.9] * 10 + [0.0] * 20)
    kinds = [step for step, _ in found]
    assert kinds == [Step.ONSET, Step.BEGAN, Step.PAUSED, Step.RESUMED, Step.PAUSED, Step.ENDED]


def test_hysteresis_keeps_a_weak_voice() -> None:
    assert [s for s, _ in steps([0.45] * 30)] == []
    assert Step.ENDED not in [s for s, _ in steps([0.9] * 3 + [0.4] * 60)]


def test_a_cough_is_dropped_and_a_plosive_is_bridged() -> None:
    assert [s for s, _ in steps([0.9, 0.0, 0.0, 0.0])] == [Step.ONSET, Step.DROPPED]
    assert [s for s, _ in steps([0.9, 0.0, 0.9, 0.9, 0.9])] == [Step.ONSET, Step.BEGAN]


def test_whoever_never_stops_is_cut() -> None:
    found = steps([0.9] * 400)
    assert [s for s, _ in found].count(Step.ENDED) == 2


@pytest.mark.parametrize(
    ("heard", "text"),
    [
        ("what is your name", "What is your name?"),
        ("hey mira do you ship to norway", "Hey mira do you ship to norway?"),
        ("thank you very much", "Thank you very much."),
        ("can i have one", "Can I have one?"),
        ("who's there", "Who's there?"),
        ("i think i'm late", "I think I'm late."),
        ("  ", ""),
    ],
)
def test_sentences(heard: str, text: str) -> None:
    assert sentence(heard) == text


def room(sound: Samples, delay_ms: float, gain: float) -> Samples:
    """Return what a loudspeaker, a room and a microphone make of `sound`."""
    rng = np.random.default_rng(4)
    count = RATE // 5
    response = rng.standard_normal(count) * np.exp(-np.arange(count) / (count / 5)) * 0.15
    response[0] = 1.0
    shifted = np.concatenate((np.zeros(int(delay_ms * RATE / 1000)), np.convolve(sound, response)))
    return (shifted[: len(sound)] * gain).astype(np.float32)


def judged(own: Samples, heard: Samples) -> list[tuple[float, bool]]:
    """Return (seconds, whether it is taken for an echo) of every window with a voice, after two seconds."""
    guard, vad = EchoGuard(), SileroVad()
    found: list[tuple[float, bool]] = []
    for i, (reference, window) in enumerate(zip(windows(own), windows(heard), strict=True)):
        guard.reference(reference, i * WINDOW_NS)
        guard.hear(window, i * WINDOW_NS)
        if vad.probability(window) > 0.5 and i * WINDOW_S > 1.5:
            found.append((i * WINDOW_S, guard.is_echo(9)))
    return found


@pytest.mark.parametrize(("delay_ms", "gain"), [(15, 0.3), (120, 0.3), (250, 0.1), (120, 1.0)])
@pytest.mark.parametrize("noise", [0.001, 0.005])
def test_its_own_voice_is_an_echo(own_voice: Samples, delay_ms: float, gain: float, noise: float) -> None:
    heard = room(own_voice, delay_ms, gain) + silence(len(own_voice) / RATE + 1, noise)[: len(own_voice)]
    verdicts = judged(own_voice, heard)
    assert len(verdicts) > 50
    assert all(echo for _, echo in verdicts), "one mistake and it cuts itself off"


@pytest.mark.parametrize("level_db", [0, 6, 12])
@pytest.mark.parametrize(("delay_ms", "gain"), [(15, 0.3), (120, 0.3), (250, 0.1)])
def test_somebody_who_speaks_over_it_is_heard(
    own_voice: Samples, somebody: Samples, delay_ms: float, gain: float, level_db: float
) -> None:
    heard = room(own_voice, delay_ms, gain) + silence(len(own_voice) / RATE + 1, 0.001)[: len(own_voice)]
    begin = 3 * RATE
    echo_level, voice_level = np.sqrt(np.mean(heard**2)), np.sqrt(np.mean(somebody**2))
    heard[begin : begin + len(somebody)] += somebody * (echo_level / voice_level * 10 ** (level_db / 20))
    over = [(at, echo) for at, echo in judged(own_voice, heard) if 3.0 < at < 3.0 + len(somebody) / RATE]
    assert not all(echo for _, echo in over)
    assert next(at for at, echo in over if not echo) - 3.0 < 0.6, "soon enough to cut in"


@pytest.mark.parametrize("late", ["ears", "reference"])
def test_a_busy_machine_that_reads_in_bursts_does_not_hear_itself(own_voice: Samples, late: str) -> None:
    heard = room(own_voice, 120, 0.3) + silence(len(own_voice) / RATE + 1, 0.001)[: len(own_voice)]
    guard, vad = EchoGuard(), SileroVad()
    pairs = list(zip(windows(own_voice), windows(heard), strict=True))
    prompt, behind = (0, 1) if late == "ears" else (1, 0)
    verdicts: list[bool] = []

    def take(which: int, i: int) -> None:
        (guard.reference, guard.hear)[which](pairs[i][which], i * WINDOW_NS)
        if which == 1 and vad.probability(pairs[i][1]) > 0.5 and i * WINDOW_S > 1.5:
            verdicts.append(guard.is_echo(9))

    for i in range(len(pairs)):
        take(prompt, i)
        if i % 20 == 19:
            for j in range(i - 19, i + 1):
                take(behind, j)
    assert len(verdicts) > 50
    assert all(verdicts)


def test_with_headphones_every_voice_is_somebody(own_voice: Samples, somebody: Samples) -> None:
    heard = np.concatenate([somebody] * 3)[: len(own_voice)]
    verdicts = judged(own_voice[: len(heard)], heard[: len(own_voice)])
    assert np.mean([echo for _, echo in verdicts]) < 0.1


def test_what_it_has_just_said_is_no_question() -> None:
    guard = SaidGuard()
    guard.said("I'm Mira, your host. I talk, I listen, I blink.", 0)
    assert guard.is_own("your host I talk I listen", 1_000_000_000)
    assert not guard.is_own("what is your name please", 1_000_000_000)
    assert not guard.is_own("I talk", 1_000_000_000), "two words may be anybody's"
    assert not guard.is_own("your host I talk I listen", 60_000_000_000)


class Stub:
    def __init__(self, name: str) -> None:
        self.name = name

    def begin(self) -> None: ...
    def feed(self, samples: Samples) -> None: ...
    def partial(self) -> str:
        return ""

    def pause(self) -> None: ...
    def finish(self) -> Transcript:
        return Transcript("", 0.0)

    def close(self) -> None: ...


def test_which_recogniser() -> None:
    def make(*missing: str) -> object:
        def one(name: str) -> Stub:
            if name in missing:
                raise EngineError(name, "is not here", "Fetch it")
            return Stub(name)

        return one

    auto = EarsConfig()
    best = choose_transcriber(auto, make())  # type: ignore[arg-type]
    assert (best.transcriber.name, best.detail) == ("faster-whisper", "")
    second = choose_transcriber(auto, make("faster-whisper"))  # type: ignore[arg-type]
    assert second.transcriber.name == "pocketsphinx"
    assert "Fetch it" in second.detail
    with pytest.raises(EngineError, match=r"faster-whisper.*pocketsphinx"):
        choose_transcriber(auto, make("faster-whisper", "pocketsphinx"))  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="faster-whisper"):
        choose_transcriber(EarsConfig(engine="faster-whisper"), make("faster-whisper"))  # type: ignore[arg-type]
