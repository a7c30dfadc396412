"""The daemon as the control API sees it: clean the text, ask the director, report."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from vcam_talker import __version__
from vcam_talker.air.devices import list_devices
from vcam_talker.air.timeline import TimelineEvent
from vcam_talker.app.air import Air, make_scene
from vcam_talker.app.usage import UsageMeter, rss_mb
from vcam_talker.config import Config
from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.errors import QueueFullError
from vcam_talker.core.events import Alive, EngineDown, EngineEvent, PersonaFailed, Ready
from vcam_talker.core.stages import PreviewSource
from vcam_talker.core.status import DaemonStatus, DeviceReport, PersonaSummary, TurnReceipt, TurnView
from vcam_talker.core.text import clean_name, clean_text, parse_emotion_tags
from vcam_talker.core.types import NS_PER_S, Activity, Emotion, Pts, TurnId
from vcam_talker.persona import Persona, list_personas, load_persona
from vcam_talker.show.director import Director

log = logging.getLogger(__name__)

_TICK_S = 0.1
_CHECK_EVERY = 10


class LiveStation:
    """Implements core.stages.Station and show.director.Stage over Air. Runs on the control loop."""

    def __init__(self, config: Config, persona: Persona, clock: MonotonicClock) -> None:
        self._config = config
        self._persona = persona
        self._first = persona.summary()
        # A persona given by path is found by its name again.
        self._by_path = {persona.name: str(persona.root)}
        self._clock = clock
        self._started_ns = clock.now_ns()
        self._usage = UsageMeter(clock)
        self._listeners: list[Callable[[dict[str, object]], None]] = []
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._director = Director(self, clock, config.queue.capacity, self._on_turn)
        self._persona_lock = asyncio.Lock()
        self._voice_warnings: tuple[str, ...] = ()
        self._greeted = not config.greet
        self.air: Air | None = None
        self.url = ""

    # --- what air calls, from its threads

    def on_timeline(self, event: TimelineEvent) -> None:
        """Take a timeline event; at once on the control loop, else posted to it."""
        at_ns = self._clock.now_ns()
        if threading.get_ident() == self._thread:
            self._take_timeline(event, at_ns)
        else:
            self._post(lambda: self._take_timeline(event, at_ns))

    def on_engine(self, event: EngineEvent) -> None:
        """Take an engine event on the supervisor's thread."""
        self._post(lambda: self._take_engine(event))

    # --- show.director.Stage

    def begin(self, command: dict[str, Any]) -> bool:
        """Hand a turn to the engine."""
        return self._on_air.supervisor.send(command)

    def cut(self, turn: TurnId) -> None:
        """Silence a turn in the engine and on the timeline."""
        self._on_air.supervisor.send({"op": "cancel", "turn": turn})
        self._on_air.timeline.flush(turn)

    def replace_engine(self, reason: str) -> None:
        """Have the engine killed and started anew."""
        self._on_air.supervisor.replace(reason)

    def show(self, emotion: Emotion | None, activity: Activity) -> None:
        """Set the face's mood and activity."""
        mood = self._on_air.mood
        mood.emotion = emotion or self._persona.emotions.default
        mood.activity = activity

    def reader_ns(self, pts: Pts) -> int:
        """Return when a reader of the microphone hears `pts`."""
        return self._on_air.clock.time_of(pts)

    # --- core.stages.Station

    @property
    def preview(self) -> PreviewSource:
        """Live picture and sound."""
        return self._on_air.preview

    async def say(self, text: str, *, emotion: Emotion | None = None, source: str = "api") -> TurnReceipt:
        """Queue a text to be spoken verbatim."""
        clean = clean_text(text, self._config.queue.max_text_chars)
        return self._director.submit(
            "say", clean.text, source=source, emotion=emotion, note="; ".join(clean.notes)
        )

    async def ask(self, text: str, *, user: str = "", source: str = "api") -> TurnReceipt:
        """Queue a viewer's line to be answered."""
        clean = clean_text(text, self._config.queue.max_text_chars)
        return self._director.submit(
            "ask", clean.text, user=clean_name(user), source=source, note="; ".join(clean.notes)
        )

    async def interrupt(self, *, clear_queue: bool = False) -> int:
        """Stop the turn on air, and drop what waits if asked."""
        return self._director.interrupt(clear_queue=clear_queue)

    async def set_persona(self, name: str) -> PersonaSummary:
        """Put another persona on air; what is being said ends."""
        async with self._persona_lock:
            persona = await asyncio.to_thread(load_persona, self._by_path.get(name, name))
            scene = await asyncio.to_thread(make_scene, persona, self._config)
            # The engine learns of the persona before the next turn is handed to it.
            self._on_air.painter.swap(scene)
            self._persona = persona
            self._on_air.supervisor.use_persona(str(persona.root))
            self._director.interrupt(clear_queue=False)
            self._on_air.mood.emotion = persona.emotions.default
            self._emit({"event": "persona", **asdict(persona.summary())})
            return persona.summary()

    def personas(self) -> Sequence[PersonaSummary]:
        """Return the personas that can be chosen: built-in, the user's, and the one the daemon began with."""
        found = list_personas()
        return found if self._first.name in {p.name for p in found} else [*found, self._first]

    def status(self) -> DaemonStatus:
        """Return a snapshot."""
        air = self._on_air
        return DaemonStatus(
            version=__version__,
            pid=os.getpid(),
            uptime_s=round((self._clock.now_ns() - self._started_ns) / NS_PER_S, 1),
            url=self.url,
            persona=self._persona.summary(),
            width=self._config.air.width,
            height=self._config.air.height,
            pacing=air.meter.view(),
            engine=air.supervisor.view(),
            sinks=air.sink_views(),
            on_air=self._director.floor_view(),
            queue=self._director.queue_view(),
            recent=self._director.recent_view(),
            media_clock_s=air.media_clock_s(),
            cpu_percent=self._usage.cpu_percent(),
            rss_mb=rss_mb(),
            clock_rate_ppm=round(air.clock.rate_error_ppm, 1),
            clock_reanchored=air.clock.reanchored,
            warnings=self._warnings(),
        )

    def devices(self) -> DeviceReport:
        """Return the cameras and microphones in use and at hand."""
        return list_devices(self._config)

    def subscribe_events(self, listener: Callable[[dict[str, object]], None]) -> Callable[[], None]:
        """Register for events; returns the function that unregisters."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    # --- the rest

    async def tick_forever(self) -> None:
        """Keep the face in step with what is heard, and watch the turn on the floor."""
        count = 0
        while True:
            await asyncio.sleep(_TICK_S)
            count += 1
            try:
                self._tick(whole=count % _CHECK_EVERY == 0)
            except Exception:  # whatever goes wrong with one turn, the next ones need this task
                log.exception("a tick failed")

    def _tick(self, *, whole: bool) -> None:
        timeline = self._on_air.timeline
        if timeline.on_air:
            self._director.follow(timeline.played_s)
        if whole:
            self._on_air.supervisor.check()
            self._director.check()
            self._director.advance()

    @property
    def _on_air(self) -> Air:
        if self.air is None:
            raise RuntimeError("the station is used before air is there")
        return self.air

    def _post(self, call: Callable[[], None]) -> None:
        # The loop closes before the last threads end; what they have to say then interests nobody.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)

    def _take_timeline(self, event: TimelineEvent, at_ns: int) -> None:
        if event.kind == "started":
            self._director.on_started(event.turn, event.pts, at_ns)
        elif event.playout is not None:
            self._director.on_ended(event.playout)

    def _take_engine(self, event: EngineEvent) -> None:
        match event:
            case Ready():
                self._voice_warnings = event.warnings
                self._greet()
                self._director.advance()
                self._emit({"event": "engine", "state": "ready", "reason": ""})
            case PersonaFailed():
                log.error("%s", event.error)
                self._voice_warnings = (event.error,)
            case EngineDown():
                self._emit({"event": "engine", "state": "down", "reason": event.reason})
                self._director.on_engine(event)
            case Alive():
                pass
            case _:
                self._director.on_engine(event)

    def _greet(self) -> None:
        if self._greeted or not self._persona.greeting:
            return
        self._greeted = True
        emotion, text = parse_emotion_tags(random.choice(self._persona.greeting))
        try:
            self._director.submit("greeting", text, source="start", emotion=emotion)
        except QueueFullError:
            log.info("no greeting: viewers have filled the queue already")

    def _on_turn(self, event: str, view: TurnView) -> None:
        self._emit({"event": event, **asdict(view)})

    def _emit(self, event: dict[str, object]) -> None:
        for listener in tuple(self._listeners):
            listener(event)

    def _warnings(self) -> tuple[str, ...]:
        air = self._on_air
        engine = air.supervisor.view()
        found = [
            air.outputs.camera.note,
            air.outputs.microphone.note,
            air.camera.detail,
            air.microphone.detail,
            *self._voice_warnings,
        ]
        if engine.state == "restarting":
            found.append(f"the engine restarts: {engine.last_error}")
        return tuple(w for w in found if w)
