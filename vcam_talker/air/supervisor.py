"""Keep a child alive: start it, watch its heartbeat, kill and replace it, with back-off."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from vcam_talker.air.child_process import ChildMain, ChildProcess, Context, Crossing
from vcam_talker.config import Config
from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.events import Alive, EngineDown, Ready
from vcam_talker.core.status import EngineState, EngineView
from vcam_talker.core.wire import decode, encode

log = logging.getLogger(__name__)

E = TypeVar("E")

_POLL_S = 0.1
_FIRST_DELAY_S = 0.2
# A child that has lived this long starts over with the shortest delay.
_STABLE_S = 30.0
_OUTBOX = 64
_QUIT_GRACE_S = 1.0
# Many times the longest thing that a child has to say.
_MAX_MESSAGE_BYTES = 4_000_000
# How much later than the supervisor itself `check` steps in: the thread is stuck on a stopped child then.
_CHECK_SLACK_S = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient the supervisor is."""

    heartbeat_timeout_s: float
    start_timeout_s: float
    backoff_max_s: float


class Supervisor(Generic[E]):
    """Runs one child process from a thread of its own; `send` and `listener` connect to it.

    `E` is what `parse` makes of the child's messages; Ready and Alive must be among it. `listener` gets every
    event but heartbeats, and EngineDown when a child is lost; it is called on the supervisor's thread and
    must not block. A stopped child can hold up this thread only (its pipe may be full, or end in half a
    message), and `check`, called from another one, kills it then.
    """

    def __init__(
        self,
        name: str,
        main: ChildMain,
        context: Context,
        crossing: Crossing | None,
        clock: MonotonicClock,
        limits: Limits,
        parse: Callable[[dict[str, Any]], E],
        listener: Callable[[E | EngineDown], None],
        *,
        persona: str,
        config: Config,
    ) -> None:
        """`name` stands in logs and process lists; `crossing` is what passes beside the pipe."""
        self._name = name
        self._main = main
        self._crossing = crossing
        self._clock = clock
        self._limits = limits
        self._parse = parse
        self._listener = listener
        self._persona = persona
        self._config = config
        self._context = context
        self._outbox: queue.Queue[dict[str, Any]] = queue.Queue(_OUTBOX)
        # One byte for every message in the outbox: the thread waits for it and for the child at once.
        self._woken, self._wake = self._context.Pipe(duplex=False)
        self._stop = threading.Event()
        self._condemned = ""
        self._thread = threading.Thread(target=self._run, name=f"supervisor of {name}")
        self._child: ChildProcess | None = None
        self._state: EngineState = "starting"
        self._restarts = 0
        self._last_error = ""
        self._voices: tuple[str, ...] = ()

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the child and the thread; within a few seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2 * _QUIT_GRACE_S)
            if (child := self._child) is not None:
                child.kill()
            self._thread.join(timeout=5)
        self._state = "stopped"

    def send(self, command: dict[str, Any]) -> bool:
        """Queue a command; False when the child is not ready or the queue is full. Any thread."""
        child = self._child
        if child is None or not child.ready:
            return False
        try:
            self._outbox.put_nowait(command)
        except queue.Full:
            return False
        self._wake.send_bytes(b"!")
        return True

    def use_persona(self, name: str) -> None:
        """Load `name` into this child, as soon as it is ready, and into every later one."""
        self._persona = name
        self._tell_persona()

    def replace(self, reason: str) -> None:
        """Kill the child and start another. Any thread; returns at once."""
        self._condemned = reason

    def check(self) -> None:
        """Kill a child that the supervisor's own thread is stuck on. Call about once a second."""
        child = self._child
        if child is not None and child.silent_s > self._patience_s(child) + _CHECK_SLACK_S:
            child.kill()

    def view(self) -> EngineView:
        """Return the child's state for `status`."""
        child = self._child
        pid = child.process.pid if child and self._state in {"starting", "ready"} else None
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
            log.warning(
                "the %s is gone (%s); picture and sound go on, another one starts", self._name, reason
            )
            try:
                self._listener(EngineDown(reason))
            except Exception:
                log.exception("the end of the %s can't be told", self._name)
            if lived_s >= _STABLE_S:
                delay_s = 0.0
            else:
                delay_s = min(self._limits.backoff_max_s, max(_FIRST_DELAY_S, delay_s * 2))

    def _one_life(self) -> tuple[float, str]:
        """Start a child, serve it to its end; return how long it lived, s, and why not longer."""
        try:
            child = self._spawn()
        except Exception as e:
            # No shared memory, no processes, no memory: whatever the system lacks now, it may have later.
            log.exception("the %s can't be started", self._name)
            self._detach()
            return 0.0, f"it can't be started: {e!r}"
        self._child = child
        try:
            reason = self._watch(child)
        except Exception as e:
            # Whatever a message brings up, somebody must go on keeping a child alive.
            log.exception("what the %s told can't be taken", self._name)
            reason = f"what it told can't be taken: {e!r}"
        lived_s = child.lived_s
        if self._stop.is_set() and child.ready:
            self._ask_to_quit(child)
        self._child = None
        child.bury()
        self._detach()
        return lived_s, reason

    def _spawn(self) -> ChildProcess:
        self._condemned = ""
        while self._woken.poll():
            self._woken.recv_bytes()
            self._outbox.get_nowait()
        theirs = self._crossing.open(self._context) if self._crossing is not None else ""
        return ChildProcess(
            self._context, self._main, self._name, theirs, self._persona, self._config, self._clock
        )

    def _detach(self) -> None:
        if self._crossing is not None:
            self._crossing.detach()

    def _watch(self, child: ChildProcess) -> str:
        """Serve one child until it is lost or we stop; return why."""
        while True:
            try:
                ready = wait([child.connection, self._woken], _POLL_S)
                if child.connection in ready:
                    self._receive(child, child.connection.recv_bytes(_MAX_MESSAGE_BYTES))
                if self._woken in ready:
                    self._woken.recv_bytes()
                    child.connection.send_bytes(encode(self._outbox.get_nowait()))
            except (EOFError, OSError) as e:
                return child.describe_end(e)
            except ValueError as e:
                return str(e)
            if self._stop.is_set():
                return "stopped"
            if self._condemned:
                return self._condemned
            if child.silent_s > self._patience_s(child):
                return f"no sign of life for {child.silent_s:.1f} s"

    def _patience_s(self, child: ChildProcess) -> float:
        return self._limits.heartbeat_timeout_s if child.ready else self._limits.start_timeout_s

    def _receive(self, child: ChildProcess, data: bytes) -> None:
        event = self._parse(decode(data))
        child.sign()
        if isinstance(event, Ready):
            self._voices = event.voices
            child.ready = True
            self._state = "ready"
            self._tell_persona()
        if not isinstance(event, Alive):
            self._listener(event)

    def _tell_persona(self) -> None:
        """Send the wanted persona to a child that was started with another one."""
        child, name = self._child, self._persona
        if child is not None and child.ready and child.persona != name:
            child.persona = name
            self.send({"op": "persona", "name": name})

    def _ask_to_quit(self, child: ChildProcess) -> None:
        try:
            child.connection.send_bytes(encode({"op": "quit"}))
            child.process.join(timeout=_QUIT_GRACE_S)
        except OSError:
            log.debug("the %s was gone already", self._name)
