"""Mouths that a network failed to draw: one costs its frame, too many in a row are told to air."""

from __future__ import annotations

import logging
import time
from typing import Final

from vcam_talker.core.errors import VcamTalkerError

log = logging.getLogger(__name__)

_TOO_MANY: Final = 5
"""In a row: a sixth of a second, after which nothing of the network's is seen any more."""
_TOLD_EVERY_S: Final = 60.0


class Misses:
    """Counts them. One thread."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._untold = 0
        self._last = ""
        self._told_s: float | None = None

    def begin(self) -> None:
        """Start over, with another network."""
        self._in_a_row = self._untold = 0

    def missed(self, error: VcamTalkerError) -> str:
        """Count one. Return why the network is to rest, in a line; empty while it may go on."""
        self._in_a_row += 1
        self._untold += 1
        self._last = str(error)
        if self._in_a_row < _TOO_MANY:
            return ""
        return f"{self._in_a_row} mouths in a row could not be drawn, the last: {error}"

    def drew(self) -> None:
        """Learn that one was drawn. Those that were not are told now, in one line a minute at most."""
        self._in_a_row = 0
        if not self._untold:
            return
        now_s = time.monotonic()
        if self._told_s is not None and now_s - self._told_s < _TOLD_EVERY_S:
            return
        count, self._untold, self._told_s = self._untold, 0, now_s
        log.warning("%d mouth%s could not be drawn, the last: %s", count, "s" * (count > 1), self._last)
