"""Flite's output, its words, and programs that misbehave."""

import stat
import time
from pathlib import Path

import numpy as np
import pytest

from vcam_talker.core.errors import EngineError
from vcam_talker.core.types import Phone, Sentence, TurnId, VoiceSpec
from vcam_talker.tts.align import align_words
from vcam_talker.tts.edges import CLAUSE_PAUSE_S, LEAD_S, SENTENCE_PAUSE_S, pause_after, trim
from vcam_talker.tts.english import to_ascii
from vcam_talker.tts.flite import FliteSynthesizer, parse_output, parse_phones
from vcam_talker.tts.plain import to_plain
from vcam_talker.tts.program import Program

SLT = VoiceSpec("flite", "slt")


def wav(samples: int) -> bytes:
    body = b"\x10\x20" * samples
    header = b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80>\0\0\0}\0\0\x02\0\x10\0data" + len(body).to_bytes(
        4, "little"
    )
    return b"RIFF" + (len(header) + len(body)).to_bytes(4, "little") + header + body


def phones_of(line: str) -> tuple[Phone, ...]:
    return parse_phones(line.encode())


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.unit
class TestOutput:
    LINE = b"pau:0.164 hh:0.255 ay:0.304 pau:0.500 \n"

    @pytest.mark.parametrize("output", [LINE + wav(800), wav(800) + LINE, LINE[:10] + wav(800) + LINE[10:]])
    def test_text_and_sound_in_any_order(self, output: bytes) -> None:
        samples, rate, phones = parse_output(output)
        assert (samples.size, rate) == (800, 16_000)
        assert phones[1] == Phone("hh", 0.164, 0.255)

    @pytest.mark.parametrize("output", [b"", LINE, b"RIFF", wav(0), LINE + wav(10)[:30]])
    def test_without_sound_it_is_an_error(self, output: bytes) -> None:
        with pytest.raises(EngineError, match="flite"):
            parse_output(output)

    def test_a_phone_without_a_time(self) -> None:
        with pytest.raises(EngineError, match="without a time"):
            parse_phones(b"pau:0.1 hh")


@pytest.mark.unit
class TestAlignment:
    PHONES = phones_of(
        "pau:0.164 hh:0.255 ax:0.304 l:0.412 ow:0.523 dh:0.572 eh:0.664 r:0.817 pau:0.925 w:1.032 er:1.244 "
        "l:1.426 d:1.526 pau:1.693"
    )

    def test_words_begin_and_end_on_their_phones(self) -> None:
        words = [(w.text, w.start_s, w.end_s) for w in align_words("Hello there, world!", self.PHONES)]
        assert words == [("Hello", 0.164, 0.523), ("there,", 0.523, 0.817), ("world!", 0.925, 1.526)]

    def test_numbers_get_the_phones_of_their_names(self) -> None:
        phones = phones_of(
            "pau:0.1 ih:0.2 t:0.3 k:0.4 ao:0.5 s:0.6 t:0.7 s:0.8 t:0.9 w:1.0 eh:1.1 n:1.2 t:1.3 iy:1.4 f:1.5 "
            "ay:1.6 v:1.7 d:1.8 aa:1.9 l:2.0 er:2.1 z:2.2 n:2.3 aw:2.4 pau:2.5"
        )
        words = [(w.text, w.start_s, w.end_s) for w in align_words("It costs $25 now.", phones)]
        assert words == [("It", 0.1, 0.3), ("costs", 0.3, 0.8), ("$25", 0.8, 2.2), ("now.", 2.2, 2.4)]

    @pytest.mark.parametrize(
        "text", ["a", "one two three four five six seven eight nine ten eleven twelve", "x 1 & 2"]
    )
    def test_every_word_has_its_place_in_order(self, text: str) -> None:
        words = align_words(text, self.PHONES)
        assert [w.text for w in words] == text.split()
        assert all(0.16 <= w.start_s <= w.end_s <= 1.526 for w in words)
        assert [w.start_s for w in words] == sorted(w.start_s for w in words)

    def test_nothing_to_align(self) -> None:
        assert align_words("", self.PHONES) == ()
        assert align_words("...", self.PHONES) == ()
        assert align_words("hello", ()) == ()
        assert align_words("hello", (Phone("pau", 0, 1),)) == ()


