"""A language model's server on a raw socket, that does what it is told: stream, drip, lie, cut, hang."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

HEAD = "HTTP/1.1 {status} X\r\nconnection: keep-alive\r\n{headers}\r\n"


@dataclass
class Request:
    """What a client sent, and the way back to it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def head(self, status: int = 200, **headers: str) -> None:
        lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in headers.items())
        self.writer.write(HEAD.format(status=status, headers=lines).encode())

    def chunk(self, data: bytes) -> None:
        """Write one chunk of the chunked encoding; an empty one ends the body."""
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def whole(
        self, body: bytes, status: int = 200, content_type: str = "application/json", **headers: str
    ) -> None:
        self.head(status, content_type=content_type, content_length=str(len(body)), **headers)
        self.writer.write(body)

    async def client_gone(self) -> None:
        """Return when the client has closed the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1000):
                pass


Behaviour = Callable[[Request], Awaitable[None]]


class ResetError(Exception):
    """Raised by a behaviour: cut the connection, with a reset."""


class CloseError(Exception):
    """Raised by a behaviour: close the connection in order."""


@dataclass
class LlmServer:
    """Async context manager; `behave` answers POST /v1/chat/completions, `list_models` GET /v1/models."""

    behave: Behaviour
    models: tuple[str, ...] = ("little", "large")
    list_models: Behaviour | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """A client closed its connection."""

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def asked(self) -> list[Request]:
        """Requests for a completion."""
        return [r for r in self.requests if r.method == "POST"]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        self.open_connections += 1
        try:
            while (request := await self._read(reader, writer)) is not None:
                self.requests.append(request)
                await self._route(request)
                await writer.drain()
        except ResetError:
            writer.transport.abort()
        except (CloseError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            if reader.at_eof() or reader.exception() is not None:
                self.gone.set()
            self.open_connections -= 1
            writer.close()

    async def _route(self, request: Request) -> None:
        path = request.path.partition("?")[0]
        if path == "/v1/models":
            if self.list_models is not None:
                await self.list_models(request)
            else:
                request.whole(json.dumps({"data": [{"id": name} for name in self.models]}).encode())
        elif path == "/v1/chat/completions":
            await self.behave(request)
        else:
            request.whole(b'{"detail": "Not Found"}', 404)

    @staticmethod
    async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.decode().strip().split("\r\n")
        method, path, _ = first.split()
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Request(method, path, headers, body, reader, writer)


def event(data: object, newline: str = "\n") -> bytes:
    """Return one server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"data: {text}{newline}{newline}".encode()


def delta(content: object = None, finish: str | None = None, **more: object) -> dict[str, object]:
    """Return one chunk of a completion."""
    said = {**({} if content is None else {"content": content}), **more}
    return {"choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


def streams(*texts: str, finish: str | None = "stop", done: bool = True, newline: str = "\n") -> Behaviour:
    """Stream the texts properly and keep the connection open for the next question."""

    async def behave(request: Request) -> None:
        request.head(content_type="text/event-stream", transfer_encoding="chunked")
        request.chunk(event(delta(role="assistant", content=""), newline))
        for text in texts:
            request.chunk(event(delta(text), newline))
            await request.writer.drain()
        if finish:
            request.chunk(event(delta(finish=finish), newline))
        if done:
            request.chunk(event("[DONE]", newline))
        request.chunk(b"")

    return behave


def drips(*texts: str, wait_s: float = 0.0) -> Behaviour:
    """Stream byte by byte, so that letters are cut in the middle."""

    async def behave(request: Request) -> None:
        request.head(content_type="text/event-stream", connection="close")
        body = b"".join(event(delta(text)) for text in texts) + event(delta(finish="stop")) + event("[DONE]")
        for byte in body:
            request.writer.write(bytes((byte,)))
            await request.writer.drain()
            await asyncio.sleep(wait_s)
        raise CloseError

    return behave


def raw(body: bytes, content_type: str = "text/event-stream", status: int = 200, **headers: str) -> Behaviour:
    """Answer with a whole body of any kind."""

    async def behave(request: Request) -> None:
        request.whole(body, status, content_type, **headers)

    return behave


async def hangs(request: Request) -> None:
    """Never answer."""
    await request.client_gone()
    raise CloseError


def hangs_after(*texts: str) -> Behaviour:
    """Begin to answer, and then say nothing more."""

    async def behave(request: Request) -> None:
        request.head(content_type="text/event-stream", transfer_encoding="chunked")
        for text in texts:
            request.chunk(event(delta(text)))
        await request.writer.drain()
        await request.client_gone()
        raise CloseError

    return behave


def cuts_after(*texts: str, reset: bool = False) -> Behaviour:
    """Begin to answer, and then close the connection; `reset`: with an RST."""

    async def behave(request: Request) -> None:
        request.head(content_type="text/event-stream", transfer_encoding="chunked")
        for text in texts:
            request.chunk(event(delta(text)))
        await request.writer.drain()
        await asyncio.sleep(0.05)
        raise ResetError if reset else CloseError

    return behave


async def hangs_up(request: Request) -> None:
    """Close the connection before any answer."""
    del request
    raise ResetError


def endless(piece: bytes) -> Behaviour:
    """Send one piece again and again until the client goes."""

    async def behave(request: Request) -> None:
        request.head(content_type="text/event-stream", transfer_encoding="chunked")
        while True:
            request.chunk(piece)
            await request.writer.drain()
            await asyncio.sleep(0)

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Do one thing after another, one per question; the last one from then on."""
    left = list(behaviours)

    async def behave(request: Request) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(request)

    return behave
