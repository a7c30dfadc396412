"""Runs the control API on an event loop of the caller, on a socket bound early."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator

import uvicorn

from vcam_talker.config import ControlConfig
from vcam_talker.control.api import create_app
from vcam_talker.control.listen import url_of
from vcam_talker.core.stages import Station

_MAX_CONNECTIONS = 64
_MAX_MESSAGE_BYTES = 64 * 1024
_GRACE_S = 1


def _is_no_false_alarm(record: logging.LogRecord) -> bool:
    # Uvicorn takes a WebSocket that was refused with an HTTP answer for one that was forgotten.
    return record.msg != "ASGI callable returned without completing handshake."


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell when requests are answered."""
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the daemon."""
        yield


class ControlServer:
    """The API and the page on one socket. Used from one event loop.

    The socket comes from `listen.bind`; connections made before `start` wait in its backlog.
    """

    def __init__(self, station: Station, config: ControlConfig, sock: socket.socket) -> None:
        """Raise ConfigError when other machines could reach the socket without a token."""
        self._socket = sock
        logging.getLogger("uvicorn.error").addFilter(_is_no_false_alarm)
        app = create_app(station, config, int(sock.getsockname()[1]))
        self._server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,  # addresses and tokens of viewers belong in no log
                proxy_headers=False,  # a forged X-Forwarded-For would evade the rate limit
                server_header=False,
                limit_concurrency=_MAX_CONNECTIONS,
                timeout_keep_alive=10,
                timeout_graceful_shutdown=_GRACE_S,
                ws_max_size=_MAX_MESSAGE_BYTES,
                ws_max_queue=8,
                ws_ping_interval=10.0,
                ws_ping_timeout=10.0,
                ws_per_message_deflate=False,  # JPEG does not shrink; it would only cost CPU
            )
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where this machine reaches the page."""
        return url_of(self._socket)

    async def start(self) -> None:
        """Serve in the background; returns when requests are answered."""
        self._task = asyncio.get_running_loop().create_task(
            self._server.serve(sockets=[self._socket]), name="control server"
        )
        ready = asyncio.ensure_future(self._server.ready.wait())
        await asyncio.wait({ready, self._task}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._task.done():
            await self._task

    async def stop(self) -> None:
        """Let every client go and close the socket; takes at most about 2 s. Idempotent."""
        task, self._task = self._task, None
        if task is None:
            self._socket.close()
            return
        self._server.should_exit = True
        await task
        self._socket.close()
