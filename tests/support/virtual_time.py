"""Run coroutines on a loop whose time jumps to the next timer: waits cost nothing, and order is exact."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: tells the loop's time how long it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("the test waits for ever")
        self.waited_s += max(0.0, timeout)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0 and moves only while everybody waits. For code without sockets and threads."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.waited_s


class LoopClock:
    """A MonotonicClock that follows the running loop's time."""

    def now_ns(self) -> int:
        return int(asyncio.get_running_loop().time() * 1e9)

    def sleep_until_ns(self, deadline_ns: int) -> None:
        raise NotImplementedError("nothing on a loop may block")


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Return what `main` returns; simulated hours take milliseconds."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
