"""The daemon's configuration: TOML -> frozen pydantic models. `configs/vcam-talker.toml` shows every key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from vcam_talker.config.base import Section
from vcam_talker.config.brain import BrainConfig, OpenAIConfig, TransformersConfig
from vcam_talker.config.lips import LipsConfig
from vcam_talker.config.sections import (
    MAX_FPS,
    MAX_SIDE_PX,
    MAX_TEXT_CHARS,
    MIN_FPS,
    MIN_SIDE_PX,
    MIN_TOKEN_CHARS,
    TOKEN_COMMAND,
    AirConfig,
    CameraConfig,
    ControlConfig,
    EngineConfig,
    MicrophoneConfig,
    PreviewConfig,
    QueueConfig,
    VoiceConfig,
)
from vcam_talker.config.senses import ChatConfig, EarsConfig, TwitchConfig, WebhookConfig
from vcam_talker.config.show import CacheConfig, ObsConfig, ObsScene, ObsTrigger, ShowConfig
from vcam_talker.core.errors import ConfigError
from vcam_talker.core.paths import DEFAULT_PERSONA, config_dir
from vcam_talker.tomlfile import load_model

__all__ = [
    "MAX_FPS",
    "MAX_SIDE_PX",
    "MAX_TEXT_CHARS",
    "MIN_FPS",
    "MIN_SIDE_PX",
    "MIN_TOKEN_CHARS",
    "TOKEN_COMMAND",
    "AirConfig",
    "BrainConfig",
    "CacheConfig",
    "CameraConfig",
    "ChatConfig",
    "Config",
    "ControlConfig",
    "EarsConfig",
    "EngineConfig",
    "LipsConfig",
    "MicrophoneConfig",
    "ObsConfig",
    "ObsScene",
    "ObsTrigger",
    "OpenAIConfig",
    "PreviewConfig",
    "QueueConfig",
    "ShowConfig",
    "TransformersConfig",
    "TwitchConfig",
    "VoiceConfig",
    "WebhookConfig",
    "load_config",
    "override",
    "parse_size",
]

CONFIG_NAME = "vcam-talker.toml"


class Config(Section):
    """Everything; every key has a default."""

    persona: str = Field(DEFAULT_PERSONA, min_length=1, max_length=4096)
    """A built-in name, a folder in the user's personas directory, or a path."""
    greet: bool = True
    """Speak the persona's greeting when going on air."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    air: AirConfig = AirConfig()
    camera: CameraConfig = CameraConfig()
    microphone: MicrophoneConfig = MicrophoneConfig()
    voice: VoiceConfig = VoiceConfig()
    engine: EngineConfig = EngineConfig()
    lips: LipsConfig = LipsConfig()
    queue: QueueConfig = QueueConfig()
    control: ControlConfig = ControlConfig()
    preview: PreviewConfig = PreviewConfig()
    brain: BrainConfig = BrainConfig()
    ears: EarsConfig = EarsConfig()
    chat: ChatConfig = ChatConfig()
    show: ShowConfig = ShowConfig()
    cache: CacheConfig = CacheConfig()
    obs: ObsConfig = ObsConfig()


def load_config(path: Path | None = None) -> Config:
    """Return the configuration from `path`, else from the user's file if there is one, else the defaults.

    Raises ConfigError naming file, line, field, reason and remedy.
    """
    if path is None:
        path = config_dir() / CONFIG_NAME
        if not path.is_file():
            return Config()
    return load_model(path, Config)


def override(config: Config, changes: dict[str, Any]) -> Config:
    """Return `config` with dotted keys replaced (`{"camera.device": "null"}`), validated again.

    Raises ConfigError naming the key.
    """
    data = config.model_dump()
    for dotted, value in changes.items():
        *tables, key = dotted.split(".")
        target = data
        for table in tables:
            target = target[table]
        target[key] = value
    try:
        return Config.model_validate(data)
    except ValidationError as e:
        first = e.errors()[0]
        dotted = ".".join(str(part) for part in first["loc"])
        why = f"{first['input']!r} can't be used: {first['msg'].removeprefix('Value error, ')}"
        raise ConfigError(f"'{dotted}'", why) from None


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) in pixels of `1280x720`. Raises ConfigError for what `[air]` would refuse."""
    what = f"'{text[:40]}'"
    found = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text.strip().lower())
    if found is None:
        raise ConfigError(what, "is not WIDTHxHEIGHT", "Write it like 1280x720")
    width, height = int(found[1]), int(found[2])
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in (width, height)):
        raise ConfigError(what, f"each side must be between {MIN_SIDE_PX} and {MAX_SIDE_PX}")
    if width % 2 or height % 2:
        raise ConfigError(what, "each side must be even", "Write it like 1280x720")
    return width, height
