"""What is asked of this machine, and how it is changed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PROGRAM_MISSING: Final = 127
"""The shell's exit code for a program that is not there."""
_QUERY_TIMEOUT_S: Final = 15.0

Answer = subprocess.CompletedProcess[str]


def query_program(argv: Sequence[str]) -> Answer:
    """Run a quick program that changes nothing and capture what it says; a missing or hung one has failed."""
    try:
        return subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            check=False,
            capture_output=True,
            timeout=_QUERY_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Answer(list(argv), PROGRAM_MISSING, "", "")


def run_program(argv: Sequence[str]) -> int:
    """Run a program to its end, its output on the terminal; return its exit code. Blocks."""
    try:
        return subprocess.run(list(argv), check=False).returncode
    except OSError:
        return PROGRAM_MISSING


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine as the plan sees it; tests bring their own."""

    root: Path = Path("/")
    system: str = sys.platform
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    query: Callable[[Sequence[str]], Answer] = query_program
    run: Callable[[Sequence[str]], int] = run_program

    @property
    def unit_dir(self) -> Path:
        """Where a user's own units lie."""
        chosen = self.environ.get("XDG_CONFIG_HOME", "")
        base = Path(chosen) if chosen else Path(self.environ.get("HOME", "~")).expanduser() / ".config"
        return base / "systemd" / "user"

    def ask(self, *argv: str) -> str | None:
        """Return what a query program prints, or None when it fails."""
        answer = self.query(argv)
        return answer.stdout.strip() if answer.returncode == 0 else None
