"""An OBS of the bench's own: private screen, home and port; killed, stopped in its tracks, started again."""

from __future__ import annotations

import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vcam_talker.control.obs.connection import ObsConnection
from vcam_talker.control.obs.settings import SECRET, Server
from vcam_talker.core.errors import DeviceError, SourceError

_START_S = 30.0
_SETTINGS = """\
[General]
FirstRun=true
EnableAutoUpdates=false

[OBSWebSocket]
FirstLoad=false
ServerEnabled=true
ServerPort={port}
AlertsEnabled=false
AuthRequired=true
ServerPassword={password}
"""
_PROFILE = (
    "[General]\nName=T\n\n[Video]\nBaseCX=640\nBaseCY=360\nOutputCX=640\nOutputCY=360\nFPSType=1\nFPSInt=10\n"
)
"""A small canvas: without a graphics card its drawing would be what is measured."""


class ObsProgram:
    """One OBS, again and again on the same port."""

    def __init__(self, root: Path, display: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.credentials = root / "credentials"
        """A directory with the secret that opens this OBS, as systemd would lay it out."""
        self._server = Server("127.0.0.1", self.port, secrets.token_hex(16))
        self._config = root / "home/.config/obs-studio"
        self._log = root / "log"
        self._process: subprocess.Popen[bytes] | None = None
        for folder in (root / "run", self.credentials, self._config / "basic/profiles/T"):
            folder.mkdir(parents=True, mode=0o700)
        (self.credentials / SECRET).touch(0o600)
        (self.credentials / SECRET).write_text(self._server.password)
        (self._config / "basic/profiles/T/basic.ini").write_text(_PROFILE)
        settings = _SETTINGS.format(port=self.port, password=self._server.password)
        (self._config / "global.ini").write_text(settings)
        self._environment = {
            **os.environ,
            "HOME": str(root / "home"),
            "XDG_CONFIG_HOME": str(root / "home/.config"),
            "XDG_RUNTIME_DIR": str(root / "run"),
            "DISPLAY": display,
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "QT_QPA_PLATFORM": "xcb",
        }
        self._environment.pop("WAYLAND_DISPLAY", None)

    def start(self) -> int:
        """Start it; return the monotonic time at which its port opened, ns. Raises DeviceError."""
        # After a kill it would ask whether to start in safe mode.
        shutil.rmtree(self._config / ".sentinel", ignore_errors=True)
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [_program("obs"), "--multi", "--minimize-to-tray", "--collection", "T", "--profile", "T"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        deadline_s = time.monotonic() + _START_S
        while time.monotonic() < deadline_s:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return time.monotonic_ns()
        raise DeviceError("OBS", "opened no port", self._log.read_text(errors="replace")[-300:])

    def signal(self, number: signal.Signals) -> None:
        """Send it SIGSTOP or SIGCONT."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def connect(self) -> ObsConnection:
        """Return a connection of one's own. Raises SourceError."""
        connection = ObsConnection(self._server)
        connection.connect()
        try:
            connection.wait_ready()
        except SourceError:
            connection.close()
            raise
        return connection


@contextmanager
def obs_program() -> Iterator[ObsProgram]:
    """Start OBS on a screen of its own; end both. Raises DeviceError where one of them is missing."""
    _program("obs")
    root = Path(tempfile.mkdtemp(prefix="vcam-talker-obs-"))
    try:
        with _screen() as display:
            program_ = ObsProgram(root, display)
            try:
                program_.start()
                yield program_
            finally:
                program_.kill()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _program(name: str) -> str:
    if found := shutil.which(name):
        return found
    raise DeviceError(name, "is not installed", "sudo apt-get install obs-studio xvfb")


@contextmanager
def _screen() -> Iterator[str]:
    read_end, write_end = os.pipe()
    server = subprocess.Popen(
        [
            _program("Xvfb"),
            "-displayfd",
            str(write_end),
            "-screen",
            "0",
            "1280x720x24",
            "-nolisten",
            "tcp",
            "-noreset",
        ],
        pass_fds=[write_end],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write_end)
    try:
        # It picks a free display and writes the number once it accepts clients.
        ready = select.select([read_end], [], [], _START_S)[0]
        number = os.read(read_end, 16).decode().strip() if ready else ""
        if not number:
            raise DeviceError("Xvfb", "gave no screen")
        yield f":{number}"
    finally:
        os.close(read_end)
        server.terminate()
        server.wait(10)
