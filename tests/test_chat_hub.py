"""The hub: one source's trouble is its own, connections come back with growing patience, all is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from vcam_talker.chat import hub as hub_module
from vcam_talker.chat.hub import ChatHub, Withdraw
from vcam_talker.chat.replay import ReplaySource
from vcam_talker.config import ChatConfig, TwitchConfig, WebhookConfig
from vcam_talker.core.clock import ManualClock
from vcam_talker.core.errors import SourceError
from vcam_talker.core.stages import ChatSource
from vcam_talker.core.status import ChatView, SourceView
from vcam_talker.core.types import NS_PER_S, ChatLine, ChatMessage

pytestmark = pytest.mark.unit

CONFIG = ChatConfig(lines_per_s=1000, per_user_per_min=600)
real_sleep = asyncio.sleep


class Acts:
    """A source that does one thing per connection, then the last again and again."""

    platform = "acts"

    def __init__(self, *acts: Any, name: str = "acts") -> None:
        self.name = name
        self.begun = 0
        self.closed = 0
        self._acts = acts

    async def lines(self, joined: Callable[[], None]) -> AsyncGenerator[ChatLine, None]:
        act = self._acts[min(self.begun, len(self._acts) - 1)]
        self.begun += 1
        try:
            if isinstance(act, BaseException):
                raise act
            if callable(act):
                act(joined)
            else:
                joined()
                for line in act:
                    yield line
        finally:
            self.closed += 1


class Stage:
    """A hub on a clock that only its own sleeps advance."""

    def __init__(self, *sources: ChatSource, config: ChatConfig = CONFIG) -> None:
        self.clock = ManualClock()
        self.slept_s: list[float] = []
        self.admitted: list[ChatMessage] = []
        self.withdrawn: list[tuple[str, str, str]] = []
        self.tell: Withdraw = lambda *_: None

        def make(withdraw: Withdraw) -> Sequence[ChatSource]:
            self.tell = withdraw
            return sources

        self.hub = ChatHub(
            config, ("Mira",), self.admitted.append, self.clock, lambda *ids: self.withdrawn.append(ids), make
        )

    async def sleep(self, delay_s: float) -> None:
        if delay_s:
            self.slept_s.append(delay_s)
            self.clock.advance(int(delay_s * NS_PER_S))
        await real_sleep(0)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await real_sleep(0)


@asynccontextmanager
async def running(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(hub_module.asyncio, "sleep", stage.sleep)
    monkeypatch.setattr(hub_module.random, "uniform", lambda _low, _high: 1.0)
    task = asyncio.create_task(stage.hub.run())
    try:
        yield stage
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


def line(n: int) -> ChatLine:
    return ChatLine(f"user {n}", f"this is line {n}", "room", f"id {n}")


@pytest.mark.parametrize(
    "fault",
    [
        SourceError("acts", "broke"),
        ValueError("a fault"),
        ExceptionGroup("two", [OSError(), KeyError()]),
        RecursionError(),
        MemoryError(),
        asyncio.CancelledError(),
        StopIteration(),
        TimeoutError(),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_whatever_one_source_raises_the_other_is_read(
    fault: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Acts(fault, name="broken")
    stage = Stage(broken, ReplaySource([line(n) for n in range(50)]))
    async with running(stage, monkeypatch):
        await stage.until(lambda: broken.begun > 5 and len(stage.admitted) == 50)
        view = stage.hub.view().sources[0]
    assert (view.state, view.name) == ("lost", "broken")
    assert view.detail
    assert len(view.detail) < 400
    assert broken.closed == broken.begun


async def test_patience_grows_and_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Acts(SourceError("acts", "broke"))
    stage = Stage(source)
    async with running(stage, monkeypatch):
        await stage.until(lambda: source.begun > 10)
    assert stage.slept_s[:10] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_a_connection_that_lasted_is_sought_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    broke = SourceError("acts", "broke")

    def lasts(joined: Callable[[], None]) -> None:
        joined()
        stage.clock.advance(31 * NS_PER_S)

    source = Acts(broke, broke, broke, lasts, broke)
    stage = Stage(source)
    async with running(stage, monkeypatch):
        await stage.until(lambda: source.begun > 5)
    assert stage.slept_s[:5] == [0.5, 1, 2, 0.5, 1]


async def test_delays_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Acts(SourceError("acts", "broke"))
    stage = Stage(source)
    monkeypatch.setattr(hub_module.asyncio, "sleep", stage.sleep)
    task = asyncio.create_task(stage.hub.run())
    await stage.until(lambda: source.begun > 20)
    task.cancel()
    await asyncio.wait([task])
    capped = stage.slept_s[8:18]
    assert all(42 <= s <= 78 for s in capped)
    assert len(set(capped)) > 5


async def test_the_view_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    source = ReplaySource([line(1), line(2), ChatLine("ann", "!bot")])
    config = ChatConfig(webhook=WebhookConfig(enabled=True, room="bridge"), twitch=TwitchConfig())
    stage = Stage(source, config=config)
    assert stage.hub.view().sources[0].state == "connecting"
    async with running(stage, monkeypatch):
        await stage.until(lambda: len(stage.admitted) == 2)
        await real_sleep(0.01)
        assert (
            stage.hub.push(
                [ChatLine("bob", "one"), ChatLine("bob", "two", "elsewhere"), ChatLine("bob", "!")]
            )
            == 2
        )
        view = stage.hub.view()
    assert view == ChatView(
        (SourceView("replay", "open", "", 3, 0), SourceView("webhook", "open", "POST /api/chat", 3, 0)),
        4,
        {"for a bot": 1, "nothing to say": 1},
    )
    assert [(m.platform, m.room) for m in stage.admitted[2:]] == [
        ("webhook", "bridge"),
        ("webhook", "elsewhere"),
    ]


async def test_a_source_that_comes_back_is_open_again(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Acts(SourceError("acts", "broke"), [line(1)], [line(2)], lambda joined: joined())
    stage = Stage(source)
    async with running(stage, monkeypatch):
        await stage.until(lambda: len(stage.admitted) == 2)
        view = stage.hub.view().sources[0]
        assert view.reconnects >= 2


async def test_a_fault_is_logged_when_it_is_new(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = Acts(SourceError("acts", "broke"))
    stage = Stage(source)
    async with running(stage, monkeypatch):
        await stage.until(lambda: source.begun > 5)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_an_endless_flood_leaves_the_loop_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        platform = name = "endless"

        async def lines(self, joined: Callable[[], None]) -> AsyncGenerator[ChatLine, None]:
            joined()
            while True:
                yield ChatLine("spammer", "x")

    stage = Stage(Endless(), ReplaySource([line(n) for n in range(20)]))
    async with running(stage, monkeypatch):
        await stage.until(lambda: len(stage.admitted) >= 20)
        assert stage.hub.view().dropped["flood"] > 0


async def test_cancelling_closes_every_source() -> None:
    closed = asyncio.Event()

    class Waits:
        platform = name = "waits"

        async def lines(self, joined: Callable[[], None]) -> AsyncGenerator[ChatLine, None]:
            joined()
            try:
                yield ChatLine("ann", "hi")
                await asyncio.Event().wait()
            finally:
                closed.set()

    stage = Stage(Waits())
    task = asyncio.create_task(stage.hub.run())
    await stage.until(lambda: len(stage.admitted) == 1)
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()
    assert closed.is_set()


async def test_only_removals_of_what_was_let_through_go_on() -> None:
    stage = Stage()
    stage.hub.push([ChatLine("ann", "hello there", "r", "id 1", "42")])
    for ids in (("webhook", "id 2", ""), ("webhook", "", "43"), ("twitch", "id 1", ""), ("twitch", "", "42")):
        stage.tell(*ids)
    assert stage.withdrawn == []
    wanted = [("webhook", "id 1", ""), ("webhook", "", "42"), ("webhook", "", ""), ("twitch", "", "")]
    for ids in wanted:
        stage.tell(*ids)
    assert stage.withdrawn == wanted
