"""Camera, microphone, voice, engine, queue, control and preview: what being on air takes."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from vcam_talker.config.base import Section
from vcam_talker.tomlfile import matching

MIN_SIDE_PX: Final = 160
MAX_SIDE_PX: Final = 3840
MIN_FPS: Final = 10
MAX_FPS: Final = 60
MAX_TEXT_CHARS: Final = 20_000
"""What `queue.max_text_chars` may be at most."""
MIN_TOKEN_CHARS: Final = 12
TOKEN_COMMAND: Final = 'python3 -c "import secrets; print(secrets.token_urlsafe(24))"'  # noqa: S105
"""Prints a token that nobody guesses."""


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even (the camera's pixels come in pairs)")
    return value


Side = Annotated[int, Field(ge=MIN_SIDE_PX, le=MAX_SIDE_PX), AfterValidator(_even)]


def _camera_label(value: str) -> str:
    # It becomes an option of the kernel module, where commas part labels and quotes end them.
    if re.search(r"""[",'\\\x00-\x1f\x7f]""", value):
        raise ValueError("commas, quotes, backslashes and control characters can't be in a camera's name")
    return value


def _strong_token(value: str) -> str:
    if value and len(value) < MIN_TOKEN_CHARS:
        raise ValueError(f"must have at least {MIN_TOKEN_CHARS} characters. Make one: {TOKEN_COMMAND}")
    return value


class AirConfig(Section):
    """The picture and its rate."""

    width: Side = 1280
    height: Side = 720
    fps: int = Field(30, ge=MIN_FPS, le=MAX_FPS)
    disclosure: str = Field("", max_length=60)
    """Drawn small into a corner of every frame; empty: what the persona's `face.disclosure` says."""


class CameraConfig(Section):
    """Where the picture goes."""

    device: str = Field("auto", min_length=1, max_length=4096)
    """`auto`, `/dev/videoN`, `obs`, `unitycapture`, `null` or `file:PATH.mp4`."""
    label: Annotated[str, AfterValidator(_camera_label)] = Field("vcam_talker", min_length=1, max_length=31)
    """What `setup camera` calls the device; applications list this name."""
    number: int = Field(10, ge=0, le=255)
    """`setup camera` makes /dev/video<number>."""


class MicrophoneConfig(Section):
    """Where the sound goes."""

    device: str = Field("auto", min_length=1, max_length=4096)
    """`auto`, `null`, `file:PATH.wav`, or the name of a sound output (VB-Cable, BlackHole)."""
    name: Annotated[
        str, matching(r"[A-Za-z0-9_.\-]{1,60}", "letters, digits, '_', '.' and '-' only, 60 at most")
    ] = "vcam_talker_mic"
    """Name of the virtual microphone that `auto` creates on PulseAudio and PipeWire."""
    label: str = Field("vcam_talker microphone", min_length=1, max_length=60)
    """What applications show for it."""
    start_sound_server: bool = True
    """Start a PulseAudio server for this user when none runs and the program is installed."""
    latency_ms: int = Field(20, ge=5, le=300)
    """Buffer asked of the sound server: lower answers sooner, higher survives a busier machine."""
    av_offset_ms: float = Field(0.0, ge=-60, le=500)
    """Positive: the picture leaves later, on top of the measured latency of the microphone."""


class VoiceConfig(Section):
    """How speech is made; which voice speaks is the persona's business."""

    engine: Literal["auto", "flite", "espeak-ng", "tone"] = "auto"
    """`auto`: the persona's engine, or the next one on this machine that speaks its language."""


class EngineConfig(Section):
    """The child process with the models, and how it is supervised."""

    heartbeat_timeout_s: float = Field(2.0, ge=0.5, le=60)
    """No sign of life for this long (stopped, out of memory, hung): it is killed and started again."""
    start_timeout_s: float = Field(30.0, ge=2, le=600)
    backoff_max_s: float = Field(15.0, ge=0.5, le=300)
    ahead_ms: int = Field(400, ge=100, le=2000)
    """How far speech may be made ahead of the audience; bounds what an interruption throws away."""


class QueueConfig(Section):
    """Turns that wait for the floor."""

    capacity: int = Field(32, ge=1, le=1000)
    max_text_chars: int = Field(2000, ge=50, le=MAX_TEXT_CHARS)
    """Longer texts are refused by name, never cut silently."""


class ControlConfig(Section):
    """The HTTP and WebSocket API and the page."""

    host: str = "127.0.0.1"
    """Anything but a loopback address requires `token`."""
    port: int = Field(8470, ge=0, le=65535)
    """0 takes a free one; `vcam-talker status` prints it."""
    token: Annotated[str, AfterValidator(_strong_token)] = Field("", max_length=256)
    """Bearer token of 12 characters or more; on a loopback address it may stay empty."""
    allowed_hosts: tuple[str, ...] = ()
    """Further Host names the page is reached by (a reverse proxy's name)."""
    requests_per_s: float = Field(20.0, gt=0, le=10_000)
    """Per client address, for calls that change something; bursts of twice as many pass."""


class PreviewConfig(Section):
    """The live picture on the page; encoded only while somebody watches."""

    width: Side = 960
    quality: int = Field(80, ge=30, le=95)
    """JPEG quality."""
