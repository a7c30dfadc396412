"""Twitch, read without an account: IRC over WebSocket as the anonymous user `justinfan`.

https://dev.twitch.tv/docs/chat/irc/
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import ssl
from collections.abc import AsyncGenerator, Callable
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Origin

from vcam_talker.chat.irc import IrcMessage, parse_line, split_lines
from vcam_talker.config import TwitchConfig
from vcam_talker.core.errors import SourceError
from vcam_talker.core.text import clean_name
from vcam_talker.core.trust import default_trust
from vcam_talker.core.types import ChatLine, Role

_OPEN_TIMEOUT_S: Final = 10.0
_JOIN_TIMEOUT_S: Final = 10.0
_PING_EVERY_S: Final = 45.0
_PONG_WITHIN_S: Final = 10.0
_MAX_MESSAGE_BYTES: Final = 256 * 1024
_CAPABILITIES: Final = "twitch.tv/tags twitch.tv/commands"
_REFUSED: Final = frozenset(("403", "405", "471", "473", "474", "475"))
_REGISTERED: Final = frozenset(("ACK", "NAK"))
_CHEER: Final = re.compile(r"(?<!\S)[A-Za-z]{2,25}\d{1,7}(?!\S)")
"""`Cheer100`: a picture with a sum; only in lines that come with bits."""
_PLACES: Final = re.compile(r"[:,]([0-9]{1,5})-([0-9]{1,5})")
_BAD_CHANNEL: Final = frozenset(("msg_channel_suspended", "msg_banned", "tos_ban", "invalid_channel"))

Withdraw = Callable[[str, str, str], None]
"""Learns of (platform, message id, user id) that a moderator removed; both ids empty: the whole chat."""


class TwitchSource:
    """One channel. Lives on the event loop; every call of `lines` is a connection of its own."""

    platform = "twitch"

    def __init__(
        self,
        config: TwitchConfig,
        withdraw: Withdraw,
        trust: ssl.SSLContext | None = None,
        ping_every_s: float = _PING_EVERY_S,
    ) -> None:
        """`trust`: whose certificates are taken; None: the system's."""
        self._config = config
        self._withdraw = withdraw
        self._trust = trust
        self._ping_every_s = ping_every_s
        self._nick = ""

    @property
    def name(self) -> str:
        """Platform and channel."""
        return f"twitch #{self._config.channel}"

    async def lines(self, joined: Callable[[], None] = lambda: None) -> AsyncGenerator[ChatLine, None]:
        """Yield the channel's lines; `joined` is called once they can come. Raises SourceError."""
        secure = self._config.url.startswith("wss://")
        reached = False
        try:
            async with connect(
                self._config.url,
                # Some servers let nobody in without one; the address itself, as from a page of its own.
                origin=Origin(self._config.url.replace("ws", "http", 1)),
                ssl=(self._trust or default_trust()) if secure else None,
                open_timeout=_OPEN_TIMEOUT_S,
                # The server itself is asked instead, see _read.
                ping_interval=None,
                close_timeout=1.0,
                max_size=_MAX_MESSAGE_BYTES,
                # A reader that is behind holds the server back instead of filling the memory.
                max_queue=16,
                compression=None,
                proxy=None,
            ) as socket:
                reached = True
                self._nick = await _enter(socket)
                async for line in self._read(socket, joined):
                    yield line
        except (OSError, TimeoutError, WebSocketException) as e:
            what = "the connection was lost" if reached else "the server can't be reached"
            raise SourceError(self.name, f"{what} ({_words(e)})") from e

    async def _read(
        self, socket: ClientConnection, joined: Callable[[], None]
    ) -> AsyncGenerator[ChatLine, None]:
        inside = False
        loop = asyncio.get_running_loop()
        heard_s = entered_s = loop.time()
        pinged = False
        while True:
            limit_s = self._ping_every_s if inside else _JOIN_TIMEOUT_S
            try:
                async with asyncio.timeout(_PONG_WITHIN_S if pinged else limit_s):
                    # As bytes: text that is no UTF-8 must not end the connection.
                    data = await socket.recv(decode=False)
            except TimeoutError:
                if pinged:
                    raise SourceError(self.name, f"silent for {loop.time() - heard_s:.0f} s") from None
                # The server's own answer is asked for: a proxy between may answer WebSocket pings for ever.
                await _send(socket, "PING :vcam_talker")
                pinged = True
                continue
            except ConnectionClosed as e:
                raise SourceError(self.name, f"the server closed the connection ({_words(e)})") from e
            heard_s, pinged = loop.time(), False
            for raw in split_lines(data.decode("utf-8", errors="replace")):
                message = parse_line(raw)
                if message is None:
                    continue
                if not inside:
                    inside = await self._join(socket, message)
                    if inside:
                        joined()
                    elif loop.time() - entered_s > _JOIN_TIMEOUT_S:
                        raise SourceError(self.name, "the server did not let us in")
                line = await self._take(socket, message)
                if line is not None:
                    yield line

    async def _join(self, socket: ClientConnection, message: IrcMessage) -> bool:
        """Answer the steps of the welcome; return whether we are in the channel now."""
        match message.command:
            case "CAP" if message.params[1:2] and message.params[1].upper() in _REGISTERED:
                # Twitch does without, other servers wait for it.
                await _send(socket, "CAP END")
            case "001":
                await _send(socket, f"JOIN #{self._config.channel}")
            case "JOIN" | "366" | "ROOMSTATE":
                return True
            case code if code in _REFUSED:
                why = f"the server refuses the channel ({clean_name(message.text, 100)})"
                raise SourceError(self.name, why, "Check chat.twitch.channel")
        return False

    async def _take(self, socket: ClientConnection, message: IrcMessage) -> ChatLine | None:
        tags = message.tags
        match message.command:
            case "PING":
                await _send(socket, f"PONG :{message.text}")
            case "RECONNECT":
                raise SourceError(self.name, "the server asked to connect anew")
            case "NOTICE" if tags.get("msg-id") in _BAD_CHANNEL:
                raise SourceError(self.name, clean_name(message.text, 200), "Check chat.twitch.channel")
            case "ERROR":
                raise SourceError(self.name, f"the server said: {clean_name(message.text, 200)}")
            case "KICK" if self._nick in message.params[1:2]:
                raise SourceError(self.name, f"we were sent away ({clean_name(message.text, 100)})")
            case "CLEARCHAT":
                # Without tags it names the viewer; only without a name the whole chat is meant.
                user = tags.get("target-user-id") or "".join(message.params[1:2])
                self._withdraw(self.platform, "", user)
            case "CLEARMSG" if number := tags.get("target-msg-id"):
                self._withdraw(self.platform, number, "")
            # Not what somebody writes to us alone: no moderator sees it.
            case "PRIVMSG" if len(message.params) > 1 and message.params[0][:1] == "#":
                text = _said(message.text)
                if text is None:
                    return None
                text = _without_pictures(text, tags)
                if not text:
                    return None
                return ChatLine(
                    tags.get("display-name") or message.nick,
                    text,
                    message.params[0].lstrip("#"),
                    tags.get("id", ""),
                    tags.get("user-id") or message.nick,
                    _role(tags),
                )
        return None


