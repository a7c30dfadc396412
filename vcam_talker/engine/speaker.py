"""Speak sentences into the ring, from the cache or anew; stops within a quantum when the turn dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing

import numpy as np
import numpy.typing as npt

from vcam_talker.cache.phrase import Phrase
from vcam_talker.core.ring import Ring
from vcam_talker.core.stages import Cancelled, FaceDriver
from vcam_talker.core.types import MOUTH_RATE_HZ, Samples, Sentence, TurnId, Word
from vcam_talker.core.wire import QUANTA_PER_RECORD, QUANTUM, pack_finished, pack_speech
from vcam_talker.engine.hot import HotPhrases
from vcam_talker.engine.maker import Maker, Recorder
from vcam_talker.tts.voice import Voice

# How often a full ring is looked at again; well under the 40 ms of a record.
_FULL_WAIT_S = 0.005

OnWords = Callable[[float, tuple[Word, ...]], None]


class TurnCancelledError(Exception):
    """The turn died while it was being made."""


class Speaker:
    """Makes speech on a worker thread, one turn at a time."""

    def __init__(self, ring: Ring, voice: Voice, driver: FaceDriver, hot: HotPhrases | None = None) -> None:
        """With `hot`, finished sentences are kept and found again."""
        self._ring = ring
        self._hot = hot
        self._maker = Maker(voice, driver, hot.voice_lock if hot else threading.Lock())

    def speak(
        self,
        sentence: Sentence,
        start_s: float,
        cancelled: Cancelled,
        on_words: OnWords,
        on_cached: Callable[[], None] = lambda: None,
    ) -> float:
        """Write one sentence that begins `start_s` into its turn; return where the next one begins, s.

        Blocks while the ring is full, which is what keeps the engine from running ahead of the audience.
        `on_words` learns each part's place in the turn and its words, before its sound is written; first of
        all `on_cached` learns that the whole sentence comes from the cache, if it does.
        Raises TurnCancelledError, EngineError.
        """
        key, phrase = self._hot.find(sentence) if self._hot else ("", None)
        if phrase is not None:
            on_cached()
            return self._replay(sentence.turn, phrase, start_s, cancelled, on_words)
        return self._make(sentence, key, start_s, cancelled, on_words)

    def finish(self, turn: TurnId, cancelled: Cancelled) -> None:
        """Tell air that the turn is complete. Raises TurnCancelledError."""
        self._write(pack_finished(turn), cancelled)

    def reset(self) -> None:
        """Forget the last turn's mouth."""
        self._maker.reset()

    def _replay(
        self, turn: TurnId, phrase: Phrase, at_s: float, cancelled: Cancelled, on_words: OnWords
    ) -> float:
        first = 0
        for part in phrase.parts:
            last = first + part.quanta
            on_words(at_s, part.words)
            self._write_part(turn, phrase.samples(first, last), phrase.mouth[first:last], cancelled)
            at_s += part.quanta / MOUTH_RATE_HZ
            first = last
        return at_s

    def _make(
        self, sentence: Sentence, key: str, at_s: float, cancelled: Cancelled, on_words: OnWords
    ) -> float:
        recorder = Recorder(sentence)
        with closing(self._maker.make(sentence, cancelled)) as parts:
            for part in parts:
                on_words(at_s, part.words)
                self._write_part(sentence.turn, part.samples, part.mouth, cancelled)
                recorder.add(part)
                at_s += len(part.mouth) / MOUTH_RATE_HZ
        if cancelled():
            raise TurnCancelledError
        if self._hot:
            self._hot.keep(sentence, key, self._maker, recorder)
        return at_s

    def _write_part(
        self, turn: TurnId, samples: Samples, mouth: npt.NDArray[np.float32], cancelled: Cancelled
    ) -> None:
        for first in range(0, len(mouth), QUANTA_PER_RECORD):
            last = min(len(mouth), first + QUANTA_PER_RECORD)
            if cancelled():
                raise TurnCancelledError
            block = samples[first * QUANTUM : last * QUANTUM]
            self._write(pack_speech(turn, block, mouth[first:last]), cancelled)

    def _write(self, record: bytes, cancelled: Cancelled) -> None:
        while not self._ring.try_write(record):
            if cancelled():
                raise TurnCancelledError
            time.sleep(_FULL_WAIT_S)
