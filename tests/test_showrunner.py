"""What runs the show, over an air that is not there: talk by itself, and who takes over."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vcam_talker.app import showrunner
from vcam_talker.app.showrunner import ShowRunner
from vcam_talker.config import Config, override
from vcam_talker.core.clock import ManualClock
from vcam_talker.core.types import NO_TURN, NS_PER_S
from vcam_talker.persona import load_persona
from vcam_talker.show.quiet import QuietTalk

pytestmark = pytest.mark.unit


class Supervisor:
    """An engine that takes every command."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, command: dict[str, Any]) -> bool:
        self.sent.append(command)
        return True

    def turns(self) -> list[str]:
        return [c["text"] for c in self.sent if c["op"] == "turn"]


class Show:
    """A runner, its engine and its clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        monkeypatch.setattr(showrunner, "_TALK_S", 0.001)
        self.engine, self.clock, self.checks = Supervisor(), ManualClock(), 0
        air = SimpleNamespace(
            supervisor=self.engine,
            senses=None,
            playout=SimpleNamespace(expecting=False),
            mood=SimpleNamespace(emotion=None, activity=None),
            timeline=SimpleNamespace(on_air=NO_TURN, flush=lambda _turn: None),
            check_children=self._check,
        )
        self.persona = load_persona("mira")
        config = override(Config(), {"show.quiet": "on"})
        self.runner = ShowRunner(config, self.persona, air, self.clock, lambda _event: None)  # type: ignore[arg-type]
        self.quiet_after_s = config.show.quiet_after_s

    def _check(self) -> None:
        self.checks += 1

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - whatever is waited for tells nobody
                await asyncio.sleep(0.002)


def test_a_line_is_noted_before_it_is_said_and_a_slow_disk_stops_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    show = Show(monkeypatch, tmp_path)
    disk, begun_at_save = threading.Event(), []

    def save(_talk: QuietTalk) -> None:
        begun_at_save.append(show.engine.turns())
        disk.wait(20)

    monkeypatch.setattr(QuietTalk, "save", save)

    async def run() -> None:
        monkeypatch.setattr(showrunner, "_TICK_S", 0.001)
        tasks = [
            asyncio.create_task(show.runner.talk_forever()),
            asyncio.create_task(show.runner.tick_forever()),
        ]
        show.clock.advance(int((show.quiet_after_s + 1) * NS_PER_S))
        await show.until(lambda: begun_at_save)
        before = show.checks
        await show.until(lambda: show.checks > before + 2)
        assert show.engine.turns() == []
        disk.set()
        await show.until(show.engine.turns)
        for task in tasks:
            task.cancel()

    asyncio.run(run())
    assert begun_at_save[0] == []


def test_nothing_is_said_into_a_room_that_is_quiet_no_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    show = Show(monkeypatch, tmp_path)
    saved = threading.Event()

    def save(_talk: QuietTalk) -> None:
        saved.wait(20)

    monkeypatch.setattr(QuietTalk, "save", save)

    async def run() -> None:
        talking = asyncio.create_task(show.runner.talk_forever())
        show.clock.advance(int((show.quiet_after_s + 1) * NS_PER_S))
        await asyncio.sleep(0.05)
        show.runner.director.submit("say", "Here I am.")
        saved.set()
        await asyncio.sleep(0.05)
        talking.cancel()

    asyncio.run(run())
    assert show.engine.turns() == ["Here I am."]
    assert show.runner.director.queue_view() == ()
