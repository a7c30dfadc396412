"""Keep an engine alive: start it, watch its heartbeat, kill and replace it, with back-off."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from vcam_talker.air.engine_process import EngineMain, EngineProcess, engine_context
from vcam_talker.air.feed import SpeechFeed
from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.events import Alive, EngineDown, EngineEvent, Ready, parse_event
from vcam_talker.core.ring import Ring
from vcam_talker.core.status import EngineState, EngineView
from vcam_talker.core.wire import decode, encode, ring_bytes

log = logging.getLogger(__name__)

_POLL_S = 0.1
_FIRST_DELAY_S = 0.2
# An engine that has lived this long starts over with the shortest delay.
_STABLE_S = 30.0
_OUTBOX = 64
_QUIT_GRACE_S = 1.0
# How much later than the supervisor itself `check` steps in: the thread is stuck on a stopped engine then.
_CHECK_SLACK_S = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient the supervisor is."""

    heartbeat_timeout_s: float
    start_timeout_s: float
    backoff_max_s: float
    ahead_ms: int


class Supervisor:
    """Runs the engine in a child process from a thread of its own; `send` and `listener` connect to it.

    `listener` gets every event of the engine but heartbeats, and EngineDown when one is lost; it is called on
    the supervisor's thread and must not block. A stopped engine can hold up this thread only (its pipe may be
    full, or end in half a message), and `check`, called from another one, kills it then.
    """

    def __init__(
        self,
        main: EngineMain,
        feed: SpeechFeed,
        clock: MonotonicClock,
        limits: Limits,
        listener: Callable[[EngineEvent], None],
        *,
        persona: str,
        voice_engine: str,
        log_level: str,
    ) -> None:
        self._main = main
        self._feed = feed
        self._clock = clock
        self._limits = limits
        self._listener = listener
        self._persona = persona
        self._voice_engine = voice_engine
        self._log_level = log_level
        self._context = engine_context(main)
        self._outbox: queue.Queue[dict[str, Any]] = queue.Queue(_OUTBOX)
        # One byte for every message in the outbox: the thread waits for it and for the engine at once.
        self._woken, self._wake = self._context.Pipe(duplex=False)
        self._stop = threading.Event()
        self._condemned = ""
        self._thread = threading.Thread(target=self._run, name="supervisor")
        self._engine: EngineProcess | None = None
        self._state: EngineState = "starting"
        self._restarts = 0
        self._last_error = ""
        self._voices: tuple[str, ...] = ()

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the engine and the thread; within a few seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2 * _QUIT_GRACE_S)
            if (engine := self._engine) is not None:
                engine.kill()
            self._thread.join(timeout=5)
        self._state = "stopped"

    def send(self, command: dict[str, Any]) -> bool:
        """Queue a command; False when the engine is not ready or the queue is full. Any thread."""
        engine = self._engine
        if engine is None or not engine.ready:
            return False
        try:
            self._outbox.put_nowait(command)
        except queue.Full:
            return False
        self._wake.send_bytes(b"!")
        return True

    def use_persona(self, name: str) -> None:
        """Load `name` into this engine, as soon as it is ready, and into every later one."""
        self._persona = name
        self._tell_persona()

    def replace(self, reason: str) -> None:
        """Kill the engine and start another. Any thread; returns at once."""
        self._condemned = reason

    def check(self) -> None:
        """Kill an engine that the supervisor's own thread is stuck on. Call about once a second."""
        engine = self._engine
        if engine is not None and engine.silent_s > self._patience_s(engine) + _CHECK_SLACK_S:
            engine.kill()

    def view(self) -> EngineView:
        """Return the engine's state for `status`."""
        engine = self._engine
        pid = engine.process.pid if engine and self._state in {"starting", "ready"} else None
        return EngineView(self._state, pid, self._restarts, self._last_error, self._voices)

    def _run(self) -> None:
        delay_s = 0.0
        while not self._stop.wait(delay_s):
            lived_s, reason = self._one_life()
            if self._stop.is_set():
                break
            self._restarts += 1
            self._last_error = reason
            self._state = "restarting"
            log.warning("the engine is gone (%s); picture and sound go on, another one starts", reason)
            self._listener(EngineDown(reason))
            if lived_s >= _STABLE_S:
                delay_s = 0.0
            else:
                delay_s = min(self._limits.backoff_max_s, max(_FIRST_DELAY_S, delay_s * 2))

    def _one_life(self) -> tuple[float, str]:
        """Start an engine, serve it to its end; return how long it lived, s, and why not longer."""
        try:
            engine = self._spawn()
        except Exception as e:
            # No shared memory, no processes, no memory: whatever the system lacks now, it may have later.
            log.exception("the engine can't be started")
            self._feed.detach()
            return 0.0, f"it can't be started: {e!r}"
        self._engine = engine
        reason = self._watch(engine)
        lived_s = engine.lived_s
        if self._stop.is_set() and engine.ready:
            self._ask_to_quit(engine)
        self._engine = None
        engine.bury()
        self._feed.detach()
        return lived_s, reason

    def _spawn(self) -> EngineProcess:
        self._condemned = ""
        while self._woken.poll():
            self._woken.recv_bytes()
            self._outbox.get_nowait()
        ring = Ring.create(ring_bytes(self._limits.ahead_ms))
        self._feed.attach(ring)
        return EngineProcess(
            self._context, self._main, ring, self._persona, self._voice_engine, self._log_level, self._clock
        )

    def _watch(self, engine: EngineProcess) -> str:
        """Serve one engine until it is lost or we stop; return why."""
        while True:
            try:
                ready = wait([engine.connection, self._woken], _POLL_S)
                if engine.connection in ready:
                    self._receive(engine, engine.connection.recv_bytes())
                if self._woken in ready:
                    self._woken.recv_bytes()
                    engine.connection.send_bytes(encode(self._outbox.get_nowait()))
            except (EOFError, OSError) as e:
                return engine.describe_end(e)
            except ValueError as e:
                return str(e)
            if self._stop.is_set():
                return "stopped"
            if self._condemned:
                return self._condemned
            if engine.silent_s > self._patience_s(engine):
                return f"no sign of life for {engine.silent_s:.1f} s"

    def _patience_s(self, engine: EngineProcess) -> float:
        return self._limits.heartbeat_timeout_s if engine.ready else self._limits.start_timeout_s

    def _receive(self, engine: EngineProcess, data: bytes) -> None:
        event = parse_event(decode(data))
        engine.sign()
        if isinstance(event, Ready):
            self._voices = event.voices
            engine.ready = True
            self._state = "ready"
            self._tell_persona()
        if not isinstance(event, Alive):
            self._listener(event)

    def _tell_persona(self) -> None:
        """Send the wanted persona to an engine that was started with another one."""
        engine, name = self._engine, self._persona
        if engine is not None and engine.ready and engine.persona != name:
            engine.persona = name
            self.send({"op": "persona", "name": name})

    def _ask_to_quit(self, engine: EngineProcess) -> None:
        try:
            engine.connection.send_bytes(encode({"op": "quit"}))
            engine.process.join(timeout=_QUIT_GRACE_S)
        except OSError:
            log.debug("the engine was gone already")
