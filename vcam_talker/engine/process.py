"""The engine's main loop: commands from air in, speech into the ring, events back.

Commands: `persona {name}`, `turn {turn, kind, text, user, emotion}`, `cancel {turn}`, `quit`.
Events: `ready`, `alive`, `persona`, `answer {turn, text}`, `sentence`, `words`, `made {turn}`, `failed`.
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
# Models compute in bursts; air's threads go first.
_NICE = 5


def engine_main(
    connection: Connection, ring_name: str, persona: str, voice_engine: str, log_level: str
) -> None:
    """Run the engine until air closes the pipe or says `quit`. Entry point of the child process."""
    # Ctrl+C in a terminal reaches the whole group; air decides when the engine ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s engine: %(message)s")
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
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

    async def run(self, persona: str) -> None:
        """Serve until the pipe closes."""
        commands: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._receive, args=(loop, commands.put_nowait), daemon=True).start()
        heartbeat = asyncio.create_task(self._heartbeat())
        try:
            self._load(persona)
            while (command := await commands.get()) is not None:
                if command["op"] == "quit":
                    break
                await self._obey(command)
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
            except (EOFError, OSError):
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

    def _load(self, name: str) -> None:
        try:
            persona = load_persona(name)
            self._worker = self._make_worker(persona)
        except VcamTalkerError as e:
            self._send({"op": "persona_failed", "name": name, "error": str(e)})
            return
        voice = self._worker.voice
        voice.warm_up()
        names = [f"{v.engine}:{v.name}" for s in self._synthesizers.values() for v in s.voices()]
        self._send(
            {"op": "ready", "persona": persona.name, "voices": names[:200], "warnings": list(voice.warnings)}
        )

    def _make_worker(self, persona: Persona) -> TurnWorker:
        for name in registry.ENGINES["synthesizer"]:
            if name not in self._synthesizers:
                self._synthesizers[name] = registry.find("synthesizer", name)()
        voice = Voice(self._synthesizers, persona, self._voice_engine)
        responder = registry.find("responder", "script")(persona)
        return TurnWorker(persona, responder, voice, Speaker(self._ring, voice, self._driver), self._send)

    async def _obey(self, command: dict[str, Any]) -> None:
        match command["op"]:
            case "persona":
                await self._stop_turn()
                self._load(command["name"])
            case "turn":
                await self._stop_turn()
                self._start(TurnRequest.from_message(command))
            case "cancel":
                # The receiving thread has marked the turn dead; what waits for a token must be woken.
                if self._worker is not None and self._live == NO_TURN:
                    self._worker.abort()
            case other:
                log.warning("unknown command %r", other)

    def _start(self, request: TurnRequest) -> None:
        if self._worker is None:
            self._send({"op": "failed", "turn": request.turn, "error": "no persona is loaded"})
            return
        worker = self._worker
        self._live = request.turn
        self._task = asyncio.create_task(worker.run(request, lambda: self._live != request.turn))

    def _cancel(self, turn: TurnId) -> None:
        if self._live <= turn:
            self._live = NO_TURN

    async def _stop_turn(self) -> None:
        self._live = NO_TURN
        if self._task is not None:
            if self._worker is not None:
                self._worker.abort()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
