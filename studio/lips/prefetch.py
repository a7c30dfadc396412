"""Samples are made beside the training that uses them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Queue
from typing import Final, TypeVar

T = TypeVar("T")

_AHEAD: Final = 4


def prefetched(source: Iterator[T]) -> Iterator[T]:
    """Yield what `source`, which never ends, does; a thread of its own draws a few items ahead."""
    queue: Queue[T] = Queue(_AHEAD)

    def fill() -> None:
        for item in source:
            queue.put(item)

    threading.Thread(target=fill, name="samples", daemon=True).start()
    while True:
        yield queue.get()
