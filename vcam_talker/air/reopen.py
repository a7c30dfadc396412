"""Keep a device: notice that it is lost, reopen it with back-off, never block the thread that uses it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, Literal, Protocol, TypeVar

from vcam_talker.core.errors import DeviceError

log = logging.getLogger(__name__)

State = Literal["closed", "open", "lost"]
_FIRST_DELAY_S = 0.1
_LAST_DELAY_S = 2.0


class _Sink(Protocol):
    @property
    def name(self) -> str: ...
    def close(self) -> None: ...


S = TypeVar("S", bound=_Sink)


class Keeper(Generic[S]):
    """Owns one sink. `current()` is the open sink or None; a background thread opens it.

    With `reopen=False` (a file, which a second opening would overwrite) a lost sink is closed and stays lost.
    The user's thread calls `lost(error)` when a write failed; closing and reopening happen elsewhere.
    `on_open` is called on the background thread, with the sink already open.
    """

    def __init__(self, sink: S, open_sink: Callable[[S], None], *, reopen: bool = True) -> None:
        self.sink = sink
        self.reopened = 0
        self.detail = ""
        self._open = open_sink
        self._reopens = reopen
        self._state: State = "closed"
        self._was_open = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> State:
        """`open`, `lost` (being reopened, unless it is a file) or `closed`."""
        return self._state

    def current(self) -> S | None:
        """Return the sink if it can be written to."""
        return self.sink if self._state == "open" else None

    def open_now(self) -> None:
        """Open in the calling thread. Raises DeviceError."""
        self._open(self.sink)
        self._opened()

    def open_later(self) -> None:
        """Open in the background; until then the device counts as lost."""
        self._state = "lost"
        self._start()

    def lost(self, error: DeviceError) -> None:
        """Report a failed write; returns at once."""
        if self._state != "open":
            return
        log.warning("%s", error)
        self.detail = str(error)
        self._state = "lost"
        self._start()

    def close(self) -> None:
        """Stop reopening and close. Idempotent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._state = "closed"
        self.sink.close()

    def _opened(self) -> None:
        self.reopened += self._was_open
        self._was_open = True
        self.detail = ""
        self._state = "open"

    def _start(self) -> None:
        if not self._reopens:
            self.sink.close()
            return
        self._thread = threading.Thread(target=self._reopen, name=f"reopen {self.sink.name}", daemon=True)
        self._thread.start()

    def _reopen(self) -> None:
        delay_s = _FIRST_DELAY_S
        while not self._stop.is_set():
            self.sink.close()
            try:
                self._open(self.sink)
            except DeviceError as e:
                if str(e) != self.detail:
                    log.warning("%s", e)
                    self.detail = str(e)
                self._stop.wait(delay_s)
                delay_s = min(_LAST_DELAY_S, delay_s * 1.5)
            else:
                self._opened()
                log.info("%s is open", self.sink.name)
                return
