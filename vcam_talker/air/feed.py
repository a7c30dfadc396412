"""Bring the engine's speech from the shared ring onto the timeline."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from vcam_talker.air.timeline import Timeline
from vcam_talker.core.ring import Ring, RingCorruptError
from vcam_talker.core.wire import unpack_speech

log = logging.getLogger(__name__)

# What the timeline may hold itself; the rest stays in the ring, whose size bounds it.
_TIMELINE_MS = 80


class SpeechFeed:
    """Drained by the playout thread every 10 ms, so that no thread of its own has to wake up.

    The supervisor swaps the ring when it replaces the engine. Thread-safe.
    """

    def __init__(self, timeline: Timeline, on_corrupt: Callable[[str], None]) -> None:
        self._timeline = timeline
        self._on_corrupt = on_corrupt
        self._lock = threading.Lock()
        self._ring: Ring | None = None

    def attach(self, ring: Ring) -> None:
        """Read from `ring` from now on; the previous one is closed."""
        with self._lock:
            old, self._ring = self._ring, ring
        if old is not None:
            old.close()

    def detach(self) -> None:
        """Stop reading and free the ring."""
        with self._lock:
            old, self._ring = self._ring, None
        if old is not None:
            old.close()

    def drain(self) -> None:
        """Move what fits onto the timeline. Speech of dead turns passes through and vanishes there."""
        with self._lock:
            if self._ring is None:
                return
            try:
                while self._timeline.waiting_ms < _TIMELINE_MS:
                    record = self._ring.try_read()
                    if record is None:
                        return
                    speech = unpack_speech(record)
                    if speech.finished:
                        self._timeline.finish(speech.turn)
                    else:
                        self._timeline.push(speech.turn, speech.samples, speech.mouth)
            except (RingCorruptError, ValueError) as e:
                log.error("the engine wrote nonsense into the ring (%s); it will be replaced", e)
                self._ring.close()
                self._ring = None
            else:
                return
        self._on_corrupt("it wrote nonsense into the ring")
