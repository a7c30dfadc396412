"""The espeak-ng program: killed, stopped, missing; Mandarin text on its way to it."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from vcam_talker.core.errors import EngineError
from vcam_talker.core.types import Sentence, Speech, TurnId, VoiceSpec
from vcam_talker.tts.espeak_client import EspeakClient
from vcam_talker.tts.espeak_ng import EspeakNgSynthesizer
from vcam_talker.tts.mandarin import read_number, to_runs


@pytest.fixture
def client() -> Iterator[EspeakClient]:
    made = EspeakClient(timeout_s=3)
    yield made
    made.close()


def speak(engine: EspeakNgSynthesizer, text: str, voice: str = "en-us") -> list[Speech]:
    return list(engine.synthesize(Sentence(TurnId(1), 0, text), VoiceSpec("espeak-ng", voice), lambda: False))


@pytest.mark.real
class TestProgram:
    def test_it_stays_warm(self, client: EspeakClient) -> None:
        engine = EspeakNgSynthesizer(client)
        speak(engine, "One.")
        pid = client.pid()
        speak(engine, "Two.")
        assert client.pid() == pid

    def test_killed_between_sentences_nothing_is_lost(self, client: EspeakClient) -> None:
        engine = EspeakNgSynthesizer(client)
        speak(engine, "One.")
        pid = client.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while client.pid() is not None:
            time.sleep(0.005)
        assert speak(engine, "Two.")
        assert client.pid() != pid

    def test_stopped_it_is_an_error_once_and_then_works(self, client: EspeakClient) -> None:
        engine = EspeakNgSynthesizer(client)
        speak(engine, "One.")
        pid = client.pid()
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(EngineError, match="said nothing"):
            speak(engine, "Two.")
        assert speak(engine, "Three.")

    def test_a_cancelled_sentence_is_not_mixed_up_with_the_next(self, client: EspeakClient) -> None:
        engine = EspeakNgSynthesizer(client)
        sentence = Sentence(TurnId(1), 0, "This one is given up.")
        spec = VoiceSpec("espeak-ng", "en-us")
        engine.voices()
        for _ in range(20):
            assert list(engine.synthesize(sentence, spec, lambda: True)) == []
        (part,) = speak(engine, "And this.")
        assert [w.text for w in part.words] == ["And", "this."]

    def test_an_unknown_voice_is_named(self, client: EspeakClient) -> None:
        engine = EspeakNgSynthesizer(client)
        with pytest.raises(EngineError, match="no voice 'nonesuch'"):
            speak(engine, "Hi.", "nonesuch")
        assert speak(engine, "Hi.")

    def test_variants_are_those_of_the_library(self, client: EspeakClient) -> None:
        voice = next(v for v in EspeakNgSynthesizer(client).voices() if v.name == "de")
        assert voice.offers("de")
        assert voice.offers("de+f2")
        assert voice.offers("de+12")
        assert not voice.offers("de+nosuch")
        assert not voice.offers("fr")

    def test_a_missing_library_leaves_no_voices(self) -> None:
        engine = EspeakNgSynthesizer(EspeakClient(["no-such-library.so"]))
        assert engine.voices() == ()
        with pytest.raises(EngineError, match=r"not installed\. apt install espeak-ng"):
            speak(engine, "Hi.")
        engine.close()


@pytest.mark.real
class TestMandarinSpeech:
    def test_characters_are_read_in_chinese(self, client: EspeakClient) -> None:
        (part,) = speak(EspeakNgSynthesizer(client), "你好。", "cmn")
        assert [p.symbol for p in part.phones if p.symbol != "_"] == ["n", "i", "X", "Au"], "read as English?"
        assert [w.text for w in part.words] == ["你", "好"]

    def test_words_cover_the_text_numbers_and_english_included(self, client: EspeakClient) -> None:
        (part,) = speak(EspeakNgSynthesizer(client), "我有3个apple，价格是25.5元。", "cmn+f3")
        assert "".join(w.text for w in part.words).replace("，", "") == "我有3个apple价格是25.5元"


@pytest.mark.unit
class TestPinyin:
    @pytest.mark.parametrize(
        ("text", "pinyin"),
        [
            ("你好", "ni2 hao3"),
            ("银行", "yin2 hang2"),
            ("音乐", "yin1 yue4"),
            ("重要", "zhong4 yao4"),
            ("不是", "bu2 shi4"),
            ("绿色", "lv4 se4"),
            ("好吗？", "hao3 ma5?"),
            ("15:08", "shi2 wu3 dian3 ling2 ba1 fen1"),
            ("4:00", "si4 dian3 zheng3"),
            ("50%", "bai3 fen1 zhi1 wu3 shi2"),
            ("-3度", "fu4 san1 du4"),
            ("是-3度", "shi4 fu4 san1 du4"),
            ("3-5天", "san1 dao4 wu3 tian1"),
            ("2件2", "liang3 jian4 er4"),
            ("嗯,好", "en4, hao3"),
        ],
    )
    def test_phrases_tones_and_numbers(self, text: str, pinyin: str) -> None:
        (run,) = to_runs(text)
        assert run.text == pinyin

    def test_english_goes_to_a_voice_of_its_own(self) -> None:
        runs = to_runs("欢迎来到 OBS Studio 直播间！RTX4090 很贵")
        assert [(r.latin, r.text) for r in runs if r.latin] == [(True, "OBS Studio"), (True, "RTX4090")]
        assert len(runs) == 5

    def test_nothing_to_say(self) -> None:
        assert to_runs("。，！") == []
        assert to_runs("") == []

    @pytest.mark.parametrize(
        ("digits", "numerals"),
        [
            ("0", "零"),
            ("10", "十"),
            ("12", "十二"),
            ("20", "二十"),
            ("105", "一百零五"),
            ("110", "一百一十"),
            ("1005", "一千零五"),
            ("10005", "一万零五"),
            ("100000", "十万"),
            ("10010000", "一千零一万"),
            ("123456789", "一亿二千三百四十五万六千七百八十九"),
            ("100000001", "一亿零一"),
            ("007", "零零七"),
            ("13812345678901", "一三八一二三四五六七八九零一"),
        ],
    )
    def test_numbers(self, digits: str, numerals: str) -> None:
        assert read_number(digits) == numerals
