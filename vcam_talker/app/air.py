"""Put air together: devices, clock, timeline, pacer, playout, supervisor, from configuration."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vcam_talker import registry
from vcam_talker.air.child_process import ChildMain, child_context
from vcam_talker.air.feed import SpeechFeed
from vcam_talker.air.pacer import Pacer, SentListener, TurnListener
from vcam_talker.air.pacing import PacingMeter
from vcam_talker.air.painter import FaceDirector, Painter
from vcam_talker.air.playout import PlayoutThread
from vcam_talker.air.playout_clock import PlayoutClock
from vcam_talker.air.reopen import Keeper
from vcam_talker.air.sinks.preview import PreviewHub
from vcam_talker.air.supervisor import Limits, Supervisor
from vcam_talker.air.timeline import Timeline, TimelineEvent
from vcam_talker.app.lips import Lips
from vcam_talker.app.lips_choice import LipsChoice
from vcam_talker.app.outputs import Outputs
from vcam_talker.config import Config
from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.events import EngineEvent, parse_event
from vcam_talker.core.intake import SensesEvent, parse_senses
from vcam_talker.core.stages import Scene
from vcam_talker.core.status import SinkView
from vcam_talker.core.types import NS_PER_S, SAMPLE_RATE
from vcam_talker.engine.process import engine_main
from vcam_talker.face.disclosure import DisclosedScene
from vcam_talker.lips.process import lips_main
from vcam_talker.persona import Persona

if TYPE_CHECKING:
    from vcam_talker.face.clip.scene import MouthMaker

log = logging.getLogger(__name__)

# Without a microphone there is no latency to follow; this keeps a picture's sound committed before it.
_IDLE_LATENCY_NS = 40_000_000
_NATIVE_TIMEOUT_S = 6.0
"""Longer than the engine's: what loads or computes for senses and lips may let no other thread run."""


def make_scene(persona: Persona, config: Config, mouths: MouthMaker | None = None) -> Scene:
    """Build the persona's picture; 0.1 to 0.5 s. Raises PersonaError.

    `mouths`: who draws those of a persona made of pictures, instead of shapes.
    """
    drawn = {} if mouths is None else {"mouths": mouths}
    make = registry.find("scene", persona.face.kind)
    scene: Scene = make(persona, config.air.width, config.air.height, **drawn)
    mark = config.air.disclosure or persona.face.disclosure
    return DisclosedScene(scene, mark) if mark else scene


