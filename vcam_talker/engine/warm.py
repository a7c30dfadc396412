"""Make what the persona is sure to say before anybody asks, while nothing else is to do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Final, Literal

from vcam_talker.core.errors import EngineError
from vcam_talker.core.stages import Cancelled
from vcam_talker.core.types import Sentence
from vcam_talker.engine.hot import HotPhrases
from vcam_talker.engine.maker import Maker, Recorder

log = logging.getLogger(__name__)

SHARE: Final = 0.5
"""Of the cache that may be filled ahead of need; the rest is for what viewers bring up."""
_REST: Final = 24.0
"""After a phrase, this many times as long as it took: the idle daemon stays cool."""
_REST_MIN_S: Final = 0.02
_SETTLE_S: Final = 1.0
"""How long nothing must have been in work: turns come in a row."""
_REVISIT_S: Final = 60.0
"""How often to look for what is missing after all: the cache was cleared, a voice updated."""

Outcome = Literal["made", "there", "cancelled", "full", "failed"]


class Warmer:
    """Warms one persona's phrases, on a thread of its own after `start`, or one by one by `warm`.

    It shares the voice with the speaker and leaves it within 50 ms of `hold`.
    """

    def __init__(self, sentences: Sequence[Sentence], maker: Maker, hot: HotPhrases) -> None:
        """`maker` must use `hot.voice_lock` and a face driver that nobody else uses."""
        self._sentences = sentences
        self._maker = maker
        self._hot = hot
        self._ready: dict[Sentence, tuple[str, int]] = {}
        """What is there: key and bytes."""
        self._failed: set[str] = set()
        self._idle = threading.Event()
        self._idle.set()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warmer", daemon=True)

    @property
    def warmed(self) -> int:
        """How many phrases are ready."""
        return len(self._ready)

    @property
    def to_warm(self) -> int:
        """How many there are in all."""
        return len(self._sentences)

    def start(self) -> None:
        """Begin in the background; returns at once."""
        self._thread.start()

    def hold(self) -> None:
        """Stand back, within 50 ms: somebody is to speak. Any thread; returns at once. Idempotent."""
        self._idle.clear()

    def resume(self) -> None:
        """Go on. Any thread; returns at once. Idempotent."""
        self._idle.set()

    def close(self) -> None:
        """End, within about 50 ms; blocks until then. Idempotent."""
        self._closed.set()
        self._idle.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def warm(self, sentence: Sentence, cancelled: Cancelled) -> Outcome:
        """Make one phrase unless it is there, or the cache has no more room for such. Blocks.

        A phrase that can't be made is told in the log, once, and left out from then on.
        """
        key, cache = self._hot.key(sentence), self._hot.cache
        known = self._ready.pop(sentence, None)
        if known is not None and known[0] == key and key in cache:
            self._ready[sentence] = known
            return "there"
        if not key or key in self._failed:
            return "failed"
        phrase = cache.prepare(key)
        if phrase is not None:
            self._ready[sentence] = (key, phrase.nbytes)
            return "there"
        if sum(size for _, size in self._ready.values()) > SHARE * cache.capacity:
            return "full"
        recorder = Recorder(sentence)
        try:
            with closing(self._maker.make(sentence, cancelled)) as parts:
                for part in parts:
                    recorder.add(part)
            phrase = self._hot.keep(sentence, key, self._maker, recorder, hot=True)
        except EngineError as e:
            log.debug("%s", e)
        if phrase is not None:
            self._ready[sentence] = (key, phrase.nbytes)
            return "made"
        self._maker.reset()
        if cancelled():
            return "cancelled"
        log.warning("'%s' can't be made ahead of need", sentence.text)
        self._failed.add(key)
        return "failed"

    def _run(self) -> None:
        while not self._closed.is_set():
            self._pass()
            self._closed.wait(_REVISIT_S)

    def _pass(self) -> None:
        """Go through all sentences once."""
        for sentence in self._sentences:
            outcome: Outcome = "cancelled"
            while outcome == "cancelled":
                self._wait_idle()
                if self._closed.is_set():
                    return
                begun_s = time.monotonic()
                outcome = self.warm(sentence, self._is_wanted_elsewhere)
                if outcome == "full":
                    return
                self._closed.wait(max(_REST_MIN_S, _REST * (time.monotonic() - begun_s)))

    def _wait_idle(self) -> None:
        """Return once nothing has been in work for a while, or when closed."""
        while not self._idle.is_set() and not self._closed.is_set():
            self._idle.wait()
            self._closed.wait(_SETTLE_S)

    def _is_wanted_elsewhere(self) -> bool:
        return not self._idle.is_set() or self._closed.is_set()
