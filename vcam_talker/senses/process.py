"""The senses' main loop: commands from air in, what was heard and read back.

Commands: `persona {name}`, `presenter {speaking, text}`, `chat {lines}`, `quit`. Events: see core/intake.py.
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
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from vcam_talker import registry
from vcam_talker.chat.hub import ChatHub
from vcam_talker.config import Config
from vcam_talker.core.clock import SystemClock
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.core.events import Alive, Ready
from vcam_talker.core.hearing import EarsEvent
from vcam_talker.core.intake import ChatAdmitted, ChatWithdrawn, SensesEvent, SensesState, pack
from vcam_talker.core.stages import ChatSource
from vcam_talker.core.status import ChatView, EarsView
from vcam_talker.core.types import ChatLine, ChatMessage
from vcam_talker.core.wire import decode, encode
from vcam_talker.persona import Persona, load_persona

if TYPE_CHECKING:
    from vcam_talker.senses.ears import Ears

log = logging.getLogger(__name__)

HEARTBEAT_S = 0.25
_STATE_BEATS = 2
_OOM_SCORE = "600"
# Behind picture and sound, before the brain: a voice that cuts in must be noticed while the brain computes.
_NICE = 2
_LINES = TypeAdapter(list[ChatLine])


def senses_main(connection: Connection, ring_name: str, persona: str, config: Config) -> None:
    """Run until air closes the pipe or says `quit`. Entry point of the child process."""
    del ring_name  # the senses make no speech
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    log_format = "%(asctime)s %(levelname)s senses: %(message)s"
    logging.basicConfig(level=config.log_level.upper(), format=log_format)
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
    asyncio.run(_Senses(connection, config).run(persona))


class _Senses:
    """Ears and chat of one persona."""

    def __init__(self, connection: Connection, config: Config) -> None:
        self._connection = connection
        self._config = config
        self._send_lock = threading.Lock()
        self._commands: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._ears: Ears | None = None
        self._hub: ChatHub | None = None
        self._chatting: asyncio.Task[None] | None = None
        self._told: SensesState | None = None

    async def run(self, persona: str) -> None:
        """Serve until the pipe closes."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._receive, args=(loop, self._commands.put_nowait), daemon=True).start()
        heartbeat = asyncio.create_task(self._heartbeat())
        try:
            await self._load(persona)
            while (command := await self._commands.get()) is not None and command["op"] != "quit":
                await self._obey(command)
        finally:
            heartbeat.cancel()
            await self._unload()

    async def _load(self, name: str) -> None:
        """Listen as `name`: its language, its name. The engine tells of one that can't be loaded."""
        try:
            persona = await asyncio.to_thread(load_persona, name)
        except VcamTalkerError as e:
            log.warning("%s", e)
        else:
            await self._unload()
            self._start(persona)
        self._send(Ready(name, (), ()))

    def _start(self, persona: Persona) -> None:
        config = self._config
        if config.ears.mode != "off":
            from vcam_talker.senses.ears import Ears

            language = config.ears.language or persona.language
            self._ears = Ears(config.ears, language, config.microphone, self._hear)
            self._ears.start()
        if config.chat.enabled:
            names = (persona.title, persona.name)
            self._hub = ChatHub(config.chat, names, self._admit, SystemClock(), self._withdraw, self._sources)
            self._chatting = asyncio.create_task(self._hub.run())

    def _sources(self, withdraw: Callable[[str, str, str], None]) -> list[ChatSource]:
        found: list[ChatSource] = []
        if self._config.chat.twitch.channel:
            found.append(registry.find("chat_source", "twitch")(self._config.chat.twitch, withdraw))
        return found

    async def _unload(self) -> None:
        if self._ears is not None:
            await asyncio.to_thread(self._ears.close)
            self._ears = None
        if self._chatting is not None:
            self._chatting.cancel()
            await asyncio.wait([self._chatting])
            self._chatting = self._hub = None

    async def _obey(self, command: dict[str, Any]) -> None:
        match command["op"]:
            case "persona":
                await self._load(command["name"])
            case "presenter" if self._ears is not None:
                self._ears.presenter(speaking=command["speaking"], text=command["text"])
            case "chat" if self._hub is not None:
                self._hub.push(_LINES.validate_python(command["lines"]))

    def _receive(self, loop: asyncio.AbstractEventLoop, put: Callable[[dict[str, Any] | None], None]) -> None:
        """Thread: hand every command to the loop; None when air is gone."""
        with contextlib.suppress(RuntimeError):  # the loop has closed
            try:
                while True:
                    loop.call_soon_threadsafe(put, decode(self._connection.recv_bytes()))
            except (EOFError, OSError, ValueError):
                loop.call_soon_threadsafe(put, None)

    async def _heartbeat(self) -> None:
        beats = 0
        while True:
            self._send(Alive())
            await asyncio.sleep(HEARTBEAT_S)
            beats += 1
            if beats % _STATE_BEATS == 0:
                self._tell_state()

    def _tell_state(self) -> None:
        ears = self._ears.view() if self._ears else EarsView()
        state = SensesState(ears, self._hub.view() if self._hub else ChatView())
        if state != self._told:
            self._told = state
            self._send(state)

    def _hear(self, event: EarsEvent) -> None:
        """Tell air at once; any thread."""
        self._send(event)

    def _admit(self, message: ChatMessage) -> None:
        self._send(ChatAdmitted(message))

    def _withdraw(self, platform: str, message_id: str, user_id: str) -> None:
        self._send(ChatWithdrawn(platform, message_id, user_id))

    def _send(self, event: SensesEvent) -> None:
        """Send from any thread. When air is gone there is nothing left to do here."""
        try:
            with self._send_lock:
                self._connection.send_bytes(encode(pack(event)))
        except (BrokenPipeError, OSError):
            os._exit(0)
