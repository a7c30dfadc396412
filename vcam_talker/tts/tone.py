"""The null voice: a beep per syllable, the same every time. Needs no program and speaks every language."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from vcam_talker.core.language import is_wide
from vcam_talker.core.stages import Cancelled
from vcam_talker.core.types import Phone, Samples, Sentence, Speech, VoiceInfo, VoiceSpec, Word
from vcam_talker.dsp.fade import fade_in, fade_out
from vcam_talker.tts.edges import LEAD_S, pause_after
from vcam_talker.tts.plain import SILENCE_S, to_plain
from vcam_talker.tts.sentences import split_overlong

RATE: Final = 24_000
_BEEP_S: Final = 0.13
_GAP_S: Final = 0.05
_AMPLITUDE: Final = 0.2
_SCALE_HZ: Final = (220.0, 247.5, 275.0, 330.0, 366.7)
"""A pentatonic scale: any sequence of its notes is bearable."""
_VOWELS: Final = re.compile(r"[aeiouyàáâãäåèéêëìíîïòóôõöùúûüаеёиоуыэюя]+", re.IGNORECASE)


class ToneSynthesizer:
    """One voice, `beep`. Stateless, so thread-safe."""

    name = "tone"

    def voices(self) -> Sequence[VoiceInfo]:
        """Return the one voice; its language is `mul`, any."""
        return (VoiceInfo(self.name, "beep", "mul", "a beep per syllable"),)

    def version(self) -> str:
        """Return the one there is: no program makes the beeps."""
        return "1"

    def synthesize(self, sentence: Sentence, spec: VoiceSpec, cancelled: Cancelled) -> Iterator[Speech]:
        """Yield one part, or several for a long sentence. Rate 24 kHz; each beep is the vowel `aa`."""
        pieces = split_overlong(to_plain(sentence.text)) or [""]
        for index, piece in enumerate(pieces):
            if cancelled():
                return
            samples, phones, words = _beeps(piece, spec)
            yield Speech(sentence, RATE, samples, phones, words, "arpabet", index == len(pieces) - 1)

    def close(self) -> None:
        """Nothing to stop."""


def count_syllables(word: str) -> int:
    """Return a rough count, at least 1: wide characters, or groups of vowels."""
    wide = sum(is_wide(c) for c in word)
    return max(1, wide + len(_VOWELS.findall(word)))


def _beeps(text: str, spec: VoiceSpec) -> tuple[Samples, tuple[Phone, ...], tuple[Word, ...]]:
    """Return the beeps of one piece; all lengths are whole samples, so that times are exact."""
    beep = round(_BEEP_S / spec.rate * RATE)
    gap = round(_GAP_S / spec.rate * RATE)
    parts = [np.zeros(round(LEAD_S * RATE), np.float32)]
    at = parts[0].size
    phones = [Phone("pau", 0.0, at / RATE)]
    words: list[Word] = []
    for word in text.split():
        if not any(c.isalnum() for c in word):
            continue
        start = at
        for syllable in range(count_syllables(word)):
            hz = _SCALE_HZ[(ord(word[0]) + syllable) % len(_SCALE_HZ)] * 2 ** (spec.pitch_semitones / 12)
            phones.append(Phone("aa", at / RATE, (at + beep) / RATE))
            phones.append(Phone("pau", (at + beep) / RATE, (at + beep + gap) / RATE))
            parts += [_beep(hz, beep), np.zeros(gap, np.float32)]
            at += beep + gap
        words.append(Word(word, start / RATE, (at - gap) / RATE))
    tail = round((pause_after(text) if words else SILENCE_S) * RATE)
    parts.append(np.zeros(tail, np.float32))
    phones.append(Phone("pau", at / RATE, (at + tail) / RATE))
    return np.concatenate(parts), tuple(phones), tuple(words)


def _beep(hz: float, count: int) -> Samples:
    wave = (_AMPLITUDE * np.sin(2 * np.pi * hz / RATE * np.arange(count))).astype(np.float32)
    edge = count // 6
    return fade_out(fade_in(wave, edge), edge)
