"""What systemd is told, and above all when it is not told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.notify import NotifySocket
from tests.support.station import FakeStation, status
from vcam_talker.control.systemd import Progress, ServiceNotifier, describe
from vcam_talker.core.status import DaemonStatus

pytestmark = pytest.mark.unit

_PATIENCE_S = 10.0


class Air(FakeStation):
    """A station whose frames and clock advance with every look, or stand still."""

    def __init__(self) -> None:
        super().__init__()
        self.current = status(
            pacing=replace(status().pacing, frames=0),
            media_clock_s=0.0,
            sinks=tuple(replace(sink, written=0) for sink in status().sinks),
        )
        self.frames_move = self.clock_moves = self.camera_moves = True

    def status(self) -> DaemonStatus:
        now = self.current
        camera, microphone = now.sinks
        self.current = replace(
            now,
            pacing=replace(now.pacing, frames=now.pacing.frames + 30 * self.frames_move),
            media_clock_s=now.media_clock_s + self.clock_moves,
            sinks=(
                replace(camera, written=camera.written + 30 * self.camera_moves),
                replace(microphone, written=microphone.written + 48_000),
            ),
        )
        return self.current


@pytest.fixture
def systemd() -> Iterator[NotifySocket]:
    with NotifySocket() as sock:
        yield sock


@asynccontextmanager
async def notifying(
    air: FakeStation, systemd: NotifySocket, watchdog_s: float | None = 0.06, **more: str
) -> AsyncIterator[ServiceNotifier]:
    environ = {"NOTIFY_SOCKET": systemd.address, **more}
    if watchdog_s is not None:
        environ["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))
    notifier = ServiceNotifier(air, environ)
    assert not environ, "children must not inherit them"
    task = asyncio.create_task(notifier.run())
    yield notifier
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(systemd: NotifySocket, line: str, count: int = 1) -> None:
    await asyncio.to_thread(systemd.wait_for, line, count, _PATIENCE_S)


async def pings_within(systemd: NotifySocket, seconds: float) -> int:
    before = len(systemd.times("WATCHDOG=1"))
    await asyncio.sleep(seconds)
    return len(systemd.times("WATCHDOG=1")) - before


async def test_ready_then_fed_for_as_long_as_it_runs(systemd: NotifySocket) -> None:
    async with notifying(Air(), systemd) as notifier:
        await until(systemd, "WATCHDOG=1", 4)
        notifier.stopping()
        await until(systemd, "STOPPING=1")
    assert "READY=1" in systemd.messages[0][1]
    assert len(systemd.times("READY=1")) == 1
    on_air, leaving = systemd.statuses()
    assert on_air.startswith("Mira is on air, 1280x720 at 30 fps; camera /dev/video10, microphone vcam")
    assert on_air.endswith("page http://127.0.0.1:8470/")
    assert leaving == "Leaving the air."


async def test_a_socket_in_the_file_system_serves_as_well(tmp_path: Path) -> None:
    with NotifySocket(tmp_path / "notify") as systemd:
        async with notifying(Air(), systemd):
            await until(systemd, "READY=1")


@pytest.mark.parametrize("still", ["frames_move", "clock_moves"])
async def test_not_ready_before_frames_and_sound_leave(systemd: NotifySocket, still: str) -> None:
    air = Air()
    setattr(air, still, False)
    async with notifying(air, systemd):
        await asyncio.sleep(0.35)
        assert systemd.messages == []
        setattr(air, still, True)
        await until(systemd, "READY=1")


async def test_ready_waits_for_a_device_that_is_being_opened(systemd: NotifySocket) -> None:
    air = Air()
    camera, microphone = air.current.sinks
    air.current = replace(air.current, sinks=(camera, replace(microphone, state="lost", detail="")))
    async with notifying(air, systemd):
        await asyncio.sleep(0.35)
        assert systemd.messages == []
        failed = replace(microphone, state="lost", detail="no sound server")
        air.current = replace(air.current, sinks=(camera, failed))
        await until(systemd, "READY=1")
    assert "microphone vcam_talker_mic (lost)" in systemd.statuses()[0]


@pytest.mark.parametrize(
    ("still", "why"),
    [
        ("frames_move", "no frame has left"),
        ("clock_moves", "the media clock stands still"),
        ("camera_moves", "nothing was written to /dev/video10"),
    ],
)
async def test_a_standstill_is_not_fed_and_fed_again_when_over(
    systemd: NotifySocket, still: str, why: str
) -> None:
    air = Air()
    async with notifying(air, systemd):
        await until(systemd, "WATCHDOG=1", 2)
        setattr(air, still, False)
        await until(systemd, f"STATUS=Stalled: {why}.")
        assert await pings_within(systemd, 0.6) == 0
        setattr(air, still, True)
        await until(systemd, "WATCHDOG=1", len(systemd.times("WATCHDOG=1")) + 2)
        assert systemd.statuses()[-1].startswith("Mira is on air")


async def test_a_hanging_loop_is_not_fed(systemd: NotifySocket) -> None:
    async with notifying(Air(), systemd):
        await until(systemd, "WATCHDOG=1", 2)
        before = len(systemd.times("WATCHDOG=1"))
        # What must never happen in the daemon: it blocks its control loop.
        time.sleep(0.4)  # noqa: ASYNC251
        assert len(systemd.times("WATCHDOG=1")) == before


async def test_a_lost_camera_is_no_standstill(systemd: NotifySocket) -> None:
    air = Air()
    async with notifying(air, systemd):
        await until(systemd, "READY=1")
        camera, microphone = air.current.sinks
        air.camera_moves = False
        lost = replace(camera, state="lost", detail="the device is gone")
        air.current = replace(air.current, sinks=(lost, microphone), warnings=("the camera is gone.",))
        await until(systemd, "WATCHDOG=1", len(systemd.times("WATCHDOG=1")) + 3)
    assert systemd.statuses()[-1].startswith("Degraded: the camera is gone. Mira is on air")


async def test_without_a_watchdog_it_says_only_how_it_is(systemd: NotifySocket) -> None:
    async with notifying(Air(), systemd, None):
        await until(systemd, "READY=1")
        assert await pings_within(systemd, 0.1) == 0


async def test_a_watchdog_for_another_process_is_not_fed(systemd: NotifySocket) -> None:
    async with notifying(Air(), systemd, 0.02, WATCHDOG_PID=str(os.getpid() + 1)):
        await until(systemd, "READY=1")
        assert await pings_within(systemd, 0.1) == 0


async def test_its_own_watchdog_is_fed(systemd: NotifySocket) -> None:
    async with notifying(Air(), systemd, 0.02, WATCHDOG_PID=str(os.getpid())):
        await until(systemd, "WATCHDOG=1", 3)


@pytest.mark.parametrize("address", [None, "", "@", "relative", "vsock:2:1"])
async def test_where_nobody_listens_nothing_happens(address: str | None) -> None:
    notifier = ServiceNotifier(Air(), {} if address is None else {"NOTIFY_SOCKET": address})
    await asyncio.wait_for(notifier.run(), _PATIENCE_S)
    notifier.stopping()


@pytest.mark.parametrize("address", ["/" + "x" * 200, "@" + "x" * 200, "/proc/none"])
async def test_a_socket_that_can_not_be_reached_is_told_once_with_its_reason(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = ServiceNotifier(Air(), {"NOTIFY_SOCKET": address})
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(notifier.run(), 0.8)
    lines = [r.getMessage() for r in caplog.records if "can't be told" in r.getMessage()]
    assert len(lines) == 1
    assert "None" not in lines[0]


@pytest.mark.parametrize("usec", ["0", "", "-1", "abc", "1.5"])
async def test_a_senseless_watchdog_is_none(systemd: NotifySocket, usec: str) -> None:
    async with notifying(Air(), systemd, None, WATCHDOG_USEC=usec):
        await until(systemd, "READY=1")
        assert await pings_within(systemd, 0.1) == 0


async def test_a_systemd_that_comes_late_is_told_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "60000"}
    task = asyncio.create_task(ServiceNotifier(Air(), environ).run())
    await asyncio.sleep(0.3)
    with NotifySocket(path) as systemd:
        await until(systemd, "READY=1")
        assert systemd.statuses()
    task.cancel()


def test_a_file_that_was_closed_and_null_outputs_are_not_waited_for() -> None:
    camera, microphone = status().sinks
    null = replace(microphone, kind="null")
    before = Progress.of(status(sinks=(replace(camera, kind="file", state="closed"), null)))
    after = Progress.of(
        status(
            pacing=replace(status().pacing, frames=400),
            media_clock_s=13.0,
            sinks=(replace(camera, kind="file", state="closed"), null),
        )
    )
    assert after.standstill(before) == ""
    assert before.standstill(before) == "no frame has left"


def test_the_line_is_one_line_whatever_the_persona_is_called() -> None:
    changes: dict[str, Any] = {"warnings": ("first\nline", "two", "three")}
    line = describe(status(persona=replace(status().persona, title="A\nREADY=1"), **changes))
    assert "three" not in line
    notifier = ServiceNotifier(Air(), {})
    assert "\n" not in notifier._status_line(status(**changes))
