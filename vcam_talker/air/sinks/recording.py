"""A file that is being written; live, by a thread of its own: a slow or hung disk holds up nobody."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from vcam_talker.core.errors import DeviceLostError

log = logging.getLogger(__name__)

_QUEUE_S: Final = 0.5
"""How much picture may wait while live."""
_QUEUE_ITEMS: Final = 1000
"""Ten seconds of sound in 10 ms blocks."""
_STALL_S: Final = 10.0
"""A disk that holds up one write for as long as this many frames take has failed. Frames, not a clock: a
process that was stopped for a while has lost nothing."""
_FINISH_TIMEOUT_S: Final = 30.0
_FAILED_FINISH_TIMEOUT_S: Final = 2.0


class _Writer(Protocol):
    def close(self) -> None:
        """Finish the file. Raises DeviceLostError."""


W = TypeVar("W", bound=_Writer)


class Recording(Generic[W]):
    """Owns the open `writer` of a file from construction to `finish` or `close`, of which one is called once.

    With `live` every job, the last being to close the file, runs in order on one thread behind a bounded
    queue. Otherwise `put` does the job before it returns.
    """

    def __init__(self, name: str, writer: W, *, live: bool, fps: int = 0) -> None:
        """`fps` of the frames among the jobs; 0 when there are none."""
        self._name = name
        self._writer = writer
        self._told = ""
        """The loss that a caller of `put` has had."""
        self._error: DeviceLostError | None = None
        self._jobs: queue.Queue[tuple[Callable[[W], None], bool] | None] = queue.Queue(_QUEUE_ITEMS)
        self._frames = threading.BoundedSemaphore(max(2, round(fps * _QUEUE_S)))
        self._stall_frames = max(1, round(fps * _STALL_S))
        self._refused = 0
        """Frames that were dropped since the last job ended."""
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        if live:
            self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
            self._thread.start()

    def put(self, job: Callable[[W], None], *, droppable: bool = False) -> bool:
        """Do or queue a job; False when it was dropped, as only a frame may be. Never blocks while live.

        Raises DeviceLostError: the disk is full, hung or too slow for the sound.
        """
        try:
            if self._thread is not None:
                return self._offer(job, droppable)
            job(self._writer)
        except DeviceLostError as error:
            self._told = str(error)
            raise
        return True

    def finish(self) -> None:
        """Write what waits and close the file. Raises DeviceLostError if it is incomplete.

        Live, it waits for 30 s at most; a stuck thread closes the file itself if it ever comes back.
        """
        if self._thread is None:
            self._writer.close()
            return
        self._ending.set()
        with contextlib.suppress(queue.Full):
            self._jobs.put_nowait(None)
        timeout_s = _FINISH_TIMEOUT_S if self._error is None else _FAILED_FINISH_TIMEOUT_S
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.warning("%s: its disk hangs; the file is left as it is", self._name)
            raise self._fail(f"it was not finished within {timeout_s:g} s")
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Like `finish`, but never raises: it logs a loss that no caller of `put` was told of."""
        try:
            self.finish()
        except DeviceLostError as error:
            if str(error) != self._told:
                log.error("%s", error)

    def _offer(self, job: Callable[[W], None], droppable: bool) -> bool:
        if self._error is not None:
            raise self._error
        if droppable and not self._frames.acquire(blocking=False):
            self._refused += 1
            if self._refused < self._stall_frames:
                return False
            raise self._fail(f"the disk has taken nothing for {_STALL_S:g} s")
        try:
            self._jobs.put_nowait((job, droppable))
        except queue.Full:
            if droppable:
                self._frames.release()
            raise self._fail("the disk can't keep up with the sound") from None
        return True

    def _fail(self, why: str) -> DeviceLostError:
        """Return the first error, which is the one that counts."""
        self._error = self._error or DeviceLostError(self._name, why)
        return self._error

    def _run(self) -> None:
        while (item := self._next()) is not None:
            job, is_frame = item
            if is_frame:
                self._frames.release()
            if self._error is None:
                self._do(job)
        self._do(lambda writer: writer.close())

    def _next(self) -> tuple[Callable[[W], None], bool] | None:
        # The mark of the end found no room if the queue was full; then this thread was not waiting for it.
        if self._ending.is_set() and self._jobs.empty():
            return None
        return self._jobs.get()

    def _do(self, job: Callable[[W], None]) -> None:
        try:
            job(self._writer)
        except DeviceLostError as error:
            self._error = self._error or error
        self._refused = 0
