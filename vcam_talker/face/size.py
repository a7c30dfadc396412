"""Which picture sizes can be drawn."""

from __future__ import annotations

from typing import Final

from vcam_talker.core.errors import ConfigError

_MIN_PX: Final = 160
_MAX_PX: Final = 3840


def check_size(width: int, height: int) -> None:
    """Raise ConfigError unless both are even and within reason."""
    if width % 2 or height % 2 or not (_MIN_PX <= width <= _MAX_PX and _MIN_PX <= height <= _MAX_PX):
        raise ConfigError(
            f"picture size {width}x{height}",
            f"width and height must be even and {_MIN_PX} to {_MAX_PX}",
            "1280x720 suits most webcams",
        )
