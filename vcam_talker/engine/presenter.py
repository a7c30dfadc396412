"""One persona in the engine: brain, voice, face and hot phrases, built together and closed together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from vcam_talker import registry
from vcam_talker.cache.phrases import PhraseCache
from vcam_talker.config import Config
from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.ring import Ring
from vcam_talker.core.stages import Responder, Synthesizer
from vcam_talker.engine.hot import HotPhrases
from vcam_talker.engine.lines import sure_sentences
from vcam_talker.engine.maker import Maker
from vcam_talker.engine.recipe import FACE_DRIVER, Recipe
from vcam_talker.engine.speaker import Speaker
from vcam_talker.engine.turn import TurnWorker
from vcam_talker.engine.warm import Warmer
from vcam_talker.llm.ladder import Ladder
from vcam_talker.persona import Persona
from vcam_talker.tts.voice import Voice

log = logging.getLogger(__name__)


class Presenter:
    """What speaks as one persona. Synthesizers and cache belong to the engine and outlive it."""

    def __init__(
        self,
        persona: Persona,
        config: Config,
        ring: Ring,
        synthesizers: Mapping[str, Synthesizer],
        cache: PhraseCache | None,
        clock: MonotonicClock,
        send: Callable[[dict[str, Any]], None],
    ) -> None:
        """Build it and say a word in each language to nobody. Blocks for up to a second or two."""
        self.persona = persona
        self._send = send
        self.voice = Voice(synthesizers, persona, config.voice.engine)
        self.voice.warm_up()

        def make(name: str) -> Responder:
            responder: Responder = registry.find("responder", name)(persona, config.brain)
            return responder

        self.brain = Ladder(persona, config.brain, make, clock, self._tell_brains)
        hot = HotPhrases(cache, Recipe(self.voice, FACE_DRIVER)) if cache else None
        driver = registry.find("face_driver", FACE_DRIVER)
        speaker = Speaker(ring, self.voice, driver(), hot)
        self.worker = TurnWorker(persona, self.brain, speaker, clock, send, _forbidden(config))
        self.warmer: Warmer | None = None
        if hot and config.cache.warm:
            maker = Maker(self.voice, driver(), hot.voice_lock)
            self.warmer = Warmer(sure_sentences(persona), maker, hot)

    async def start(self) -> None:
        """Load what the brain needs, and warm the phrases, both in the background."""
        self._tell_brains()
        await self.brain.warm_up()
        if self.warmer is not None:
            self.warmer.start()

    def hold(self) -> None:
        """Leave voice and processor to a turn."""
        if self.warmer is not None:
            self.warmer.hold()

    def resume(self) -> None:
        """Go on with what can be made ahead."""
        if self.warmer is not None:
            self.warmer.resume()

    async def close(self) -> None:
        """End everything of this persona's own."""
        if self.warmer is not None:
            await asyncio.to_thread(self.warmer.close)
        await self.brain.close()

    def _tell_brains(self) -> None:
        self._send({"op": "brains", "brains": [asdict(view) for view in self.brain.views()]})


def _forbidden(config: Config) -> Callable[[str], str | None]:
    """Return what finds a blocked word in a sentence."""
    if not config.chat.blocked_words:
        return lambda _text: None
    from vcam_talker.chat.words import WordFilter

    return WordFilter(config.chat.blocked_words, config.chat.allowed_words).find
