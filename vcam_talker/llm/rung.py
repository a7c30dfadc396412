"""One brain on the ladder: is it loaded, does it rest, what has it done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Literal

from vcam_talker.config import BrainConfig
from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.core.stages import Responder
from vcam_talker.core.status import BrainView
from vcam_talker.llm.breaker import CircuitBreaker

log = logging.getLogger(__name__)

_RETRY_FROM_S: Final = 1.0
_RETRY_UP_TO_S: Final = 60.0
_CLOSING_S: Final = 5.0


class Rung:
    """Loads a brain in the background, again with back-off while it can't be; keeps its record."""

    def __init__(
        self,
        name: str,
        config: BrainConfig,
        make: Callable[[str], Responder],
        clock: MonotonicClock,
        on_change: Callable[[], None],
    ) -> None:
        self.name = name
        self._make = make
        self._on_change = on_change
        self._breaker = CircuitBreaker(config.breaker_failures, config.breaker_rest_s, clock)
        self._responder: Responder | None = None
        self._loaded = False
        self._loading: asyncio.Task[None] | None = None
        self._load_error = ""
        self._last_error = ""
        self._answered = 0
        self._failed = 0

    def load(self) -> None:
        """Begin to load in the background; nothing the second time. Event loop's thread."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(), name=f"load {self.name}")

    def admit(self) -> Responder | None:
        """Return the brain if it may be asked now; then its outcome must be told by one of the four below."""
        if not self._loaded or self._responder is None or not self._breaker.admit():
            return None
        return self._responder

    def answered(self) -> None:
        """Note that it answered."""
        self._answered += 1
        self._last_error = ""
        self._breaker.succeeded()
        self._on_change()

    def declined(self) -> None:
        """Note that it works, and has nothing to say to this."""
        self._breaker.succeeded()

    def failed(self, error: str) -> None:
        """Note that it did not answer, or not to the end."""
        self._failed += 1
        self._last_error = error
        self._breaker.failed()
        log.warning("brain %s: %s", self.name, error)
        self._on_change()

    def abandoned(self) -> None:
        """Note that nobody waited for its answer."""
        self._breaker.abandoned()

    def view(self) -> BrainView:
        """Return its state as `status` shows it."""
        return BrainView(self.name, *self._state(), self._answered, self._failed)

    async def close(self) -> None:
        """Stop loading and let go of the brain. Takes a bounded time; idempotent; never raises."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait((self._loading,), timeout=_CLOSING_S)
        responder, self._responder, self._loaded = self._responder, None, False
        if responder is None:
            return
        try:
            async with asyncio.timeout(_CLOSING_S):
                await responder.close()
        except TimeoutError:
            log.warning("brain %s does not close", self.name)
        except Exception:
            log.exception("brain %s could not be closed", self.name)

    def _state(self) -> tuple[Literal["ready", "loading", "resting", "failed"], str]:
        if not self._loaded:
            return ("failed", self._load_error) if self._load_error else ("loading", "")
        if self._breaker.state == "open":
            return "resting", f"{self._breaker.failures} failures in a row, the last: {self._last_error}"
        return "ready", self._last_error

    async def _load(self) -> None:
        wait_s = _RETRY_FROM_S
        while True:
            try:
                await self._load_once()
            except VcamTalkerError as e:
                self._note_load_error(str(e))
            except Exception as e:  # a brain's fault must not cost the ladder
                log.exception("brain %s could not be loaded", self.name)
                self._note_load_error(f"internal fault: {e!r}")
            else:
                return
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _RETRY_UP_TO_S)

    async def _load_once(self) -> None:
        if self._responder is None:
            self._responder = self._make(self.name)
        await self._responder.warm_up()
        self._loaded = True
        self._load_error = ""
        log.info("brain %s is ready", self.name)
        self._on_change()

    def _note_load_error(self, error: str) -> None:
        if error != self._load_error:
            log.warning("brain %s: %s", self.name, error)
        self._load_error = error
        self._on_change()
