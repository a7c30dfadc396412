"""Server-sent events, as far as language models need them (WHATWG HTML, section 9.2), from bytes, bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_LINE_BYTES: Final = 64 * 1024
MAX_EVENT_BYTES: Final = 256 * 1024
_BOM: Final = b"\xef\xbb\xbf"


class SseError(ValueError):
    """What comes is no event stream that anybody would send."""


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event."""

    data: str
    name: str = ""
    """Of its `event` field; empty for most."""


class SseParser:
    """`feed` bytes as they come, cut anywhere; `close` at the end. Not thread-safe.

    Lines end with CR, LF or both; bytes that are no UTF-8 become U+FFFD. Fields other than `data` and
    `event`, comments and events without data are dropped.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        self._max_event_bytes = max_event_bytes
        self._line = bytearray()
        self._first = True
        self._after_cr = False
        self._data: list[str] = []
        self._size = 0
        self._name = ""

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Return the events that `chunk` completes. Raises SseError past the bounds."""
        if not chunk:
            return []  # it tells nothing of what follows a CR
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        *lines, rest = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        events: list[SseEvent] = []
        for line in lines:
            self._add(line)
            self._end_line(events)
        self._add(rest)
        return events

    def close(self) -> list[SseEvent]:
        """Return the event that the end of the stream completes; many servers forget the last empty line."""
        events: list[SseEvent] = []
        if self._line:
            self._end_line(events)
        self._end_event(events)
        return events

    def _add(self, part: bytes) -> None:
        if len(self._line) + len(part) > self._max_line_bytes:
            raise SseError(f"a line of more than {self._max_line_bytes:,} bytes")
        self._line += part

    def _end_line(self, events: list[SseEvent]) -> None:
        line = bytes(self._line)
        self._line.clear()
        if self._first:
            line = line.removeprefix(_BOM)
            self._first = False
        if not line:
            self._end_event(events)
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._size += len(value) + 1
            if self._size > self._max_event_bytes:
                raise SseError(f"an event of more than {self._max_event_bytes:,} bytes")
            self._data.append(value.decode("utf-8", "replace"))
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")

    def _end_event(self, events: list[SseEvent]) -> None:
        if self._data:
            events.append(SseEvent("\n".join(self._data), self._name))
        self._data = []
        self._size = 0
        self._name = ""
