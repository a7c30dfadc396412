"""Events and status for every client; a slow one loses its oldest events and nobody waits for it."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Final

from pydantic.main import IncEx

from vcam_talker.control.models import STATUS
from vcam_talker.core.stages import Station

QUEUE_EVENTS = 256
STATUS_INTERVAL_S = 1.0
SPEAKING_INTERVAL_S = 0.2
"""While somebody speaks, the subtitle must follow the voice."""
SETTLE_S = 0.03
"""After an event a fresh status follows; this long, so that a burst of events makes one."""
_UNSENT: IncEx = {"engine": {"voices"}}
"""Over a hundred names that do not change while the engine lives; GET /api/status has them."""

EVENTS: Final = {
    "turn_queued": "TurnView. A line waits for its turn; again when it must wait for another engine.",
    "turn_started": "TurnView. The brain was asked, or the text handed to the voice.",
    "sentence": "TurnView. A further sentence is being made; ahead of the voice.",
    "turn_speaking": "TurnView. The first sample is out; readers of the microphone have it at `on_air_ms`.",
    "sentence_heard": "TurnView. Another sentence, `sentence`, begins to be heard: for captions.",
    "turn_ended": "TurnView. Over; `state` says how, `heard_text` what of it was heard.",
    "skipped": "SkippedView. A line is not answered, and `why`.",
    "voice": "`speaking`: true. The ears hear somebody; false: they have stopped.",
    "muted": "`muted`: whether the microphone sends silence now.",
    "paused": "`paused`: whether no further turn is begun now.",
    "emotion": "`emotion`: the mood of the resting face now; null: the persona's own.",
    "persona": "PersonaSummary. Another persona is on air.",
    "engine": "`state`: ready or down, `reason`. Turns wait while the engine is down.",
    "senses": "`state`: down, `reason`. Ears and chat are away and come back by themselves.",
}
"""What `/api/events` tells beside the status: name -> its fields, when it comes."""


class Listener:
    """The messages that wait for one client: JSON texts. Used on the control loop only."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._arrived = asyncio.Event()
        self.dropped = 0

    def put(self, message: str) -> None:
        """Queue a message; the oldest one goes when there are too many."""
        if len(self._waiting) >= QUEUE_EVENTS:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(message)
        self._arrived.set()

    async def get(self) -> str:
        """Return the next message, waiting for it."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()


class EventHub:
    """One subscription to the station, fanned out to all clients. Used on the control loop only.

    Does nothing while nobody listens.
    """

    def __init__(self, station: Station) -> None:
        self._station = station
        self._listeners: set[Listener] = set()
        self._changed = asyncio.Event()
        self._ticker: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None

    def join(self) -> Listener:
        """Return a new client's queue, with the status in it."""
        listener = Listener()
        listener.put(self.status_message())
        self._listeners.add(listener)
        if self._ticker is None:
            self._unsubscribe = self._station.subscribe_events(self._on_event)
            self._ticker = asyncio.get_running_loop().create_task(self._tick(), name="status ticker")
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a client. Idempotent."""
        self._listeners.discard(listener)
        if not self._listeners and self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
            if self._unsubscribe is not None:
                self._unsubscribe()
                self._unsubscribe = None

    def status_message(self) -> str:
        """Return `{"event": "status", "status": {...}}` as it is now, without the names of the voices."""
        raw = STATUS.dump_json(self._station.status(), exclude=_UNSENT)
        return '{"event":"status","status":' + raw.decode() + "}"

    def _on_event(self, event: dict[str, object]) -> None:
        self._send(json.dumps(event, ensure_ascii=False, default=str))
        self._changed.set()

    def _send(self, message: str) -> None:
        for listener in self._listeners:
            listener.put(message)

    async def _tick(self) -> None:
        while True:
            on_air = self._station.status().on_air
            speaking = on_air is not None and on_air.state == "speaking"
            try:
                async with asyncio.timeout(SPEAKING_INTERVAL_S if speaking else STATUS_INTERVAL_S):
                    await self._changed.wait()
                await asyncio.sleep(SETTLE_S)
            except TimeoutError:
                pass
            self._changed.clear()
            self._send(self.status_message())
