"""How long this machine stood still: what timing tests must not hold against the daemon."""

from __future__ import annotations

import threading
import time

_STEP_S = 0.005


class StallMeter:
    """Context manager: a thread that sleeps 5 ms at a time and keeps the longest oversleep, in milliseconds.

    It runs without any priority, so it sees every stall of the host and of the scheduler that the daemon's
    preferred threads can see.
    """

    def __init__(self) -> None:
        self.longest_ms = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> StallMeter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        before = time.monotonic()
        while not self._stop.is_set():
            time.sleep(_STEP_S)
            now = time.monotonic()
            self.longest_ms = max(self.longest_ms, (now - before - _STEP_S) * 1000)
            before = now
