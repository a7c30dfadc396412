"""One thread for one model: the event loop hands it jobs and hears of them, and never waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncGenerator, Callable
from typing import TypeVar

from vcam_talker.core.errors import EngineError
from vcam_talker.core.stages import Cancelled

T = TypeVar("T")
Emit = Callable[[str], None]


class WorkThread:
    """Runs jobs one after the other. Made and used on one event loop; starts with its first job.

    A daemon thread: a model that is being loaded can't be interrupted, and must not keep a process alive.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def closing(self) -> bool:
        """Tell whether it is being closed. Any thread."""
        return self._closing.is_set()

    async def call(self, job: Callable[[], T]) -> T:
        """Return what `job` returns, or raise what it raises. Cancelled, the job goes on, unheard."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if done.done():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)  # type: ignore[arg-type]

        def run() -> None:
            result, error = None, None
            try:
                result = job()
            except Exception as e:  # noqa: BLE001 - raised where it is waited for
                error = e
            _tell(loop, lambda: settle(result, error))

        self._put(run)
        return await done

    async def stream(self, job: Callable[[Emit, Cancelled], None]) -> AsyncGenerator[str, None]:
        """Yield what `job` emits; raise what it raises, behind that. Closing cancels it.

        What is emitted waits without bound for its reader: a job must itself be bounded.
        """
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | BaseException | None] = asyncio.Queue()
        stopped = threading.Event()

        def emit(piece: str) -> None:
            _tell(loop, lambda: pieces.put_nowait(piece))

        def cancelled() -> bool:
            return stopped.is_set() or self.closing()

        def run() -> None:
            error: BaseException | None = None
            try:
                if not cancelled():
                    job(emit, cancelled)
            except Exception as e:  # noqa: BLE001 - raised where it is waited for
                error = e
            _tell(loop, lambda: pieces.put_nowait(error))

        self._put(run)
        try:
            while (piece := await pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            stopped.set()

    async def close(self, last: Callable[[], None]) -> None:
        """Cancel what runs and what waits, run `last`, end the thread. Waits for that. Idempotent."""
        if self._thread is None or self._closing.is_set():
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def run() -> None:
            try:
                last()
            finally:
                _tell(loop, ended.set)

        self._put(run)
        self._jobs.put(None)
        self._closing.set()
        await ended.wait()

    def _put(self, job: Callable[[], None]) -> None:
        if self._closing.is_set():
            raise EngineError(f"the {self._name}", "has been closed")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # it holds what it was made of until the next one comes


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    """Call `callback` on the loop; nobody listens any more when that has been closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)
