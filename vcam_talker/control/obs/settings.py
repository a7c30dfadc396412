"""Where OBS's WebSocket server is, and its password: our configuration, our secret, OBS's own settings.

OBS keeps the server's settings in `global.ini`, section `[OBSWebSocket]`, up to version 30.1, and in
`plugin_config/obs-websocket/config.json` from obs-websocket 5.5 on.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vcam_talker.config import ObsConfig
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.core.secrets import read_secret, secrets_dir

DEFAULT_PORT: Final = 4455
SECRET: Final = "obs-password"  # noqa: S105 - the name of one
SWITCH_ON: Final = "In OBS: Tools > WebSocket Server Settings > Enable WebSocket server"
_INI: Final = "global.ini"
_JSON: Final = Path("plugin_config/obs-websocket/config.json")
_SECTION: Final = "[obswebsocket]"
_MAX_BYTES: Final = 1_000_000
_LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect to."""

    host: str
    port: int
    password: str = field(default="", repr=False)
    """Empty: none is known."""
    problem: str = ""
    """Why the secret can't be read, for the user."""

    @property
    def address(self) -> str:
        """`127.0.0.1:4455`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class OwnSettings:
    """What one installed OBS says about its server."""

    path: Path
    enabled: bool
    port: int = DEFAULT_PORT
    password: str = field(default="", repr=False)


def obs_folders(
    system: str = sys.platform, env: Mapping[str, str] = os.environ, home: Path | None = None
) -> tuple[Path, ...]:
    """Return where an OBS of this user keeps its settings, installed in any of the usual ways."""
    home = home or Path.home()
    if system == "win32":
        return (Path(env.get("APPDATA") or home / "AppData/Roaming") / "obs-studio",)
    if system == "darwin":
        return (home / "Library/Application Support/obs-studio",)
    return (
        Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "obs-studio",
        home / ".var/app/com.obsproject.Studio/config/obs-studio",
        home / "snap/obs-studio/current/.config/obs-studio",
    )


def read_own_settings(folder: Path) -> OwnSettings | None:
    """Return what the OBS with that settings folder says; None where there is none. Never raises.

    Blocks for a read of a small file.
    """
    if text := _text(folder / _JSON):
        return _from_json(folder / _JSON, text)
    if text := _text(folder / _INI):
        return _from_ini(folder / _INI, text)
    return None


class ServerFinder:
    """Finds the server, and reads files again only when one has changed. Used from one thread."""

    def __init__(self, config: ObsConfig, folders: tuple[Path, ...] | None = None) -> None:
        self._config = config
        self._local = config.host in _LOOPBACK
        self._folders = (obs_folders() if folders is None else folders) if self._local else ()
        self._seen: tuple[object, ...] | None = None
        self._changes = 0
        self._found: Server | None = None

    @property
    def changes(self) -> int:
        """Return how often the files were read: another number means that another answer is possible."""
        self.find()
        return self._changes

    def find(self) -> Server | None:
        """Return where to connect to; None when `connect = "auto"` finds no server switched on.

        Blocks for a few file look-ups. Never raises.
        """
        seen = tuple(_stamp(path) for path in self._watched())
        if seen != self._seen:
            self._seen = seen
            self._found = self._look()
            self._changes += 1
        return self._found

    def _watched(self) -> list[Path]:
        paths = [folder / name for folder in self._folders for name in (_JSON, _INI)]
        paths.append(secrets_dir() / SECRET)
        if credentials := os.environ.get("CREDENTIALS_DIRECTORY"):
            paths += [Path(credentials) / SECRET, Path(credentials) / f"vcam-talker_{SECRET}"]
        return paths

    def _look(self) -> Server | None:
        own = [found for folder in self._folders if (found := read_own_settings(folder)) is not None]
        own = [o for o in own if self._config.port in {0, o.port}]
        # An OBS whose server is on comes first; among several, the one that was set up last.
        own.sort(key=lambda o: (o.enabled, _stamp(o.path)[1] or 0), reverse=True)
        enabled = bool(own) and own[0].enabled
        if self._config.connect == "auto" and self._local and not enabled:
            return None
        port = self._config.port or (own[0].port if own else DEFAULT_PORT)
        problem = ""
        try:
            password = read_secret(SECRET)
        except VcamTalkerError as e:
            password, problem = None, str(e)
        if password is None:
            password = own[0].password if own else ""
        return Server(self._config.host, port, password, problem)


def _stamp(path: Path) -> tuple[str, int | None, int]:
    try:
        info = path.stat()
    except OSError:
        return str(path), None, 0
    return str(path), info.st_mtime_ns, info.st_size


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return ""


def _from_json(path: Path, text: str) -> OwnSettings:
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        return OwnSettings(path, enabled=False)
    password = str(data.get("server_password") or "") if data.get("auth_required", True) else ""
    return OwnSettings(path, data.get("server_enabled") is True, _port(data.get("server_port")), password)


def _from_ini(path: Path, text: str) -> OwnSettings:
    values: dict[str, str] = {}
    inside = False
    for line in text.splitlines():
        row = line.strip()
        if row.startswith("["):
            inside = row.lower() == _SECTION
        elif inside and "=" in row:
            key, _, value = row.partition("=")
            values[key.strip().lower()] = value.strip()
    needs = values.get("authrequired", "true").lower() == "true"
    return OwnSettings(
        path,
        values.get("serverenabled", "").lower() == "true",
        _port(values.get("serverport")),
        values.get("serverpassword", "") if needs else "",
    )


def _port(value: object) -> int:
    try:
        port = int(str(value))
    except ValueError:
        return DEFAULT_PORT
    return port if 0 < port < 65536 else DEFAULT_PORT
