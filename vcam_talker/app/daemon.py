"""Run the daemon: lock, air, control server, signals, a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from vcam_talker.air.priority import prefer_this_process
from vcam_talker.app.air import Air, make_scene
from vcam_talker.app.frame_log import FrameLog
from vcam_talker.app.lips import Lips
from vcam_talker.app.lips_choice import choose_lips
from vcam_talker.app.lock import DaemonLock
from vcam_talker.app.logs import queued_logging
from vcam_talker.app.outputs import make_outputs
from vcam_talker.app.showrunner import ShowRunner
from vcam_talker.app.station import LiveStation
from vcam_talker.config import Config
from vcam_talker.control.address import publish_address, remove_address
from vcam_talker.control.listen import bind, check_exposure, url_of
from vcam_talker.control.systemd import ServiceNotifier
from vcam_talker.core.clock import SystemClock
from vcam_talker.core.errors import ExitCode, VcamTalkerError
from vcam_talker.core.status import SinkView
from vcam_talker.core.types import NS_PER_S
from vcam_talker.persona import load_persona

log = logging.getLogger(__name__)

# Threads take turns at the interpreter this often (default 5 ms): the pacer must not wait for a long
# request handler.
_SWITCH_INTERVAL_S = 0.0005
_MICROPHONE_PATIENCE_S = 3.0
_LAST_RESORT_S = 12.0
_VITAL = {"playout", "pacer", "painter", "supervisor of engine"}


def run_daemon(
    config: Config,
    *,
    for_s: float | None,
    frame_log: Path | None,
    announce: Callable[[str], None],
) -> None:
    """Be on air until a signal comes or `for_s` seconds are over. Blocks.

    Raises ConfigError, PersonaError, DeviceError, AlreadyRunningError; then nothing is left behind.
    """
    with DaemonLock(), queued_logging(config.log_level):
        asyncio.run(_Daemon(config, for_s, frame_log, announce).run())


class _Daemon:
    """The life of one daemon process."""

    def __init__(
        self, config: Config, for_s: float | None, frame_log: Path | None, announce: Callable[[str], None]
    ) -> None:
        self._config = config
        self._for_s = for_s
        self._frame_log = FrameLog(frame_log) if frame_log else None
        self._announce = announce
        self._clock = SystemClock()
        self._stop = asyncio.Event()
        self._died = ""

    async def run(self) -> None:
        """Go on air; return when told to stop."""
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        prefer_this_process()
        self._catch_signals()
        loop = asyncio.get_running_loop()
        threading.excepthook = lambda failure: self._on_thread_died(loop, failure)
        config = self._config
        check_exposure(config.control)
        sock = bind(config.control.host, config.control.port)
        try:
            persona = load_persona(config.persona)
            clock = self._clock
            station = LiveStation(config, persona, clock)
            station.url = url_of(sock)
            service = ServiceNotifier(station)
            lips, choice = Lips(config, clock), choose_lips(persona, config)
            air = Air(
                config,
                persona,
                make_scene(persona, config, lips.mouths(choice)),
                lips,
                choice,
                make_outputs(config),
                clock,
                station.on_timeline,
                station.on_engine,
                station.on_senses,
                station.on_frame,
                self._frame_log.note if self._frame_log else None,
            )
            show = station.go_on(air)
            # Imports make so many objects that collections stop the picture for a tenth of a second.
            gc.disable()
            try:
                air.start()
                air.start_children()
                await self._serve(station, show, air, sock, service)
            finally:
                gc.enable()
                await asyncio.to_thread(air.stop)
        finally:
            sock.close()
            remove_address()
            if self._frame_log:
                self._frame_log.flush()
        if self._died:
            raise VcamTalkerError("vcam-talker", f"its thread '{self._died}' died", "The log tells why")

    async def _serve(
        self, station: LiveStation, show: ShowRunner, air: Air, sock: socket.socket, service: ServiceNotifier
    ) -> None:
        # Imported only now: it takes half a second, and the picture is already on the camera.
        from vcam_talker.control.obs.link import ObsLink
        from vcam_talker.control.server import ControlServer

        server = ControlServer(station, self._config.control, sock)
        await server.start()
        link = ObsLink(self._config.obs, station)
        station.obs = link.view
        publish_address(station.url, self._config.control.token)
        # What is there by now lives for ever, and is never collected: nothing runs while all of it is looked
        # at, not even the pacer.
        gc.freeze()
        gc.enable()
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(show.tick_forever()),
                    tasks.create_task(show.talk_forever()),
                    tasks.create_task(self._housekeeping()),
                    tasks.create_task(self._introduce(station, air)),
                    tasks.create_task(service.run()),
                    tasks.create_task(link.run()),
                ]
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), self._remaining_s(air))
                service.stopping()
                _end_whatever_hangs()
                await asyncio.to_thread(air.halt)
                for task in running:
                    task.cancel()
        finally:
            await server.stop()

    def _on_thread_died(self, loop: asyncio.AbstractEventLoop, failure: threading.ExceptHookArgs) -> None:
        """Tell; end the daemon if it can't be on air without that thread: a restart is better then."""
        name = failure.thread.name if failure.thread else "?"
        log.critical("the thread '%s' died", name, exc_info=failure.exc_value)
        if name not in _VITAL:
            return
        self._died = name
        loop.call_soon_threadsafe(self._stop.set)

    def _remaining_s(self, air: Air) -> float | None:
        """Return how long to stay, counted from the first frame."""
        if self._for_s is None or air.pacer.first_frame_ns is None:
            return self._for_s
        return max(0.0, self._for_s - (self._clock.now_ns() - air.pacer.first_frame_ns) / NS_PER_S)

    async def _housekeeping(self) -> None:
        while True:
            await asyncio.sleep(1)
            if self._frame_log:
                self._frame_log.flush()

    async def _introduce(self, station: LiveStation, air: Air) -> None:
        """Say where we are, once the microphone is there or has failed."""
        waited_s = 0.0
        while (
            air.microphone.state != "open" and not air.microphone.detail and waited_s < _MICROPHONE_PATIENCE_S
        ):
            await asyncio.sleep(0.1)
            waited_s += 0.1
        for line in _where(station):
            self._announce(line)

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows: Ctrl+C raises KeyboardInterrupt
                loop.add_signal_handler(number, self._stop.set)


def _end_whatever_hangs() -> None:
    """See to it that the process ends: a disk or a child that hangs would keep it for ever."""

    def leave() -> None:
        os.write(2, b"vcam-talker: something hangs; it ends without waiting for it\n")
        os._exit(ExitCode.INTERNAL)

    timer = threading.Timer(_LAST_RESORT_S, leave)
    timer.daemon = True
    timer.start()


def _where(station: LiveStation) -> list[str]:
    status = station.status()
    camera, microphone = status.sinks[:2]
    lines = [f"{status.persona.title} is on air, {status.width}x{status.height} at {status.pacing.fps} fps."]
    lines.append(f"  camera      {_named(camera)}")
    lines.append(f"  microphone  {_named(microphone)}")
    lines.append(f"  page        {status.url}/")
    return lines


def _named(sink: SinkView) -> str:
    """Return the device's name, or that there is none and why."""
    if sink.kind != "null" and sink.state == "open":
        return sink.name
    return f"none: {sink.detail}" if sink.detail else "none"
