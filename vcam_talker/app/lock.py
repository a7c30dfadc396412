"""One daemon per user: a lock the kernel drops when the process ends, however it ends."""

from __future__ import annotations

import os
from types import TracebackType
from typing import IO

from vcam_talker.core.errors import AlreadyRunningError, DeviceError
from vcam_talker.core.filelock import try_lock
from vcam_talker.core.paths import runtime_dir

LOCK_NAME = "daemon.lock"


class DaemonLock:
    """Held from `__enter__` to `__exit__`. Raises AlreadyRunningError naming the other process."""

    def __init__(self) -> None:
        self._file: IO[str] | None = None

    def __enter__(self) -> DaemonLock:
        directory = runtime_dir()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = (directory / LOCK_NAME).open("a+", encoding="ascii")
        except OSError as e:
            raise DeviceError(
                str(directory), f"can't be written ({e.strerror})", "Set XDG_RUNTIME_DIR to a folder of yours"
            ) from None
        try:
            try_lock(self._file)
        except OSError:
            pid = _holder(self._file)
            self._file.close()
            raise AlreadyRunningError(
                "vcam-talker",
                f"is already on air (process {pid})",
                "See `vcam-talker status`, or stop it with Ctrl+C or kill",
            ) from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


def _holder(file: IO[str]) -> str:
    try:
        file.seek(0)
        return file.read().strip() or "unknown"
    except OSError:  # Windows lets nobody read a locked byte
        return "unknown"
