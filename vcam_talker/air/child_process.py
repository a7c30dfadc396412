"""One life of a child: the process, its pipe, and the signs of life it gave."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Any, Protocol

from vcam_talker.config import Config
from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.types import NS_PER_S

ChildMain = Callable[[Connection, Any, str, Config], None]
"""Runs in the child with (its end of the pipe, of the crossing or "", the persona, the configuration)."""
Context = ForkServerContext | SpawnContext


class Crossing(Protocol):
    """What passes between air and a child beside commands and events. Any thread."""

    def open(self, context: Context) -> object:
        """Make it anew for a child that is about to start; return that child's end. Raises OSError."""
        ...

    def detach(self) -> None:
        """Use it no more: the child is gone. Idempotent."""
        ...


_KILL_WAIT_S = 2.0


def child_context(mains: Sequence[ChildMain]) -> Context:
    """Return how children are started: forked from a small server of ours, where the system can.

    Starting a program stops the starting process's interpreter until the new one runs (vfork), which on a
    busy machine is several frame periods; the server takes that wait, and keeps the modules loaded. It
    starts here, before devices are opened, so that nothing they put into the environment reaches it.
    """
    if sys.platform == "win32":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([main.__module__ for main in mains])
    forkserver.ensure_running()
    return context


class ChildProcess:
    """A running child. `receive` and `send` belong to the supervisor's thread; `kill` to any thread."""

    def __init__(
        self,
        context: Context,
        main: ChildMain,
        name: str,
        crossing: object,
        persona: str,
        config: Config,
        clock: MonotonicClock,
    ) -> None:
        """Start it. Raises OSError or EOFError when the system can't."""
        self.persona = persona
        self.ready = False
        self._clock = clock
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=main,
            args=(theirs, crossing, persona, config),
            name=f"vcam_talker {name}",
            daemon=True,
        )
        try:
            self.process.start()
        except (OSError, EOFError):
            self.connection.close()
            raise
        finally:
            theirs.close()
        self._started_ns = self._sign_ns = clock.now_ns()

    @property
    def lived_s(self) -> float:
        """How long ago it was started."""
        return (self._clock.now_ns() - self._started_ns) / NS_PER_S

    @property
    def silent_s(self) -> float:
        """How long it has given no sign of life; until it is ready, how long it has been starting."""
        since_ns = self._sign_ns if self.ready else self._started_ns
        return (self._clock.now_ns() - since_ns) / NS_PER_S

    def sign(self) -> None:
        """Note a sign of life."""
        self._sign_ns = self._clock.now_ns()

    def kill(self) -> None:
        """End it at once; a `receive` or `send` that is stuck on it returns with an error."""
        if self.process.is_alive():
            self.process.kill()

    def bury(self) -> None:
        """Kill it and free what it held."""
        self.kill()
        self.process.join(timeout=_KILL_WAIT_S)
        self.connection.close()

    def describe_end(self, error: Exception) -> str:
        """Return why the pipe broke, in words."""
        self.process.join(timeout=1)
        code = self.process.exitcode
        if code is None:
            return f"its pipe broke: {error}"
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
