"""Where files live, per platform conventions (XDG on Linux); nothing is created on import."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Final

APP = "vcam-talker"
DEFAULT_PERSONA: Final = "elena"
"""A built-in one. Here, and not in config: the command line names it without loading pydantic."""
_PACKAGE = Path(__file__).resolve().parent.parent


def _from_env(variable: str, fallback: Path) -> Path:
    value = os.environ.get(variable, "")
    return (Path(value) if value else fallback) / APP


def config_dir() -> Path:
    """Return the directory of the user's configuration and personas."""
    if sys.platform == "win32":
        return _from_env("APPDATA", Path.home() / "AppData" / "Roaming")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / APP
    return _from_env("XDG_CONFIG_HOME", Path.home() / ".config")


def state_dir() -> Path:
    """Return the directory of logs and of what must survive a restart."""
    if sys.platform == "win32":
        return _from_env("LOCALAPPDATA", Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / APP
    return _from_env("XDG_STATE_HOME", Path.home() / ".local" / "state")


def data_dir() -> Path:
    """Return the directory of what was fetched and would cost much to fetch again: models."""
    if sys.platform == "win32":
        return _from_env("LOCALAPPDATA", Path.home() / "AppData" / "Local") / "data"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / APP
    return _from_env("XDG_DATA_HOME", Path.home() / ".local" / "share")


def cache_dir() -> Path:
    """Return the directory of what can be made again."""
    if sys.platform == "win32":
        return _from_env("LOCALAPPDATA", Path.home() / "AppData" / "Local") / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / APP
    return _from_env("XDG_CACHE_HOME", Path.home() / ".cache")


def runtime_dir() -> Path:
    """Return the directory of the lock and of the running daemon's address; private to the user.

    VCAM_TALKER_RUNTIME_DIR moves it, so that a second daemon can run beside the first.
    """
    if chosen := os.environ.get("VCAM_TALKER_RUNTIME_DIR"):
        return Path(chosen)
    if sys.platform in {"win32", "darwin"} or not os.environ.get("XDG_RUNTIME_DIR"):
        user = str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
        return Path(tempfile.gettempdir()) / f"{APP}-{user}"
    return Path(os.environ["XDG_RUNTIME_DIR"]) / APP


def builtin_dir(kind: str) -> Path:
    """Return where built-in `personas`, `configs` or `systemd` units lie: in the wheel or the source tree."""
    packaged = _PACKAGE / "data" / kind
    return packaged if packaged.is_dir() else _PACKAGE.parent / kind
