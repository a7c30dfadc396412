"""How verbs speak: plain lines for people, JSON for programs, one line for errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click

from vcam_talker.core.errors import ExitCode, VcamTalkerError

P = ParamSpec("P")
R = TypeVar("R")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def print_json(value: object) -> None:
    """Print a dataclass or plain data as indented JSON."""
    plain: Any = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    click.echo(json.dumps(plain, indent=2, ensure_ascii=False))


def speaks_errors(verb: Callable[P, R]) -> Callable[P, R]:
    """Turn an expected failure into one line on stderr and its documented exit code."""

    @wraps(verb)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return verb(*args, **kwargs)
        except VcamTalkerError as e:
            click.echo(f"error: {e}", err=True)
            raise SystemExit(int(e.exit_code)) from None
        except BrokenPipeError:
            # The reader (`| head`) has seen enough.
            raise SystemExit(int(ExitCode.OK)) from None

    return wrapped
