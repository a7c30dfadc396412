"""Read an answer as fast as it comes, in a task of its own: the voice is slower than any brain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, Self

from vcam_talker.core.errors import EngineError

log = logging.getLogger(__name__)

_CLOSING_S: Final = 1.0
"""How long a brain may take to let go before nobody waits for it any more."""

_letting_go: set[asyncio.Task[None]] = set()
"""Tasks that were cancelled and have not ended yet; the loop itself holds them only weakly."""


class ReadAhead:
    """Async context manager over the deltas of one answer; leaving it closes them, within a second.

    Silence is timed where the deltas come in, so that a listener who takes long is not held against the
    brain. A brain that won't be cancelled is left behind, so that nobody waits for it.
    """

    def __init__(self, deltas: AsyncIterator[str], max_chars: int) -> None:
        """Read at most about `max_chars`, which bounds the memory; the answer ends there."""
        self._deltas = deltas
        self._max_chars = max_chars
        self._text: list[str] = []
        self._arrived_s = 0.0
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to read."""
        self._arrived_s = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._read())
        self._task.add_done_callback(self._ended)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop reading and close the deltas."""
        task = self._task
        if task is None or task.done():
            return
        task.cancel()
        _letting_go.add(task)
        task.add_done_callback(_letting_go.discard)
        await asyncio.wait((task,), timeout=_CLOSING_S)
        if not task.done():
            log.warning("a brain does not let go of its answer; it is left to itself")

    async def next(self, silence_s: float, deadline_s: float) -> str | None:
        """Return what has come since the last call, None at the end.

        Raises TimeoutError when nothing has come for `silence_s`, or at `deadline_s` on the loop's clock; and
        whatever reading raised, after everything that came before it.
        """
        assert self._task is not None  # noqa: S101 - entered
        if not self._text and not self._task.done():
            self._news.clear()
            async with asyncio.timeout_at(min(self._arrived_s + silence_s, deadline_s)):
                await self._news.wait()
        if self._text:
            text = "".join(self._text)
            self._text.clear()
            return text
        if self._task.cancelled():
            raise EngineError("its answer", "was cancelled from within")
        self._task.result()
        return None

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._news.set()
        if not task.cancelled():
            task.exception()  # seen, should nobody listen any more

    async def _read(self) -> None:
        count = 0
        iterator = self._deltas
        try:
            async for delta in iterator:
                if not delta:
                    continue
                count += len(delta)
                self._text.append(delta)
                self._arrived_s = asyncio.get_running_loop().time()
                self._news.set()
                if count >= self._max_chars:
                    return
        finally:
            # Every brain answers with a generator; one that is plainly an iterator has nothing to close.
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()
