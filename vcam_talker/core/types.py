"""The data that travels chat -> show -> llm -> tts -> face -> air.

All types are frozen and slotted; arrays inside them are read-only by convention once published.
Times carry their unit in the name (`_s`, `_ns`); `Pts` is integer nanoseconds on the media clock and
is always derived from counters, never from summed floats.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, NewType

import numpy as np
import numpy.typing as npt

Pts = NewType("Pts", int)
TurnId = NewType("TurnId", int)

NO_TURN: Final = TurnId(0)
SAMPLE_RATE: Final = 48_000
"""Hz. The one rate of the timeline, the virtual microphone and every recording."""

NS_PER_S: Final = 1_000_000_000

Samples = npt.NDArray[np.float32]
"""float32[N] in [-1, 1], mono."""
Pixels = npt.NDArray[np.uint8]

PixelFormat = Literal["yuv420p", "rgb24"]
"""Named as FFmpeg names them. `yuv420p`: uint8[H * 3 // 2, W] (planes Y, U, V stacked, BT.601 limited
range, the layout PyAV and pyvirtualcam call I420). `rgb24`: uint8[H, W, 3]."""

MOUTH_RATE_HZ: Final = 100
"""Mouth tracks carry one pose per 10 ms of speech."""

MOUTH_PARAMS: Final = ("jaw", "width", "rounding", "protrusion", "teeth", "tongue", "press")
"""Order of the columns of a mouth pose.

jaw 0 shut .. 1 wide open · width -1 narrow .. 1 spread · rounding 0 .. 1 · protrusion 0 .. 1 ·
teeth 0 hidden .. 1 upper teeth fully shown (with jaw 0 and press 0: teeth on the lower lip or clenched) ·
tongue 0 low .. 1 at the upper teeth · press 0 lips relaxed .. 1 lips pressed together (m, b, p).
"""
MouthPose = npt.NDArray[np.float32]
"""float32[7], see MOUTH_PARAMS."""


def rest_mouth() -> MouthPose:
    """Return the mouth of silence: shut, relaxed."""
    return np.zeros(len(MOUTH_PARAMS), np.float32)


class Emotion(StrEnum):
    """What the face can show; `NEUTRAL` is the absence of the six others."""

    NEUTRAL = "neutral"
    HAPPY = "happy"
    SAD = "sad"
    ANGRY = "angry"
    SURPRISED = "surprised"
    THOUGHTFUL = "thoughtful"
    PLAYFUL = "playful"


class Activity(StrEnum):
    """What the presenter is doing, for gaze and posture."""

    IDLE = "idle"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"


@dataclass(frozen=True, slots=True)
class Phone:
    """One speech sound; times in seconds from the start of its `Speech`."""

    symbol: str
    """Lower-case: ARPABET without stress from flite (`aa`, `m`, `pau`), espeak-ng mnemonics otherwise."""
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word; times in seconds from the start of its `Speech`."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """A piece of an answer, small enough to be spoken at once."""

    turn: TurnId
    index: int
    text: str
    emotion: Emotion = Emotion.NEUTRAL
    language: str = ""
    """BCP 47 (`en`, `cmn`, `de`); empty: the persona's own language."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What a synthesizer made of a sentence, or of a part of it; parts follow each other without a gap."""

    sentence: Sentence
    rate: int
    samples: Samples
    phones: tuple[Phone, ...] = ()
    words: tuple[Word, ...] = ()
    alphabet: Literal["arpabet", "espeak", "none"] = "none"
    last: bool = True
    """True on the last part of its sentence."""


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Sound on the media clock. Samples float32[N] in [-1, 1], mono, at `rate` Hz."""

    pts: Pts
    rate: int
    samples: Samples
    turn: TurnId = NO_TURN


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One picture on the media clock."""

    pts: Pts
    pixels: Pixels
    format: PixelFormat = "yuv420p"
    turn: TurnId = NO_TURN

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        rows = int(self.pixels.shape[0])
        return rows * 2 // 3 if self.format == "yuv420p" else rows


