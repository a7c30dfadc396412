"""Hearing by Whisper: faster-whisper, int8 on a processor, float16 on CUDA.

Whisper reads an utterance as a whole, so the work begins when the voice pauses, on speculation and on a
thread of its own: while the endpoint is still being waited for, most of the answer's latency is already
spent.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Final

import numpy as np

from vcam_talker.asr.models import find_model
from vcam_talker.asr.whisper_rules import believed, doubt
from vcam_talker.config import EarsConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.core.extras import how_to_install
from vcam_talker.core.types import Samples, Transcript

log = logging.getLogger(__name__)

RATE: Final = 16_000
_SHORTEST_S: Final = 0.1
_LEVEL_FRAME: Final = RATE // 50
_VOICE_BELOW_SPEECH_DB: Final = 20.0
_VOICE_ABOVE_NOISE_DB: Final = 4.0
_VOICED_FRAMES: Final = 3


class FasterWhisperTranscriber:
    """A `Transcriber`. Construction loads the model (seconds); nothing is ever fetched from the network."""

    name = "faster-whisper"

    def __init__(self, config: EarsConfig, language: str) -> None:
        """Load `config.model` for `language` (BCP 47).

        Raises EngineError: the extra is not installed, the model is unknown, not here, incomplete, damaged,
        or hears English only.
        """
        folder = find_model(config.model)
        try:
            from vcam_talker.asr.whisper_model import WhisperModel
        except ImportError as e:
            raise EngineError("faster-whisper", f"can't be imported ({e})", how_to_install("asr")) from None
        self._language = language
        self._limit = int(config.max_utterance_s * RATE)
        self._model = WhisperModel(folder, config, language)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="whisper")
        self._heard: list[Samples] = []
        self._samples = 0
        self._guess: Future[Transcript] | None = None
        self._guessed_samples = 0

    def begin(self) -> None:
        """Start an utterance; forgets the one before. A transcription under way ends unheard."""
        self._heard = []
        self._samples = 0
        self._forget_guess()

    def feed(self, samples: Samples) -> None:
        """Take float32[N], mono, 16 kHz; what exceeds `ears.max_utterance_s` is dropped. Does not block."""
        room = self._limit - self._samples
        if room > 0 and samples.size:
            kept = np.array(samples[:room], np.float32)
            self._heard.append(kept)
            self._samples += kept.size

    def partial(self) -> str:
        """Return what was understood up to the last pause, once that is known. Does not block."""
        guess = self._guess
        if guess is None or not guess.done() or guess.cancelled() or guess.exception() is not None:
            return ""
        return guess.result().text

    def pause(self) -> None:
        """Begin to transcribe what there is, unless that is done or under way. Does not block."""
        if not self._guess_holds():
            self._start_guess()

    def finish(self) -> Transcript:
        """Return the utterance's text; at once when no voice was fed since a `pause` some time ago.

        Blocks for a transcription otherwise. Raises EngineError.
        """
        if not self._guess_holds():
            self._start_guess()
        guess = self._guess
        try:
            return guess.result() if guess is not None else Transcript("", 0.0, self._language)
        except CancelledError:
            return Transcript("", 0.0, self._language)
        finally:
            self.begin()

    def close(self) -> None:
        """Free the model, once a transcription under way has ended. Idempotent."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._model.close()

    def _start_guess(self) -> None:
        self._forget_guess()
        if self._samples >= _SHORTEST_S * RATE:
            self._guessed_samples = self._samples
            self._guess = self._worker.submit(self._transcribe, np.concatenate(self._heard))

    def _forget_guess(self) -> None:
        """One that waits is withdrawn; one that runs can't be stopped and blocks the next for its rest."""
        if self._guess is not None:
            self._guess.cancel()
        self._guess = None
        self._guessed_samples = 0

    def _guess_holds(self) -> bool:
        """Tell whether the last guess covers everything but silence."""
        if self._guess is None:
            return False
        if self._guessed_samples == self._samples:
            return True
        sound = np.concatenate(self._heard)
        return not has_voice(sound[self._guessed_samples :], sound[: self._guessed_samples])

    def _transcribe(self, sound: Samples) -> Transcript:
        started = time.perf_counter()
        candidates = self._model.transcribe(sound)
        took_ms = (time.perf_counter() - started) * 1000
        for candidate in candidates:
            reason = doubt(candidate)
            log.debug("%.1f s of sound in %.0f ms: %s %s", sound.size / RATE, took_ms, candidate, reason)
        return believed(candidates, self._language)


def has_voice(sound: Samples, speech: Samples) -> bool:
    """Tell whether `sound`, which followed `speech`, may hold more of it, by level alone.

    Voice is what comes within 20 dB of the speech's loud frames (20 ms, 90th percentile) and stands out of
    its quiet ones (10th percentile) for 60 ms. Errs towards True, which costs a second transcription and no
    words. Pure.
    """
    levels = _levels_db(speech)
    tail = _levels_db(sound)
    if not levels.size or not tail.size:
        return False
    loud, quiet = np.percentile(levels, [90, 10])
    bar = max(loud - _VOICE_BELOW_SPEECH_DB, min(quiet + _VOICE_ABOVE_NOISE_DB, loud - 3))
    return int((tail > bar).sum()) >= _VOICED_FRAMES


def _levels_db(sound: Samples) -> Samples:
    """Return the RMS level of each whole 20 ms frame, float32[N // 320]."""
    frames = sound[: sound.size // _LEVEL_FRAME * _LEVEL_FRAME].reshape(-1, _LEVEL_FRAME)
    return np.asarray(10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-12), np.float32)
