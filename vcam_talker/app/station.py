"""The daemon as the control API sees it: clean the text, ask the director, report."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

from vcam_talker import __version__
from vcam_talker.air.devices import list_devices
from vcam_talker.air.timeline import TimelineEvent
from vcam_talker.app.air import Air, make_scene
from vcam_talker.app.lips_choice import choose_lips
from vcam_talker.app.showrunner import ShowRunner
from vcam_talker.app.usage import UsageMeter, rss_mb
from vcam_talker.config import Config
from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.errors import BadInputError, SourceError
from vcam_talker.core.events import EngineEvent
from vcam_talker.core.intake import SensesEvent
from vcam_talker.core.stages import PreviewSource
from vcam_talker.core.status import DaemonStatus, DeviceReport, PersonaSummary, SourceView, TurnReceipt
from vcam_talker.core.text import clean_name, clean_text
from vcam_talker.core.types import NS_PER_S, ChatLine, Emotion, TurnId
from vcam_talker.persona import Persona, list_personas, load_persona

log = logging.getLogger(__name__)


class LiveStation:
    """Implements core.stages.Station. Runs on the control loop."""

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
        self._persona_lock = asyncio.Lock()
        self._air: Air | None = None
        self._show: ShowRunner | None = None
        self.obs: Callable[[], SourceView] = lambda: SourceView("obs", "off")
        """Tells how the link to OBS is."""
        self.url = ""

    def go_on(self, air: Air) -> ShowRunner:
        """Take the air that was built around this station's listeners; return what runs the show on it."""
        self._air = air
        self._show = ShowRunner(self._config, self._persona, air, self._clock, self._emit)
        return self._show

    # --- what air calls, from its threads

    def on_timeline(self, event: TimelineEvent) -> None:
        """Take a timeline event; at once on the control loop, else posted to it."""
        at_ns = self._clock.now_ns()
        if threading.get_ident() == self._thread:
            self._on_show.on_timeline(event, at_ns)
        else:
            self._post(lambda: self._on_show.on_timeline(event, at_ns))

    def on_frame(self, turn: TurnId, at_ns: int) -> None:
        """Take that the first frame of a turn has left, on the pacer's thread."""
        self._post(lambda: self._on_show.on_frame(turn, at_ns))

    def on_engine(self, event: EngineEvent) -> None:
        """Take an engine event on its supervisor's thread."""
        self._post(lambda: self._on_show.on_engine(event))

    def on_senses(self, event: SensesEvent) -> None:
        """Take an event of the senses on their supervisor's thread."""
        self._post(lambda: self._on_show.on_senses(event))

    # --- core.stages.Station

    @property
    def preview(self) -> PreviewSource:
        """Live picture and sound."""
        return self._on_air.preview

    async def say(self, text: str, *, emotion: Emotion | None = None, source: str = "api") -> TurnReceipt:
        """Queue a text to be spoken verbatim."""
        clean = clean_text(text, self._config.queue.max_text_chars)
        return self._on_show.director.submit(
            "say", clean.text, source=source, emotion=emotion, note=self._note(clean.notes)
        )

    async def ask(self, text: str, *, user: str = "", source: str = "api") -> TurnReceipt:
        """Queue a viewer's line to be answered."""
        clean = clean_text(text, self._config.queue.max_text_chars)
        return self._on_show.director.submit(
            "ask", clean.text, user=clean_name(user), source=source, note=self._note(clean.notes)
        )

    async def interrupt(self, *, clear_queue: bool = False) -> int:
        """Stop the turn on air, and drop what waits if asked."""
        return self._on_show.director.interrupt(clear_queue=clear_queue)

    async def mute(self, muted: bool) -> None:
        """Send silence to the microphone, or sound again."""
        self._on_air.playout.muted = muted
        self._emit({"event": "muted", "muted": muted})

    async def pause(self, paused: bool) -> None:
        """Begin no further turn, or go on."""
        director = self._on_show.director
        director.paused = paused
        self._emit({"event": "paused", "paused": paused})
        director.advance()

    async def set_emotion(self, emotion: Emotion | None) -> None:
        """Set the mood of the resting face and of texts without one."""
        self._on_show.set_emotion(emotion)
        self._emit({"event": "emotion", "emotion": emotion})

    async def chat(self, lines: Sequence[ChatLine]) -> int:
        """Hand viewers' lines of the webhook to the chat's filters."""
        senses = self._on_air.senses
        if senses is None or not self._config.chat.webhook.enabled:
            raise BadInputError("the chat's webhook", "is off", "Set chat.webhook.enabled = true")
        if not senses.send({"op": "chat", "lines": [asdict(line) for line in lines]}):
            raise SourceError("the chat", "is not there at the moment", "Send it again in a second")
        return len(lines)

    async def set_persona(self, name: str) -> PersonaSummary:
        """Put another persona on air; what is being said ends."""
        async with self._persona_lock:
            persona = await asyncio.to_thread(load_persona, self._by_path.get(name, name))
            choice = await asyncio.to_thread(choose_lips, persona, self._config)
            mouths = self._on_air.lips.mouths(choice)
            scene = await asyncio.to_thread(make_scene, persona, self._config, mouths)
            # The engine learns of the persona before the next turn is handed to it.
            self._on_air.painter.swap(scene)
            self._persona = persona
            self._on_air.use_persona(choice)
            self._on_show.use_persona(persona)
            self._emit({"event": "persona", **asdict(persona.summary())})
            return persona.summary()

    def personas(self) -> Sequence[PersonaSummary]:
        """Return the personas that can be chosen: built-in, the user's, and the one the daemon began with."""
        found = list_personas()
        return found if self._first.name in {p.name for p in found} else [*found, self._first]

    def status(self) -> DaemonStatus:
        """Return a snapshot."""
        air, show = self._on_air, self._on_show
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
            on_air=show.director.floor_view(),
            queue=show.director.queue_view(),
            recent=show.director.recent_view(),
            media_clock_s=air.media_clock_s(),
            cpu_percent=self._usage.cpu_percent(),
            rss_mb=rss_mb(),
            clock_rate_ppm=round(air.clock.rate_error_ppm, 1),
            clock_reanchored=air.clock.reanchored,
            show=show.view(muted=air.playout.muted),
            brains=show.brains,
            cache=show.cache,
            ears=show.ears,
            chat=show.chat,
            obs=self.obs(),
            senses=air.senses.view() if air.senses else None,
            lips=air.lips.view(),
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

    @property
    def _on_air(self) -> Air:
        if self._air is None:
            raise RuntimeError("the station is used before air is there")
        return self._air

    @property
    def _on_show(self) -> ShowRunner:
        if self._show is None:
            raise RuntimeError("the station is used before the show runs")
        return self._show

    def _post(self, call: Callable[[], None]) -> None:
        # The loop closes before the last threads end; what they have to say then interests nobody.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call)

    def _emit(self, event: dict[str, object]) -> None:
        for listener in tuple(self._listeners):
            listener(event)

    def _note(self, notes: Iterable[str]) -> str:
        """Return what whoever asked for a turn should know about it."""
        muted = ["the microphone is muted: nobody hears it"] if self._on_air.playout.muted else []
        return "; ".join([*notes, *muted])

    def _warnings(self) -> tuple[str, ...]:
        air, show = self._on_air, self._on_show
        found = [
            air.outputs.camera.note,
            air.outputs.microphone.note,
            air.camera.detail,
            air.microphone.detail,
            *show.voice_warnings,
            *(f"{b.name}: {b.detail}" for b in show.brains if b.state in {"failed", "resting"}),
            show.ears.detail,
            *(f"{s.name}: {s.detail}" for s in show.chat.sources if s.state in {"lost", "failed"}),
            show.cache.detail if show.cache else "",
        ]
        obs = self.obs()
        if obs.state == "failed":
            found.append(obs.detail)
        for name, child in (("engine", air.supervisor), ("senses", air.senses)):
            if child is not None and (view := child.view()).state == "restarting":
                found.append(f"the {name} restarts: {view.last_error}")
        lips = air.lips.view()
        if lips.state == "slow":
            found.append("the lips' network is too slow for this machine; it is left alone for a while")
        elif lips.state == "restarting":
            found.append(f"the lips' process restarts, drawn by {lips.drawn_by} meanwhile: {lips.last_error}")
        elif lips.detail:
            found.append(lips.detail)
        return tuple(w for w in found if w)
