"""What a check of `vcam-talker doctor` reports, and the machine it looks at."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vcam_talker.air.sinks.v4l2 import Camera, list_cameras

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    area: str
    """`python`, `camera`, `voice`, ...; several findings may share one."""
    state: State
    """`warn`: works, with less. `fail`: this part does not work."""
    message: str
    remedy: str = ""
    """The next step; empty when ok."""


Run = Callable[[Sequence[str]], str]
"""Runs a quick program and returns its output. Raises OSError or subprocess.SubprocessError."""

PROGRAM_TIMEOUT_S = 2.0


def run_program(argv: Sequence[str]) -> str:
    """Return what `argv` prints. Raises OSError (missing), SubprocessError (fails or hangs)."""
    return subprocess.run(
        list(argv),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PROGRAM_TIMEOUT_S,
        check=True,
    ).stdout


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the checks look; tests hand in another root and other programs."""

    root: Path = Path("/")
    run: Run = run_program
    cameras: Callable[[], list[Camera]] = list_cameras

    def text(self, path: str) -> str:
        """Return a small file's text, stripped; empty when it is missing or unreadable."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""
