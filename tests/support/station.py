"""A Station without a daemon behind it: records what it is told, and can feed a live picture and a tone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vcam_talker.air.sinks.preview import PreviewHub
from vcam_talker.config import PreviewConfig
from vcam_talker.core.clock import SystemClock
from vcam_talker.core.errors import PersonaError
from vcam_talker.core.status import (
    DaemonStatus,
    DeviceReport,
    DeviceView,
    EngineView,
    PacingView,
    PersonaSummary,
    SinkView,
    TurnReceipt,
    TurnView,
)
from vcam_talker.core.types import (
    NS_PER_S,
    SAMPLE_RATE,
    AudioChunk,
    ChatLine,
    Emotion,
    Pixels,
    Pts,
    VideoFrame,
)

PERSONAS = (
    PersonaSummary("mira", "Mira", "en", "Warm and curious."),
    PersonaSummary("lin", "Lin", "cmn", "Calm, speaks Mandarin."),
)


def status(**changes: Any) -> DaemonStatus:
    """Return a healthy daemon's status."""
    found = DaemonStatus(
        version="0.1.0",
        pid=4321,
        uptime_s=12.5,
        url="http://127.0.0.1:8470",
        persona=PERSONAS[0],
        width=1280,
        height=720,
        pacing=PacingView(30, 375, 0, 0, 0, 0.3, 1.4, 34.9, "live"),
        engine=EngineView("ready", 4322, 0, voices=("flite/slt", "espeak-ng/cmn")),
        sinks=(
            SinkView("camera", "/dev/video10", "open", "vcam_talker", 375),
            SinkView("microphone", "vcam_talker_mic", "open", "PulseAudio", 600_000, latency_ms=31.0),
        ),
        on_air=None,
        queue=(),
        recent=(),
        media_clock_s=12.5,
        cpu_percent=11.0,
        rss_mb=142.0,
    )
    return replace(found, **changes)


