"""Logging that never holds up a real-time thread: records wait in a queue, one thread writes them."""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler, QueueListener

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_WAITING = 10_000


class _DroppingHandler(QueueHandler):
    """Drops records while nobody reads: a stuck terminal must not stop the pacer."""

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a record; never blocks, never raises."""
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return


@contextmanager
def queued_logging(level: str) -> Iterator[None]:
    """Log to standard error from a thread of its own while the block runs."""
    writer = logging.StreamHandler()
    writer.setFormatter(logging.Formatter(_FORMAT))
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(_WAITING)
    root = logging.getLogger()
    handler = _DroppingHandler(waiting)
    root.addHandler(handler)
    root.setLevel(level.upper())
    listener = QueueListener(waiting, writer)
    listener.start()
    try:
        yield
    finally:
        listener.stop()
        root.removeHandler(handler)
