"""A voice for tests: real casting over an engine that hums, one part a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from vcam_talker.core.errors import EngineError
from vcam_talker.core.stages import Cancelled
from vcam_talker.core.types import Phone, Sentence, Speech, VoiceInfo, VoiceSpec, Word


class Humming:
    """Hums 0.1 s a word; can be updated, be slow, break, stop half-way. Counts what it made."""

    rate = 16_000

    def __init__(self, name: str = "flite") -> None:
        self.name = name
        self.build = "1"
        self.fails = False
        self.breaks_after: int | None = None
        self.made: list[str] = []
        self.between: Callable[[], None] = lambda: None
        """Called before each word."""

    def voices(self) -> Sequence[VoiceInfo]:
        return [VoiceInfo(self.name, "slt" if self.name == "flite" else "en", "en")]

    def version(self) -> str:
        return self.build

    def synthesize(self, sentence: Sentence, spec: VoiceSpec, cancelled: Cancelled) -> Iterator[Speech]:
        self.made.append(sentence.text)
        if self.fails:
            raise EngineError(self.name, "is broken")
        words = sentence.text.split()
        for index, word in enumerate(words):
            self.between()
            if cancelled():
                return
            if index == self.breaks_after:
                raise EngineError(self.name, "broke off")
            count = round(self.rate / 10 / spec.rate) + 7
            hum_hz = 200 * 2 ** (spec.pitch_semitones / 12)
            wave = 0.05 * np.sin(np.arange(count) * 2 * np.pi * hum_hz / self.rate)
            long_s = count / self.rate
            yield Speech(
                sentence,
                self.rate,
                wave.astype(np.float32),
                (Phone("aa", 0, long_s * 0.7), Phone("m", long_s * 0.7, long_s)),
                (Word(word, 0, long_s),),
                "arpabet",
                index == len(words) - 1,
            )

    def close(self) -> None:
        pass
