"""Being a systemd service: ready when on air, alive only while frames and sound leave.

The protocol is sd_notify(3): datagrams of KEY=VALUE lines to the socket that NOTIFY_SOCKET names. Without
that variable nothing here does anything, so the daemon runs the same code everywhere.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Final

from vcam_talker.core.stages import Station
from vcam_talker.core.status import DaemonStatus, SinkView

log = logging.getLogger(__name__)

_START_POLL_S: Final = 0.1
_OPENING_PATIENCE_S: Final = 5.0
"""How long a device that is still being opened holds back READY=1, once frames leave."""
_STATUS_EVERY_S: Final = 5.0
"""Where there is no watchdog to feed."""
_RETRY_S: Final = 0.25
"""How soon a ping that was not due for lack of progress is tried again."""
_MAX_STATUS_CHARS: Final = 400


@dataclass(frozen=True, slots=True)
class Progress:
    """How much has left, at one moment. A sink that is not open counts as None: others look after it."""

    frames: int
    media_clock_s: float
    written: tuple[int | None, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, status: DaemonStatus) -> Progress:
        """Read it off a status."""
        return cls(
            status.pacing.frames,
            status.media_clock_s,
            tuple(_written(sink) for sink in status.sinks),
            tuple(sink.name for sink in status.sinks),
        )

    def standstill(self, before: Progress) -> str:
        """Return, in words, what has not advanced since `before`; empty while everything does.

        A lost camera or microphone is no standstill: the clock runs on, and its owner reopens it sooner than
        a restart would.
        """
        if self.frames <= before.frames:
            return "no frame has left"
        if self.media_clock_s <= before.media_clock_s:
            return "the media clock stands still"
        if self.names == before.names:
            for name, now, then in zip(self.names, self.written, before.written, strict=True):
                if now is not None and then is not None and now <= then:
                    return f"nothing was written to {name}"
        return ""


class ServiceNotifier:
    """Tells systemd how the station is. Lives on the control loop, so a loop that hangs is no longer fed."""

    def __init__(self, station: Station, environ: MutableMapping[str, str] = os.environ) -> None:
        """Take the service's variables out of `environ`: they are not for the children."""
        self._station = station
        self._address = _socket_address(environ.pop("NOTIFY_SOCKET", ""))
        self._watchdog_s = _watchdog_s(environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", ""))
        self._ready = False
        self._said = ""
        self._heard = True

    async def run(self) -> None:
        """Say READY=1 once on air, then feed the watchdog at twice its rate while frames and sound advance.

        Runs until cancelled; returns at once where no systemd listens. Never blocks; a datagram that systemd
        has no room for is sent again.
        """
        if not self._address:
            return
        await self._on_air()
        seen = await self._alive(Progress(0, 0.0, (), ()))
        while True:
            await asyncio.sleep(_STATUS_EVERY_S if self._watchdog_s is None else self._watchdog_s / 2)
            seen = await self._alive(seen)

    def stopping(self) -> None:
        """Say that the daemon leaves the air on purpose."""
        self._send("STOPPING=1", "STATUS=Leaving the air.")

    async def _on_air(self) -> None:
        """Wait until frames and sound leave, and a moment more until every device has opened or failed."""
        leaving_since_s: float | None = None
        while True:
            status = self._station.status()
            if status.pacing.frames and status.media_clock_s > 0:
                now_s = time.monotonic()
                leaving_since_s = now_s if leaving_since_s is None else leaving_since_s
                opening = any(sink.state == "lost" and not sink.detail for sink in status.sinks)
                if not opening or now_s - leaving_since_s > _OPENING_PATIENCE_S:
                    return
            await asyncio.sleep(_START_POLL_S)

    async def _alive(self, seen: Progress) -> Progress:
        """Ping as soon as everything has advanced since `seen`; return where it is then."""
        reason = ""
        while True:
            status = self._station.status()
            now = Progress.of(status)
            standstill = now.standstill(seen)
            if not standstill and self._send(*self._ping(status)):
                self._ready = True
                if reason:
                    log.warning("frames and sound leave again")
                return now
            if standstill and not reason:
                reason = standstill
                log.error("%s; the watchdog is not fed", standstill)
                self._send(f"STATUS=Stalled: {standstill}.")
            self._said = ""
            await asyncio.sleep(_RETRY_S)

    def _ping(self, status: DaemonStatus) -> list[str]:
        fields = [] if self._ready else ["READY=1"]
        fields += [] if self._watchdog_s is None else ["WATCHDOG=1"]
        line = self._status_line(status)
        if line != self._said:
            self._said = line
            fields.append(line)
        return fields

    def _status_line(self, status: DaemonStatus) -> str:
        return "STATUS=" + " ".join(describe(status).split())[:_MAX_STATUS_CHARS]

    def _send(self, *fields: str) -> bool:
        """Send one datagram; False when it could not be delivered now."""
        if not self._address or not fields:
            return True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(fields).encode("utf-8", "replace"), self._address)
        except OSError as e:
            if self._heard:
                log.warning("systemd can't be told (%s)", e.strerror or e)
            self._heard = False
            return False
        self._heard = True
        return True


def describe(status: DaemonStatus) -> str:
    """Return one line for `systemctl status`: what is degraded first, then who is where."""
    camera, microphone = (_where(status.sinks, kind) for kind in ("camera", "microphone"))
    parts = [f"Degraded: {warning.rstrip('.')}." for warning in status.warnings[:2]]
    parts.append(
        f"{status.persona.title} is on air, {status.width}x{status.height} at {status.pacing.fps} fps;"
    )
    parts.append(f"camera {camera}, microphone {microphone}, page {status.url}/")
    return " ".join(parts)


def _where(sinks: tuple[SinkView, ...], kind: str) -> str:
    # Null and file outputs stand in the place of the device they replace.
    place = 0 if kind == "camera" else 1
    if len(sinks) <= place or sinks[place].kind == "null":
        return "none"
    sink = sinks[place]
    return sink.name if sink.state == "open" else f"{sink.name} ({sink.state})"


def _written(sink: SinkView) -> int | None:
    return sink.written if sink.state == "open" and sink.kind != "null" else None


def _socket_address(value: str) -> str:
    """Return what `sendto` takes; empty where there is nothing to tell or no way to."""
    if not value or not hasattr(socket, "AF_UNIX"):
        return ""
    if value[0] not in "/@" or len(value) < 2:
        log.warning("NOTIFY_SOCKET names no socket that can be used: %r", value[:100])
        return ""
    return "\0" + value[1:] if value[0] == "@" else value


def _watchdog_s(usec: str, pid: str) -> float | None:
    """Return the watchdog's patience if it is meant for this process (it is inherited by children)."""
    if pid and pid != str(os.getpid()):
        return None
    if not usec.isascii() or not usec.isdigit() or int(usec) == 0:
        return None
    return int(usec) / 1e6
