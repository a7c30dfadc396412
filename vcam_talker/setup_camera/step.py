"""The pieces of a plan, and how programs are run for it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

PROGRAM_MISSING = 127
"""The shell's exit code for a program that is not there."""

Run = Callable[[Sequence[str], str | None], "subprocess.CompletedProcess[str]"]
"""Runs a program to its end with a text on its standard input (or none); never raises for an exit code."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change: a file written, or a program run as root."""

    title: str
    argv: tuple[str, ...]
    content: str | None = None
    """Text for the program's standard input: the whole new file."""
    remedy: str = ""
    """What to do when this step fails."""


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """Everything that would change, in order; empty steps and no blocker: all is set up."""

    device: str
    label: str
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    blocker: str = ""
    """Why nothing can be done here, and what to do instead."""


def run_program(argv: Sequence[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `argv` to its end; its output goes to the terminal. Blocks. Raises OSError when it can't start."""
    return subprocess.run(list(argv), input=stdin, text=True, check=False)


def query_program(argv: Sequence[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a quick read-only program and capture its output; a missing or hung one counts as failed."""
    try:
        return subprocess.run(
            list(argv), input=stdin, text=True, check=False, capture_output=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return subprocess.CompletedProcess(list(argv), PROGRAM_MISSING, "", "")
