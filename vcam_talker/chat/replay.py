"""The null source: lines that are given, then silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from vcam_talker.core.types import ChatLine


class ReplaySource:
    """Yields its lines once per connection, `pause_s` apart."""

    platform = "replay"
    name = "replay"

    def __init__(self, lines: Sequence[ChatLine], pause_s: float = 0.0) -> None:
        self._lines = tuple(lines)
        self._pause_s = pause_s

    async def lines(self, joined: Callable[[], None] = lambda: None) -> AsyncGenerator[ChatLine, None]:
        """Yield the lines, then wait for ever, as a quiet room does."""
        joined()
        for line in self._lines:
            yield line
            await asyncio.sleep(self._pause_s)
        await asyncio.Event().wait()
