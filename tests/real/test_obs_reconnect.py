"""The link to a real OBS: commands, captions, scenes; OBS killed, stopped in its tracks, and back."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from tests.support.obs import ObsClient, ObsStudio, obs_program
from tests.support.station import FakeStation
from vcam_talker.config import ObsConfig, ObsScene
from vcam_talker.control.obs.link import ObsLink
from vcam_talker.control.obs.settings import ServerFinder

pytestmark = pytest.mark.real

CAPTIONS = "words"


@pytest.fixture(scope="module")
def studio() -> Iterator[ObsStudio]:
    with obs_program() as program:
        yield program


@asynccontextmanager
async def linked(studio: ObsStudio, station: FakeStation, **changes: object) -> AsyncIterator[ObsLink]:
    """Run a link that knows no more than OBS's own settings."""
    config = ObsConfig(captions=CAPTIONS).model_copy(update=changes)
    link = ObsLink(config, station, finder=ServerFinder(config, (studio.config,)))
    task = asyncio.create_task(link.run())
    try:
        await until(lambda: link.view().state == "open")
        yield link
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("obs")]


async def until(condition: Callable[[], object], timeout_s: float = 40.0) -> float:
    """Wait until `condition` holds; return how long that took, seconds."""
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < timeout_s, "it did not happen"
        await asyncio.sleep(0.01)
    return time.monotonic() - began_s


async def command(client: ObsClient, **fields: object) -> dict[str, object]:
    """Send a command as a stream deck does; return its acknowledgement."""

    def send() -> dict[str, object]:
        client.call("BroadcastCustomEvent", eventData={"vcam_talker": 1, "id": "deck", **fields})
        return next(e for e in client.events("CustomEvent", 10) if e.get("ack") == "deck")

    return await asyncio.to_thread(send)


async def test_a_custom_event_is_obeyed_and_acknowledged(studio: ObsStudio) -> None:
    station = FakeStation()
    async with linked(studio, station) as link:
        assert "OBS " in link.view().detail
        await until(lambda: "no text source 'words'" in link.view().detail)  # asked for once connected
        ack = await command(studio.client, cmd="say", text="Hello, OBS.")
        assert ack["ok"] is True
        assert station.calls == [("say", {"text": "Hello, OBS.", "emotion": None, "source": "obs"})]
        ack = await command(studio.client, cmd="say", txt="Hello, OBS.")
        assert ack["ok"] is False
        assert link.view().lines == 2


async def test_captions_are_seen_and_vanish(studio: ObsStudio) -> None:
    obs, station = studio.client, FakeStation()
    async with linked(studio, station) as link:
        # The link learns from OBS itself that there is a source now.
        kind = next(k for k in obs.call("GetInputKindList")["inputKinds"] if k.startswith("text_"))
        obs.call(
            "CreateInput",
            sceneName="Scene",
            inputName=CAPTIONS,
            inputKind=kind,
            inputSettings={"text": "old"},
        )
        await until(lambda: "captions" not in link.view().detail)
        station.emit({"event": "sentence_heard", "sentence": "Good evening, everyone!"})
        await until(lambda: caption(obs) == "Good evening, everyone!")
        assert int(np.max(obs.screenshot("Scene"))) > 200, "white letters on black"
        station.emit({"event": "turn_ended", "turn": 1})
        await until(lambda: caption(obs) == "")
        await until(lambda: int(np.max(obs.screenshot("Scene"))) < 50)
    obs.call("RemoveInput", inputName=CAPTIONS)


def caption(obs: ObsClient) -> str:
    return str(obs.call("GetInputSettings", inputName=CAPTIONS)["inputSettings"].get("text", ""))


async def test_scenes_follow_the_speech_until_the_user_steps_in(studio: ObsStudio) -> None:
    obs, station = studio.client, FakeStation()
    for scene in ("Close", "Break"):
        obs.call("CreateScene", sceneName=scene)
    rules = (ObsScene(when="speaking", scene="Close"), ObsScene(when="idle", scene="Scene"))
    async with linked(studio, station, scenes=rules):
        await asyncio.sleep(0.3)
        station.emit({"event": "turn_speaking", "kind": "say"})
        await until(lambda: program_scene(obs) == "Close")
        station.emit({"event": "turn_ended", "turn": 1})
        await until(lambda: program_scene(obs) == "Scene")
        # The transition still runs, and OBS has not told of the switch yet.
        obs.call("SetCurrentProgramScene", sceneName="Break")
        station.emit({"event": "turn_speaking", "kind": "say"})
        await asyncio.sleep(0.5)
        assert program_scene(obs) == "Break"
    obs.call("SetCurrentProgramScene", sceneName="Scene")


def program_scene(obs: ObsClient) -> str:
    return str(obs.call("GetCurrentProgramScene")["currentProgramSceneName"])


async def test_killed_and_started_again(studio: ObsStudio) -> None:
    station = FakeStation()
    async with linked(studio, station) as link:
        await asyncio.to_thread(studio.kill)
        await until(lambda: link.view().state == "lost", 5)
        await until(lambda: "nobody listens" in link.view().detail)
        studio.launch()
        await asyncio.to_thread(studio.wait_port)
        assert await until(lambda: link.view().state == "open") < 5
        await asyncio.to_thread(studio.attach)
        assert (await command(studio.client, cmd="mute"))["ok"] is True
        assert link.view().reconnects == 1


async def test_stopped_in_its_tracks_and_going_on(studio: ObsStudio) -> None:
    station = FakeStation()
    async with linked(studio, station) as link:
        studio.signal(signal.SIGSTOP)
        try:
            assert await until(lambda: link.view().state == "lost") < 10
            # Nothing is held up by it, not even the end of a turn that would clear its caption.
            before_s = time.monotonic()
            station.emit({"event": "turn_ended", "turn": 1})
            await asyncio.sleep(0)
            assert time.monotonic() - before_s < 0.5
            await asyncio.sleep(1)
        finally:
            studio.signal(signal.SIGCONT)
        assert await until(lambda: link.view().state == "open") < 10
        assert (await command(studio.client, cmd="unmute"))["ok"] is True


async def test_the_end_of_the_daemon_waits_for_nobody(studio: ObsStudio) -> None:
    station = FakeStation()
    began_s = 0.0
    try:
        async with linked(studio, station):
            studio.signal(signal.SIGSTOP)
            station.emit({"event": "sentence_heard", "sentence": "Nobody takes this."})
            await asyncio.sleep(0.1)
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 2
    finally:
        studio.signal(signal.SIGCONT)
