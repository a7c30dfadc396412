"""The daemon's link to OBS: what comes in is obeyed, what is said goes out as captions, scenes and events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from vcam_talker.config import ObsConfig
from vcam_talker.control.obs.captions import Captions
from vcam_talker.control.obs.connection import EVENTS_ALL, EVENTS_ON_REQUEST, ObsConnection
from vcam_talker.control.obs.hearing import Hearing
from vcam_talker.control.obs.obey import Obedience, fires
from vcam_talker.control.obs.owner import ObsOwner
from vcam_talker.control.obs.scenes import SceneRules
from vcam_talker.control.obs.schema import command_id, is_command, is_ours, refused, told
from vcam_talker.control.obs.settings import ServerFinder
from vcam_talker.control.problems import Refusal
from vcam_talker.control.ratelimit import RateLimiter
from vcam_talker.core.stages import Station
from vcam_talker.core.status import SinkView, SourceView

log = logging.getLogger(__name__)

COMMANDS_PER_S: Final = 10.0
"""Bursts of twice as many pass; the rest is refused, and that is told once a second."""
TRIGGERS_PER_S: Final = 2.0
_WAITING: Final = 64
_CUSTOM: Final = "CustomEvent"
_METERS: Final = "InputVolumeMeters"
_SOURCES_CHANGED: Final = frozenset({"InputCreated", "InputNameChanged", "CurrentSceneCollectionChanged"})


class ObsLink:
    """Built with the daemon, run as one task of its control loop.

    Nothing of OBS's is waited for on that loop: it has a thread of its own, and one more while connected.
    """

    def __init__(self, config: ObsConfig, station: Station, *, finder: ServerFinder | None = None) -> None:
        self._config = config
        self._station = station
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(_WAITING)
        self._obedience = Obedience(station)
        self._triggers = config.triggers
        names = {trigger.event for trigger in self._triggers}
        self._heeded = {"CurrentProgramSceneChanged", *_SOURCES_CHANGED, *names}
        events = EVENTS_ALL
        for name, bit in EVENTS_ON_REQUEST.items():
            events |= bit if name in names else 0
        self._commands_rate = RateLimiter(COMMANDS_PER_S, time.monotonic)
        self._refusals_rate = RateLimiter(0.5, time.monotonic)
        self._triggers_rate = RateLimiter(TRIGGERS_PER_S, time.monotonic)
        self._owner = ObsOwner(
            finder or ServerFinder(config),
            events=events,
            on_event=self._on_event,
            on_open=lambda: self._post(self._opened),
        )
        self._captions = Captions(config.captions, self._owner.submit)
        self._scenes = SceneRules(config.scenes, self._owner.submit, self._post)
        self._hearing = Hearing(events, self._microphone, self._owner.submit, self._post)
        self._speaking = ""
        self._listening = False
        self._taken = 0

    async def run(self) -> None:
        """Hold the link until cancelled. Never raises, never blocks the loop."""
        if not self._config.wanted:
            return
        self._loop = asyncio.get_running_loop()
        unsubscribe = self._station.subscribe_events(self._on_station)
        self._owner.start()
        try:
            while True:
                name, data = await self._inbox.get()
                try:
                    await self._take(name, data)
                except Exception:  # whatever OBS sent, the link goes on
                    log.exception("an event of OBS failed")
        finally:
            unsubscribe()
            self._scenes.stop()
            self._hearing.stop()
            self._captions.stop()
            await asyncio.to_thread(self._owner.stop)

    def view(self) -> SourceView:
        """Return how the link is; `lines` counts the commands that were taken."""
        if not self._config.wanted:
            return SourceView("obs", "off", "obs.connect is off")
        found = self._owner.state
        detail = found.detail
        if found.state == "open":
            notes = (self._hearing.note, self._captions.note, self._scenes.note)
            detail = "; ".join(part for part in (detail, *notes) if part)
        return SourceView("obs", found.state, detail, self._taken, found.reconnects)

    # --- on the receiving thread

    def _on_event(self, name: str, data: dict[str, Any]) -> None:
        if name == _CUSTOM and is_ours(data):
            if self._config.commands and is_command(data):
                self._on_command(data)
        elif name == _METERS:
            self._post(lambda: self._hearing.on_meters(data))
        elif name in self._heeded:
            self._post(lambda: self._put(name, data))

    def _on_command(self, data: dict[str, Any]) -> None:
        if self._commands_rate.wait_s("") == 0:
            self._post(lambda: self._put(_CUSTOM, data))
        elif self._refusals_rate.wait_s("") == 0:
            why = f"came too fast: {COMMANDS_PER_S:.0f} a second are taken"
            too_fast = Refusal(429, "rate_limited", "the command", why, "Send fewer")
            self._broadcast(refused(command_id(data), data.get("cmd"), too_fast))

    def _post(self, call: Callable[[], None]) -> None:
        # The loop closes before the last threads end; what they have to say then interests nobody.
        with contextlib.suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call)

    # --- on the control loop

    def _put(self, name: str, data: dict[str, Any]) -> None:
        try:
            self._inbox.put_nowait((name, data))
        except asyncio.QueueFull:
            log.warning("OBS sends faster than can be taken: %s was dropped", name)

    async def _take(self, name: str, data: dict[str, Any]) -> None:
        if name == _CUSTOM and is_ours(data):
            self._taken += 1
            self._broadcast(await self._obedience.obey(data))
            return
        if name in _SOURCES_CHANGED:
            self._captions.reassert()
        if name == "CurrentProgramSceneChanged" and self._scenes.on_program(str(data.get("sceneName"))):
            return  # our own doing: a trigger on it could go round in circles
        for trigger in self._triggers:
            if fires(trigger, name, data) and self._triggers_rate.wait_s("") == 0:
                await self._obedience.pull(trigger)

    def _opened(self) -> None:
        """Say again what OBS, or another OBS, has to know."""
        self._captions.reassert()
        self._scenes.reassert()
        self._hearing.reassert()

    def _on_station(self, event: dict[str, object]) -> None:
        match event.get("event"):
            case "turn_speaking":
                self._speaking = "quiet" if event.get("kind") == "quiet" else "speaking"
                if self._owner.state.state == "open":
                    self._hearing.on_speech()
                self._tell("turn_started", event, "kind", "text", "user", "source")
            case "sentence_heard":
                self._captions.show(str(event.get("sentence", "")))
            case "turn_ended":
                self._speaking = ""
                self._captions.show("")
                self._hearing.on_silence()
                self._tell("turn_ended", event, "kind", "state", "heard_text")
            case "voice":
                self._listening = event.get("speaking") is True
            case _:
                return
        self._scenes.enter(self._speaking, listening=self._listening)  # type: ignore[arg-type]

    def _microphone(self) -> SinkView | None:
        """Return how the microphone is; None while it is muted or there is none."""
        status = self._station.status()
        if status.show.muted:
            return None
        return next((sink for sink in status.sinks if sink.kind == "microphone"), None)

    def _tell(self, name: str, event: dict[str, object], *fields: str) -> None:
        if self._config.commands:
            self._broadcast(told(name, turn=event.get("turn"), **{f: event.get(f) for f in fields}))

    def _broadcast(self, data: dict[str, Any]) -> None:
        def send(connection: ObsConnection) -> None:
            connection.request("BroadcastCustomEvent", eventData=data)

        self._owner.submit(send)
