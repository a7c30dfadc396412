"""Speak sentences into the ring: voice, face driver, quanta; stops within a quantum when the turn dies."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from vcam_talker.core.ring import Ring
from vcam_talker.core.stages import Cancelled, FaceDriver
from vcam_talker.core.types import MOUTH_PARAMS, MOUTH_RATE_HZ, Samples, Sentence, TurnId, Word
from vcam_talker.core.wire import QUANTA_PER_RECORD, QUANTUM, pack_finished, pack_speech
from vcam_talker.tts.voice import Voice

# How often a full ring is looked at again; well under the 40 ms of a record.
_FULL_WAIT_S = 0.005


class TurnCancelledError(Exception):
    """The turn died while it was being made."""


class Speaker:
    """Makes speech on a worker thread, one turn at a time."""

    def __init__(self, ring: Ring, voice: Voice, driver: FaceDriver) -> None:
        self._ring = ring
        self._voice = voice
        self._driver = driver

    def speak(
        self,
        sentence: Sentence,
        start_s: float,
        cancelled: Cancelled,
        on_words: Callable[[float, tuple[Word, ...]], None],
    ) -> float:
        """Write one sentence that begins `start_s` into its turn; return where the next one begins, s.

        Blocks while the ring is full, which is what keeps the engine from running ahead of the audience.
        `on_words` learns each part's place in the turn and its words, before its sound is written.
        Raises TurnCancelledError, EngineError.
        """
        at_s = start_s
        for speech in self._voice.speak(sentence, cancelled):
            if cancelled():
                raise TurnCancelledError
            mouth = self._driver.drive(speech).values
            on_words(at_s, speech.words)
            samples, poses = to_quanta(speech.samples, mouth)
            for first in range(0, len(poses), QUANTA_PER_RECORD):
                last = min(len(poses), first + QUANTA_PER_RECORD)
                block = samples[first * QUANTUM : last * QUANTUM]
                self._write(pack_speech(sentence.turn, block, poses[first:last]), cancelled)
            at_s += len(poses) / MOUTH_RATE_HZ
        if cancelled():
            raise TurnCancelledError
        return at_s

    def finish(self, turn: TurnId, cancelled: Cancelled) -> None:
        """Tell air that the turn is complete. Raises TurnCancelledError."""
        self._write(pack_finished(turn), cancelled)

    def reset(self) -> None:
        """Forget the last turn's mouth."""
        self._driver.reset()

    def _write(self, record: bytes, cancelled: Cancelled) -> None:
        while not self._ring.try_write(record):
            if cancelled():
                raise TurnCancelledError
            time.sleep(_FULL_WAIT_S)


def to_quanta(samples: Samples, mouth: npt.NDArray[np.float32]) -> tuple[Samples, npt.NDArray[np.float32]]:
    """Return whole quanta: samples float32[K * 480] padded with silence, mouth float32[K, 7]."""
    count = max(1, math.ceil(len(samples) / QUANTUM))
    padded = np.zeros(count * QUANTUM, np.float32)
    padded[: len(samples)] = samples
    poses = np.zeros((count, len(MOUTH_PARAMS)), np.float32)
    poses[: min(count, len(mouth))] = mouth[:count]
    return padded, poses
