"""Viewers' lines from anywhere: POST /api/chat, and a WebSocket of the same address for bridges.

Frames are paced in this process: a flood is dropped before it is parsed, and lines travel on in batches.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from vcam_talker.control.models import Request
from vcam_talker.control.problems import ErrorBody, Refusal
from vcam_talker.control.validation import explain
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.core.stages import Station
from vcam_talker.core.types import ChatLine

log = logging.getLogger(__name__)

LINES_PER_S: Final = 200.0
"""Of all bridges together; what the filters look at is less, see `chat.lines_per_s`."""
MAX_LINES: Final = 200
"""In one request or message."""
_BATCH_S: Final = 0.05
_MAX_CLIENTS: Final = 8
_TELL_S: Final = 1.0
_TRY_AGAIN_LATER: Final = 1013


class ChatLineRequest(Request):
    """A viewer's line."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user": "ada", "text": "What's your name?", "room": "bilibili"}]}
    )
    user: str = Field("", max_length=100)
    text: str = Field(min_length=1, max_length=20_000)
    room: str = Field("", max_length=60)
    id: str = Field("", max_length=100, description="Unique: a line that comes twice is answered once.")
    user_id: str = Field("", max_length=100, description="Stays when the name changes.")

    def line(self) -> ChatLine:
        """Return it as the chat takes it."""
        return ChatLine(self.user, self.text, self.room, self.id, self.user_id)


class ChatResult(Request):
    """What became of the lines."""

    accepted: int
    """Handed to the filters, which may still drop them: `status` counts by reason."""
    dropped: int = 0
    """More came than are looked at."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


Lines = Annotated[list[ChatLineRequest], BeforeValidator(_as_list), Field(min_length=1, max_length=MAX_LINES)]
"""One line, or a list of them."""
_LINES: Final[TypeAdapter[list[ChatLineRequest]]] = TypeAdapter(Lines)


class ChatIntake:
    """A token bucket before, and a batch behind. Used on the control loop."""

    def __init__(self, station: Station, now_s: Callable[[], float] = time.monotonic) -> None:
        self._station = station
        self._now_s = now_s
        self._level = self._burst = 2 * LINES_PER_S
        self._seen_s = now_s()
        self._waiting: list[ChatLine] = []
        self._sending: asyncio.Task[None] | None = None

    def allow(self, count: int) -> int:
        """Return how many of `count` lines may pass now."""
        now_s = self._now_s()
        self._level = min(self._burst, self._level + (now_s - self._seen_s) * LINES_PER_S)
        self._seen_s = now_s
        allowed = min(count, int(self._level))
        self._level -= allowed
        return allowed

    async def post(self, lines: list[ChatLineRequest]) -> ChatResult:
        """Hand lines over at once. Raises VcamTalkerError."""
        allowed = self.allow(len(lines))
        if allowed:
            await self._station.chat([line.line() for line in lines[:allowed]])
        return ChatResult(accepted=allowed, dropped=len(lines) - allowed)

    def put(self, lines: list[ChatLineRequest]) -> None:
        """Queue lines that `allow` has let pass; they go on within 50 ms, many at once."""
        self._waiting += [line.line() for line in lines]
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send())

    async def drained(self) -> None:
        """Wait until what was queued has gone on."""
        if self._sending is not None:
            await self._sending

    async def _send(self) -> None:
        await asyncio.sleep(_BATCH_S)
        lines, self._waiting = self._waiting, []
        self._sending = None
        try:
            for first in range(0, len(lines), MAX_LINES):
                await self._station.chat(lines[first : first + MAX_LINES])
        except VcamTalkerError as e:
            log.debug("%d lines are lost: %s", len(lines), e)


def chat_router(station: Station) -> APIRouter:
    """Return the routes; the guard stands before them as before all others."""
    router = APIRouter()
    intake = ChatIntake(station)
    clients = 0

    refusals: dict[int | str, dict[str, object]] = {s: {"model": ErrorBody} for s in (401, 403, 422, 503)}

    @router.post("/api/chat", status_code=202, responses=refusals)
    async def chat(request: Lines) -> ChatResult:
        """Take one viewer's line, or a list of up to 200, as a live chat's: filtered, behind the owner's."""
        return await intake.post(request)

    @router.websocket("/api/chat")
    async def chat_socket(socket: WebSocket) -> None:
        nonlocal clients
        await socket.accept()
        if clients >= _MAX_CLIENTS:
            await socket.close(_TRY_AGAIN_LATER, f"{_MAX_CLIENTS} bridges are connected already")
            return
        clients += 1
        try:
            await _converse(socket, intake)
        except WebSocketDisconnect:
            log.debug("a chat bridge has left")
        finally:
            clients -= 1

    return router


async def _converse(socket: WebSocket, intake: ChatIntake) -> None:
    """Take messages until the client leaves; only what is refused or dropped is answered."""
    dropped = 0
    told_s = 0.0
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if not intake.allow(1):
            dropped += 1
        elif (refusal := _take(message.get("text") or "", intake)) is not None:
            await socket.send_json({"event": "refused", **refusal.body})
        if dropped and time.monotonic() - told_s >= _TELL_S:
            await socket.send_json({"event": "dropped", "messages": dropped})
            dropped, told_s = 0, time.monotonic()


def _take(raw: str, intake: ChatIntake) -> Refusal | None:
    try:
        lines = _LINES.validate_json(raw)
    except ValidationError as e:
        return explain(e.errors())
    # One was paid for before it was parsed.
    intake.put(lines[: 1 + intake.allow(len(lines) - 1)])
    return None
