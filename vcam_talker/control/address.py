"""Where the running daemon is reached: `daemon.json` in the runtime directory, private to the user."""

from __future__ import annotations

import json
import os
import stat
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from vcam_talker.core.errors import DeviceError, NotRunningError
from vcam_talker.core.paths import runtime_dir

FILE_NAME = "daemon.json"
_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Address:
    """How to reach the daemon."""

    pid: int
    url: str
    """`http://127.0.0.1:8470`, without a slash at the end."""
    token: str = ""
    """Bearer token; empty: none is needed."""


def publish_address(url: str, token: str = "", pid: int | None = None) -> Path:
    """Write the address file (mode 0600, atomically) and return its path.

    Raises DeviceError when the runtime directory can't be made or belongs to somebody else.
    """
    directory = runtime_dir()
    path = directory / FILE_NAME
    address = Address(os.getpid() if pid is None else pid, url, token)
    temporary = directory / f".{FILE_NAME}.{address.pid}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _private(directory):
            raise DeviceError(str(directory), "belongs to another user", "Set XDG_RUNTIME_DIR to your own")
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(address), file)
        temporary.replace(path)
    except OSError as e:
        raise DeviceError(str(path), f"can't be written ({e.strerror})", "Check the directory") from None
    return path


def read_address() -> Address:
    """Return the running daemon's address.

    Raises NotRunningError when there is no file, it is not this user's, or its process is gone.
    """
    path = runtime_dir() / FILE_NAME
    try:
        if not _private(path) or path.stat().st_size > _MAX_BYTES:
            raise _not_running(f"{path} is not this user's")
        data = json.loads(path.read_text(encoding="utf-8"))
        address = Address(int(data["pid"]), str(data["url"]), str(data["token"]))
    except FileNotFoundError:
        raise _not_running("no daemon is running") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise _not_running(f"{path} can't be read") from None
    if not _alive(address.pid):
        raise _not_running("no daemon is running (the last one did not stop cleanly)")
    return address


def remove_address(pid: int | None = None) -> None:
    """Remove the address file if it is still the one of `pid` (default: this process). Never raises."""
    path = runtime_dir() / FILE_NAME
    try:
        if json.loads(path.read_text(encoding="utf-8"))["pid"] == (os.getpid() if pid is None else pid):
            path.unlink(missing_ok=True)
    except (OSError, ValueError, KeyError, TypeError):
        return


def _private(path: Path) -> bool:
    """Return whether `path` is this user's own and nobody else may write to it."""
    if sys.platform == "win32":
        return True
    info = path.lstat()
    return info.st_uid == os.getuid() and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    if sys.platform == "win32":
        # os.kill would end the process there; a connection that fails tells as much.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _not_running(why: str) -> NotRunningError:
    return NotRunningError("vcam-talker", why, "Start it with 'vcam-talker run'")
