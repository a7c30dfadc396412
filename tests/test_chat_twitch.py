"""Twitch's own messages, as a server on a loopback socket sends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from tests.support.twitch_server import Manner, TwitchServer
from vcam_talker.chat.twitch import TwitchSource
from vcam_talker.config import TwitchConfig
from vcam_talker.core.errors import SourceError
from vcam_talker.core.types import ChatLine

pytestmark = pytest.mark.unit

BOUND_S = 20.0


class Reader:
    """One connection to a server, and what a moderator removed on it."""

    def __init__(self, url: str, ping_every_s: float) -> None:
        self.removed: list[tuple[str, str, str]] = []
        self.joined = 0
        source = TwitchSource(TwitchConfig(channel="mira", url=url), self._remove, ping_every_s=ping_every_s)
        self.name = source.name
        self.lines: AsyncGenerator[ChatLine, None] = source.lines(self._join)

    async def next(self) -> ChatLine:
        async with asyncio.timeout(BOUND_S):
            return await anext(self.lines)

    async def fails(self) -> str:
        with pytest.raises(SourceError) as error:
            await self.next()
        return str(error.value)

    def _join(self) -> None:
        self.joined += 1

    def _remove(self, platform: str, message_id: str, user_id: str) -> None:
        self.removed.append((platform, message_id, user_id))


@asynccontextmanager
async def reading(
    manner: Manner = "join", ping_every_s: float = 45.0
) -> AsyncIterator[tuple[TwitchServer, Reader]]:
    async with TwitchServer(manner) as server:
        reader = Reader(server.url, ping_every_s)
        async with aclosing(reader.lines):
            yield server, reader


@asynccontextmanager
async def inside() -> AsyncIterator[tuple[TwitchServer, Reader]]:
    """Yield a server and a reader that has had its first line."""
    async with reading() as (server, reader):
        first = asyncio.create_task(reader.next())
        await server.wait_inside()
        await server.privmsg("first")
        assert (await first).text == "first"
        yield server, reader


async def test_it_enters_as_an_anonymous_reader_and_asks_for_tags() -> None:
    async with inside() as (server, reader):
        assert server.heard[0] == "CAP REQ :twitch.tv/tags twitch.tv/commands"
        assert server.heard[1].startswith("NICK justinfan")
        assert server.heard[-1] == "JOIN #mira"
        assert not any(line.startswith("PASS") for line in server.heard)
        assert (reader.joined, reader.name) == (1, "twitch #mira")


async def test_a_line_with_its_tags() -> None:
    async with inside() as (server, reader):
        await server.privmsg(
            "what is it? :)",
            "ada",
            id="m-7",
            user_id="42",
            display_name=r"Ada\sL\:",
            badges="moderator/1,sub/3",
        )
        line = ChatLine("Ada L;", "what is it? :)", "mira", "m-7", "42", "moderator")
        assert await reader.next() == line


async def test_a_line_without_tags() -> None:
    async with inside() as (server, reader):
        await server.send(":ada!a@b PRIVMSG #mira :hi\r\n")
        assert await reader.next() == ChatLine("ada", "hi", "mira", "", "ada")


@pytest.mark.parametrize(
    ("tags", "role"),
    [
        ({"badges": "broadcaster/1,subscriber/0"}, "owner"),
        ({"badges": "moderator/1"}, "moderator"),
        ({"mod": "1"}, "moderator"),
        ({"badges": "vip/1"}, "viewer"),
        ({"badges": "notbroadcaster/1"}, "viewer"),
        ({"display_name": "broadcaster/1"}, "viewer"),
    ],
)
async def test_roles(tags: dict[str, str], role: str) -> None:
    async with inside() as (server, reader):
        await server.privmsg("hi", **tags)
        assert (await reader.next()).role == role


async def test_me_is_text_and_other_client_commands_are_not() -> None:
    async with inside() as (server, reader):
        await server.privmsg("\x01VERSION\x01")
        await server.privmsg("\x01ACTION waves\x01")
        assert (await reader.next()).text == "waves"


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0c", "\x1e"])
async def test_a_viewer_cannot_forge_a_line_of_the_server(separator: str) -> None:
    async with inside() as (server, reader):
        await server.privmsg(f"hi{separator}@badges=broadcaster/1 :x!x@x PRIVMSG #mira :obey", "eve")
        line = await reader.next()
        assert (line.user, line.role) == ("eve", "viewer")
        await server.privmsg(f"hi{separator}:tmi.twitch.tv RECONNECT", "eve")
        await server.privmsg("still here")
        assert (await reader.next()).user == "eve"
        assert (await reader.next()).text == "still here"


async def test_several_lines_in_one_message_and_text_that_is_no_utf8() -> None:
    async with inside() as (server, reader):
        await server.send(
            b":a!a@a PRIVMSG #mira :one\r\n:b!b@b PRIVMSG #mira :tw\xff\xfeo\r\ngarbage\r\n\r\n"
        )
        assert [(await reader.next()).text for _ in range(2)] == ["one", "tw\ufffd\ufffdo"]


async def test_a_moderators_removals_are_told() -> None:
    async with inside() as (server, reader):
        await server.send("@target-user-id=42 :tmi.twitch.tv CLEARCHAT #mira :eve\r\n")
        await server.send("@login=eve;target-msg-id=m-9 :tmi.twitch.tv CLEARMSG #mira :bad\r\n")
        await server.send(":tmi.twitch.tv CLEARCHAT #mira\r\n")
        await server.privmsg("next")
        assert (await reader.next()).text == "next"
        assert reader.removed == [("twitch", "", "42"), ("twitch", "m-9", ""), ("twitch", "", "")]


async def test_a_removal_without_tags_takes_no_more_than_it_names() -> None:
    async with inside() as (server, reader):
        await server.send(":tmi.twitch.tv CLEARCHAT #mira :eve\r\n")
        await server.send(":tmi.twitch.tv CLEARMSG #mira :bad\r\n")
        await server.privmsg("next")
        assert (await reader.next()).text == "next"
        assert reader.removed == [("twitch", "", "eve")]


async def test_what_is_written_to_us_alone_is_not_read_out() -> None:
    async with inside() as (server, reader):
        await server.send(":eve!e@e PRIVMSG justinfan12345 :say this\r\n")
        await server.privmsg("next")
        assert (await reader.next()).text == "next"


@pytest.mark.parametrize(
    ("text", "tags", "heard"),
    [
        ("Kappa who are you? Kappa", {"emotes": "25:0-4,19-23"}, "who are you?"),
        ("\x01ACTION waves Kappa\x01", {"emotes": "25:6-10"}, "waves"),
        ("😀 Kappa what?", {"emotes": "25:2-6"}, "😀       what?"),
        ("who? x", {"emotes": "25:4-99999,70000-80000/x:y-z/:/1:9-2"}, "who?"),
        ("Cheer100 how old are you? Cheer1", {"bits": "101"}, "how old are you?"),
        ("is Cheer100 much?", {}, "is Cheer100 much?"),
    ],
)
async def test_pictures_are_not_read_out(text: str, tags: dict[str, str], heard: str) -> None:
    async with inside() as (server, reader):
        await server.privmsg("Kappa Kappa", emotes="25:0-4,6-10")
        await server.privmsg(text, **tags)
        assert (await reader.next()).text == heard


async def test_a_server_that_waits_for_the_end_of_the_capabilities() -> None:
    async with reading("negotiates") as (server, reader):
        first = asyncio.create_task(reader.next())
        await server.wait_inside()
        await server.privmsg("hi")
        assert (await first).text == "hi"


async def test_thrown_out_of_the_channel() -> None:
    async with inside() as (server, reader):
        await server.send(":op!o@o KICK #mira somebody :bye\r\n")
        await server.privmsg("next")
        assert (await reader.next()).text == "next"
        nick = next(line for line in server.heard if line.startswith("NICK ")).removeprefix("NICK ")
        await server.send(f":op!o@o KICK #mira {nick} :no bots\r\n")
        assert "we were sent away (no bots)" in await reader.fails()


async def test_a_ping_is_answered() -> None:
    async with inside() as (server, reader):
        await server.send("PING :tmi.twitch.tv\r\n")
        await server.privmsg("next")
        await reader.next()
        await server.wait_heard("PONG :tmi.twitch.tv")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (":tmi.twitch.tv RECONNECT\r\n", "asked to connect anew"),
        ("ERROR :Closing link\x1b[2J\n", "the server said: Closing link"),
        ("@msg-id=msg_banned :tmi.twitch.tv NOTICE #mira :You are banned\r\n", "You are banned"),
    ],
)
async def test_a_message_that_ends_the_connection(raw: str, why: str) -> None:
    async with inside() as (server, reader):
        await server.send(raw)
        said = await reader.fails()
        assert why in said
        assert "\x1b" not in said


async def test_a_harmless_notice_is_passed_over() -> None:
    async with inside() as (server, reader):
        await server.send("@msg-id=slow_on :tmi.twitch.tv NOTICE #mira :slow mode\r\n")
        await server.privmsg("next")
        assert (await reader.next()).text == "next"


@pytest.mark.parametrize(
    ("manner", "why"),
    [("refuse", "refuses the channel"), ("suspended", "does not exist"), ("closed", "received 1000")],
)
async def test_a_server_that_does_not_let_us_in(manner: Manner, why: str) -> None:
    async with reading(manner) as (_, reader):
        assert why in await reader.fails()
        assert reader.joined == 0


async def test_a_closed_and_a_cut_connection() -> None:
    async with inside() as (server, reader):
        await server.drop()
        assert "closed the connection" in await reader.fails()
    async with inside() as (server, reader):
        server.cut()
        assert "connection" in await reader.fails()


async def test_a_message_past_the_limit_ends_the_connection_not_the_program() -> None:
    async with inside() as (server, reader):
        await server.privmsg("x" * 300_000)
        assert "closed the connection" in await reader.fails()


async def test_a_long_line_is_cut_where_every_filter_drops_it() -> None:
    async with inside() as (server, reader):
        await server.privmsg("x" * 100_000)
        assert 8_000 < len((await reader.next()).text) < 16_400


async def test_nobody_listens() -> None:
    async with TwitchServer() as server:
        url = server.url
    assert (await Reader(url, 45).fails()).endswith("can't be reached (Connection refused)")


async def test_a_server_that_is_no_chat() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>")
        writer.close()

    server = await asyncio.start_server(web, "127.0.0.1", 0)
    async with server:
        reader = Reader(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", 45)
        assert "can't be reached" in await reader.fails()
