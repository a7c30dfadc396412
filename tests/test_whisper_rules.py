"""What of Whisper's output is believed."""

from __future__ import annotations

import math

import pytest

from vcam_talker.asr.whisper_rules import Candidate, believed, doubt, tidy

pytestmark = pytest.mark.unit


def candidate(
    text: str, logprob: float = -0.2, no_speech: float = 0.01, ratio: float = 1.0, tokens: int = 8
) -> Candidate:
    return Candidate(text, logprob, no_speech, ratio, tokens, "en")


def test_what_is_clear_is_believed() -> None:
    heard = believed([candidate(" What is  your name?")], "en")
    assert heard.text == "What is your name?"
    assert heard.confidence == pytest.approx(math.exp(-0.2))
    assert heard.language == "en"


def test_a_shy_voice_is_believed_when_the_words_are_sure() -> None:
    """The no-speech token alone is a poor judge of quiet speech."""
    assert doubt(candidate("Do you ship to Norway?", logprob=-0.3, no_speech=0.8)) == ""


@pytest.mark.parametrize(
    "heard",
    [
        candidate(""),
        candidate(" ..."),
        candidate("♪♪♪"),
        candidate("[Music]"),
        candidate("(applause) [laughs]"),
        candidate("hello there", logprob=-1.2),
        candidate("hello there", logprob=-0.6, no_speech=0.7),
        candidate("no no no no no no no", ratio=2.6),
        candidate("Thank you.", no_speech=0.4),
        candidate("you", logprob=-0.7),
        candidate("谢谢。", no_speech=0.5),
        candidate("Thanks for watching!", logprob=-0.01),
        candidate("Subtitles by the Amara.org community", logprob=-0.01),
        candidate("请不吝点赞 订阅 转发 打赏支持明镜与点点栏目", logprob=-0.05),
        candidate("ご視聴ありがとうございました", logprob=-0.05),
    ],
)
def test_what_silence_makes_of_whisper_is_not(heard: Candidate) -> None:
    assert doubt(heard)
    nothing = believed([heard], "en")
    assert (nothing.text, nothing.confidence) == ("", 0.0)


@pytest.mark.parametrize("text", ["Thank you.", "Thank you for the blue mug!", "Goodbye.", "谢谢"])
def test_polite_words_that_are_sure_are_heard(text: str) -> None:
    assert believed([candidate(text)]).text == text


def test_windows_are_joined_and_weighed_by_their_length() -> None:
    heard = believed(
        [
            candidate("one two three", logprob=-0.1, tokens=30),
            candidate("[Music]"),
            candidate("four", logprob=-0.4, tokens=10),
        ]
    )
    assert heard.text == "one two three four"
    assert heard.confidence == pytest.approx(math.exp(-(0.1 * 30 + 0.4 * 10) / 40))
    assert heard.language == "en"


def test_descriptions_of_sounds_go_and_the_words_stay() -> None:
    assert tidy(" [Music] How much (laughs) is it? ♪") == "How much is it?"


def test_text_is_bounded() -> None:
    assert len(believed([candidate("a b " * 5000)]).text) <= 2000