async def _enter(socket: ClientConnection) -> str:
    """Introduce ourselves; return the name."""
    nick = f"justinfan{random.randint(10_000, 99_999)}"
    # One line a message, without its end: https://ircv3.net/specs/extensions/websocket
    for line in (f"CAP REQ :{_CAPABILITIES}", f"NICK {nick}", f"USER {nick} 8 * :{nick}"):
        await _send(socket, line)
    return nick


async def _send(socket: ClientConnection, line: str) -> None:
    """Send a line. Raises TimeoutError when the server takes nothing any more."""
    async with asyncio.timeout(_PONG_WITHIN_S):
        await socket.send(line)


def _said(text: str) -> str | None:
    """Return what a line says, a `/me` line too; None for other client-to-client commands."""
    if not text.startswith("\x01"):
        return text
    command, _, rest = text.strip("\x01").partition(" ")
    return rest if command == "ACTION" else None


def _without_pictures(text: str, tags: dict[str, str]) -> str:
    """Return `text` without emotes and cheers, whose names nobody would read out.

    The tag `emotes` holds `ID:FIRST-LAST,FIRST-LAST/ID:...` in code points, of a `/me` line in what it says.
    """
    emotes, bits = tags.get("emotes"), tags.get("bits")
    if emotes:
        hidden = bytearray(len(text))
        for first, last in _PLACES.findall(emotes):
            start, end = int(first), min(int(last) + 1, len(text))
            hidden[start:end] = b"\1" * (end - start)
        text = "".join(" " if h else c for h, c in zip(hidden, text, strict=True))
    if bits:
        text = _CHEER.sub(" ", text)
    return text.strip() if emotes or bits else text


def _role(tags: dict[str, str]) -> Role:
    badges = {badge.partition("/")[0] for badge in tags.get("badges", "").split(",")}
    if "broadcaster" in badges:
        return "owner"
    return "moderator" if "moderator" in badges or tags.get("mod") == "1" else "viewer"


def _words(error: BaseException) -> str:
    number = error.errno if isinstance(error, ConnectionError) else None
    return (os.strerror(number) if number else "") or clean_name(str(error), 200) or type(error).__name__
