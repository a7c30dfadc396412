"""Trim the silence around a piece of speech: what comes before it is latency, what follows it is rhythm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from vcam_talker.core.types import Phone, Samples, Word
from vcam_talker.dsp.fade import fade_in, fade_out

LEAD_S: Final = 0.02
CLAUSE_PAUSE_S: Final = 0.12
SENTENCE_PAUSE_S: Final = 0.22
"""Silence left behind a clause and behind a whole sentence."""

_ONSET: Final = 10 ** (-45 / 20)
"""Relative to the loudest sample: quieter than that is breath and dither."""

_FADE_S: Final = 0.003

SILENT: Final = frozenset(("pau", "_", "_:", "sil"))
"""Symbols of silence in any of the alphabets."""


def pause_after(text: str) -> float:
    """Return how long to be silent after `text`, s."""
    return (
        SENTENCE_PAUSE_S
        if text.rstrip("\"')]}”’»」』）】》 ")[-1:] in tuple(".!?…。！？")
        else CLAUSE_PAUSE_S
    )


def trim(
    samples: Samples, rate: int, phones: Sequence[Phone], words: Sequence[Word], *, pause_s: float
) -> tuple[Samples, tuple[Phone, ...], tuple[Word, ...]]:
    """Return the speech with LEAD_S of silence before its first sound and `pause_s` behind its last.

    Times move along; phones cover the result from 0 to its end. Where phones and sound disagree about where
    speech begins, nothing audible is cut. Silence is added where there was too little.
    """
    start, end = _sounding(samples)
    voiced = [p for p in phones if p.symbol not in SILENT]
    if voiced:
        start = min(start, round(voiced[0].start_s * rate))
        end = max(end, min(samples.size, round(voiced[-1].end_s * rate)))
    first = max(0, start - round(LEAD_S * rate))
    fade = round(_FADE_S * rate)
    wanted = end + round(pause_s * rate)
    kept = np.zeros(wanted - first, np.float32)
    available = min(wanted, samples.size)
    kept[: available - first] = fade_in(fade_out(samples[first:available], fade), fade)
    offset_s, duration_s = first / rate, kept.size / rate
    return kept, _shift_phones(phones, offset_s, duration_s), shift_words(words, offset_s, duration_s)


def shift_words(words: Sequence[Word], offset_s: float, duration_s: float) -> tuple[Word, ...]:
    """Return the words `offset_s` earlier, within 0 .. `duration_s`."""
    return tuple(
        replace(
            w,
            start_s=min(duration_s, max(0.0, w.start_s - offset_s)),
            end_s=min(duration_s, max(0.0, w.end_s - offset_s)),
        )
        for w in words
    )


def _shift_phones(phones: Sequence[Phone], offset_s: float, duration_s: float) -> tuple[Phone, ...]:
    moved = [
        Phone(p.symbol, max(0.0, p.start_s - offset_s), min(duration_s, p.end_s - offset_s)) for p in phones
    ]
    moved = [p for p in moved if p.end_s > p.start_s]
    if moved and moved[-1].end_s < duration_s:
        tail = moved[-1]
        if tail.symbol in SILENT:
            moved[-1] = replace(tail, end_s=duration_s)
        else:
            moved.append(
                Phone(moved[0].symbol if moved[0].symbol in SILENT else "pau", tail.end_s, duration_s)
            )
    return tuple(moved)


def _sounding(samples: Samples) -> tuple[int, int]:
    """Return the first sample that is heard and the one behind the last; (0, 0) for silence."""
    if samples.size == 0:
        return 0, 0
    loud = np.flatnonzero(np.abs(samples) > max(1e-4, float(np.max(np.abs(samples))) * _ONSET))
    return (int(loud[0]), int(loud[-1]) + 1) if loud.size else (0, 0)
