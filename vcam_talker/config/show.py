"""The show: quiet-time talk, the hot-phrase cache, OBS."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from vcam_talker.config.base import Section


class ShowConfig(Section):
    """Who speaks next, and what happens when nobody does."""

    quiet: Literal["auto", "on", "off"] = "auto"
    """Talk by itself when the room is quiet. `auto`: when a chat is read, and never in a call."""
    quiet_after_s: float = Field(75.0, ge=5, le=86_400)
    quiet_repeat_min: float = Field(60.0, ge=1, le=1440)
    """The same line is never said twice within this, restarts included."""
    cooldown_s: float = Field(8.0, ge=0, le=3600)
    """After an answer, other viewers' questions come before one viewer's next."""


class CacheConfig(Section):
    """Hot phrases: finished sentences with sound, word times and mouth."""

    enabled: bool = True
    memory_mb: int = Field(48, ge=1, le=4096)
    disk_mb: int = Field(512, ge=0, le=100_000)
    """0: nothing is written."""
    folder: str = Field("", max_length=4096)
    """Empty: in the user's cache directory."""
    warm: bool = True
    """Make the persona's lines in the background, while nothing else is to do."""


class ObsScene(Section):
    """Switch OBS's program scene."""

    when: Literal["speaking", "listening", "idle", "quiet"]
    scene: str = Field(min_length=1, max_length=200)
    after_s: float = Field(0.0, ge=0, le=86_400)
    """The state must have lasted this long."""


class ObsTrigger(Section):
    """Do something when OBS tells an event."""

    event: str = Field(pattern=r"^[A-Z][A-Za-z]{2,60}$")
    """As obs-websocket names it: StreamStateChanged, CurrentProgramSceneChanged, ..."""
    match: dict[str, str | bool | int | float] = Field({})
    """Fields of the event that must have these values: { sceneName = "Break" }."""
    do: Literal["say", "ask", "interrupt", "mute", "unmute", "pause", "resume", "persona", "emotion"]
    text: str = Field("", max_length=2000)
    """What to say or ask; the persona's or the emotion's name."""

    @model_validator(mode="after")
    def _has_text(self) -> ObsTrigger:
        if self.do in {"say", "ask", "persona"} and not self.text.strip():
            raise ValueError(f"'{self.do}' needs a 'text'")
        return self


class ObsConfig(Section):
    """OBS over obs-websocket v5. The password: the secret `obs-password`, else OBS's own settings."""

    connect: Literal["auto", "on", "off"] = "auto"
    """`auto`: when an OBS of this user has its WebSocket server switched on."""
    host: str = Field("127.0.0.1", min_length=1, max_length=255)
    port: int = Field(0, ge=0, le=65535)
    """0: what OBS's own settings say, else 4455."""
    commands: bool = True
    """Obey BroadcastCustomEvent; docs/obs.md has the schema."""
    captions: str = Field("vcam_talker captions", max_length=200)
    """Name of the text source that follows the speech; empty: none. `setup obs` makes it."""
    scenes: tuple[ObsScene, ...] = Field((), max_length=50)
    triggers: tuple[ObsTrigger, ...] = Field((), max_length=100)

    @property
    def wanted(self) -> bool:
        """Whether to look for OBS at all."""
        return self.connect != "off"
