"""pocketsphinx: English without any download."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from vcam_talker.asr.sentence import sentence
from vcam_talker.config import EarsConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.core.extras import how_to_install
from vcam_talker.core.types import Samples, Transcript

_RATE: Final = 16_000
_LEVEL: Final = 0.1
"""RMS of the voice that the acoustic model is given."""
_SILENT: Final = 1e-4
_NOT_WORDS: Final = frozenset("<[(+")
"""First characters of what stands for silence, noise and sentence ends."""


class PocketsphinxTranscriber:
    """A `Transcriber` with the small English model that its wheel carries.

    An utterance is decoded as a whole when the voice pauses: its features are normalised by the mean of the
    whole utterance then, which halves the errors of decoding along (docs/LOG.md).
    """

    name = "pocketsphinx"

    def __init__(self, config: EarsConfig, language: str) -> None:
        """Load the model, ~0.5 s. Raises EngineError: not installed, or another language is spoken."""
        if language.partition("-")[0] != "en":
            raise EngineError(
                "pocketsphinx", f"hears English only, not '{language}'", "Run: vcam-talker models get base"
            )
        try:
            import pocketsphinx
        except ImportError as e:
            raise EngineError("pocketsphinx", f"can't be imported ({e})", how_to_install("asr")) from None
        self._decoder: Any = pocketsphinx.Decoder(samprate=_RATE, loglevel="FATAL", bestpath=True)
        self._limit = int(config.max_utterance_s * _RATE)
        self._heard: list[Samples] = []
        self._samples = 0
        self._guess: Transcript | None = None

    def begin(self) -> None:
        """Start an utterance; forgets the one before."""
        self._heard = []
        self._samples = 0
        self._guess = None

    def feed(self, samples: Samples) -> None:
        """Take float32[N], mono, 16 kHz; what exceeds `ears.max_utterance_s` is dropped. Does not block."""
        room = self._limit - self._samples
        if room > 0 and samples.size:
            self._guess = None
            kept = np.array(samples[:room], np.float32)
            self._heard.append(kept)
            self._samples += kept.size

    def partial(self) -> str:
        """Return the words up to the last pause."""
        return self._guess.text if self._guess else ""

    def pause(self) -> None:
        """Decode what there is; blocks for a quarter of its length or so."""
        if self._guess is None:
            self._guess = self._decode()

    def finish(self) -> Transcript:
        """End the utterance; returns at once if nothing came after the pause."""
        self.pause()
        found = self._guess
        self.begin()
        return found or Transcript("", 0.0, "en")

    def close(self) -> None:
        """Free the model."""
        self._decoder = None

    def _decode(self) -> Transcript:
        sound = np.concatenate(self._heard) if self._heard else np.zeros(1, np.float32)
        audible = sound[np.abs(sound) > _SILENT]
        if not audible.size:
            return Transcript("", 0.0, "en")
        gain = _LEVEL / float(np.sqrt(np.mean(np.square(audible))))
        pcm = np.clip(sound * (gain * 32767), -32768, 32767).astype(np.int16)
        self._decoder.start_utt()
        self._decoder.process_raw(pcm.tobytes(), no_search=False, full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        if found is None or not found.hypstr:
            return Transcript("", 0.0, "en")
        to_linear = self._decoder.logmath.exp
        words = [to_linear(s.prob) for s in self._decoder.seg() if s.word[0] not in _NOT_WORDS]
        confidence = float(np.mean(words)) if words else 0.0
        return Transcript(sentence(found.hypstr), round(min(1.0, confidence), 3), "en")
