"""The two WebSockets: events with commands (JSON), and the live preview (binary packets)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from vcam_talker.control.commands import Commands
from vcam_talker.control.events import EventHub, Listener
from vcam_talker.control.guard import client_address, rate_refusal
from vcam_talker.control.models import (
    COMMAND,
    AskCommand,
    EmotionCommand,
    InterruptCommand,
    MuteCommand,
    PauseCommand,
    PersonaCommand,
    SayCommand,
)
from vcam_talker.control.problems import Refusal, refusal_of
from vcam_talker.control.ratelimit import RateLimiter
from vcam_talker.control.validation import explain
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.core.stages import Station

MAX_CLIENTS = 16
"""Of each socket. A preview costs a viewer's bandwidth each, about 1 MB/s."""
_TRY_AGAIN_LATER = 1013


class Sockets:
    """The endpoints and what they share."""

    def __init__(self, station: Station, commands: Commands, limiter: RateLimiter) -> None:
        self._station = station
        self._commands = commands
        self._limiter = limiter
        self._hub = EventHub(station)
        self._clients = {"events": 0, "preview": 0}

    async def events(self, socket: WebSocket) -> None:
        """Send events and the status; take commands, one after the other, and acknowledge each."""
        if not await self._enter(socket, "events"):
            return
        listener = self._hub.join()
        try:
            await _converse(self._take_commands(socket, listener), self._send_events(socket, listener))
        finally:
            self._hub.leave(listener)
            self._clients["events"] -= 1

    async def preview(self, socket: WebSocket) -> None:
        """Send picture and sound; whatever the client says is ignored."""
        if not await self._enter(socket, "preview"):
            return
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()

        def wake() -> None:
            # The loop may close while the encoder hands over its last packet.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(arrived.set)

        async def send() -> None:
            while True:
                await arrived.wait()
                arrived.clear()
                for packet in subscription.take():
                    await socket.send_bytes(packet)

        subscription = self._station.preview.subscribe(wake)
        try:
            await _converse(_ignore(socket), send())
        finally:
            subscription.close()
            self._clients["preview"] -= 1

    async def _enter(self, socket: WebSocket, kind: str) -> bool:
        await socket.accept()
        if self._clients[kind] >= MAX_CLIENTS:
            await socket.close(_TRY_AGAIN_LATER, f"{MAX_CLIENTS} clients are connected already")
            return False
        self._clients[kind] += 1
        return True

    async def _send_events(self, socket: WebSocket, listener: Listener) -> None:
        while True:
            await socket.send_text(await listener.get())

    async def _take_commands(self, socket: WebSocket, listener: Listener) -> None:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            # A binary message is no command: as an empty text it is refused as malformed.
            ack = await self._run(socket, message.get("text") or "")
            listener.put(json.dumps(ack, ensure_ascii=False))

    async def _run(self, socket: WebSocket, raw: str) -> dict[str, Any]:
        request_id: object = None
        try:
            wait_s = self._limiter.wait_s(client_address(socket.scope))
            request_id = _id_of(raw)
            if wait_s:
                raise rate_refusal(wait_s)
            result = await self._execute(raw)
        except ValidationError as e:
            refusal = explain(e.errors())
        except VcamTalkerError as e:
            refusal = refusal_of(e)
        except Refusal as e:
            refusal = e
        else:
            return {"event": "ack", "id": request_id, "ok": True, "result": result}
        return {"event": "ack", "id": request_id, "ok": False, **refusal.body}

    async def _execute(self, raw: str) -> dict[str, Any]:
        commands = self._commands
        match COMMAND.validate_json(raw):
            case SayCommand() as command:
                return asdict(await commands.say(command))
            case AskCommand() as command:
                return asdict(await commands.ask(command))
            case InterruptCommand() as command:
                return (await commands.interrupt(command)).model_dump()
            case PersonaCommand() as command:
                return asdict(await commands.persona(command))
            case MuteCommand() as command:
                return (await commands.mute(command)).model_dump()
            case PauseCommand() as command:
                return (await commands.pause(command)).model_dump()
            case EmotionCommand() as command:
                return (await commands.emotion(command)).model_dump()


def _id_of(raw: str) -> object:
    """Return the command's id, so that even a refused command is acknowledged by it."""
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    found = data.get("id") if isinstance(data, dict) else None
    return found if isinstance(found, int | str) else None


async def _ignore(socket: WebSocket) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return


async def _converse(listen: Coroutine[Any, Any, None], speak: Coroutine[Any, Any, None]) -> None:
    """Run both until the client has left, which ends `listen`. A client that left is no error."""
    try:
        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(speak)
            await listen
            speaking.cancel()
    except* WebSocketDisconnect:
        pass