@pytest.mark.unit
class TestEdges:
    def test_silence_is_cut_to_size_and_times_move_along(self) -> None:
        rate = 16_000
        sound = np.zeros(rate, np.float32)
        sound[3200:8000] = 0.5
        phones = (Phone("pau", 0, 0.2), Phone("aa", 0.2, 0.5), Phone("pau", 0.5, 1.0))
        samples, moved, _ = trim(sound, rate, phones, (), pause_s=0.12)
        assert samples.size == round((LEAD_S + 0.3 + 0.12) * rate)
        assert [(p.symbol, round(p.start_s, 3), round(p.end_s, 3)) for p in moved] == [
            ("pau", 0, 0.02),
            ("aa", 0.02, 0.32),
            ("pau", 0.32, 0.44),
        ]

    def test_silence_is_added_where_there_is_none(self) -> None:
        samples, phones, _ = trim(
            np.full(1600, 0.5, np.float32), 16_000, (Phone("aa", 0, 0.1),), (), pause_s=0.2
        )
        assert samples.size == 4800
        assert phones[-1] == Phone("pau", 0.1, 0.3)

    def test_sound_beyond_the_phones_is_not_cut(self) -> None:
        sound = np.full(16_000, 0.5, np.float32)
        samples, _, _ = trim(sound, 16_000, (Phone("pau", 0, 0.3), Phone("aa", 0.3, 0.6)), (), pause_s=0)
        assert samples.size == 16_000

    def test_sentences_pause_longer_than_clauses(self) -> None:
        assert pause_after("Well,") == CLAUSE_PAUSE_S
        assert pause_after('He said "no."') == SENTENCE_PAUSE_S
        assert pause_after("好。") == SENTENCE_PAUSE_S


@pytest.mark.unit
class TestPlain:
    @pytest.mark.parametrize(
        ("text", "plain"),
        [
            ("a\x00b\nc", "a b c"),
            ("<speak>hi</speak>", "hi"),
            ("1 < 2 > 0", "1 2 0"),
            ("see https://www.example.com/a/b?c=d now", "see example.com now"),
            ("<" * 50, ""),
        ],
    )
    def test_markup_and_controls_go(self, text: str, plain: str) -> None:
        assert to_plain(text) == plain


@pytest.mark.unit
class TestEnglish:
    @pytest.mark.parametrize(
        ("text", "ascii_text"),
        [
            ("I don’t know…", "I don't know..."),
            ("café naïve", "cafe naive"),
            ("well — yes", "well, yes"),
            ("5 °C or 3°", "5 degrees Celsius or 3 degrees"),
            ("£5.20 and €3", "5.20 pounds and 3 euros"),
            ("“Quoted”", '"Quoted"'),
            ("你好", ""),
            ("plain text, kept as it is!", "plain text, kept as it is!"),
        ],
    )
    def test_signs_are_spelt_out(self, text: str, ascii_text: str) -> None:
        assert to_ascii(text) == ascii_text


@pytest.mark.real
class TestMisbehaviour:
    def test_a_missing_program_is_named_with_its_remedy(self) -> None:
        flite = FliteSynthesizer("no-such-flite")
        assert flite.voices() == ()
        with pytest.raises(EngineError, match=r"is not installed\. apt install"):
            list(flite.synthesize(Sentence(TurnId(1), 0, "Hi."), SLT, lambda: False))
        flite.close()

    def test_one_that_fails(self, tmp_path: Path) -> None:
        flite = FliteSynthesizer(script(tmp_path / "flite", "exit 7"))
        assert flite.voices() == ()
        with pytest.raises(EngineError, match="status 7"):
            list(flite.synthesize(Sentence(TurnId(1), 0, "Hi."), SLT, lambda: False))

    def test_one_that_hangs_is_killed_at_its_deadline(self, tmp_path: Path) -> None:
        flite = FliteSynthesizer(script(tmp_path / "flite", "exec sleep 60"), timeout_s=0.1)
        with pytest.raises(EngineError, match=r"not done within 0\.1 s"):
            list(flite.synthesize(Sentence(TurnId(1), 0, "Hi."), SLT, lambda: False))

    def test_a_cancelled_run_is_killed_at_once(self, tmp_path: Path) -> None:
        program = Program(script(tmp_path / "slow", "exec sleep 60"), timeout_s=60)
        started = time.monotonic()
        assert program.run([], lambda: time.monotonic() - started > 0.1) is None
        assert time.monotonic() - started < 1

    def test_the_text_is_one_argument_after_t(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        fake = script(tmp_path / "flite", f'for a in "$@"; do echo "<$a>"; done > {log}; exit 1')
        with pytest.raises(EngineError):
            list(FliteSynthesizer(fake).synthesize(Sentence(TurnId(1), 0, "-o x; $(id)"), SLT, lambda: False))
        arguments = log.read_text().splitlines()
        assert arguments[arguments.index("<-t>") + 1] == "<-o x; $(id)>"

    def test_an_unknown_voice_is_not_passed_on(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        fake = script(tmp_path / "flite", f'echo "$@" > {log}; exit 1')
        spec = VoiceSpec("flite", "http://evil.example/voice.flitevox")
        with pytest.raises(EngineError):
            list(FliteSynthesizer(fake).synthesize(Sentence(TurnId(1), 0, "Hi."), spec, lambda: False))
        assert "evil" not in log.read_text()


@pytest.mark.unit
@pytest.mark.parametrize("language", ["de", "cmn", "eo"])
def test_another_language_is_refused_before_anything_runs(language: str) -> None:
    engine = FliteSynthesizer(program="/nowhere/flite")
    spec = VoiceSpec("flite", "slt", language)
    with pytest.raises(EngineError, match=f"reads English only, not '{language}'"):
        list(engine.synthesize(Sentence(TurnId(1), 0, "Guten Tag"), spec, lambda: False))
