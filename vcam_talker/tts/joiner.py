"""Parts of a synthesizer's speech, at its rate, become parts of the timeline's rate in whole quanta."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vcam_talker.core.types import SAMPLE_RATE, Phone, Speech, Word
from vcam_talker.core.wire import QUANTUM
from vcam_talker.dsp.resample import Resampler


class Joiner:
    """Resamples one run of parts as one sound, and cuts it where mouth poses fall. Not thread-safe.

    What the resampler owes and what is short of a quantum (together ~15 ms) moves to the next part, with
    the phones and words that belong to it; the last part is filled up with silence.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._resampler = Resampler(rate, SAMPLE_RATE)
        self._carry = np.zeros(0, np.float32)
        self._taken = 0
        self._given = 0
        self._phones: list[Phone] = []
        self._words: list[Word] = []

    def feed(self, part: Speech) -> Speech | None:
        """Return what can be played by now, or None when it is less than a quantum."""
        at_s = self._taken / self._rate
        self._taken += part.samples.size
        self._phones += [Phone(p.symbol, p.start_s + at_s, p.end_s + at_s) for p in part.phones]
        self._words += [Word(w.text, w.start_s + at_s, w.end_s + at_s) for w in part.words]
        sound = np.concatenate([self._carry, self._resampler.feed(part.samples, last=part.last)])
        count = -(-sound.size // QUANTUM) if part.last else sound.size // QUANTUM
        size = count * QUANTUM
        if size == 0 and not part.last:
            self._carry = sound
            return None
        samples = np.zeros(max(size, QUANTUM), np.float32)
        samples[: min(size, sound.size)] = sound[:size]
        self._carry = sound[size:]
        return self._cut(part, samples)

    def _cut(self, part: Speech, samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Speech:
        start_s = self._given / SAMPLE_RATE
        self._given += samples.size
        end_s = self._given / SAMPLE_RATE
        duration_s = samples.size / SAMPLE_RATE
        phones = _within(self._phones, start_s, end_s)
        if part.last and phones and phones[-1].end_s < duration_s:
            phones[-1] = replace(phones[-1], end_s=duration_s)
        words = tuple(
            Word(w.text, max(0.0, w.start_s - start_s), min(duration_s, max(w.end_s, start_s) - start_s))
            for w in self._words
            if w.start_s < end_s
        )
        self._phones = [p for p in self._phones if p.end_s > end_s]
        self._words = [w for w in self._words if w.start_s >= end_s]
        return replace(part, rate=SAMPLE_RATE, samples=samples, phones=tuple(phones), words=words)


def _within(phones: list[Phone], start_s: float, end_s: float) -> list[Phone]:
    """Return the phones in a window, cut at its edges, in the window's own time."""
    return [
        Phone(p.symbol, max(p.start_s, start_s) - start_s, min(p.end_s, end_s) - start_s)
        for p in phones
        if p.end_s > start_s and p.start_s < end_s
    ]
