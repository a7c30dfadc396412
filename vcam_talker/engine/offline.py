"""Warm a persona's phrases without a daemon: all at once, to disk, then done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

from vcam_talker import registry
from vcam_talker.cache.phrases import PhraseCache
from vcam_talker.config import Config
from vcam_talker.core.errors import ConfigError, DeviceError
from vcam_talker.engine.hot import HotPhrases
from vcam_talker.engine.lines import sure_sentences
from vcam_talker.engine.maker import Maker
from vcam_talker.engine.recipe import FACE_DRIVER, Recipe
from vcam_talker.engine.warm import Outcome, Warmer
from vcam_talker.persona import Persona
from vcam_talker.tts.voice import Voice


def warm_now(persona: Persona, config: Config, progress: Callable[[int, int], None]) -> Counter[Outcome]:
    """Make all that `persona` is sure to say; return how many came out how. Blocks for seconds.

    `progress` is called with (done, in all). Safe beside a running daemon, which finds the phrases at once.
    Raises ConfigError when nothing is kept on disk, DeviceError when the disk refuses.
    """
    if not (config.cache.enabled and config.cache.disk_mb):
        raise ConfigError(
            "the hot-phrase cache", "keeps nothing on disk", "Set cache.enabled and cache.disk_mb"
        )
    with ExitStack() as stack:
        engines = {name: registry.find("synthesizer", name)() for name in registry.ENGINES["synthesizer"]}
        for engine in engines.values():
            stack.callback(engine.close)
        voice = Voice(engines, persona, config.voice.engine)
        cache = PhraseCache(config.cache)
        cache.start()
        stack.callback(cache.close)
        hot = HotPhrases(cache, Recipe(voice, FACE_DRIVER))
        driver = registry.find("face_driver", FACE_DRIVER)()
        sentences = sure_sentences(persona)
        warmer = Warmer(sentences, Maker(voice, driver, hot.voice_lock), hot)
        outcomes: Counter[Outcome] = Counter()
        for done, sentence in enumerate(sentences):
            progress(done, len(sentences))
            outcomes[warmer.warm(sentence, lambda: False)] += 1
            cache.flush()
            if detail := cache.stats().detail:
                what, _, why = detail.partition(": ")
                raise DeviceError(what, why)
        progress(len(sentences), len(sentences))
        return outcomes
