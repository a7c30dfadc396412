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
_CLOSE_TIMEOUT_S = 5.0


class _Sink(Protocol):
    @property
    def name(self) -> str: ...
    def close(self) -> None: ...


S = TypeVar("S", bound=_Sink)


class Keeper(Generic[S]):
    """Owns one sink. `current()` is the open sink or None; a background thread opens it.

    With `reopen=False` (a file, which a second opening would overwrite) a lost sink is closed and stays lost.
    The user's thread calls `lost(error)` when a write failed; closing and reopening happen elsewhere.
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
        self._lock = threading.Lock()
        """Held for a change of state; never while a device is opened or closed."""
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
        self._open_sink()
        self._opened()

    def open_later(self) -> None:
        """Open in the background; until then the device counts as lost."""
        with self._lock:
            self._state = "lost"
            self._start("reopen", self._reopen)

    def lost(self, error: DeviceError) -> None:
        """Report a failed write; returns at once. Only the first report of a loss counts."""
        with self._lock:
            if self._state != "open":
                return
            self._state = "lost"
            self.detail = str(error)
            # Closing flushes a file: never on the thread that paces.
            if self._reopens:
                self._start("reopen", self._reopen)
            else:
                self._start("close", self.sink.close)
        log.warning("%s", error)

    def close(self) -> None:
        """Stop reopening and close. Idempotent.

        Waits for 5 s at most for an opening or closing in progress; one that takes longer closes the device
        itself when it is done.
        """
        with self._lock:
            self._stop.set()
            self._state = "closed"
        if self._thread is not None:
            self._thread.join(_CLOSE_TIMEOUT_S)
            if self._thread.is_alive():
                log.warning("%s: it hangs and is left to itself", self.sink.name)
                return
        self.sink.close()

    def _start(self, verb: str, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=work, name=f"{verb} {self.sink.name}", daemon=True)
        self._thread.start()

    def _open_sink(self) -> None:
        try:
            self._open(self.sink)
        except OSError as e:
            raise DeviceError(self.sink.name, f"it can't be opened ({e.strerror or e})") from e

    def _opened(self) -> bool:
        """Note that the sink is open; False if `close` was called meanwhile."""
        with self._lock:
            if self._stop.is_set():
                return False
            self.reopened += self._was_open
            self._was_open = True
            self.detail = ""
            self._state = "open"
            return True

    def _reopen(self) -> None:
        delay_s = _FIRST_DELAY_S
        while not self._stop.is_set():
            self.sink.close()
            try:
                self._open_sink()
            except DeviceError as e:
                if str(e) != self.detail:
                    log.warning("%s", e)
                    self.detail = str(e)
                self._stop.wait(delay_s)
                delay_s = min(_LAST_DELAY_S, delay_s * 1.5)
            else:
                if self._opened():
                    log.info("%s is open", self.sink.name)
                    return
        # `close` may have given up waiting for us.
        self.sink.close()
