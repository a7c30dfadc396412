"""A real ControlServer on a thread of its own, for tests that speak HTTP from outside."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from typing import Any

from vcam_talker.config import ControlConfig
from vcam_talker.control.listen import bind
from vcam_talker.control.server import ControlServer
from vcam_talker.core.stages import Station


class RunningServer:
    """Context manager: serves `station` until left. `url` and `port` stay valid afterwards."""

    def __init__(self, station: Station, config: ControlConfig, sock: socket.socket | None = None) -> None:
        self._socket = sock or bind(config.host, config.port)
        self._station = station
        self._config = config
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="control", daemon=True)
        self._server: ControlServer | None = None
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> RunningServer:
        self._thread.start()

        async def start() -> ControlServer:
            server = ControlServer(self._station, self._config, self._socket)
            await server.start()
            return server

        self._server = self._run(start())
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._run(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, function: Any, *arguments: Any) -> Any:
        """Run `function` on the control loop and return its result."""

        async def run() -> Any:
            return function(*arguments)

        return self._run(run())

    def _run(self, work: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(20)
