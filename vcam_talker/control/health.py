"""Whether picture and sound flow, for monitors and load balancers."""

from __future__ import annotations

import asyncio

from vcam_talker.control.models import Health
from vcam_talker.core.stages import Station
from vcam_talker.core.status import DaemonStatus

_FRAME_PERIODS = 4


async def check_health(station: Station) -> Health:
    """Look twice, four frame periods apart (at least 100 ms): counters that stand still tell the truth."""
    before = station.status()
    await asyncio.sleep(max(0.1, _FRAME_PERIODS / before.pacing.fps))
    return judge(before, station.status())


def judge(before: DaemonStatus, now: DaemonStatus) -> Health:
    """Compare two snapshots."""
    failing: list[str] = []
    degraded: list[str] = []
    if now.pacing.frames <= before.pacing.frames:
        failing.append("no frames leave")
    if now.media_clock_s <= before.media_clock_s:
        failing.append("the media clock stands still")
    failing += [f"{sink.kind} {sink.name} is lost" for sink in now.sinks if sink.state == "lost"]
    degraded += [f"{sink.kind} {sink.name} is absent" for sink in now.sinks if sink.state == "absent"]
    if now.engine.state != "ready":
        degraded.append(f"the engine is {now.engine.state}")
    if now.lips.state in {"restarting", "slow", "failed"}:
        degraded.append(f"the lips' network is {now.lips.state}")
    if now.pacing.rung == "still":
        degraded.append("the picture stands still")
    state = "failing" if failing else "degraded" if degraded else "ok"
    return Health.model_validate({"status": state, "problems": failing + degraded})
