"""What of Whisper's output is believed. Pure.

Whisper was trained on subtitles: given noise or silence it tends to write what subtitles of silence say.
Whether it was speech is told by three figures of its own (Radford et al. 2022, section 4.5: the probability
of its no-speech token, the mean log-probability of the text, how well the text compresses), and by the text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vcam_talker.core.types import Transcript

_NO_SPEECH: Final = 0.6
_DOUBTFUL_NO_SPEECH: Final = 0.3
_UNLIKELY: Final = -1.0
"""Mean natural log-probability of a token below which the text is a guess."""
_DOUBTFUL: Final = -0.5
_REPEATS: Final = 2.4
"""zlib ratio above which the text runs in circles."""
_MAX_CHARS: Final = 2000

_ANNOTATION: Final = re.compile(r"\[[^\]]{0,80}\]|\([^)]{0,80}\)|（[^）]{0,80}）|【[^】]{0,80}】|[♪♩♫♬]+")

_CREDITS: Final = (
    "amara.org",
    "subtitles by",
    "subtitled by",
    "captions by",
    "captioning by",
    "transcribed by",
    "transcription by",
    "translated by",
    "thanks for watching",
    "thank you for watching",
    "thank you so much for watching",
    "like and subscribe",
    "subscribe to my channel",
    "please subscribe",
    "untertitel der",
    "untertitel von",
    "untertitel im auftrag",
    "sous-titres réalisés",
    "sous-titrage",
    "subtítulos realizados",
    "legendas pela",
    "sottotitoli creati",
    "субтитры",
    "ご視聴ありがとう",
    "시청해주셔서 감사",
    "字幕由",
    "字幕by",
    "字幕志愿者",
    "謝謝觀看",
    "谢谢观看",
    "请不吝点赞",
    "請不吝點贊",
    "明镜与点点",
    "明鏡與點點",
)
"""Nobody says these to a presenter; subtitles of silence do."""

_POLITE: Final = frozenset(
    {
        *(
            "thank you",
            "thank you very much",
            "thanks",
            "bye",
            "bye bye",
            "goodbye",
            "you",
            "okay",
            "ok",
            "oh",
            "so",
        ),
        *("hmm", "mm", "uh", "um", "yeah", "the", "i", "and", "merci", "danke", "vielen dank", "gracias"),
        *("谢谢", "謝謝", "嗯", "啊", "好", "はい", "ありがとうございました", "감사합니다", "спасибо"),
    }
)
"""Said to a presenter too, but Whisper's favourites for a cough: believed when it is sure."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The text of one window, and Whisper's own figures about it."""

    text: str
    avg_logprob: float
    """Mean natural log-probability of its tokens, <= 0."""
    no_speech_prob: float
    """0 .. 1."""
    compression_ratio: float
    tokens: int
    language: str = ""


def doubt(candidate: Candidate) -> str:
    """Return why a candidate is not believed, in words for a log; empty when it is."""
    text = tidy(candidate.text)
    if not any(c.isalnum() for c in text):
        return "no words"
    if candidate.compression_ratio > _REPEATS:
        return "runs in circles"
    if candidate.avg_logprob < _UNLIKELY:
        return "a guess"
    if candidate.no_speech_prob > _NO_SPEECH and candidate.avg_logprob < _DOUBTFUL:
        return "no speech"
    folded = text.casefold()
    if any(credit in folded for credit in _CREDITS):
        return "subtitles of silence"
    bare = "".join(c if c.isalnum() else " " for c in folded)
    doubtful = candidate.no_speech_prob > _DOUBTFUL_NO_SPEECH or candidate.avg_logprob < _DOUBTFUL
    if doubtful and " ".join(bare.split()) in _POLITE:
        return "a cough, perhaps"
    return ""


def believed(candidates: Sequence[Candidate], language: str = "") -> Transcript:
    """Return the text of those candidates that are believed, and how sure Whisper is of it."""
    kept = [c for c in candidates if not doubt(c)]
    text = " ".join(tidy(c.text) for c in kept)[:_MAX_CHARS]
    if not text:
        return Transcript("", 0.0, language)
    weight = sum(max(1, c.tokens) for c in kept)
    mean = sum(c.avg_logprob * max(1, c.tokens) for c in kept) / weight
    return Transcript(text, min(1.0, math.exp(mean)), language or kept[0].language)


def tidy(text: str) -> str:
    """Return text on one line without what describes sounds: `[Music]`, `(applause)`, notes."""
    return " ".join(_ANNOTATION.sub(" ", text).split())
