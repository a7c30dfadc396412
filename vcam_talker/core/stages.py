"""The seams of the house: what an engine of each kind promises.

Engines implement these by shape, without inheriting. Every kind has a null engine, so that the whole
daemon runs without weights, GPU or devices, and one contract suite that every engine of the kind passes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from vcam_talker.core.status import DaemonStatus, DeviceReport, PersonaSummary, TurnReceipt
from vcam_talker.core.types import (
    AudioChunk,
    ChatLine,
    Emotion,
    FaceInput,
    MouthTrack,
    Pts,
    Question,
    Samples,
    Sentence,
    Speech,
    Transcript,
    VideoFrame,
    VoiceInfo,
    VoiceSpec,
)

Cancelled = Callable[[], bool]
"""Asked between quanta of work; True means: stop now, the turn is dead."""


class Responder(Protocol):
    """Turns a viewer's line into an answer. Lives in the engine process, on its event loop.

    Built as `Class(persona, brain_config)`; construction is cheap, `warm_up` is not.
    """

    @property
    def name(self) -> str:
        """Name in the registry."""
        ...

    def respond(self, question: Question) -> AsyncIterator[str]:
        """Yield text deltas of the answer. Closing the iterator cancels the work behind it, soon.

        Emotion tags such as `[happy]` may stand in the text; they steer face and voice and are never spoken.
        Never blocks the loop for more than a few milliseconds. Raises DeclinedError, before any delta, to
        pass a question on; EngineError when it can't answer.
        """
        ...

    async def warm_up(self) -> None:
        """Load what must be loaded. May take minutes, without blocking the loop. Raises EngineError."""
        ...

    async def close(self) -> None:
        """Let go of connections and models. Idempotent."""
        ...


class Transcriber(Protocol):
    """Turns one utterance into text while it is spoken. Lives in the senses process; used from one thread."""

    @property
    def name(self) -> str:
        """Name in the registry, as upstream names it."""
        ...

    def begin(self) -> None:
        """Start an utterance; forgets the one before."""
        ...

    def feed(self, samples: Samples) -> None:
        """Take sound: float32[N] in [-1, 1], mono, 16 kHz. May block for a fraction of its length."""
        ...

    def partial(self) -> str:
        """Return the words so far, empty where the engine can't tell. Does not block."""
        ...

    def pause(self) -> None:
        """Learn that the voice has paused: an engine may transcribe on speculation now. May block."""
        ...

    def finish(self) -> Transcript:
        """End the utterance; return its text, empty if nothing was understood. Blocks. Raises EngineError."""
        ...

    def close(self) -> None:
        """Free the model. Idempotent."""
        ...


class ChatSource(Protocol):
    """A live chat. Lives in the senses process, on its event loop."""

    @property
    def name(self) -> str:
        """Platform and room, as a user would say it (`twitch #channel`)."""
        ...

    @property
    def platform(self) -> str:
        """What its messages are stamped with (`twitch`)."""
        ...

    def lines(self, joined: Callable[[], None]) -> AsyncGenerator[ChatLine, None]:
        """Yield lines as they come, from a connection made anew; ends or raises when it is lost.

        `joined` is called once lines can come. Raises SourceError. The caller calls again, with back-off.
        Closing the iterator closes the connection.
        """
        ...


class Synthesizer(Protocol):
    """Turns a sentence into sound with phoneme timings. Lives in the engine process."""

    @property
    def name(self) -> str:
        """Name in the registry, as upstream names it."""
        ...

    def voices(self) -> Sequence[VoiceInfo]:
        """Return the voices on this machine; empty when the program is missing. May start a program."""
        ...

    def version(self) -> str:
        """Return what changes when the programs and data that make the sound do; empty when they are missing.

        A few file look-ups once the program runs; may start it.
        """
        ...

    def synthesize(self, sentence: Sentence, spec: VoiceSpec, cancelled: Cancelled) -> Iterator[Speech]:
        """Yield the sentence's sound in one or more parts, first part as early as possible.

        Blocking; called from a worker thread. Stops within 50 ms of `cancelled()` turning true.
        Raises EngineError.
        """
        ...

    def close(self) -> None:
        """Stop every program it started. Idempotent."""
        ...


class FaceDriver(Protocol):
    """Turns speech into mouth poses. Lives in the engine process; blocking; not thread-safe."""

    def drive(self, speech: Speech) -> MouthTrack:
        """Return poses that cover `speech` from its first sample to its last (T >= 1).

        Whenever the speech is silent the mouth is shut; bilabials close it.
        """
        ...

    def reset(self) -> None:
        """Forget the previous speech (after a barge-in)."""
        ...


@dataclass(frozen=True, slots=True)
class SceneNeeds:
    """What a scene asks of whoever has it draw."""

    sound_s: tuple[float, float] = (0.0, 0.0)
    """How much of the speech before and after the PTS comes with `FaceInput`; equal: none."""
    patience_s: float = 0.0
    """How much longer than others it may take: it is asked to draw that much earlier."""


NO_NEEDS: Final = SceneNeeds()


