"""Mandarin and a hundred other languages by espeak-ng, warm in a program of its own, with phone times.

Known limit: its Japanese knows kana, not kanji.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from vcam_talker.core.errors import EngineError
from vcam_talker.core.language import canonical_language
from vcam_talker.core.stages import Cancelled
from vcam_talker.core.types import Phone, Samples, Sentence, Speech, VoiceInfo, VoiceSpec, Word
from vcam_talker.tts.edges import CLAUSE_PAUSE_S, pause_after, trim
from vcam_talker.tts.espeak_client import EspeakClient, Reply
from vcam_talker.tts.mandarin import to_runs
from vcam_talker.tts.plain import SILENCE_S, to_plain
from vcam_talker.tts.sentences import split_overlong

_WORDS_PER_MINUTE: Final = 165
"""At rate 1; espeak-ng's own 175 is hasty for an audience."""
_MANDARIN: Final = "cmn"
_PINYIN_VOICE: Final = "cmn-latn-pinyin"
_LATIN_VOICE: Final = "en-us"


_TOKEN: Final = re.compile(r"\S*\w\S*")
_SILENCES: Final = frozenset(("_", "_:", "_!", ""))


@dataclass(frozen=True, slots=True)
class _Segment:
    """One request to one voice; `words` as in `mandarin.Run`."""

    voice: str
    text: str
    words: tuple[tuple[int, str], ...] = ()


class EspeakNgSynthesizer:
    """espeak-ng's voices, named by language (`de`), with an optional variant (`cmn+f3`). Thread-safe."""

    name = "espeak-ng"

    def __init__(self, client: EspeakClient | None = None) -> None:
        self._client = client if client is not None else EspeakClient()

    def voices(self) -> Sequence[VoiceInfo]:
        """Return a voice per language; empty when the library is missing. Starts the program, ~0.1 s once."""
        try:
            hello = self._client.hello()
        except EngineError:
            return ()
        variants = frozenset(hello["variants"]) or None
        return tuple(
            VoiceInfo(self.name, name, language, variants=variants) for name, language in hello["voices"]
        )

    def version(self) -> str:
        """Return the library's version with a digest of its files, as the running program loaded them."""
        try:
            hello = self._client.greeting()
        except EngineError:
            return ""
        return f"{hello['version']} {hello['files']}"

    def synthesize(self, sentence: Sentence, spec: VoiceSpec, cancelled: Cancelled) -> Iterator[Speech]:
        """Yield one part, or several for a sentence longer than ~14 s.

        Rate 22,050 Hz, phones as espeak-ng's mnemonics. Raises EngineError.
        """
        rate = int(self._client.hello()["rate"])
        pieces = [p for p in split_overlong(to_plain(sentence.text)) if any(c.isalnum() for c in p)]
        for index, piece in enumerate(pieces):
            speech = self._speak(piece, rate, spec, cancelled)
            if speech is None or cancelled():
                return
            last = index == len(pieces) - 1
            pause_s = pause_after(piece) if last else CLAUSE_PAUSE_S
            samples, phones, words = trim(speech[0], rate, speech[1], speech[2], pause_s=pause_s)
            yield Speech(sentence, rate, samples, phones, words, "espeak", last)
        if not pieces:
            silence = np.zeros(round(SILENCE_S * rate), np.float32)
            yield Speech(sentence, rate, silence, (Phone("_", 0.0, SILENCE_S),), (), "espeak")

    def close(self) -> None:
        """Stop the program. Idempotent."""
        self._client.close()

    def _speak(
        self, text: str, rate: int, spec: VoiceSpec, cancelled: Cancelled
    ) -> tuple[Samples, list[Phone], list[Word]] | None:
        segments = _segments(text, spec)
        samples: list[Samples] = []
        phones: list[Phone] = []
        words: list[Word] = []
        at_s = 0.0
        replies = self._client.request(
            [{"voice": s.voice, "text": s.text} for s in segments],
            round(max(80, min(450, _WORDS_PER_MINUTE * spec.rate))),
            # Its scale is logarithmic, an octave for 50 steps either way (measured).
            round(max(0, min(100, 50 + spec.pitch_semitones * 50 / 12))),
            cancelled,
        )
        if replies is None:
            return None
        for segment, reply in zip(segments, replies, strict=True):
            pcm = np.frombuffer(reply.pcm, "<i2").astype(np.float32) / np.float32(32768)
            duration_s = pcm.size / rate
            phones += [
                Phone(p.symbol, p.start_s + at_s, p.end_s + at_s) for p in _phones(reply, rate, duration_s)
            ]
            words += [
                Word(w.text, w.start_s + at_s, w.end_s + at_s)
                for w in _words(segment, reply, rate, duration_s)
            ]
            samples.append(pcm)
            at_s += duration_s
        return (np.concatenate(samples) if samples else np.zeros(0, np.float32)), phones, words


def _segments(text: str, spec: VoiceSpec) -> list[_Segment]:
    base, plus, variant = spec.voice.partition("+")
    if canonical_language(base).partition("-")[0] != _MANDARIN:
        return [_Segment(spec.voice, text)]
    return [
        _Segment((_LATIN_VOICE if run.latin else _PINYIN_VOICE) + plus + variant, run.text, run.words)
        for run in to_runs(text)
    ]


def _phones(reply: Reply, rate: int, duration_s: float) -> list[Phone]:
    """Each phone lasts until the next; word marks, language switches and `;` belong to the one before."""
    starts: list[tuple[str, float]] = []
    for symbol, sample in reply.head["phones"]:
        silent = symbol in _SILENCES
        if symbol.startswith(("(", ";")) or (symbol.startswith("_") and not silent):
            continue
        if not (silent and starts and starts[-1][0] == "_"):
            starts.append(("_" if silent else symbol, min(duration_s, sample / rate)))
    if starts and starts[0][1] > 0:
        starts.insert(0, ("_", 0.0))
    phones: list[Phone] = []
    ends = [start for _, start in starts[1:]] + [duration_s]
    for (symbol, start_s), end_s in zip(starts, ends, strict=True):
        if end_s > start_s:
            phones.append(Phone(symbol, start_s, end_s))
    return phones


def _words(segment: _Segment, reply: Reply, rate: int, duration_s: float) -> list[Word]:
    """Return every word of the original text with its times.

    Several events for one word (a number) are one; words without an event of their own (`of the` is one to
    espeak-ng) share the time of the word before them, by length.
    """
    places = segment.words or tuple((m.start(), m[0]) for m in _TOKEN.finditer(segment.text))
    starts = [place for place, _ in places]
    heard: list[tuple[int, float]] = []
    for position, _, sample in reply.head["words"]:
        index = bisect_right(starts, position - 1) - 1
        # At the end of a clause espeak-ng repeats an event from before; time and text only move on.
        if index > (heard[-1][0] if heard else -1):
            heard.append((index, min(duration_s, sample / rate)))
    words: list[Word] = []
    if heard:
        heard[0] = (0, heard[0][1])
    for (index, start_s), (until, end_s) in pairwise([*heard, (len(places), duration_s)]):
        group = [text for _, text in places[index:until]]
        letters = sum(map(len, group))
        done = 0
        for text in group:
            begin_s = start_s + (end_s - start_s) * done / letters
            done += len(text)
            words.append(Word(text, begin_s, start_s + (end_s - start_s) * done / letters))
    return words