@dataclass(frozen=True, slots=True)
class MouthTrack:
    """Mouth poses along a piece of speech: float32[T, 7], one per 1/MOUTH_RATE_HZ s from its start."""

    values: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FaceInput:
    """All a scene needs to know to draw one frame; the scene adds its own idle life."""

    mouth: MouthPose = field(default_factory=rest_mouth)
    emotion: Emotion = Emotion.NEUTRAL
    activity: Activity = Activity.IDLE
    energy: float = 0.0
    """Loudness of the speech around this frame, 0 .. 1; moves head and brows."""
    sound: Samples | None = None
    """The speech around this frame at SAMPLE_RATE, the span that `Scene.needs` tells; None while the mouth
    is at rest, and for scenes that do not ask."""


@dataclass(frozen=True, slots=True)
class Playout:
    """The truth about one finished turn: what the audience heard."""

    turn: TurnId
    played_s: float
    total_s: float
    interrupted: bool
    heard_text: str


@dataclass(frozen=True, slots=True)
class VoiceSpec:
    """Which voice, and how it speaks."""

    engine: str
    voice: str
    language: str = "en"
    rate: float = 1.0
    """Speed, 0.5 .. 2.0; 1.0 is the voice's own."""
    pitch_semitones: float = 0.0
    """-12 .. 12."""
    gain_db: float = 0.0
    """-24 .. 12, after levelling."""


@dataclass(frozen=True, slots=True)
class VoiceInfo:
    """A voice an engine offers.

    `variants` are what may follow its name behind a `+`; None where that can't be told.
    """

    engine: str
    name: str
    language: str
    description: str = ""
    variants: frozenset[str] | None = frozenset()

    def offers(self, wanted: str) -> bool:
        """Tell whether `wanted` is this voice, as it is or in a variant that there is (`cmn+f3`)."""
        name, plus, variant = wanted.partition("+")
        known = not plus or self.variants is None or variant in self.variants or variant.isdecimal()
        return name == self.name and known


Role = Literal["viewer", "moderator", "owner"]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One viewer's line as every platform's is made: cleaned, bounded, data and nothing else."""

    platform: str
    """`twitch`, `webhook`."""
    room: str
    id: str
    """Unique within its platform; made up where the platform gives none."""
    user: str
    """Display name."""
    user_id: str
    """What stays the same when the display name changes; what rate limits count by."""
    text: str
    received_ns: int
    """Monotonic time at which it reached this machine."""
    role: Role = "viewer"
    mentions_persona: bool = False


@dataclass(frozen=True, slots=True)
class ChatLine:
    """A line as a source read it: hostile, of any length up to the source's own limit, not yet cleaned."""

    user: str
    text: str
    room: str = ""
    id: str = ""
    user_id: str = ""
    role: Role = "viewer"


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a transcriber understood."""

    text: str
    confidence: float
    """0 .. 1."""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What somebody said to the presenter. Times are monotonic nanoseconds at the capture device."""

    text: str
    began_ns: int
    ended_ns: int
    """Where the voice ended; the endpoint is decided later."""
    endpoint_ns: int
    """When the pause was long enough to call the utterance ended."""
    confidence: float
    """0 .. 1, as the recogniser sees it."""
    language: str = ""
    engine: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """An answered line of the past: what was asked, and what of the answer was heard."""

    user: str
    asked: str
    heard: str
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What a responder answers."""

    text: str
    user: str = ""
    room: str = ""
    history: tuple[Exchange, ...] = ()
    """Of the room, oldest first; bounded by the caller. Grows at its end and is shortened in large steps
    at its beginning, so that a prompt made from it keeps its prefix."""
    remembered: tuple[Exchange, ...] = ()
    """This viewer's own earlier ones which the room's history no longer holds, oldest first."""
