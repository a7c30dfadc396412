"""The engine's main loop: commands from air in, speech into the ring, events back.

Commands: `persona {name}`, `turn {turn, kind, text, user, emotion, room, history, remembered}`,
`cancel {turn}`, `quit`.
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
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from vcam_talker import registry
from vcam_talker.cache.phrases import PhraseCache
from vcam_talker.config import Config
from vcam_talker.core.clock import SystemClock
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.core.ring import Ring
from vcam_talker.core.status import CacheView
from vcam_talker.core.types import NO_TURN, TurnId
from vcam_talker.core.wire import decode, encode
from vcam_talker.engine.presenter import Presenter
from vcam_talker.engine.turn import TurnRequest
from vcam_talker.persona import Persona, load_persona

log = logging.getLogger(__name__)

HEARTBEAT_S = 0.25
_CACHE_BEATS = 4
# The kernel's out-of-memory killer takes the process with the higher score; air must survive.
_OOM_SCORE = "800"
_NO_PERSONA, _BROKEN = 3, 1
# Models compute in bursts; air's threads go first.
_NICE = 5


def engine_main(connection: Connection, ring_name: str, persona: str, config: Config) -> None:
    """Run the engine until air closes the pipe or says `quit`. Entry point of the child process."""
    # Ctrl+C and a service manager reach the whole group; air decides when the engine ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.basicConfig(
        level=config.log_level.upper(), format="%(asctime)s %(levelname)s engine: %(message)s"
    )
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
    ring = Ring.attach(ring_name)
    try:
        asyncio.run(_Engine(connection, ring, config).run(persona))
    finally:
        ring.close()


class _Engine:
    """State of the child: persona, voice, the turn in work."""

    def __init__(self, connection: Connection, ring: Ring, config: Config) -> None:
        self._connection = connection
        self._ring = ring
        self._config = config
        self._send_lock = threading.Lock()
        self._synthesizers: dict[str, Any] = {}
        self._cache: PhraseCache | None = None
        self._presenter: Presenter | None = None
        self._task: asyncio.Task[None] | None = None
        self._live = NO_TURN
        self._dead_up_to = NO_TURN
        self._commands: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._broken = False
        self._told: CacheView | None = None

    async def run(self, persona: str) -> None:
        """Serve until the pipe closes. Raises SystemExit when it can't serve: air starts another engine."""
        commands = self._commands
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._receive, args=(loop, commands.put_nowait), daemon=True).start()
        heartbeat = asyncio.create_task(self._heartbeat())
        if self._config.cache.enabled:
            self._cache = PhraseCache(self._config.cache)
            self._cache.start()
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
            if self._presenter is not None:
                await self._presenter.close()
            for synthesizer in self._synthesizers.values():
                synthesizer.close()
            if self._cache is not None:
                self._cache.close()

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
        beats = 0
        while True:
            self._send({"op": "alive"})
            await asyncio.sleep(HEARTBEAT_S)
            beats += 1
            if beats % _CACHE_BEATS == 0:
                self._tell_cache()

    def _tell_cache(self) -> None:
        """Send the cache's figures if they have changed."""
        if self._cache is None:
            return
        warmer = self._presenter.warmer if self._presenter else None
        view = self._cache.stats(warmer.warmed, warmer.to_warm) if warmer else self._cache.stats()
        if view != self._told:
            self._told = view
            self._send({"op": "cache", "view": asdict(view)})

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
            presenter = await asyncio.to_thread(self._make, persona)
        except VcamTalkerError as e:
            self._send({"op": "persona_failed", "error": str(e)})
            return False
        before, self._presenter = self._presenter, presenter
        if before is not None:
            await before.close()
        names = [f"{v.engine}:{v.name}" for s in self._synthesizers.values() for v in s.voices()]
        warnings = list(presenter.voice.warnings)
        self._send({"op": "ready", "persona": persona.name, "voices": names[:200], "warnings": warnings})
        await presenter.start()
        return True

    def _make(self, persona: Persona) -> Presenter:
        for name in registry.ENGINES["synthesizer"]:
            if name not in self._synthesizers:
                self._synthesizers[name] = registry.find("synthesizer", name)()
        return Presenter(
            persona, self._config, self._ring, self._synthesizers, self._cache, SystemClock(), self._send
        )

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
                if self._presenter is not None and self._live <= self._dead_up_to:
                    self._presenter.worker.abort()
            case other:
                log.warning("unknown command %r", other)

    def _start(self, request: TurnRequest) -> None:
        if self._presenter is None:
            self._send({"op": "failed", "turn": request.turn, "error": "no persona is loaded"})
            return
        presenter = self._presenter
        presenter.hold()
        self._live = request.turn

        def cancelled() -> bool:
            return self._live != request.turn or request.turn <= self._dead_up_to

        self._task = asyncio.create_task(presenter.worker.run(request, cancelled))
        self._task.add_done_callback(lambda task: self._on_done(task, presenter, request.turn))

    def _on_done(self, task: asyncio.Task[None], presenter: Presenter, turn: TurnId) -> None:
        """End the engine after a fault of its own: the next one is whole."""
        presenter.resume()
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
            if self._presenter is not None:
                self._presenter.worker.abort()
            await asyncio.wait([self._task])
            self._task = None
