"""The engine's main loop: commands from air in, speech into the ring, events back.

Commands: `persona {name}`, `turn {turn, kind, text, user, emotion}`, `cancel {turn}`, `quit`.
Events: see core/events.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from vcam_talker import registry
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.core.ring import Ring
from vcam_talker.core.types import NO_TURN, TurnId
from vcam_talker.core.wire import decode, encode
from vcam_talker.engine.speaker import Speaker
from vcam_talker.engine.turn import TurnRequest, TurnWorker
from vcam_talker.persona import Persona, load_persona
from vcam_talker.tts.voice import Voice

log = logging.getLogger(__name__)

HEARTBEAT_S = 0.25
# The kernel's out-of-memory killer takes the process with the higher score; air must survive.
_OOM_SCORE = "800"
_NO_PERSONA, _BROKEN = 3, 1
# Models compute in bursts; air's threads go first.
_NICE = 5


def engine_main(
    connection: Connection, ring_name: str, persona: str, voice_engine: str, log_level: str
) -> None:
    """Run the engine until air closes the pipe or says `quit`. Entry point of the child process."""
    # Ctrl+C and a service manager reach the whole group; air decides when the engine ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s engine: %(message)s")
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
    ring = Ring.attach(ring_name)
    try:
        asyncio.run(_Engine(connection, ring, voice_engine).run(persona))
    finally:
        ring.close()


class _Engine:
    """State of the child: persona, voice, the turn in work."""

    def __init__(self, connection: Connection, ring: Ring, voice_engine: str) -> None:
        self._connection = connection
        self._ring = ring
        self._voice_engine = voice_engine
        self._send_lock = threading.Lock()
        self._synthesizers: dict[str, Any] = {}
        self._driver = registry.find("face_driver", "phonemes")()
        self._worker: TurnWorker | None = None
        self._task: asyncio.Task[None] | None = None
        self._live = NO_TURN
        self._dead_up_to = NO_TURN
        self._commands: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._broken = False

    async def run(self, persona: str) -> None:
        """Serve until the pipe closes. Raises SystemExit when it can't serve: air starts another engine."""
        commands = self._commands
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._receive, args=(loop, commands.put_nowait), daemon=True).start()
        heartbeat = asyncio.create_task(self._heartbeat())
        try:
            if not await self._load(persona):
                raise SystemExit(_NO_PERSONA)
            while (command := await commands.get()) is not None:
                if command["op"] == "quit":
                    break
                await self._obey(command)
            if self._broken:
                raise SystemExit(_BROKEN)
        finally:
            heartbeat.cancel()
            await self._stop_turn()
            for synthesizer in self._synthesizers.values():
                synthesizer.close()

    def _receive(self, loop: asyncio.AbstractEventLoop, put: Callable[[dict[str, Any] | None], None]) -> None:
        """Thread: hand every command to the loop; None when air is gone."""
        with contextlib.suppress(RuntimeError):  # the loop has closed
            try:
                while True:
                    command = decode(self._connection.recv_bytes())
                    if command["op"] == "cancel":
                        # Takes effect at once, even while the loop is busy.
                        self._cancel(TurnId(command["turn"]))
                    loop.call_soon_threadsafe(put, command)
            except (EOFError, OSError, ValueError, KeyError, TypeError):
                # Air is gone, or says what it can't have meant: better no engine than a deaf one.
                loop.call_soon_threadsafe(put, None)

    async def _heartbeat(self) -> None:
        while True:
            self._send({"op": "alive"})
            await asyncio.sleep(HEARTBEAT_S)

    def _send(self, event: dict[str, Any]) -> None:
        """Send from any thread. When air is gone there is nothing left to do here."""
        try:
            with self._send_lock:
                self._connection.send_bytes(encode(event))
        except (BrokenPipeError, OSError):
            os._exit(0)

    async def _load(self, name: str) -> bool:
        """Load a persona beside the loop, so that heartbeats go on; return whether it could be."""
        try:
            persona = await asyncio.to_thread(load_persona, name)
            self._worker = await asyncio.to_thread(self._make_worker, persona)
        except VcamTalkerError as e:
            self._send({"op": "persona_failed", "error": str(e)})
            return False
        voice = self._worker.voice
        names = [f"{v.engine}:{v.name}" for s in self._synthesizers.values() for v in s.voices()]
        self._send(
            {"op": "ready", "persona": persona.name, "voices": names[:200], "warnings": list(voice.warnings)}
        )
        return True

    def _make_worker(self, persona: Persona) -> TurnWorker:
        for name in registry.ENGINES["synthesizer"]:
            if name not in self._synthesizers:
                self._synthesizers[name] = registry.find("synthesizer", name)()
        voice = Voice(self._synthesizers, persona, self._voice_engine)
        voice.warm_up()
        responder = registry.find("responder", "script")(persona)
        return TurnWorker(persona, responder, voice, Speaker(self._ring, voice, self._driver), self._send)

    async def _obey(self, command: dict[str, Any]) -> None:
        match command["op"]:
            case "persona":
                await self._stop_turn()
                await self._load(command["name"])
            case "turn":
                await self._stop_turn()
                self._start(TurnRequest.from_message(command))
            case "cancel":
                # The receiving thread has marked the turn dead; what waits for a token must be woken.
                if self._worker is not None and self._live <= self._dead_up_to:
                    self._worker.abort()
            case other:
                log.warning("unknown command %r", other)

    def _start(self, request: TurnRequest) -> None:
        if self._worker is None:
            self._send({"op": "failed", "turn": request.turn, "error": "no persona is loaded"})
            return
        worker = self._worker
        self._live = request.turn

        def cancelled() -> bool:
            return self._live != request.turn or request.turn <= self._dead_up_to

        self._task = asyncio.create_task(worker.run(request, cancelled))
        self._task.add_done_callback(lambda task: self._on_done(task, request.turn))

    def _on_done(self, task: asyncio.Task[None], turn: TurnId) -> None:
        """End the engine after a fault of its own: the next one is whole."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("turn %d failed", turn, exc_info=error)
        self._send({"op": "failed", "turn": turn, "error": f"internal fault: {error!r}"})
        self._broken = True
        self._commands.put_nowait(None)

    def _cancel(self, turn: TurnId) -> None:
        # The command that starts this very turn may still wait for the loop.
        self._dead_up_to = TurnId(max(self._dead_up_to, turn))

    async def _stop_turn(self) -> None:
        self._live = NO_TURN
        if self._task is not None:
            if self._worker is not None:
                self._worker.abort()
            await asyncio.wait([self._task])
            self._task = None
