"""From text to sentences: the one way that both turns and the cache's warm-up take, so that keys agree."""

from __future__ import annotations

from collections.abc import Iterable

from vcam_talker.core.text import detect_language, parse_emotion_tags
from vcam_talker.core.types import NO_TURN, Emotion, Sentence, TurnId
from vcam_talker.persona import Persona
from vcam_talker.tts.sentences import SentenceSplitter


class Phrasing:
    """Cuts one answer into sentences while it streams: `feed` deltas, `flush` at the end. Not thread-safe.

    An emotion tag counts from its sentence on; tags are never spoken. A sentence's language is told by its
    script. Never blocks.
    """

    def __init__(self, persona: Persona, turn: TurnId = NO_TURN, emotion: Emotion | None = None) -> None:
        """`emotion`: before the first tag; None: the persona's own."""
        self._persona = persona
        self._turn = turn
        self._emotion = emotion or persona.emotions.default
        self._splitter = SentenceSplitter()
        self._index = 0

    def feed(self, delta: str) -> list[Sentence]:
        """Return the sentences that `delta` completes, in order; often none."""
        return self._sentences(self._splitter.feed(delta))

    def flush(self) -> list[Sentence]:
        """Return what is left."""
        return self._sentences(self._splitter.flush())

    def _sentences(self, texts: Iterable[str]) -> list[Sentence]:
        found: list[Sentence] = []
        for text in texts:
            tagged, spoken = parse_emotion_tags(text)
            self._emotion = tagged or self._emotion
            if not spoken.strip():
                continue
            language = detect_language(spoken, self._persona.language)
            found.append(Sentence(self._turn, self._index, spoken, self._emotion, language))
            self._index += 1
        return found
