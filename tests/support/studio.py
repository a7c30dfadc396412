"""Speaker, warmer and cache around a humming voice, with a ring that somebody reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vcam_talker.cache.phrases import PhraseCache
from vcam_talker.core.ring import Ring
from vcam_talker.core.types import Emotion, Sentence, TurnId
from vcam_talker.core.wire import ring_bytes, unpack_speech
from vcam_talker.engine.hot import HotPhrases
from vcam_talker.engine.maker import Maker
from vcam_talker.engine.recipe import Recipe
from vcam_talker.engine.speaker import Speaker
from vcam_talker.engine.warm import Warmer
from vcam_talker.face.phonemes import PhonemeDriver
from vcam_talker.persona import Persona, VoiceSection
from vcam_talker.tts.voice import Voice

HELLO = Sentence(TurnId(1), 0, "hello my dear friends", Emotion.HAPPY, "en")


def persona(**changes: object) -> Persona:
    fields: dict[str, Any] = {
        "title": "Test",
        "voice": VoiceSection(engine="flite", name="slt"),
        "fallback": ("I have no idea.",),
    }
    return Persona(**{**fields, **changes})


@dataclass
class Take:
    """What came of one sentence: events in order, sound and mouth as air reads them."""

    events: list[Any] = field(default_factory=list)
    samples: list[np.ndarray] = field(default_factory=list)
    mouth: list[np.ndarray] = field(default_factory=list)
    end_s: float = 0.0

    @property
    def cached(self) -> bool:
        return "cached" in self.events


class Studio:
    """A speaker with its ring, which somebody reads."""

    def __init__(self, engines: dict[str, Any], cache: PhraseCache | None, who: Persona) -> None:
        self.ring = Ring.create(ring_bytes(10_000))
        self.voice = Voice(engines, who)
        self.hot = HotPhrases(cache, Recipe(self.voice, "phonemes")) if cache else None
        self.speaker = Speaker(self.ring, self.voice, PhonemeDriver(), self.hot)

    def say(self, sentence: Sentence, cancelled: Callable[[], bool] = lambda: False) -> Take:
        take = Take()
        try:
            take.end_s = self.speaker.speak(
                sentence,
                1.5,
                cancelled,
                lambda at_s, words: take.events.append((at_s, words)),
                lambda: take.events.append("cached"),
            )
        finally:
            while (record := self.ring.try_read()) is not None:
                speech = unpack_speech(record)
                assert speech.turn == sentence.turn
                take.samples.append(speech.samples)
                take.mouth.append(speech.mouth)
        return take

    def warmer(self, sentences: Sequence[Sentence]) -> Warmer:
        assert self.hot is not None
        return Warmer(sentences, Maker(self.voice, PhonemeDriver(), self.hot.voice_lock), self.hot)
