"""The hot-phrase cache as one persona's voice sees it: sentences in, phrases out."""

from __future__ import annotations

import threading

from vcam_talker.cache.phrase import Phrase
from vcam_talker.cache.phrases import PhraseCache
from vcam_talker.core.types import Sentence
from vcam_talker.engine.maker import Maker, Recorder
from vcam_talker.engine.recipe import Recipe


class HotPhrases:
    """A cache with the recipe that names its phrases; shared by speaker and warmer. Thread-safe."""

    def __init__(self, cache: PhraseCache, recipe: Recipe) -> None:
        self.cache = cache
        self.voice_lock = threading.Lock()
        """Held by the one who makes a sentence: a voice is used from one thread at a time."""
        self._recipe = recipe

    def find(self, sentence: Sentence) -> tuple[str, Phrase | None]:
        """Return the sentence's key (empty when nobody can speak it), and its phrase if there is one."""
        key = self._recipe.key(sentence)
        return key, self.cache.get(key) if key else None

    def key(self, sentence: Sentence) -> str:
        """Return the sentence's key alone."""
        return self._recipe.key(sentence)

    def keep(
        self, sentence: Sentence, key: str, maker: Maker, recorder: Recorder, *, hot: bool = False
    ) -> Phrase | None:
        """Take a sentence that has been made under `key`; return its phrase, None when it is not to be kept.

        One that was broken off is not, nor one that a stand-in has spoken, nor one whose voice has changed
        meanwhile. `hot`: will be asked for again.
        """
        if not key or maker.substituted or self._recipe.key(sentence) != key:
            return None
        phrase = recorder.phrase(self._recipe.voice_name(sentence))
        if phrase is not None:
            self.cache.put(key, phrase, hot=hot)
        return phrase
