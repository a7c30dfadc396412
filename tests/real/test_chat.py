"""Chat against a real IRC server (InspIRCd) over WebSocket and TLS: cuts, stalls, floods."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.irc import IrcServer, IrcViewer, Proxy
from tests.support.stall import StallMeter
from vcam_talker.chat.hub import ChatHub
from vcam_talker.chat.twitch import TwitchSource
from vcam_talker.config import ChatConfig, TwitchConfig
from vcam_talker.core.clock import SystemClock
from vcam_talker.core.status import SourceView
from vcam_talker.core.types import ChatMessage

pytestmark = pytest.mark.real

BOUND_S = 15.0
OPEN = ChatConfig(lines_per_s=1000, per_user_per_min=600)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IrcServer]:
    running = IrcServer(tmp_path_factory.mktemp("irc"))
    running.start()
    yield running
    running.kill()


class Reading:
    """A hub that reads one channel; async context manager."""

    def __init__(
        self, server: IrcServer, url: str = "", config: ChatConfig = OPEN, ping_every_s: float = 45
    ) -> None:
        twitch = TwitchConfig(channel="mira", url=url or server.url)
        self.admitted: list[ChatMessage] = []
        self._arrived = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self.hub = ChatHub(
            config,
            ("Mira",),
            self.admitted.append,
            SystemClock(),
            lambda *_: None,
            lambda withdraw: [TwitchSource(twitch, withdraw, server.trust, ping_every_s)],
        )

    async def __aenter__(self) -> Reading:
        self._task = asyncio.create_task(self.hub.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    @property
    def view(self) -> SourceView:
        return self.hub.view().sources[0]

    @property
    def texts(self) -> list[str]:
        return [m.text for m in self.admitted]

    async def until_state(self, state: str) -> None:
        await until(lambda: self.view.state == state)

    async def until_heard(self, text: str) -> None:
        await until(lambda: text in self.texts)


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(BOUND_S):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event: a server's or a hub's state
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def viewer(server: IrcServer, nick: str = "ada") -> AsyncIterator[IrcViewer]:
    async with IrcViewer(server.plain_port, nick) as one:
        yield one


async def test_it_joins_without_an_account_and_lines_arrive(server: IrcServer) -> None:
    async with Reading(server) as reading:
        await reading.until_state("open")
        async with viewer(server) as ada:
            await ada.say(
                "what is it? :)", "你好，多少钱？", "\x01ACTION waves\x01", b"no utf-8 \xff\xfe here"
            )
            await reading.until_heard("waves")
            await ada.say("hi\u2028:irc.test RECONNECT", "still here?")
            await reading.until_heard("still here?")
        assert reading.texts[:3] == ["what is it? :)", "你好，多少钱？", "waves"]
        assert reading.texts[3].startswith("no utf-8")
        assert {m.user for m in reading.admitted} == {"ada"}
        assert (reading.view.reconnects, reading.view.lines) == (0, 6)


async def test_a_certificate_that_nobody_vouches_for_is_refused(server: IrcServer) -> None:
    twitch = TwitchConfig(channel="mira", url=server.url)
    hub = ChatHub(
        OPEN, (), lambda _: None, SystemClock(), lambda *_: None, lambda w: [TwitchSource(twitch, w)]
    )
    task = asyncio.create_task(hub.run())
    await until(lambda: hub.view().sources[0].state == "lost")
    task.cancel()
    assert "certificate" in hub.view().sources[0].detail.lower()


async def test_a_server_that_is_killed_and_comes_back(server: IrcServer) -> None:
    async with Reading(server) as reading:
        await reading.until_state("open")
        server.kill()
        await reading.until_state("lost")
        assert reading.view.detail
        await asyncio.to_thread(server.start)
        await reading.until_state("open")
        async with viewer(server) as ada:
            await ada.say("back again?")
            await reading.until_heard("back again?")


async def test_a_connection_cut_in_the_middle_of_a_line(server: IrcServer) -> None:
    async with Proxy(server.tls_port) as proxy, Reading(server, f"wss://127.0.0.1:{proxy.port}") as reading:
        await reading.until_state("open")
        async with viewer(server) as ada:
            await ada.say("before the cut")
            await reading.until_heard("before the cut")
            proxy.cut_after = 40
            await ada.say("this line will never be read to its end")
            await reading.until_state("lost")
            await reading.until_state("open")
            await ada.say("after the cut")
            await reading.until_heard("after the cut")
        assert reading.texts == ["before the cut", "after the cut"]
        assert proxy.connections == 2


async def test_a_network_that_stalls_is_found_and_left(server: IrcServer) -> None:
    async with (
        Proxy(server.tls_port) as proxy,
        Reading(server, f"wss://127.0.0.1:{proxy.port}", ping_every_s=0.5) as reading,
    ):
        await reading.until_state("open")
        proxy.stall()
        # Half a second of silence, then ten in which the server may still answer.
        await reading.until_state("lost")
        proxy.flow()
        await reading.until_state("open")
        async with viewer(server) as ada:
            await ada.say("flowing again?")
            await reading.until_heard("flowing again?")


async def test_a_quiet_room_is_not_taken_for_a_dead_one(server: IrcServer) -> None:
    async with Reading(server, ping_every_s=0.5) as reading:
        await reading.until_state("open")
        await asyncio.sleep(3)
        assert (reading.view.state, reading.view.reconnects) == ("open", 0)


async def test_a_flood_loses_nothing_that_should_pass(server: IrcServer) -> None:
    """Four spammers, thousands of lines a second; one viewer asks something every 250 ms."""
    lag = StallMeter()
    slowest_s = 0.0
    stop = asyncio.Event()

    async def spam(one: IrcViewer, nick: str) -> None:
        n = 0
        while not stop.is_set():
            await one.say(*(f"{nick} {n + i} " + "x" * 300 for i in range(25)))
            n += 25
            await asyncio.sleep(0.01)

    async def watch() -> None:
        nonlocal slowest_s
        while not stop.is_set():
            begun_s = time.monotonic()
            await asyncio.sleep(0.005)
            slowest_s = max(slowest_s, time.monotonic() - begun_s - 0.005)

    config = ChatConfig(per_user_per_min=600)
    async with Reading(server, config=config) as reading, contextlib.AsyncExitStack() as stack:
        await reading.until_state("open")
        nicks = [f"spam{n}" for n in range(4)]
        spammers = [await stack.enter_async_context(viewer(server, nick)) for nick in nicks]
        ada = await stack.enter_async_context(viewer(server))
        stack.enter_context(lag)
        tasks = [asyncio.create_task(spam(one, nick)) for one, nick in zip(spammers, nicks, strict=True)]
        tasks.append(asyncio.create_task(watch()))
        await asyncio.sleep(1)
        before_kb = rss_kb()
        asked = [f"question {n}, is it?" for n in range(12)]
        for text in asked:
            await ada.say(text)
            await asyncio.sleep(0.25)
        grown_kb = rss_kb() - before_kb
        stop.set()
        await asyncio.gather(*tasks)
        await reading.until_heard(asked[-1])
        assert [text for text in reading.texts if text.startswith("question")] == asked
        assert reading.view.lines > 5000
        assert reading.view.reconnects == 0
        assert reading.hub.view().dropped["flood"] > 4000
    assert grown_kb < 20_000
    assert slowest_s < 0.25 + lag.longest_ms / 1000


def rss_kb() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024
