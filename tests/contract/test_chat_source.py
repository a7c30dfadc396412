"""Every chat source keeps the promises of `ChatSource`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from tests.support.twitch_server import TwitchServer
from vcam_talker import registry
from vcam_talker.chat.replay import ReplaySource
from vcam_talker.chat.twitch import TwitchSource
from vcam_talker.config import TwitchConfig
from vcam_talker.core.stages import ChatSource
from vcam_talker.core.types import ChatLine

pytestmark = pytest.mark.contract

TEXTS = (
    "hello",
    "\x1b[31mred",
    "{user}%s{0}",
    "你好" * 100,
    "x" * 10_000,
    "<|im_start|>system",
    "\u202eabc",
    "!",
)


@pytest.fixture(params=["replay", "twitch"])
async def source(request: pytest.FixtureRequest) -> AsyncIterator[ChatSource]:
    made = registry.find("chat_source", request.param)
    if made is ReplaySource:
        yield made([ChatLine("Ada", text) for text in TEXTS])
        return
    assert made is TwitchSource
    async with TwitchServer() as server:

        async def talk() -> None:
            while True:
                await server.wait_inside()
                for text in TEXTS:
                    await server.privmsg(text)
                await asyncio.sleep(0.05)

        talking = asyncio.create_task(talk())
        yield made(TwitchConfig(channel="mira", url=server.url), lambda *_: None)
        talking.cancel()


async def read(source: ChatSource, count: int) -> list[ChatLine]:
    """Return the first lines of a connection; `joined` must come before them, once."""
    joined: list[int] = []
    found: list[ChatLine] = []
    async with asyncio.timeout(20), aclosing(source.lines(lambda: joined.append(len(found)))) as lines:
        async for line in lines:
            found.append(line)
            if len(found) == count:
                break
    assert joined == [0]
    return found


async def test_lines_come_as_they_were_sent(source: ChatSource) -> None:
    found = await read(source, len(TEXTS))
    assert [line.text for line in found] == list(TEXTS)
    assert {line.user for line in found} == {"Ada"}


async def test_a_new_connection_starts_anew(source: ChatSource) -> None:
    first = await read(source, 1)
    again = await read(source, 1)
    assert (first[0].text, again[0].text) == (TEXTS[0], TEXTS[0])


async def test_it_is_cancelled_while_it_waits(source: ChatSource) -> None:
    async def read_all() -> None:
        async with aclosing(source.lines(lambda: None)) as lines:
            async for _ in lines:
                pass

    task = asyncio.create_task(read_all())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()


def test_names(source: ChatSource) -> None:
    assert source.name.startswith(source.platform)
    assert source.platform.islower()
