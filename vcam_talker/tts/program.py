"""Run a voice's program once, at arm's length: an argument list, a pipe, a deadline, and a way to stop it."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vcam_talker.core.errors import EngineError
from vcam_talker.core.stages import Cancelled

_POLL_S: Final = 0.02
"""How often a running program is asked to stop; the bound for a cancelled sentence is 50 ms."""


def stamp(path: str) -> str:
    """Return what tells one build of a program from another: path, size and time of the file behind links."""
    try:
        found = Path(path).stat()
    except OSError:
        return path
    return f"{path}:{found.st_size}:{found.st_mtime_ns}"


class Program:
    """One program on the PATH, one run at a time per caller. Thread-safe."""

    def __init__(self, name: str, *, timeout_s: float) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()

    def find(self, name: str = "") -> str | None:
        """Return the path of the program, or of another one called `name`; None when it is not installed."""
        return shutil.which(name or self._name)

    def run(self, arguments: Sequence[str], cancelled: Cancelled, *, path: str | None = None) -> bytes | None:
        """Return what the program printed, or None as soon as `cancelled()` is true. Blocks.

        `path` runs another program under the same rules. Raises EngineError when it is missing, fails or is
        not done in time; it is killed then.
        """
        path = path or self.find()
        if path is None:
            raise EngineError(self._name, "is not installed", f"apt install {self._name}")
        try:
            process = subprocess.Popen(
                [path, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                close_fds=True,
            )
        except (OSError, ValueError) as e:
            raise EngineError(self._name, f"can't be started ({e})", "Install it again") from None
        with self._lock:
            self._running.add(process)
        try:
            return self._collect(process, cancelled)
        finally:
            with self._lock:
                self._running.discard(process)

    def stop(self) -> None:
        """Kill what runs; those runs fail. Idempotent."""
        with self._lock:
            for process in self._running:
                process.kill()

    def _collect(self, process: subprocess.Popen[bytes], cancelled: Cancelled) -> bytes | None:
        deadline = time.monotonic() + self._timeout_s
        with process:
            while True:
                try:
                    output, _ = process.communicate(timeout=_POLL_S)
                except subprocess.TimeoutExpired:
                    late = time.monotonic() > deadline
                    if not late and not cancelled():
                        continue
                    process.kill()
                    process.communicate()
                    if late:
                        raise EngineError(
                            self._name,
                            f"was not done within {self._timeout_s:g} s",
                            "The sentence was left out",
                        ) from None
                    return None
                if process.returncode != 0:
                    raise EngineError(
                        self._name,
                        f"ended with status {process.returncode}",
                        f"Try it by hand: {self._name} --version",
                    )
                return output
