"""Bring the engine's speech from the shared ring onto the timeline."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from vcam_talker.air.child_process import Context
from vcam_talker.air.timeline import Timeline
from vcam_talker.core.ring import Ring, RingCorruptError
from vcam_talker.core.wire import ring_bytes, unpack_speech

log = logging.getLogger(__name__)

# What the timeline may hold itself; the rest stays in the ring, whose size bounds it.
_TIMELINE_MS = 80


class SpeechFeed:
    """Drained by the playout thread every 10 ms, so that no thread of its own has to wake up.

    The supervisor swaps the ring when it replaces the engine. Thread-safe.
    """

    def __init__(self, timeline: Timeline, on_corrupt: Callable[[str], None], ahead_ms: int) -> None:
        """`ahead_ms` of speech wait in the ring at most."""
        self._timeline = timeline
        self._ahead_ms = ahead_ms
        self.look_ahead_ms = 0
        """How much further than usual the timeline is to look ahead, for who draws mouths from the sound."""
        self._on_corrupt = on_corrupt
        self._lock = threading.Lock()
        self._ring: Ring | None = None

    def open(self, context: Context) -> str:  # noqa: ARG002 - needed by crossings that hold pipes
        """Read from a new ring from now on, the previous one is closed; return its name. Raises OSError."""
        ring = Ring.create(ring_bytes(self._ahead_ms))
        with self._lock:
            old, self._ring = self._ring, ring
        if old is not None:
            old.close()
        return ring.name

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
                while self._timeline.waiting_ms < _TIMELINE_MS + self.look_ahead_ms:
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
