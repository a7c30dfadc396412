"""Keeps the link to OBS: one thread that connects, asks for signs of life, gives up, and begins anew."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from vcam_talker.control.obs.connection import (
    EVENTS_ALL,
    AbsentError,
    MuteError,
    ObsConnection,
    RefusedError,
    RequestError,
    quiet_library,
)
from vcam_talker.control.obs.settings import SWITCH_ON, Server, ServerFinder
from vcam_talker.core.errors import SourceError

log = logging.getLogger(__name__)

Work = Callable[[ObsConnection], None]
"""Something to ask of OBS, on the owner's thread. May raise SourceError; a RequestError is only logged."""
State = Literal["off", "connecting", "open", "lost", "failed"]

HEARTBEAT_S: Final = 2.0
"""So long without an answer, and OBS is asked for one; it has two seconds for that."""
_PROBE_S: Final = 1.0
"""A refused connection costs next to nothing, and OBS is met soon after it starts."""
_MUTE_PAUSE_S: Final = 1.0
_REFUSED_S: Final = 60.0
_BACKOFF_MIN_S: Final = 0.5
_BACKOFF_MAX_S: Final = 15.0
_STEADY_S: Final = 2.0
"""A connection that held this long starts the back-off anew."""
_MAX_WORK: Final = 100
_FAREWELL_S: Final = 0.3
_JOIN_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class LinkState:
    """How the link is; replaced as a whole, so any thread may read it."""

    state: State
    detail: str = ""
    reconnects: int = 0


class ObsOwner:
    """`start`, `stop`, `submit` and `state` are safe from any thread; everything else happens on its own.

    `on_event` is called on the receiving thread, `on_open` on the owner's: both must only enqueue.
    """

    def __init__(
        self,
        finder: ServerFinder,
        *,
        events: int = EVENTS_ALL,
        on_event: Callable[[str, dict[str, Any]], None],
        on_open: Callable[[], None],
    ) -> None:
        self.state = LinkState("connecting")
        self._finder = finder
        self._events = events
        self._on_event = on_event
        self._on_open = on_open
        self._changed = threading.Condition()
        self._work: OrderedDict[object, Work] = OrderedDict()
        self._open = False
        self._stopping = False
        self._connection: ObsConnection | None = None
        self._ever_open = False
        self._reconnects = 0
        self._backoff_s = _BACKOFF_MIN_S
        self._random = random.Random()
        self._thread = threading.Thread(target=self._run, name="obs", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        quiet_library()
        self._thread.start()

    def stop(self) -> None:
        """Do the work that waits, if OBS answers at once; then end every thread. Blocks for up to 3 s."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if not self._thread.is_alive():
            return
        self._thread.join(_FAREWELL_S)
        connection = self._connection
        if connection is not None:
            connection.abort()
        self._thread.join(_JOIN_S)

    def submit(self, work: Work, key: object = None) -> bool:
        """Have something asked of OBS; work of the same key that still waits is replaced.

        Returns False when the link is not open: nothing is kept for later. Never blocks. When too much waits
        the oldest goes.
        """
        with self._changed:
            if not self._open or self._stopping:
                return False
            self._work[key if key is not None else object()] = work
            if len(self._work) > _MAX_WORK:
                self._work.popitem(last=False)
            self._changed.notify_all()
        return True

    # --- on the owner's thread

    def _run(self) -> None:
        while not self._stopping:
            server = self._finder.find()
            if server is None:
                self._tell("off", f"no OBS of this user has its WebSocket server switched on. {SWITCH_ON}")
                self._pause(_PROBE_S)
                continue
            try:
                self._live(server)
            except AbsentError as e:
                self._tell(self._missing, str(e))
                self._backoff_s = _BACKOFF_MIN_S
                self._pause(_PROBE_S)
            except MuteError as e:
                self._tell(self._missing, str(e))
                self._pause(_MUTE_PAUSE_S)
            except RefusedError as e:
                self._tell("failed", str(e))
                self._await_change()
            except SourceError as e:
                self._back_off(str(e))
            except Exception as e:  # whatever OBS does, the link must come back
                log.exception("the link to OBS failed")
                self._back_off(str(e))

    @property
    def _missing(self) -> State:
        return "lost" if self._ever_open else "connecting"

    def _live(self, server: Server) -> None:
        """Hold one connection until it is lost. Raises SourceError; returns when told to stop."""
        connection = ObsConnection(server, events=self._events, on_event=self._on_event, on_lost=self._wake)
        self._connection = connection
        try:
            if self._stopping:
                return
            connection.connect()
            connection.wait_ready()
            with self._changed:
                self._open = True
            self._reconnects += self._ever_open
            self._ever_open = True
            versions = f"OBS {connection.obs_version}, obs-websocket {connection.plugin_version}"
            self._tell("open", f"{versions} at {server.address}")
            self._on_open()
            self._serve(connection)
        except SourceError as e:
            # Whatever was going on when the connection went: it is the reason that counts.
            if connection.kicked:
                raise RefusedError("OBS", connection.lost_why, "It is tried again in a minute") from e
            raise
        finally:
            with self._changed:
                self._open = False
                self._work.clear()
            connection.close()
            self._connection = None

    def _serve(self, connection: ObsConnection) -> None:
        opened_s = time.monotonic()
        while True:
            work = self._next_work(connection)
            if time.monotonic() - opened_s > _STEADY_S:
                self._backoff_s = _BACKOFF_MIN_S
            if connection.lost_why:
                raise SourceError("OBS", connection.lost_why)
            if work is None and self._stopping:
                return
            try:
                if work is not None:
                    work(connection)
                elif time.monotonic() - connection.answered_s >= HEARTBEAT_S:
                    connection.request("GetStats")
            except RequestError as e:
                log.debug("%s", e)

    def _next_work(self, connection: ObsConnection) -> Work | None:
        """Return what is to be done, waiting for it until a sign of life is due."""
        with self._changed:
            if not (self._work or self._stopping or connection.lost_why):
                self._changed.wait(max(0.0, connection.answered_s + HEARTBEAT_S - time.monotonic()))
            return self._work.popitem(last=False)[1] if self._work else None

    def _back_off(self, why: str) -> None:
        self._tell(self._missing, why)
        self._pause(self._backoff_s)
        self._backoff_s = min(2 * self._backoff_s, _BACKOFF_MAX_S)

    def _await_change(self) -> None:
        """Wait until another answer is possible: a file has changed, or a minute has gone by."""
        before = self._finder.changes
        end_s = time.monotonic() + _REFUSED_S
        while not self._stopping and time.monotonic() < end_s and self._finder.changes == before:
            self._pause(_PROBE_S)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, seconds * self._random.uniform(0.8, 1.2))

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _tell(self, state: State, detail: str) -> None:
        new = LinkState(state, detail, self._reconnects)
        if new == self.state or self._stopping:
            return
        self.state = new
        level = logging.WARNING if state in {"lost", "failed"} else logging.INFO
        log.log(level, "OBS is %s: %s", state, detail)