class Scene(Protocol):
    """Draws the presenter. Lives in air, on the painter's thread; never blocks on a device or a socket.

    It may wait for a helper process, for `needs.patience_s` at most.
    """

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, both even."""
        ...

    def draw(self, pts: Pts, face: FaceInput) -> VideoFrame:
        """Draw the picture for `pts` (yuv420p), idle life included.

        Deterministic for one seed and one sequence of calls. When nothing visible changed since the last
        call, the returned frame carries the *same* pixels object, so that sinks can tell.
        """
        ...

    def still(self) -> VideoFrame:
        """Return the resting portrait, the last rung of the source ladder. Never raises."""
        ...

    @property
    def needs(self) -> SceneNeeds:
        """What it asks for. May change while it is on air."""
        ...


class VideoSink(Protocol):
    """Where pictures go. Never sleeps, never owns time; used from one thread."""

    @property
    def name(self) -> str:
        """What a user would call it (`/dev/video10`, `show.mp4`)."""
        ...

    @property
    def dropped(self) -> int:
        """Frames that were written and never got there, since construction."""
        ...

    def open(self, width: int, height: int, fps: int) -> None:
        """Acquire the device. Raises DeviceError."""
        ...

    def write(self, frame: VideoFrame) -> None:
        """Send one frame. Raises DeviceLostError when the device is gone."""
        ...

    def close(self) -> None:
        """Release the device. Idempotent, never raises."""
        ...


class AudioSink(Protocol):
    """Where sound goes. Used from one thread."""

    @property
    def name(self) -> str:
        """What a user would call it."""
        ...

    @property
    def paced(self) -> bool:
        """True when a device takes samples at its own rate, so that `write` blocks while its buffer is full.

        False for files and null sinks: then the playout thread keeps time.
        """
        ...

    def open(self, rate: int) -> None:
        """Acquire the device, mono at `rate` Hz. Raises DeviceError."""
        ...

    def write(self, chunk: AudioChunk) -> None:
        """Take one block. Raises DeviceLostError when the device is gone."""
        ...

    def latency_ns(self) -> int:
        """Return the time from `write` returning until a reader of the device hears the block's last sample.

        0 where nobody hears it. Does not block.
        """
        ...

    def close(self) -> None:
        """Release the device. Idempotent, never raises."""
        ...


class PreviewSubscription(Protocol):
    """One viewer of the preview. Thread-safe; a slow one loses packets and stalls nobody."""

    @property
    def dropped(self) -> int:
        """Packets this viewer was too slow for."""
        ...

    def take(self) -> list[bytes]:
        """Return the packets that wait, oldest first; never blocks."""
        ...

    def close(self) -> None:
        """Leave. Idempotent."""
        ...


class PreviewSource(Protocol):
    """Live picture and sound for the page; costs nothing while nobody watches."""

    def subscribe(self, wake: Callable[[], None]) -> PreviewSubscription:
        """Join. `wake` is called from another thread whenever packets wait; it must not block."""
        ...


class Station(Protocol):
    """The daemon as the control API sees it. All coroutines run on the control loop and return quickly."""

    @property
    def preview(self) -> PreviewSource:
        """Live picture and sound."""
        ...

    async def say(self, text: str, *, emotion: Emotion | None = None, source: str = "api") -> TurnReceipt:
        """Queue a text to be spoken verbatim. Raises BadInputError, QueueFullError."""
        ...

    async def ask(self, text: str, *, user: str = "", source: str = "api") -> TurnReceipt:
        """Queue a viewer's line to be answered. Raises BadInputError, QueueFullError."""
        ...

    async def interrupt(self, *, clear_queue: bool = False) -> int:
        """Stop the turn on air, and drop what waits if asked. Returns how many turns ended. Idempotent."""
        ...

    async def mute(self, muted: bool) -> None:
        """Send silence to the microphone, or sound again; lips and the page go on. Idempotent."""
        ...

    async def pause(self, paused: bool) -> None:
        """Begin no further turn, or go on; what is being said ends normally. Idempotent."""
        ...

    async def set_emotion(self, emotion: Emotion | None) -> None:
        """Set the mood of the resting face and of texts without one; None: the persona's own."""
        ...

    async def chat(self, lines: Sequence[ChatLine]) -> int:
        """Hand viewers' lines of the webhook to the chat's filters; return how many were taken.

        Raises BadInputError when `chat.webhook` is off.
        """
        ...

    async def set_persona(self, name: str) -> PersonaSummary:
        """Put another persona on air. Raises PersonaError; then nothing changes."""
        ...

    def personas(self) -> Sequence[PersonaSummary]:
        """Return the personas that can be chosen."""
        ...

    def status(self) -> DaemonStatus:
        """Return a snapshot of everything a user may ask about."""
        ...

    def devices(self) -> DeviceReport:
        """Return the cameras and microphones in use and at hand. May take 100 ms; call off the loop."""
        ...

    def subscribe_events(self, listener: Callable[[dict[str, object]], None]) -> Callable[[], None]:
        """Register for events (`{"event": "turn_started", ...}`), called on the control loop.

        Returns the function that unregisters.
        """
        ...
