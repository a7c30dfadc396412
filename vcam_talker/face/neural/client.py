"""Air's end of the lips: asks for a mouth, waits no longer than a frame can, and never shows a late one."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import Final

import numpy as np

from vcam_talker.core.types import Pixels
from vcam_talker.face.neural.crossing import Ask, Crossing, fits, unpack_told
from vcam_talker.face.neural.model import Floats

log = logging.getLogger(__name__)

_RECENT: Final = 300
"""Questions that the figures are of: ten seconds of speech."""
_SLOW_OF: Final = 60
"""The outcomes of so many questions are looked at ..."""
_SLOW_SHARE: Final = 0.5
"""... and if more of them than this share went unanswered, the network is too slow."""
_REST_S: Final = (10.0, 300.0)
"""How long it is left alone then, at first and at most."""


class LipsClient:
    """A `Drawer` over shared memory. `draw` belongs to the painter's thread; all else to any."""

    def __init__(self, deadline_s: float) -> None:
        """`deadline_s`: how long an answer is waited for, less than a frame's period."""
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._crossing: Crossing | None = None
        self._pipe: Connection | None = None
        self._theirs: Connection | None = None
        self._face = 0
        self._latest_face = 0
        """The one drawn now or, while nobody is, drawn last."""
        self._number = 0
        self._pending: tuple[int, float] | None = None
        """Number of the question that has no answer yet, and when it was asked."""
        self._outcomes: deque[bool] = deque(maxlen=_SLOW_OF)
        self._took_s: deque[float] = deque(maxlen=_RECENT)
        self._rest_s = _REST_S[0]
        self._resting_until_s = 0.0
        self.asked = 0
        self.answered = 0
        """In time."""

    # --- air.child_process.Crossing

    def open(self, context: BaseContext) -> tuple[str, Connection]:
        """Make what the next child crosses by; return its end of it. Raises OSError."""
        with self._lock:
            self._forget()
            self._resting_until_s = 0.0
            if self._crossing is None:
                self._crossing = Crossing.create()
            self._close_pipe()
            self._pipe, self._theirs = context.Pipe()
            return self._crossing.name, self._theirs

    def detach(self) -> None:
        """Ask nothing more: the child is gone."""
        with self._lock:
            self._forget()
            self._close_pipe()

    def close(self) -> None:
        """Free the memory. Idempotent."""
        self.detach()
        with self._lock:
            if self._crossing is not None:
                self._crossing.close()
                self._crossing = None

    # --- whom it draws

    def draws(self, face: int) -> None:
        """Learn that the child is ready to draw `face`; 0: nobody."""
        with self._lock:
            self._forget()
            self._face = face
            if face not in {0, self._latest_face}:
                # Another network, or another face for it: how slow the one before was is no matter.
                self._latest_face = face
                self._took_s.clear()
                self._rest_s, self._resting_until_s = _REST_S[0], 0.0

    def overdue_s(self) -> float:
        """Return how long a question has been waiting for an answer.

        Takes in one that came after its frame: in silence, or while it is left alone, nobody else does.
        """
        with self._lock:
            if self._pending is None or self._pipe is None:
                return 0.0
            number, asked_s = self._pending
            try:
                came = self._await(self._pipe, number, 0.0)
            except (OSError, EOFError, ValueError) as e:
                log.debug("the lips don't answer: %r", e)
                self._forget()
                return 0.0
            return 0.0 if came else time.monotonic() - asked_s

    @property
    def slow(self) -> bool:
        """Whether it is left alone for a while because it was too slow."""
        return time.monotonic() < self._resting_until_s

    def times_ms(self) -> tuple[float, float] | None:
        """Return median and 95th percentile of the time that answers took; None before any came."""
        took_s = list(self._took_s)
        if not took_s:
            return None
        p50, p95 = np.percentile(took_s, [50, 95]) * 1000
        return float(p50), float(p95)

    # --- Drawer

    @property
    def patience_s(self) -> float:
        """How long `draw` waits at most."""
        return self._deadline_s

    def ready(self, face: int) -> bool:
        """Tell whether `draw` would ask for this face."""
        return face == self._face and face != 0 and time.monotonic() >= self._resting_until_s

    def draw(self, face: int, key: int, crop: Pixels, condition: Floats) -> Pixels | None:
        """Return the crop with the mouth drawn in, or None: nobody there, or not in time.

        A question that was not answered in time is waited for once: until its answer has come (and was thrown
        away) no other is asked.
        """
        with self._lock:
            if not self.ready(face) or self._pipe is None or self._crossing is None:
                return None
            try:
                return self._ask(self._pipe, self._crossing, face, key, crop, condition)
            except (OSError, EOFError, ValueError) as e:
                log.debug("the lips don't answer: %r", e)
                self._forget()
                return None

    def _ask(
        self, pipe: Connection, crossing: Crossing, face: int, key: int, crop: Pixels, condition: Floats
    ) -> Pixels | None:
        width, height = int(crop.shape[1]), int(crop.shape[0]) * 2 // 3
        if not fits(width, height, condition.size):
            return None
        began_s = time.monotonic()
        self.asked += 1
        if self._pending is not None and not self._await(pipe, self._pending[0], began_s):
            return None
        self._number += 1
        crossing.put_question(crop, condition)
        self._pending = self._number, began_s
        pipe.send_bytes(Ask(self._number, face, key, width, height, condition.size).pack())
        if not self._await(pipe, self._number, began_s + self._deadline_s):
            self._missed()
            return None
        if not self._drawn:
            return None
        self.answered += 1
        self._took_s.append(time.monotonic() - began_s)
        self._outcomes.append(True)
        if len(self._outcomes) == _SLOW_OF and all(self._outcomes):
            self._rest_s = _REST_S[0]
        return crossing.answer(width, height)

    _drawn = False
    """Whether the latest answer has a picture."""

    def _await(self, pipe: Connection, number: int, until_s: float) -> bool:
        """Wait for the answer to a question; earlier ones are thrown away. Return whether it came."""
        while pipe.poll(max(0.0, until_s - time.monotonic())):
            told, self._drawn = unpack_told(pipe.recv_bytes(64))
            if told == number:
                self._pending = None
                return True
        return False

    def _missed(self) -> None:
        self._outcomes.append(False)
        late = self._outcomes.count(False)
        if len(self._outcomes) == _SLOW_OF and late > _SLOW_SHARE * _SLOW_OF:
            self._outcomes.clear()
            self._resting_until_s = time.monotonic() + self._rest_s
            log.warning(
                "the lips' network is too slow: %d of %d mouths came late; it is left alone for %.0f s",
                late, _SLOW_OF, self._rest_s,
            )  # fmt: skip
            self._rest_s = min(2 * self._rest_s, _REST_S[1])

    def _forget(self) -> None:
        self._face = 0
        self._pending = None
        self._outcomes.clear()

    def _close_pipe(self) -> None:
        for end in (self._pipe, self._theirs):
            if end is not None:
                end.close()
        self._pipe = self._theirs = None
