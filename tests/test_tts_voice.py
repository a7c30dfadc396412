"""The voice facade: casting, fallbacks, mixed languages, loudness, quanta."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from vcam_talker.core.errors import EngineError
from vcam_talker.core.stages import Cancelled
from vcam_talker.core.types import Emotion, Phone, Sentence, Speech, TurnId, VoiceInfo, VoiceSpec, Word
from vcam_talker.dsp.loudness import gated_rms_db
from vcam_talker.persona import Persona, VoiceSection
from vcam_talker.tts.joiner import Joiner
from vcam_talker.tts.tone import ToneSynthesizer
from vcam_talker.tts.voice import Voice

pytestmark = pytest.mark.unit


class Fake:
    """Speaks 0.1 s of a tone per word; remembers what it was asked."""

    def __init__(
        self, name: str, *languages: str, fails: bool = False, level: float = 0.05, rate: int = 16_000
    ) -> None:
        self.name = name
        self._languages = languages
        self._fails = fails
        self._level = level
        self._rate = rate
        self.asked: list[tuple[str, VoiceSpec]] = []

    def voices(self) -> Sequence[VoiceInfo]:
        names = {"en": "slt"} if self.name == "flite" else {}
        variants = frozenset({"f3"} if self.name == "espeak-ng" else {})
        return [VoiceInfo(self.name, names.get(tag, tag), tag, variants=variants) for tag in self._languages]

    def synthesize(self, sentence: Sentence, spec: VoiceSpec, cancelled: Cancelled) -> Iterator[Speech]:
        self.asked.append((sentence.text, spec))
        if self._fails:
            raise EngineError(self.name, "is broken")
        words = sentence.text.split() or [""]
        for index, word in enumerate(words):
            if cancelled():
                return
            count = self._rate // 10 + 7
            wave = self._level * np.sin(np.arange(count) * 2 * np.pi * 200 / self._rate)
            duration_s = count / self._rate
            yield Speech(
                sentence,
                self._rate,
                wave.astype(np.float32),
                (Phone("aa", 0, duration_s / 2), Phone("pau", duration_s / 2, duration_s)),
                (Word(word, 0, duration_s),),
                "arpabet",
                index == len(words) - 1,
            )

    def close(self) -> None:
        pass


def persona(**changes: Any) -> Persona:
    fields: dict[str, Any] = {
        "title": "Mira",
        "fallback": ("Hm.",),
        "voice": VoiceSection(engine="flite", name="slt"),
        "voices": {"cmn": VoiceSection(engine="espeak-ng", name="cmn+f3")},
    }
    return Persona(**{**fields, **changes})


def cast(*engines: Any, choice: str = "auto", **changes: Any) -> Voice:
    return Voice({e.name: e for e in engines}, persona(**changes), choice)


def say(voice: Voice, text: str, language: str = "", emotion: Emotion = Emotion.NEUTRAL) -> list[Speech]:
    return list(voice.speak(Sentence(TurnId(1), 0, text, emotion, language), lambda: False))


class TestCasting:
    def test_each_language_goes_to_its_engine(self) -> None:
        flite, espeak = Fake("flite", "en"), Fake("espeak-ng", "en", "cmn", "ru")
        voice = cast(flite, espeak, ToneSynthesizer())
        say(voice, "Hello", "en")
        say(voice, "你好", "cmn")
        say(voice, "Привет", "ru")
        assert [s.voice for _, s in flite.asked] == ["slt"]
        assert [s.voice for _, s in espeak.asked] == ["cmn+f3", "ru"]
        assert voice.warnings == ()

    def test_without_flite_espeak_speaks_and_one_warning_says_so(self) -> None:
        flite, espeak = Fake("flite"), Fake("espeak-ng", "en", "cmn")
        voice = cast(flite, espeak, ToneSynthesizer())
        say(voice, "Hello", "en")
        say(voice, "Hello again", "en")
        assert len(espeak.asked) == 2
        assert voice.warnings == ("flite is not installed; espeak-ng speaks 'en' instead. apt install flite",)

    def test_without_any_program_it_is_an_error_and_no_beep(self) -> None:
        voice = cast(Fake("flite"), Fake("espeak-ng"), ToneSynthesizer())
        with pytest.raises(EngineError) as caught:
            say(voice, "Hello")
        assert str(caught.value) == (
            "voice: nothing here speaks 'en' (flite is not installed, espeak-ng is not installed). "
            "apt install flite espeak-ng"
        )
        assert [w.partition(" (")[0] for w in voice.warnings] == [
            "nothing here speaks 'en'",
            "nothing here speaks 'cmn'",
        ]

    def test_one_language_that_nothing_speaks_leaves_the_others_alone(self) -> None:
        voice = cast(Fake("flite", "en"), Fake("espeak-ng"), ToneSynthesizer(), voices={})
        with pytest.raises(EngineError, match=r"speaks 'ru' \(flite has no voice.*apt install espeak-ng$"):
            say(voice, "Привет", "ru")
        assert say(voice, "Hello", "en")

    def test_a_language_that_no_voice_knows_has_another_remedy(self) -> None:
        voice = cast(Fake("flite", "en"), Fake("espeak-ng", "en", "cmn"), ToneSynthesizer())
        with pytest.raises(EngineError, match=r"Choose another language in persona\.toml"):
            say(voice, "ᏣᎳᎩ", "chr")

    def test_only_who_asks_for_beeps_gets_them(self) -> None:
        beeps = VoiceSection(engine="tone", name="beep")
        engines = Fake("flite", "en"), Fake("espeak-ng", "en", "cmn")
        for voice in (
            cast(*engines, ToneSynthesizer(), voice=beeps, voices={}),
            cast(*engines, ToneSynthesizer(), choice="tone"),
        ):
            assert say(voice, "Hello")
            assert say(voice, "你好", "cmn")
            assert voice.warnings == ()
        assert [engine.asked for engine in engines] == [[], []]

    def test_a_variant_that_is_not_there_is_named_and_left_out(self) -> None:
        espeak = Fake("espeak-ng", "cmn")
        section = VoiceSection(engine="espeak-ng", name="cmn+f33", pitch_semitones=2)
        voice = cast(espeak, voice=section, language="cmn", voices={})
        say(voice, "你好", "cmn")
        assert [(s.voice, s.pitch_semitones) for _, s in espeak.asked] == [("cmn", 2)]
        assert "espeak-ng has no voice 'cmn+f33'; 'cmn' speaks instead" in voice.warnings[0]

    def test_a_voice_that_is_not_there_is_named_and_replaced(self) -> None:
        flite = Fake("flite", "en")
        voice = cast(flite, voice=VoiceSection(engine="flite", name="nobody", rate=1.2), voices={})
        say(voice, "Hello")
        assert flite.asked[0][1].voice == "slt"
        assert flite.asked[0][1].rate == 1.2
        assert "flite has no voice 'nobody'" in voice.warnings[0]

    def test_the_engine_can_be_chosen(self) -> None:
        flite, espeak = Fake("flite", "en"), Fake("espeak-ng", "en", "cmn")
        say(cast(flite, espeak, choice="espeak-ng"), "Hello")
        assert [s.voice for _, s in espeak.asked] == ["en"]
        assert flite.asked == []

    def test_an_engine_chosen_for_all_leaves_other_languages_to_others_quietly(self) -> None:
        flite, espeak = Fake("flite", "en"), Fake("espeak-ng", "en", "cmn")
        voice = cast(flite, espeak, choice="flite")
        say(voice, "你好", "cmn")
        assert len(espeak.asked) == 1
        assert voice.warnings == ()

    def test_a_persona_that_asks_too_much_of_an_engine_is_told(self) -> None:
        section = VoiceSection(engine="flite", name="slt")
        voice = cast(Fake("flite", "en"), Fake("espeak-ng", "cmn"), language="cmn", voice=section, voices={})
        assert any("flite does not speak 'cmn'; espeak-ng speaks" in w for w in voice.warnings)

    @pytest.mark.parametrize("name", ["slt", "anna"])
    def test_flite_reads_no_german_although_it_knows_the_letters(self, name: str) -> None:
        flite, espeak = Fake("flite", "en"), Fake("espeak-ng", "en", "de")
        section = VoiceSection(engine="flite", name=name)
        voice = cast(flite, espeak, language="de", voice=section, voices={})
        say(voice, "Guten Tag", "de")
        assert [spec.voice for _, spec in espeak.asked] == ["de"]
        assert flite.asked == []
        (warning,) = voice.warnings
        what, remedy = warning.split(". ", 1)
        assert what == "flite does not speak 'de'; espeak-ng speaks 'de' instead"
        assert remedy == 'Set engine = "espeak-ng", name = "de" in persona.toml'

    @pytest.mark.parametrize("tag", ["zh", "zh-CN", "zh-TW", "zh-Hans"])
    def test_zh_in_a_sentence_is_mandarin(self, tag: str) -> None:
        espeak = Fake("espeak-ng", "en", "cmn")
        (part,) = say(cast(Fake("flite", "en"), espeak), "你好", tag)
        assert part.sentence.language == "cmn"
        assert [spec.voice for _, spec in espeak.asked] == ["cmn+f3"]

    def test_one_that_breaks_is_replaced_in_the_middle_of_the_show(self) -> None:
        flite, espeak = Fake("flite", "en", fails=True), Fake("espeak-ng", "en", "cmn")
        assert say(cast(flite, espeak), "Hello")
        assert len(espeak.asked) == 1

    def test_if_all_break_the_last_reason_is_told(self) -> None:
        with pytest.raises(EngineError, match="espeak-ng: is broken"):
            say(cast(Fake("flite", "en", fails=True), Fake("espeak-ng", "en", fails=True)), "Hello")


class TestMixedLanguages:
    def test_a_foreign_run_gets_its_own_voice(self) -> None:
        flite, espeak = Fake("flite", "en"), Fake("espeak-ng", "en", "cmn")
        parts = say(cast(flite, espeak), "My favourite dish is 麻婆豆腐 and I eat it every day.", "en")
        assert [t for t, _ in flite.asked] == ["My favourite dish is ", "and I eat it every day."]
        assert [t for t, _ in espeak.asked] == ["麻婆豆腐 "]
        assert [p.last for p in parts] == [False] * (len(parts) - 1) + [True]
        assert {p.sentence.language for p in parts} == {"en", "cmn"}

    def test_a_short_english_insert_stays_with_the_mandarin_voice(self) -> None:
        flite, espeak = Fake("flite", "en"), Fake("espeak-ng", "en", "cmn")
        say(cast(flite, espeak), "OBS 欢迎来到 OBS Studio 直播间", "cmn")
        assert [t for t, _ in espeak.asked] == ["OBS 欢迎来到 OBS Studio 直播间"]
        assert flite.asked == []


class TestSound:
    @pytest.mark.parametrize("level", [0.01, 0.05, 0.5])
    def test_every_voice_comes_at_one_loudness(self, level: float) -> None:
        (part,) = say(cast(Fake("flite", "en", level=level)), "Hello")
        assert part.rate == 48_000
        assert gated_rms_db(part.samples, 48_000) == pytest.approx(-20, abs=0.5)
        assert np.abs(part.samples).max() <= 0.9

    def test_gain_of_the_persona_comes_on_top(self) -> None:
        section = VoiceSection(engine="flite", name="slt", gain_db=-6)
        (part,) = say(cast(Fake("flite", "en"), voice=section, voices={}), "Hello")
        assert gated_rms_db(part.samples, 48_000) == pytest.approx(-26, abs=0.5)

    @pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 48_000])
    def test_parts_are_whole_quanta_and_join_without_clicks(self, rate: int) -> None:
        parts = say(cast(Fake("flite", "en", rate=rate)), "one two three four")
        assert all(p.samples.size % 480 == 0 for p in parts)
        total_s = sum(p.samples.size for p in parts) / 48_000
        assert total_s == pytest.approx(4 * (rate // 10 + 7) / rate, abs=0.0101)
        assert [w.text for p in parts for w in p.words] == ["one", "two", "three", "four"]

    def test_phones_keep_their_place_on_the_way(self) -> None:
        joiner = Joiner(22_050)
        sentence = Sentence(TurnId(1), 0, "x")
        at_s = 0.0
        ends: list[float] = []
        for index in range(5):
            sound = np.full(2500, 0.1, np.float32)
            part = Speech(
                sentence, 22_050, sound, (Phone("aa", 0, 2500 / 22_050),), (), "arpabet", index == 4
            )
            joined = joiner.feed(part)
            assert joined is not None
            duration_s = joined.samples.size / 48_000
            assert joined.phones[0].start_s == 0
            assert joined.phones[-1].end_s == pytest.approx(duration_s, abs=1e-9)
            ends += [at_s + p.end_s for p in joined.phones]
            at_s += duration_s
        for index in range(1, 5):
            assert min(abs(e - index * 2500 / 22_050) for e in ends) < 1e-6, (
                "a phone boundary was lost or moved"
            )

    def test_a_part_shorter_than_a_quantum_waits(self) -> None:
        joiner = Joiner(16_000)
        sentence = Sentence(TurnId(1), 0, "x")
        assert joiner.feed(Speech(sentence, 16_000, np.zeros(10, np.float32), last=False)) is None
        joined = joiner.feed(Speech(sentence, 16_000, np.zeros(10, np.float32), last=True))
        assert joined is not None
        assert joined.samples.size == 480


class TestTurn:
    def test_a_dead_turn_stops_between_parts(self) -> None:
        flite = Fake("flite", "en")
        dead = False
        speech = cast(flite).speak(Sentence(TurnId(1), 0, "one two three"), lambda: dead)
        assert not next(speech).last
        dead = True
        assert list(speech) == []

    def test_emotion_colours_and_strength_scales_it(self) -> None:
        flite = Fake("flite", "en")
        voice = cast(flite)
        say(voice, "Hello")
        say(voice, "Hello", emotion=Emotion.SAD)
        say(cast(flite, emotions={"strength": 0}), "Hello", emotion=Emotion.SAD)
        plain, sad, off = (spec for _, spec in flite.asked)
        assert sad.rate < plain.rate
        assert sad.pitch_semitones < plain.pitch_semitones
        assert (off.rate, off.pitch_semitones) == (plain.rate, plain.pitch_semitones)

    def test_warming_up_speaks_every_language_once_and_never_fails(self) -> None:
        flite, espeak = Fake("flite", "en", fails=True), Fake("espeak-ng", "en", "cmn")
        cast(flite, espeak).warm_up()
        assert len(flite.asked) == 1
        assert [spec.voice for _, spec in espeak.asked] == ["cmn+f3"]

    @pytest.mark.parametrize("text", ["", "...", " "])
    def test_nothing_to_speak_still_ends_the_sentence(self, text: str) -> None:
        parts = say(cast(ToneSynthesizer(), voice=VoiceSection(engine="tone", name="beep"), voices={}), text)
        assert parts[-1].last
        assert np.abs(parts[-1].samples).max() == 0
