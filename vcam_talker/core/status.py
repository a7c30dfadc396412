"""What the daemon says about itself; `vcam-talker status --json` and GET /api/status print these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

EngineState = Literal["starting", "ready", "restarting", "stopped"]
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
    kind: Literal["say", "ask", "greeting"]
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
    warnings: tuple[str, ...] = ()
    """What is degraded now, in words, with the remedy."""


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device on this machine."""

    kind: Literal["camera", "microphone", "output"]
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