class FakeStation:
    """Implements core.stages.Station.

    `calls` holds what it was told; set `raises` to refuse the next call.
    """

    def __init__(self) -> None:
        self.preview = PreviewHub(PreviewConfig())
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.raises: Exception | None = None
        self.current = status()
        self.listeners: list[Callable[[dict[str, object]], None]] = []
        self.called = threading.Condition()
        self._turn = 0

    def wait_for_call(self, name: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """Block until `name` was called and return its arguments. Raises AssertionError."""
        with self.called:
            found = self.called.wait_for(lambda: any(n == name for n, _ in self.calls), timeout_s)
            assert found, f"{name} was not called; calls: {self.calls}"
            return next(arguments for n, arguments in reversed(self.calls) if n == name)

    def _record(self, call: str, **arguments: Any) -> None:
        if self.raises is not None:
            error, self.raises = self.raises, None
            raise error
        with self.called:
            self.calls.append((call, arguments))
            self.called.notify_all()

    def _queue(self, view: TurnView) -> TurnReceipt:
        position = len(self.current.queue) + (self.current.on_air is not None)
        if self.current.on_air is None:
            self.current = replace(self.current, on_air=replace(view, state="thinking"))
        else:
            self.current = replace(self.current, queue=(*self.current.queue, view))
        self.emit({"event": "turn_queued", "turn": view.turn})
        return TurnReceipt(view.turn, position)

    async def say(self, text: str, *, emotion: Emotion | None = None, source: str = "api") -> TurnReceipt:
        self._record("say", text=text, emotion=emotion, source=source)
        self._turn += 1
        return self._queue(TurnView(self._turn, "say", "queued", text, source=source))

    async def ask(self, text: str, *, user: str = "", source: str = "api") -> TurnReceipt:
        self._record("ask", text=text, user=user, source=source)
        self._turn += 1
        return self._queue(TurnView(self._turn, "ask", "queued", text, user=user, source=source))

    async def interrupt(self, *, clear_queue: bool = False) -> int:
        self._record("interrupt", clear_queue=clear_queue)
        ended = int(self.current.on_air is not None)
        self.current = replace(self.current, on_air=None)
        if clear_queue:
            ended += len(self.current.queue)
            self.current = replace(self.current, queue=())
        return ended

    async def mute(self, muted: bool) -> None:
        self._record("mute", muted=muted)
        self._show(muted=muted)

    async def pause(self, paused: bool) -> None:
        self._record("pause", paused=paused)
        self._show(paused=paused)

    async def set_emotion(self, emotion: Emotion | None) -> None:
        self._record("emotion", emotion=emotion)
        self._show(emotion=emotion or "")

    async def chat(self, lines: Sequence[ChatLine]) -> int:
        self._record("chat", lines=lines)
        return len(lines)

    def _show(self, **changes: Any) -> None:
        self.current = replace(self.current, show=replace(self.current.show, **changes))
        self.emit({"event": "show"})

    async def set_persona(self, name: str) -> PersonaSummary:
        self._record("persona", name=name)
        for persona in PERSONAS:
            if persona.name == name:
                self.current = replace(self.current, persona=persona)
                return persona
        raise PersonaError(f"persona '{name}'", "no such persona", "There are: mira, lin")

    def personas(self) -> Sequence[PersonaSummary]:
        return PERSONAS

    def status(self) -> DaemonStatus:
        pacing = replace(self.current.pacing, frames=self.current.pacing.frames + 30)
        self.current = replace(self.current, pacing=pacing, media_clock_s=self.current.media_clock_s + 1)
        return self.current

    def devices(self) -> DeviceReport:
        return DeviceReport((DeviceView("camera", "/dev/video10", "vcam_talker", usable=True),))

    def subscribe_events(self, listener: Callable[[dict[str, object]], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def emit(self, event: dict[str, object]) -> None:
        """Send an event; on the control loop only."""
        for listener in list(self.listeners):
            listener(event)


class LiveFeed:
    """Feeds a hub in real time, as the pacer and playout threads do: a moving picture and a 440 Hz tone.

    `picture` draws the frame of an index, `loudness` gives the tone's amplitude at a second of the media
    clock. Sound is `audio_lead_ms` ahead of the picture, as a microphone with that latency makes it.
    """

    def __init__(
        self,
        hub: PreviewHub,
        *,
        picture: Callable[[int], Pixels] | None = None,
        loudness: Callable[[float], float] = lambda _: 0.25,
        fps: int = 30,
        audio_lead_ms: int = 40,
    ) -> None:
        self._hub = hub
        self._picture = picture or moving_picture
        self._loudness = loudness
        self._fps = fps
        self._lead_ns = audio_lead_ms * 1_000_000
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live feed", daemon=True)

    def __enter__(self) -> LiveFeed:
        self._hub.open(1280, 720, self._fps)
        self._hub.audio.open(SAMPLE_RATE)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._hub.close()

    def _run(self) -> None:
        clock = SystemClock()
        start_ns = clock.now_ns()
        frame = block = 0
        block_samples = SAMPLE_RATE // 100
        while not self._stop.is_set():
            now_ns = clock.now_ns() - start_ns
            while (pts := block * block_samples * NS_PER_S // SAMPLE_RATE) <= now_ns + self._lead_ns:
                at = np.arange(block * block_samples, (block + 1) * block_samples) / SAMPLE_RATE
                tone = (self._loudness(pts / NS_PER_S) * np.sin(2 * np.pi * 440 * at)).astype(np.float32)
                self._hub.audio.write(AudioChunk(Pts(pts), SAMPLE_RATE, tone))
                block += 1
            pts = frame * NS_PER_S // self._fps
            if pts <= now_ns:
                self._hub.write(VideoFrame(Pts(pts), self._picture(frame)))
                frame += 1
            clock.sleep_until_ns(start_ns + now_ns + 5_000_000)


def moving_picture(index: int, width: int = 1280, height: int = 720) -> Pixels:
    """Return a grey-blue yuv420p picture with a bright bar that moves 8 pixels a frame."""
    pixels = np.empty((height * 3 // 2, width), np.uint8)
    pixels[:height] = 90
    left = index * 8 % (width - 80)
    pixels[:height, left : left + 80] = 220
    pixels[height:] = 140
    return pixels
