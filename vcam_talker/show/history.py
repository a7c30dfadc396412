"""What was asked and what of the answers was heard, per room and per viewer, bounded."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from vcam_talker.core.types import Exchange

_ROOMS: Final = 64
_VIEWERS: Final = 512
_PER_VIEWER: Final = 4


class History:
    """Kept in air, so that it survives the engine; used on the control loop.

    A room's history grows at its end. When it is too long, its older half goes at once: a prompt made from it
    keeps its prefix for many turns, and what a brain has computed for that prefix stays of use.
    """

    def __init__(self, max_exchanges: int, max_chars: int) -> None:
        self._max_exchanges = max_exchanges
        self._max_chars = max_chars
        self._rooms: OrderedDict[str, list[Exchange]] = OrderedDict()
        self._viewers: OrderedDict[tuple[str, str], list[Exchange]] = OrderedDict()

    def note(self, room: str, exchange: Exchange) -> None:
        """Remember an answered line. One of which nothing was heard did not happen."""
        if not exchange.heard or self._max_exchanges == 0:
            return
        held = self._rooms.setdefault(room, [])
        self._rooms.move_to_end(room)
        held.append(exchange)
        if len(held) > self._max_exchanges or _chars(held) > self._max_chars:
            del held[: (len(held) + 1) // 2]
            while held and _chars(held) > self._max_chars:
                del held[0]
        while len(self._rooms) > _ROOMS:
            self._rooms.popitem(last=False)
        if exchange.user:
            key = (room, exchange.user)
            own = self._viewers.setdefault(key, [])
            self._viewers.move_to_end(key)
            own.append(exchange)
            del own[:-_PER_VIEWER]
            while len(self._viewers) > _VIEWERS:
                self._viewers.popitem(last=False)

    def of_room(self, room: str) -> tuple[Exchange, ...]:
        """Return the room's exchanges, oldest first."""
        return tuple(self._rooms.get(room, ()))

    def of_viewer(self, room: str, user: str) -> tuple[Exchange, ...]:
        """Return the viewer's own exchanges that the room's history no longer holds, oldest first."""
        if not user:
            return ()
        held = self._rooms.get(room, [])
        return tuple(e for e in self._viewers.get((room, user), ()) if not any(e is h for h in held))

    def clear(self) -> None:
        """Forget everything: another persona was not there."""
        self._rooms.clear()
        self._viewers.clear()


def _chars(exchanges: list[Exchange]) -> int:
    return sum(len(e.asked) + len(e.heard) for e in exchanges)
