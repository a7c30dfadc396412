"""What the daemon says about itself; `vcam-talker status --json` and GET /api/status print these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

EngineState = Literal["starting", "ready", "restarting", "stopped"]
LipsState = Literal["off", "starting", "ready", "slow", "restarting", "failed"]
"""Of the network that draws the mouth: `off`: none is wanted; `slow`: left alone for a while, it was late too
often; `failed`: can't be used, and is tried again."""
TurnKind = Literal["say", "ask", "greeting", "quiet"]
"""`say`: a text word for word; `ask`: a question; `greeting`, `quiet`: the persona's own lines."""
TurnState = Literal["queued", "thinking", "speaking", "done", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class TurnReceipt:
    """Answer to `say` and `ask`: accepted, and where in the queue."""

    turn: int
    position: int
    """0: starts at once; otherwise how many turns are before it."""
    note: str = ""
    """What was changed in the text, if anything (`control characters were removed`)."""


@dataclass(frozen=True, slots=True)
class TurnView:
    """One turn as the page shows it; the times trace the answer, in milliseconds from `queued`."""

    turn: int
    kind: TurnKind
    state: TurnState
    text: str
    user: str = ""
    source: str = ""
    answer: str = ""
    heard_text: str = ""
    started_ms: float | None = None
    first_audio_ms: float | None = None
    """First sample on the timeline."""
    on_air_ms: float | None = None
    """First sample at a reader of the microphone."""
    duration_s: float | None = None
    error: str = ""
    heard_ms: float | None = None
    """Negative: how long before `queued` the viewer's line was complete (sent, or the voice ended)."""
    first_token_ms: float | None = None
    """First text of the answer; the cache and lines word for word have theirs at once."""
    first_frame_ms: float | None = None
    """First frame that shows the turn left for the camera."""
    brain: str = ""
    """Which rung of the brain's ladder answered."""
    cached: bool = False
    """The first sentence came from the hot-phrase cache."""
    sentence: str = ""
    """The one that is being heard."""


@dataclass(frozen=True, slots=True)
class SkippedView:
    """A line that is not answered, and why, in words."""

    text: str
    user: str
    source: str
    why: str
    at_s: float
    """Seconds since the daemon's start."""


@dataclass(frozen=True, slots=True)
class SourceView:
    """Something that brings lines in: a chat, the ears, OBS."""

    name: str
    state: Literal["off", "connecting", "open", "lost", "failed"]
    detail: str = ""
    """Why it is not open, with the remedy; or what it is."""
    lines: int = 0
    """Taken in since start."""
    reconnects: int = 0


@dataclass(frozen=True, slots=True)
class ChatView:
    """The live chat."""

    sources: tuple[SourceView, ...] = ()
    passed: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason -> how many lines: `flood`, `repeated`, `user rate`, `blocked word`, `too long`, ..."""


@dataclass(frozen=True, slots=True)
class EarsView:
    """Listening."""

    state: Literal["off", "starting", "listening", "hearing", "lost"] = "off"
    """`hearing`: somebody speaks right now."""
    device: str = ""
    engine: str = ""
    model: str = ""
    detail: str = ""
    """What is degraded and the remedy."""
    utterances: int = 0
    echoes: int = 0
    """Utterances that were its own voice, and were dropped."""


@dataclass(frozen=True, slots=True)
class BrainView:
    """One rung of the ladder."""

    name: str
    state: Literal["ready", "loading", "resting", "failed"]
    detail: str = ""
    answered: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class CacheView:
    """The hot-phrase cache."""

    entries: int = 0
    memory_mb: float = 0.0
    disk_entries: int = 0
    disk_mb: float = 0.0
    hits: int = 0
    misses: int = 0
    evicted: int = 0
    warmed: int = 0
    """Persona lines that are ready."""
    to_warm: int = 0
    detail: str = ""
    """What is degraded (a full disk) and the remedy."""


@dataclass(frozen=True, slots=True)
class ShowView:
    """What the director is up to."""

    paused: bool = False
    muted: bool = False
    emotion: str = ""
    """The mood that was set; empty: the persona's own."""
    skipped: tuple[SkippedView, ...] = ()
    """The last lines that were not answered, newest first."""
    skipped_total: int = 0
    quiet_in_s: float | None = None
    """How long until it talks by itself; None when it won't."""


@dataclass(frozen=True, slots=True)
class SinkView:
    """One output device or file."""

    kind: Literal["camera", "microphone", "file", "preview", "null"]
    name: str
    state: Literal["open", "lost", "closed", "absent"]
    detail: str = ""
    written: int = 0
    """Frames, or audio samples."""
    reopened: int = 0
    latency_ms: float | None = None
    dropped: int = 0
    """Frames that were handed over but never got there."""


@dataclass(frozen=True, slots=True)
class PacingView:
    """How steadily frames leave; milliseconds, over the last minute."""

    fps: int
    frames: int
    """Since start."""
    late: int
    """Frames that left more than a quarter period after their deadline, since start."""
    repeated: int
    """Ticks on which the picture of the tick before left again because the new one was not ready."""
    skipped: int
    """Frames by which the count jumped, either way, when the clock was laid anew, since start."""
    deviation_p50_ms: float
    deviation_p99_ms: float
    longest_gap_ms: float
    rung: Literal["live", "idle", "still"]
    """Which rung of the source ladder the picture comes from."""


@dataclass(frozen=True, slots=True)
class EngineView:
    """The child process that holds chat, brain, voice and face models."""

    state: EngineState
    pid: int | None
    restarts: int
    last_error: str = ""
    voices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LipsView:
    """Who draws the mouth of a persona made of pictures."""

    state: LipsState = "off"
    drawn_by: str = "shapes"
    """The network, its engine and number format; `shapes`; or `nobody`: the mouth rests."""
    detail: str = ""
    """Why no network draws it though one should, with the remedy."""
    pid: int | None = None
    """Of the process that it runs in."""
    restarts: int = 0
    asked: int = 0
    """Mouths wanted of it since start."""
    answered: int = 0
    """Those that came in time."""
    p50_ms: float | None = None
    p95_ms: float | None = None
    """How long they took, of the last 300."""
    last_error: str = ""
    """Why the process was lost last."""


@dataclass(frozen=True, slots=True)
class PersonaSummary:
    """A persona that can be put on air."""

    name: str
    title: str
    language: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """Everything, once."""

    version: str
    pid: int
    uptime_s: float
    url: str
    persona: PersonaSummary
    width: int
    height: int
    pacing: PacingView
    engine: EngineView
    sinks: tuple[SinkView, ...]
    on_air: TurnView | None
    queue: tuple[TurnView, ...]
    recent: tuple[TurnView, ...]
    """The last turns that ended, newest first."""
    media_clock_s: float
    cpu_percent: float
    """Of one core, over the last second or more."""
    rss_mb: float
    clock_rate_ppm: float = 0.0
    """How much slower than nominal the microphone's clock runs, which everything follows."""
    clock_reanchored: int = 0
    """How often the clock was laid anew after a stall."""
    show: ShowView = ShowView()
    brains: tuple[BrainView, ...] = ()
    cache: CacheView | None = None
    ears: EarsView = EarsView()
    chat: ChatView = ChatView()
    obs: SourceView = SourceView("obs", "off")
    senses: EngineView | None = None
    """The child process that holds ears and chat; None when neither is on."""
    lips: LipsView = LipsView()
    warnings: tuple[str, ...] = ()
    """What is degraded now, in words, with the remedy."""


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device on this machine."""

    kind: Literal["camera", "microphone", "source", "output"]
    id: str
    label: str
    usable: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """What `vcam-talker devices` prints."""

    cameras: tuple[DeviceView, ...] = ()
    microphones: tuple[DeviceView, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """What is missing and the one command that adds it."""
    outputs: tuple[DeviceView, ...] = ()
    """Sound outputs that `--mic NAME` takes; empty unless asked for."""
