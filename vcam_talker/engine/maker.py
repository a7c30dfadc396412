"""Make a sentence's sound and mouth, part by part, and keep what is worth keeping."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.cache.phrase import Phrase, PhraseHead, PhrasePart, to_sound
from vcam_talker.core.stages import Cancelled, FaceDriver
from vcam_talker.core.types import MOUTH_PARAMS, Samples, Sentence, Word
from vcam_talker.core.wire import QUANTUM
from vcam_talker.tts.voice import Voice

_LOCK_POLL_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class MadePart:
    """A piece of a sentence in whole quanta: samples float32[K * 480], mouth float32[K, 7]."""

    samples: Samples
    mouth: npt.NDArray[np.float32]
    words: tuple[Word, ...]
    """Times from the start of the part."""
    last: bool


class Maker:
    """Voice and face driver in a row; used from one thread.

    Makers of several threads may share a voice when they share its lock: one sentence has it at a time.
    """

    def __init__(self, voice: Voice, driver: FaceDriver, lock: threading.Lock) -> None:
        self._voice = voice
        self._driver = driver
        self._lock = lock
        self.substituted = False
        """Whether the last sentence was spoken by another voice than the one cast for it."""

    def make(self, sentence: Sentence, cancelled: Cancelled) -> Generator[MadePart]:
        """Yield the sentence's parts, the first one early. Blocks; the mouth is at rest at both ends.

        Ends early, without a last part, within 50 ms of `cancelled()`. Raises EngineError. The iterator holds
        the voice until it is exhausted or closed.
        """
        while not self._lock.acquire(timeout=_LOCK_POLL_S):
            if cancelled():
                return
        try:
            for speech in self._voice.speak(sentence, cancelled):
                if cancelled():
                    return
                samples, mouth = to_quanta(speech.samples, self._driver.drive(speech).values)
                self.substituted = self._voice.substituted
                yield MadePart(samples, mouth, speech.words, speech.last)
        finally:
            self._lock.release()

    def reset(self) -> None:
        """Forget the last sentence's mouth, after one that was broken off."""
        self._driver.reset()


class Recorder:
    """Collects the parts of one sentence; a phrase comes of a complete one only."""

    def __init__(self, sentence: Sentence) -> None:
        self._sentence = sentence
        self._parts: list[MadePart] = []

    def add(self, part: MadePart) -> None:
        """Take the next part; it must not be changed any more."""
        self._parts.append(part)

    def phrase(self, voice: str) -> Phrase | None:
        """Return the phrase, spoken by `voice`; None while its last part is missing."""
        parts = self._parts
        if not parts or not parts[-1].last:
            return None
        s = self._sentence
        sound = np.concatenate([to_sound(part.samples) for part in parts])
        mouth = np.concatenate([part.mouth for part in parts])
        for array in (sound, mouth):
            array.setflags(write=False)
        return Phrase(
            PhraseHead(s.text, s.language, s.emotion, voice, time.time()),
            sound,
            mouth,
            tuple(PhrasePart(len(part.mouth), part.words) for part in parts),
        )


def to_quanta(samples: Samples, mouth: npt.NDArray[np.float32]) -> tuple[Samples, npt.NDArray[np.float32]]:
    """Return whole quanta: samples float32[K * 480] padded with silence, mouth float32[K, 7]."""
    count = max(1, math.ceil(len(samples) / QUANTUM))
    padded = np.zeros(count * QUANTUM, np.float32)
    padded[: len(samples)] = samples
    poses = np.zeros((count, len(MOUTH_PARAMS)), np.float32)
    poses[: min(count, len(mouth))] = mouth[:count]
    return padded, poses
