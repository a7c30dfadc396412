"""Speech made from phones alone: sounds that an ear would sort as the phones say, without a voice."""

from __future__ import annotations

from typing import Literal

import numpy as np

from vcam_talker.core.types import NO_TURN, Phone, Samples, Sentence, Speech

RATE = 16_000
PAUSES = {"pau", "_", "_:"}
STOPS = {"p", "b", "t", "d", "k", "g"}
MURMURS = {"m", "n", "ng"}
HISSES = {"s", "z", "sh", "ch", "f", "v", "th"}


def phones_of(text: str) -> tuple[Phone, ...]:
    """Return phones from a line such as `pau:200 m:80 aa:150`, durations in ms."""
    phones: list[Phone] = []
    at_ms = 0
    for item in text.split():
        symbol, _, length = item.rpartition(":")
        phones.append(Phone(symbol, at_ms / 1000, (at_ms + int(length)) / 1000))
        at_ms += int(length)
    return tuple(phones)


def sound_of(phones: tuple[Phone, ...], rate: int = RATE) -> Samples:
    """Return float32[N]: vowels a bright buzz, murmurs a soft hum, hisses noise, stops and pauses silent."""
    rng = np.random.default_rng(1)
    total = round(max((p.end_s for p in phones), default=0.0) * rate)
    out = np.zeros(total, np.float32)
    t = np.arange(total) / rate
    low = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in (1, 2, 3))
    vowel = low + sum(0.5 * np.sin(2 * np.pi * 120 * k * t) for k in range(4, 26))
    noise = np.diff(rng.standard_normal(total + 1))
    for p in phones:
        at = slice(round(p.start_s * rate), round(p.end_s * rate))
        if p.symbol in PAUSES | STOPS:
            continue
        if p.symbol in MURMURS:
            out[at] = 0.08 * low[at]
        elif p.symbol in HISSES:
            out[at] = 0.03 * noise[at]
        else:
            out[at] = 0.07 * vowel[at]
    return out


def spoken(
    text: str,
    alphabet: Literal["arpabet", "espeak", "none"] = "arpabet",
    *,
    language: str = "en",
    last: bool = True,
    rate: int = RATE,
) -> Speech:
    """Return the speech of `phones_of(text)`."""
    phones = phones_of(text)
    sentence = Sentence(NO_TURN, 0, text, language=language)
    return Speech(sentence, rate, sound_of(phones, rate), phones, (), alphabet, last)
