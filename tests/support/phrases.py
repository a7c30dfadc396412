"""Phrases for tests, without a voice."""

from __future__ import annotations

import hashlib

import numpy as np

from vcam_talker.cache.phrase import Phrase, PhraseHead, PhrasePart
from vcam_talker.core.types import MOUTH_PARAMS, Emotion, Word
from vcam_talker.core.wire import QUANTUM


def key_of(name: object) -> str:
    """A key that looks like the real ones."""
    return hashlib.blake2b(str(name).encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def phrase_of(name: object, quanta: int = 4) -> Phrase:
    """A phrase of `quanta` * 10 ms whose content tells its name, in two parts where it can be."""
    rng = np.random.default_rng(int(key_of(name)[:8], 16))
    first = quanta // 2 or quanta
    parts = [PhrasePart(first, (Word(str(name), 0.0, 0.01),))]
    if quanta > first:
        parts.append(PhrasePart(quanta - first, (Word("so", 0.0, 0.005), Word("on", 0.005, 0.01))))
    return Phrase(
        PhraseHead(str(name), "en", Emotion.HAPPY, "flite:slt", 1_700_000_000.5),
        rng.integers(-20_000, 20_000, quanta * QUANTUM).astype(np.int16),
        rng.random((quanta, len(MOUTH_PARAMS))).astype(np.float32),
        tuple(parts),
    )


def same(one: Phrase, other: Phrase) -> bool:
    """Whether two phrases are equal in everything."""
    return (
        one.head == other.head
        and one.parts == other.parts
        and np.array_equal(one.sound, other.sound)
        and np.array_equal(one.mouth, other.mouth)
        and one.mouth.dtype == other.mouth.dtype
        and one.sound.dtype == other.sound.dtype
    )
