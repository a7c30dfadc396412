"""What comes in: ears (a microphone or a call) and chat."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from vcam_talker.config.base import Section
from vcam_talker.tomlfile import matching

DeviceName = Annotated[
    str, matching(r"[A-Za-z0-9_.\-]{1,60}", "letters, digits, '_', '.' and '-' only, 60 at most")
]


def _channel(value: str) -> str:
    name = value.strip().lower().removeprefix("#")
    if name and not (name.isascii() and name.replace("_", "").isalnum() and len(name) <= 25):
        raise ValueError("is no Twitch channel: letters, digits and '_' only, 25 at most")
    return name


def _socket_address(value: str) -> str:
    if not value.startswith(("ws://", "wss://")):
        raise ValueError("must start with wss:// or ws://")
    return value


class EarsConfig(Section):
    """Listening: voice activity, endpoint, recognition."""

    mode: Literal["off", "call", "microphone"] = "off"
    """`call`: a virtual speaker of its own, which Zoom or a browser plays the call into. `microphone`: a real
    microphone or any other source."""
    device: str = Field("auto", min_length=1, max_length=200)
    """Of `microphone`: a name that `pactl list short sources` shows; `auto`: the system's default."""
    speaker_name: DeviceName = "vcam_talker_speaker"
    """Of `call`: name of the virtual speaker."""
    speaker_label: str = Field("vcam_talker speaker", min_length=1, max_length=60)
    """What applications show for it."""
    engine: Literal["auto", "faster-whisper", "pocketsphinx"] = "auto"
    """`auto`: faster-whisper if its model is there, else pocketsphinx (English only)."""
    model: str = Field("base", min_length=1, max_length=4096)
    """Of faster-whisper: a name that `vcam-talker models get` knows, or a folder."""
    device_type: Literal["auto", "cpu", "cuda"] = "auto"
    """Where faster-whisper computes: int8 on `cpu`, float16 on `cuda`."""
    window_s: int = Field(30, ge=2, le=30)
    """Sound that faster-whisper looks at, at least; what Whisper models are trained on is 30. Shorter is
    several times faster; with models that were not trained for it, it costs accuracy."""
    language: str = Field("", max_length=20)
    """BCP 47; empty: the persona's language."""
    barge_in: bool = True
    """Speech stops its speech."""
    barge_in_ms: int = Field(90, ge=30, le=1000)
    """How long somebody must have spoken for that."""
    endpoint_ms: int = Field(450, ge=150, le=3000)
    """Silence that ends an utterance."""
    threshold: float = Field(0.5, ge=0.05, le=0.95)
    """Probability of speech that starts an utterance; it goes on down to 0.15 less."""
    max_utterance_s: float = Field(20.0, ge=2, le=120)
    answer: Literal["always", "addressed"] = "always"
    """`addressed`: only what calls the persona by name, or comes within 30 s of words that were answered."""


class TwitchConfig(Section):
    """Reads a Twitch channel without an account."""

    channel: Annotated[str, AfterValidator(_channel)] = Field("", max_length=100)
    """Empty: not read."""
    url: Annotated[str, AfterValidator(_socket_address)] = "wss://irc-ws.chat.twitch.tv:443"


class WebhookConfig(Section):
    """Lines from anywhere: POST /api/chat and the WebSocket of the same address."""

    enabled: bool = False
    room: str = Field("webhook", min_length=1, max_length=60)


class ChatConfig(Section):
    """Live chat: what is let through to the director."""

    stale_s: float = Field(30.0, ge=1, le=3600)
    """A line that nobody got round to for this long is dropped."""
    per_user_per_min: float = Field(6.0, gt=0, le=600)
    """Lines of one viewer; bursts of half as many pass at once."""
    lines_per_s: float = Field(20.0, gt=0, le=1000)
    """Lines of all viewers that are looked at; the rest of a flood is counted and dropped unread."""
    max_chars: int = Field(300, ge=20, le=2000)
    """A longer line is dropped, not cut."""
    answer: Literal["questions", "mentions", "all"] = "questions"
    """`mentions`: only lines that name the persona. `all`: chatter too, when nothing better waits."""
    blocked_words: tuple[str, ...] = Field((), max_length=1000)
    """Lines with one of these, or a disguise of it (5pac1ng, d.o.t.s, ｗｉｄｅ), are dropped. The
    persona never says them either."""
    allowed_words: tuple[str, ...] = Field((), max_length=1000)
    """Chinese, Japanese or Korean words in which a blocked one may stand: 去死海 with 去死 blocked."""
    twitch: TwitchConfig = TwitchConfig()
    webhook: WebhookConfig = WebhookConfig()

    @property
    def enabled(self) -> bool:
        """Whether any source is on."""
        return bool(self.twitch.channel) or self.webhook.enabled
