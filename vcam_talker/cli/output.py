"""How verbs speak: plain lines for people, JSON for programs, one line for errors."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from vcam_talker.core.errors import ConfigError, ExitCode, VcamTalkerError

if TYPE_CHECKING:
    _SizeBase = click.ParamType[tuple[int, int]]
else:
    _SizeBase = click.ParamType

P = ParamSpec("P")
R = TypeVar("R")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


class SizeType(_SizeBase):
    """A picture's size on the command line: `1280x720` -> (1280, 720)."""

    name = "WxH"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return (width, height) in pixels; what can't be one is a usage error naming the flag."""
        from vcam_talker.config import parse_size

        try:
            return parse_size(str(value))
        except ConfigError as e:
            self.fail(str(e), param, ctx)


def print_json(value: object) -> None:
    """Print a dataclass or plain data as indented JSON."""
    plain: Any = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    click.echo(json.dumps(plain, indent=2, ensure_ascii=False))


@contextmanager
def telling(logger: str) -> Iterator[None]:
    """Print what `logger` has to say on stderr meanwhile, for verbs that have no log and do slow things."""
    source, handler = logging.getLogger(logger), _Echo()
    level = source.level
    source.addHandler(handler)
    source.setLevel(logging.INFO)
    try:
        yield
    finally:
        source.removeHandler(handler)
        source.setLevel(level)


class _Echo(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        click.echo(self.format(record), err=True)


def speaks_errors(verb: Callable[P, R]) -> Callable[P, R]:
    """Turn an expected failure into one line on stderr and its documented exit code."""

    @wraps(verb)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return verb(*args, **kwargs)
        except VcamTalkerError as e:
            click.echo(f"error: {e}", err=True)
            raise SystemExit(int(e.exit_code)) from None
        except (KeyboardInterrupt, click.Abort):
            click.echo("Aborted!", err=True)
            raise SystemExit(int(ExitCode.INTERRUPTED)) from None
        except BrokenPipeError:
            # The reader (`| head`) has seen enough.
            raise SystemExit(int(ExitCode.OK)) from None

    return wrapped
