"""A chat server that talks as Twitch does: tags, /me, moderation, RECONNECT, refusals; on a loopback port."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from types import TracebackType
from typing import Literal, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Manner = Literal["join", "refuse", "suspended", "silent", "deaf", "closed", "negotiates"]


class TwitchServer:
    """Async context manager; `manner` is how it treats who comes, and may change while it runs."""

    def __init__(self, manner: Manner = "join", tls: ssl.SSLContext | None = None) -> None:
        self.manner: Manner = manner
        self.url = ""
        self.heard: list[str] = []
        self.connections = 0
        self._tls = tls
        self._inside: set[ServerConnection] = set()
        self._numbers = itertools.count(1)
        self._joined = asyncio.Event()
        self._news = asyncio.Condition()
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(self._serve, "127.0.0.1", 0, ssl=self._tls, compression=None)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"ws{'s' if self._tls else ''}://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def wait_inside(self, timeout_s: float = 20.0) -> None:
        """Wait until somebody is in the channel."""
        async with asyncio.timeout(timeout_s):
            await self._joined.wait()

    async def wait_heard(self, line: str, timeout_s: float = 20.0) -> None:
        """Wait until a client has sent `line`."""
        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(lambda: line in self.heard)

    async def send(self, raw: str | bytes) -> None:
        """Send text as it is to everybody inside."""
        for socket in list(self._inside):
            await socket.send(raw, text=True) if isinstance(raw, bytes) else await socket.send(raw)

    async def privmsg(self, text: str, user: str = "Ada", **tags: str) -> None:
        """Send a viewer's line with the tags that Twitch gives."""
        await self.send(privmsg(text, user, **{"id": f"m-{next(self._numbers)}", **tags}))

    async def drop(self, code: int = 1001) -> None:
        """Close every connection."""
        for socket in list(self._inside):
            await socket.close(code)

    def cut(self) -> None:
        """Reset every connection, without a farewell."""
        for socket in list(self._inside):
            socket.transport.abort()

    async def _serve(self, socket: ServerConnection) -> None:
        self.connections += 1
        if self.manner == "closed":
            return
        try:
            async for data in socket:
                for line in str(data).splitlines():
                    self.heard.append(line)
                    async with self._news:
                        self._news.notify_all()
                    await self._answer(socket, line)
        except ConnectionClosed:
            pass
        finally:
            self._inside.discard(socket)
            if not self._inside:
                self._joined.clear()

    async def _answer(self, socket: ServerConnection, line: str) -> None:
        command, _, rest = line.partition(" ")
        if self.manner == "deaf":
            return
        if command == "CAP" and self.manner == "negotiates":
            await socket.send(
                ":tmi.twitch.tv CAP * NAK :twitch.tv/tags twitch.tv/commands\r\n"
                if rest != "END"
                else ":tmi.twitch.tv 001 nick :Welcome\r\n"
            )
        elif command == "NICK" and self.manner != "negotiates":
            await socket.send(f":tmi.twitch.tv 001 {rest} :Welcome, GLHF!\r\n")
        elif command == "PING":
            await socket.send(f":tmi.twitch.tv PONG tmi.twitch.tv {rest}\r\n")
        elif command == "JOIN":
            await self._enter(socket, rest)

    async def _enter(self, socket: ServerConnection, channel: str) -> None:
        match self.manner:
            case "refuse":
                await socket.send(f":tmi.twitch.tv 403 justinfan {channel} :No such channel\r\n")
            case "suspended":
                notice = "This channel does not exist or has been suspended."
                await socket.send(
                    f"@msg-id=msg_channel_suspended :tmi.twitch.tv NOTICE {channel} :{notice}\r\n"
                )
            case "join" | "negotiates":
                await socket.send(
                    f":justinfan!justinfan@justinfan.tmi.twitch.tv JOIN {channel}\r\n"
                    f"@emote-only=0;room-id=1;slow=0 :tmi.twitch.tv ROOMSTATE {channel}\r\n"
                )
                self._inside.add(socket)
                self._joined.set()


def privmsg(text: str, user: str = "Ada", channel: str = "mira", **tags: str) -> str:
    """Return a viewer's line as Twitch sends it; tags are named with `_` for `-`."""
    given = {"badges": "", "display_name": user, "user_id": f"id-{user}", **tags}
    written = ";".join(f"{key.replace('_', '-')}={value}" for key, value in given.items())
    nick = user.lower()
    return f"@{written} :{nick}!{nick}@{nick}.tmi.twitch.tv PRIVMSG #{channel} :{text}\r\n"
