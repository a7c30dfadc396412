"""Speech for the truth set's tests: an engine that says the same phones for every text, without programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from studio.truth.voices import Speaker
from vcam_talker.core.stages import Cancelled
from vcam_talker.core.types import Phone, Sentence, Speech, VoiceInfo, VoiceSpec

PHONES = list("_mapistubafo_kewavISpu_")
"""espeak-ng's, 60 ms each."""
_LONG_S = 0.06


class Reciting:
    """Synthesizer that recites PHONES, loud but for pauses and stops; counts how often it was restarted."""

    rate = 22_050

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = 0

    def voices(self) -> Sequence[VoiceInfo]:
        return ()

    def version(self) -> str:
        return "1"

    def synthesize(self, sentence: Sentence, spec: VoiceSpec, cancelled: Cancelled) -> Iterator[Speech]:
        del spec, cancelled
        count = round(len(PHONES) * _LONG_S * self.rate)
        times = np.arange(count) / self.rate
        sounding = np.array([p not in "_mpbk" for p in PHONES])
        loud = sounding[np.minimum(len(PHONES) - 1, (times / _LONG_S).astype(int))]
        wave = (0.2 * np.sin(2 * np.pi * 150 * times) * np.where(loud, 1.0, 0.001)).astype(np.float32)
        phones = tuple(Phone(p, k * _LONG_S, (k + 1) * _LONG_S) for k, p in enumerate(PHONES))
        yield Speech(sentence, self.rate, wave, phones, (), "espeak")

    def close(self) -> None:
        self.closed += 1


def reciting_speaker() -> Speaker:
    """Return a Speaker of two such engines."""
    return Speaker([Reciting("flite"), Reciting("espeak-ng")])