class Air:
    """Everything that must never stop, started in the order that puts the picture on the camera first."""

    def __init__(
        self,
        config: Config,
        persona: Persona,
        scene: Scene,
        lips: Lips,
        choice: LipsChoice,
        outputs: Outputs,
        clock: MonotonicClock,
        on_timeline: Callable[[TimelineEvent], None],
        on_engine: Callable[[EngineEvent], None],
        on_senses: Callable[[SensesEvent], None],
        on_turn: TurnListener,
        on_sent: SentListener | None,
    ) -> None:
        self._config = config
        air, microphone = config.air, config.microphone
        self.timeline = Timeline(on_timeline)
        self.feed = SpeechFeed(self.timeline, self._replace_engine, config.engine.ahead_ms)
        self.clock = PlayoutClock(clock, SAMPLE_RATE, _IDLE_LATENCY_NS)
        self.mood = FaceDirector(persona.emotions.default)
        self.painter = Painter(self.timeline, scene, self.mood, air.fps)
        self.meter = PacingMeter(air.fps)
        self.preview = PreviewHub(config.preview)
        self.preview.open(air.width, air.height, air.fps)
        self.outputs = outputs
        self.camera = Keeper(
            outputs.camera.sink,
            lambda sink: sink.open(air.width, air.height, air.fps),
            reopen=outputs.camera.kind != "file",
        )
        self.microphone = Keeper(
            outputs.microphone.sink,
            lambda sink: sink.open(SAMPLE_RATE),
            reopen=outputs.microphone.kind != "file",
        )
        self.playout = PlayoutThread(
            self.timeline,
            self.feed,
            self.clock,
            clock,
            self.microphone,
            self.preview.audio,
            outputs.audio_taps,
            idle_latency_ns=_IDLE_LATENCY_NS,
            offset_ns=int(microphone.av_offset_ms * 1e6),
        )
        self.pacer = Pacer(
            self.painter,
            self.clock,
            clock,
            air.fps,
            self.camera,
            [self.preview],
            self.meter,
            on_sent,
            on_turn,
        )
        engine = config.engine
        limits = Limits(engine.heartbeat_timeout_s, engine.start_timeout_s, engine.backoff_max_s)
        mains: list[ChildMain] = [engine_main, lips_main]
        if listens := config.ears.mode != "off" or config.chat.enabled:
            from vcam_talker.senses.process import senses_main

            mains.append(senses_main)
        patient = replace(limits, heartbeat_timeout_s=max(_NATIVE_TIMEOUT_S, limits.heartbeat_timeout_s))
        context = child_context(mains)
        root = str(persona.root)
        self.supervisor: Supervisor[EngineEvent] = Supervisor(
            "engine", engine_main, context, self.feed, clock, limits, parse_event, on_engine,
            persona=root, config=config,
        )  # fmt: skip
        self.senses: Supervisor[SensesEvent] | None = None
        """Ears and chat; None when neither is wanted."""
        self.lips = lips
        lips.supervise(context, patient, choice)
        if listens:
            self.senses = Supervisor(
                "senses", senses_main, context, None, clock, patient, parse_senses, on_senses,
                persona=root, config=config,
            )  # fmt: skip

    def start(self) -> None:
        """Go on air. Raises DeviceError when a device that was named can't be opened."""
        self.camera.open_now()
        if self._config.microphone.device == "auto":
            # May have to start a sound server first; the picture does not wait for it.
            self.microphone.open_later()
        else:
            self.microphone.open_now()
        self.playout.start()
        self.pacer.start()

    def start_children(self) -> None:
        """Start the engine, the senses and the lips; returns at once."""
        for child in self._children:
            child.start()
        self.lips.start()

    def check_children(self) -> None:
        """Kill a child that its supervisor is stuck on. Call about once a second."""
        for child in self._children:
            child.check()
        self.lips.check()
        # A mouth drawn from the sound wants to know what comes next.
        self.feed.look_ahead_ms = round(1000 * self.painter.needs.sound_s[1])

    def use_persona(self, choice: LipsChoice) -> None:
        """Have the children go on as another persona, its lips drawn as chosen."""
        for child in self._children:
            child.use_persona(str(choice.persona.root))
        self.lips.use(choice)

    def halt(self) -> None:
        """Send nothing more; what is recorded ends here. Idempotent."""
        self.pacer.stop()
        self.playout.stop()

    def stop(self) -> None:
        """Leave the air; within a few seconds. Safe after a start that failed half-way."""
        self.halt()
        for child in self._children:
            child.stop()
        self.lips.stop()
        self.camera.close()
        self.microphone.close()
        self.feed.detach()
        self.preview.close()

    @property
    def _children(self) -> list[Supervisor[Any]]:
        return [child for child in (self.supervisor, self.senses) if child is not None]

    def _replace_engine(self, reason: str) -> None:
        self.supervisor.replace(reason)

    def sink_views(self) -> tuple[SinkView, ...]:
        """Return the devices for `status`."""
        camera, microphone = self.camera, self.microphone
        latency_ms = None
        if microphone.state == "open" and microphone.sink.paced:
            latency_ms = round(microphone.sink.latency_ns() / 1e6, 1)
        return (
            SinkView(
                self.outputs.camera.kind,
                camera.sink.name,
                camera.state,
                camera.detail or self.outputs.camera.note,
                self.pacer.frames_written,
                camera.reopened,
                dropped=camera.sink.dropped,
            ),
            SinkView(
                self.outputs.microphone.kind,
                microphone.sink.name,
                microphone.state,
                microphone.detail or self.outputs.microphone.note,
                self.playout.samples_written,
                microphone.reopened,
                latency_ms,
            ),
        )

    def media_clock_s(self) -> float:
        """Return how much sound has left: stands still when the playout thread does."""
        return round(self.timeline.position / NS_PER_S, 3)
