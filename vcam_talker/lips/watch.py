"""Whether a lips process that lives still does as it is told; its heartbeat is a thread's of its own."""

from __future__ import annotations

import threading
from typing import Final

from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.events import EngineDown, Ready
from vcam_talker.core.lips import LipsDraw, LipsEvent, LipsLoad, LipsRest
from vcam_talker.core.types import NS_PER_S

_DEAF_S: Final = 5.0
"""A persona that it was told of is taken notice of at once, but for a mouth that is being drawn."""
_LOADING_S: Final = 1800.0
"""Engines are measured the first time, and some build themselves for minutes."""


class Watch:
    """Tells when to replace it. Any thread."""

    def __init__(self, clock: MonotonicClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._up = self._told = self._loading = False
        self._since_ns = 0
        """When it last said something, or was told something that it could attend to."""

    def told(self) -> None:
        """Note that a persona is about to be sent to it: its answer may come at once."""
        with self._lock:
            self._told = True
            if not self._loading:
                self._since_ns = self._clock.now_ns()

    def heard(self, event: LipsEvent) -> None:
        """Take what it told, or the supervisor of its end."""
        with self._lock:
            match event:
                case Ready():
                    self._up = self._told = True  # of a persona, when it was started
                case LipsLoad():
                    self._told, self._loading = False, True
                case LipsDraw() | LipsRest():
                    self._loading = False
                case EngineDown():
                    self._up = self._told = self._loading = False
                case _:
                    return
            self._since_ns = self._clock.now_ns()

    def fault(self) -> str:
        """Return why it is to be replaced, once; empty while all is well."""
        with self._lock:
            if not self._up:
                return ""
            silent_s = (self._clock.now_ns() - self._since_ns) / NS_PER_S
            if self._loading and silent_s > _LOADING_S:
                self._up = False
                return f"its network has been loading for {_LOADING_S / 60:.0f} min"
            if self._told and not self._loading and silent_s > _DEAF_S:
                self._up = False
                return f"it did nothing of what it was told for {_DEAF_S:.0f} s"
            return ""
