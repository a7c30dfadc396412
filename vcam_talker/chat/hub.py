"""All chats: each source isolated and reconnecting, one set of filters, one stream of messages."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Literal

from vcam_talker.chat.filters import Filters
from vcam_talker.config import ChatConfig
from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.errors import SourceError
from vcam_talker.core.stages import ChatSource
from vcam_talker.core.status import ChatView, SourceView
from vcam_talker.core.types import NS_PER_S, ChatLine, ChatMessage

log = logging.getLogger(__name__)

_FIRST_DELAY_S: Final = 0.5
_LONGEST_DELAY_S: Final = 60.0
_STABLE_S: Final = 30.0
"""A connection that lasted this long starts over with the shortest delay."""
_DETAIL_CHARS: Final = 300
_REMEMBERED: Final = 1024
"""Messages that a moderator may still remove; far more than ever wait for an answer."""
WEBHOOK: Final = "webhook"

Withdraw = Callable[[str, str, str], None]
"""Learns of (platform, message id, user id) that a moderator removed; both ids empty: the whole chat."""


@dataclass(slots=True)
class _Source:
    """A source and how it is."""

    source: ChatSource
    state: Literal["connecting", "open", "lost"] = "connecting"
    detail: str = ""
    lines: int = 0
    reconnects: int = 0

    def view(self) -> SourceView:
        return SourceView(self.source.name, self.state, self.detail, self.lines, self.reconnects)


class ChatHub:
    """Lives on one event loop. `admit` gets what passed."""

    def __init__(
        self,
        config: ChatConfig,
        persona_names: Sequence[str],
        admit: Callable[[ChatMessage], None],
        clock: MonotonicClock,
        withdraw: Withdraw,
        make: Callable[[Withdraw], Sequence[ChatSource]],
    ) -> None:
        """`make` returns the sources, given what they tell a moderator's removals to."""
        self._config = config
        self._admit = admit
        self._clock = clock
        self._filters = Filters(config, persona_names, clock.now_ns())
        self._withdraw = withdraw
        self._admitted: deque[tuple[str, str, str]] = deque(maxlen=_REMEMBERED)
        self._sources = [_Source(source) for source in make(self._removed)]
        self._pushed = 0

    async def run(self) -> None:
        """Read every source until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for source in self._sources:
                tasks.create_task(self._keep(source), name=source.source.name)
            await asyncio.Event().wait()

    def push(self, lines: Sequence[ChatLine]) -> int:
        """Take lines of the webhook; return how many passed."""
        passed = 0
        for line in lines:
            self._pushed += 1
            passed += self._take(WEBHOOK, line, self._config.webhook.room)
        return passed

    def view(self) -> ChatView:
        """Return how the sources are, and what was let through."""
        views = [source.view() for source in self._sources]
        if self._config.webhook.enabled:
            views.append(SourceView(WEBHOOK, "open", "POST /api/chat", self._pushed))
        return ChatView(tuple(views), self._filters.passed, dict(self._filters.dropped))

    def _take(self, platform: str, line: ChatLine, room: str) -> bool:
        if not line.room:
            line = ChatLine(line.user, line.text, room, line.id, line.user_id, line.role)
        message = self._filters.take(platform, line, self._clock.now_ns())
        if message is None:
            return False
        self._admitted.append((platform, message.id, message.user_id))
        self._admit(message)
        return True

    def _removed(self, platform: str, message_id: str, user_id: str) -> None:
        """Pass a removal on if it concerns what was let through: bans come in floods as spam does."""
        whole = not message_id and not user_id
        if whole or any(
            place == platform and (number == message_id if message_id else user == user_id)
            for place, number, user in self._admitted
        ):
            self._withdraw(platform, message_id, user_id)

    async def _keep(self, held: _Source) -> None:
        """Read one source for ever; whatever happens to it happens to no other."""
        delay_s = 0.0
        while True:
            await asyncio.sleep(delay_s * random.uniform(0.7, 1.3))
            begun_ns = self._clock.now_ns()
            try:
                await self._read(held)
                detail = "the connection ended"
            except SourceError as e:
                detail = f"{e.why}. {e.remedy}" if e.remedy else e.why
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                detail = "internal fault: it cancelled itself"
            except Exception as e:  # a fault in one platform's code must not silence the others
                log.exception("%s failed", held.source.name)
                detail = f"internal fault: {e!r}"[:_DETAIL_CHARS]
            if held.state == "open" or detail != held.detail:
                log.warning("%s: %s; it is connected anew", held.source.name, detail)
            held.detail = detail
            held.state = "lost"
            held.reconnects += 1
            lasted_s = (self._clock.now_ns() - begun_ns) / NS_PER_S
            delay_s = 0.0 if lasted_s >= _STABLE_S else delay_s
            delay_s = min(_LONGEST_DELAY_S, max(_FIRST_DELAY_S, 2 * delay_s))

    async def _read(self, held: _Source) -> None:
        def joined() -> None:
            held.state, held.detail = "open", ""
            log.info("%s is read", held.source.name)

        platform = held.source.platform
        async with aclosing(held.source.lines(joined)) as lines:
            async for line in lines:
                held.lines += 1
                self._take(platform, line, "")
                # A flood arrives in one piece: heartbeats and the other sources go on between its lines.
                if held.lines % 64 == 0:
                    await asyncio.sleep(0)
