"""Keep an engine alive: start it, watch its heartbeat, kill and replace it, with back-off."""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any

from vcam_talker.air.feed import SpeechFeed
from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.ring import Ring
from vcam_talker.core.status import EngineState, EngineView
from vcam_talker.core.types import NS_PER_S
from vcam_talker.core.wire import decode, encode, ring_bytes

log = logging.getLogger(__name__)

_POLL_S = 0.1
_FIRST_DELAY_S = 0.2
# An engine that has lived this long starts over with the shortest delay.
_STABLE_S = 30.0
_OUTBOX = 64

EngineMain = Callable[[Connection, str, str, str, str], None]
Listener = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient the supervisor is."""

    heartbeat_timeout_s: float
    start_timeout_s: float
    backoff_max_s: float
    ahead_ms: int


@dataclass(slots=True)
class _Engine:
    """One incarnation of the child."""

    process: BaseProcess
    connection: Connection
    started_ns: int
    last_sign_ns: int
    ready: bool = False


class Supervisor:
    """Runs the engine in a child process from a thread of its own; `send` and `listener` connect to it.

    `listener` gets every event of the engine, and `{"op": "down", "reason"}` when one is lost; it is called
    on the supervisor's thread and must not block. A stopped, hung or dead engine can block nobody here:
    messages to it are written by the supervisor's thread, a few hundred bytes at a time.
    """

    def __init__(
        self,
        main: EngineMain,
        feed: SpeechFeed,
        clock: MonotonicClock,
        limits: Limits,
        listener: Listener,
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
        self._context = _context(main.__module__)
        self._outbox: queue.Queue[dict[str, Any]] = queue.Queue(_OUTBOX)
        # One byte for every message in the outbox: the thread waits for it and for the engine at once.
        self._woken, self._wake = self._context.Pipe(duplex=False)
        self._stop = threading.Event()
        self._replace = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor")
        self._engine: _Engine | None = None
        self._state: EngineState = "starting"
        self._restarts = 0
        self._last_error = ""
        self._voices: tuple[str, ...] = ()

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the engine and the thread; within about two seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
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
        """Load `name` into this engine and into every later one."""
        self._persona = name
        self.send({"op": "persona", "name": name})

    def replace(self) -> None:
        """Kill the engine and start another: what it wrote can't be trusted. Any thread."""
        self._replace.set()

    def view(self) -> EngineView:
        """Return the engine's state for `status`."""
        engine = self._engine
        pid = engine.process.pid if engine and self._state in {"starting", "ready"} else None
        return EngineView(self._state, pid, self._restarts, self._last_error, self._voices)

    def _run(self) -> None:
        delay_s = 0.0
        while not self._stop.wait(delay_s):
            engine = self._spawn()
            reason = self._watch(engine)
            lived_s = (self._clock.now_ns() - engine.started_ns) / NS_PER_S
            self._bury(engine)
            if self._stop.is_set():
                break
            self._restarts += 1
            self._last_error = reason
            self._state = "restarting"
            log.warning("the engine is gone (%s); picture and sound go on, another one starts", reason)
            self._listener({"op": "down", "reason": reason})
            if lived_s >= _STABLE_S:
                delay_s = 0.0
            else:
                delay_s = min(self._limits.backoff_max_s, max(_FIRST_DELAY_S, delay_s * 2))

    def _spawn(self) -> _Engine:
        self._replace.clear()
        while self._woken.poll():
            self._woken.recv_bytes()
            self._outbox.get_nowait()
        ours, theirs = self._context.Pipe()
        ring = Ring.create(ring_bytes(self._limits.ahead_ms))
        process = self._context.Process(
            target=self._main,
            args=(theirs, ring.name, self._persona, self._voice_engine, self._log_level),
            name="vcam_talker engine",
            daemon=True,
        )
        self._feed.attach(ring)
        process.start()
        theirs.close()
        now_ns = self._clock.now_ns()
        self._engine = _Engine(process, ours, now_ns, now_ns)
        return self._engine

    def _watch(self, engine: _Engine) -> str:
        """Serve one engine until it is lost or we stop; return why."""
        while True:
            try:
                ready = wait([engine.connection, self._woken], _POLL_S)
                if engine.connection in ready:
                    self._receive(engine, engine.connection.recv_bytes())
                if self._woken in ready:
                    self._woken.recv_bytes()
                    engine.connection.send_bytes(encode(self._outbox.get_nowait()))
            except (EOFError, OSError, ValueError) as e:
                engine.process.join(timeout=1)
                return _describe(engine.process.exitcode, e)
            if self._stop.is_set():
                return "stopped"
            if self._replace.is_set():
                return "it wrote nonsense"
            silent_s = (self._clock.now_ns() - engine.last_sign_ns) / NS_PER_S
            limit_s = self._limits.heartbeat_timeout_s if engine.ready else self._limits.start_timeout_s
            if silent_s > limit_s:
                return f"no sign of life for {silent_s:.1f} s"

    def _receive(self, engine: _Engine, data: bytes) -> None:
        event = decode(data)
        engine.last_sign_ns = self._clock.now_ns()
        if event["op"] == "ready":
            engine.ready = True
            self._state = "ready"
            self._voices = tuple(event.get("voices", ()))
        if event["op"] != "alive":
            self._listener(event)

    def _bury(self, engine: _Engine) -> None:
        """End the process, kindly if it is well, and free what it held."""
        if self._stop.is_set() and engine.ready:
            try:
                engine.connection.send_bytes(encode({"op": "quit"}))
                engine.process.join(timeout=1)
            except OSError:
                log.debug("the engine was gone already")
        if engine.process.is_alive():
            engine.process.kill()
        engine.process.join(timeout=2)
        engine.connection.close()
        self._engine = None
        self._feed.detach()


def _context(module: str) -> ForkServerContext | SpawnContext:
    """Return how engines are started: forked from a small server of ours, where the system can.

    Starting a program stops the starting process's interpreter until the new one runs (vfork), which on a
    busy machine is several frame periods; the server takes that wait, and keeps the modules loaded.
    """
    if sys.platform == "win32":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([module])
    return context


def _describe(exit_code: int | None, error: Exception) -> str:
    if exit_code is None:
        return f"its pipe broke: {error}"
    if exit_code < 0:
        return f"killed by signal {-exit_code}"
    return f"exit code {exit_code}"
