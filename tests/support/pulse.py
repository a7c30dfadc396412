"""Private sound servers for tests: no hardware, own directories, killed by pid.

`pulse_server` is a fresh PulseAudio, `pipewire_server` a fresh PipeWire with WirePlumber and pipewire-pulse
(Debian packages of these names, and dbus). While a server is current, `PULSE_SERVER` and the XDG directories
of this process point at it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest

RATE = 48_000
_START_TIMEOUT_S = 15.0
_PULSE_SCRIPT = """\
load-module module-native-protocol-unix auth-anonymous=1 socket={socket}
load-module module-stream-restore
load-module module-null-sink sink_name=speakers rate=48000
"""
# WirePlumber gives up when it finds no PipeWire; without it nothing is ever linked.
_PIPEWIRE_SCRIPT = """\
pipewire &
while ! test -S "$XDG_RUNTIME_DIR/pipewire-0"; do sleep 0.02; done
wireplumber &
exec pipewire-pulse
"""


class SoundServer:
    """A sound server of our own that speaks PulseAudio's protocol; its default sink is `speakers`."""

    def __init__(self, flavour: Literal["pulseaudio", "pipewire"], root: Path) -> None:
        self.flavour = flavour
        self.root = root
        self.socket = root / "run" / "pulse" / "native"
        self.env = os.environ | {
            "HOME": str(root / "home"),
            "XDG_RUNTIME_DIR": str(root / "run"),
            "XDG_CONFIG_HOME": str(root / "home" / ".config"),
            "XDG_STATE_HOME": str(root / "home" / ".state"),
            "PULSE_RUNTIME_PATH": str(root / "run" / "pulse"),
            "PULSE_SERVER": f"unix:{self.socket}",
            "PULSE_STATE_PATH": str(root / "home" / ".pulse"),
        }
        self.env.pop("DBUS_SESSION_BUS_ADDRESS", None)
        self._processes: list[subprocess.Popen[bytes]] = []
        for folder in ("home", "run/pulse"):
            (root / folder).mkdir(parents=True, mode=0o700)
        (root / "run").chmod(0o700)

    def start(self) -> None:
        """Start it and wait until it answers and has its `speakers`."""
        if self.flavour == "pulseaudio":
            script = self.root / "test.pa"
            script.write_text(_PULSE_SCRIPT.format(socket=self.socket))
            self._spawn(
                [
                    "pulseaudio",
                    "-n",
                    "-F",
                    str(script),
                    "--daemonize=no",
                    "--exit-idle-time=-1",
                    "--use-pid-file=no",
                ]
            )
        else:
            self._spawn(["dbus-run-session", "--", "sh", "-c", _PIPEWIRE_SCRIPT])
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.flavour} did not start; see {self.root}/log")
            time.sleep(0.05)
        if self.flavour == "pipewire":
            self.pactl("load-module", "module-null-sink", "sink_name=speakers", "rate=48000")

    def _spawn(self, command: list[str]) -> None:
        with (self.root / "log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(command, env=self.env, stdout=log, stderr=log, start_new_session=True)
            )

    def _answers(self) -> bool:
        done = subprocess.run(["pactl", "info"], env=self.env, capture_output=True, timeout=10, check=False)
        return done.returncode == 0

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server's processes (SIGSTOP, SIGCONT)."""
        for process in self._processes:
            os.killpg(process.pid, number)

    def kill(self) -> None:
        """kill -9, as a crash would."""
        for process in self._processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=10)
        self._processes.clear()
        self.socket.unlink(missing_ok=True)
        (self.root / "run" / "pipewire-0").unlink(missing_ok=True)

    def pactl(self, *arguments: str) -> str:
        """Run pactl against this server and return what it prints."""
        done = subprocess.run(
            ["pactl", *arguments], env=self.env, capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout

    def names(self, kind: Literal["sinks", "sources", "modules", "sink-inputs"]) -> list[str]:
        """Return the second column of `pactl list short KIND`."""
        return [line.split("\t")[1] for line in self.pactl("list", "short", kind).splitlines()]


def record(server: SoundServer, source: str, seconds: float, latency_ms: int = 10) -> npt.NDArray[np.float32]:
    """Return float32[seconds * 48000] mono, as an application hears it that picks `source`."""
    wanted = int(seconds * RATE) * 4
    with recording(server, source, latency_ms) as process:
        assert process.stdout is not None
        data = process.stdout.read(wanted)
    return np.frombuffer(data, "<f4").copy()


@contextmanager
def recording(server: SoundServer, source: str, latency_ms: int = 10) -> Iterator[subprocess.Popen[bytes]]:
    """Run `parec` on `source`: raw float32le mono at 48 kHz on its stdout."""
    command = ["parec", f"--device={source}", "--raw", "--format=float32le", f"--rate={RATE}", "--channels=1"]
    process = subprocess.Popen(
        [*command, f"--latency-msec={latency_ms}"],
        env=server.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def sound_server(
    flavour: Literal["pulseaudio", "pipewire"], patch: pytest.MonkeyPatch
) -> Iterator[SoundServer]:
    """Run a server, point this process at it, and clean up."""
    # Socket paths are limited to 108 bytes; pytest's tmp_path can be longer.
    root = Path(tempfile.mkdtemp(prefix="vct-"))
    server = SoundServer(flavour, root)
    try:
        server.start()
        for name in ("PULSE_SERVER", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "HOME", "XDG_CONFIG_HOME"):
            patch.setenv(name, server.env[name])
        yield server
    finally:
        server.kill()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def pulse_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    """Yield a private PulseAudio that this process's sound goes to."""
    with sound_server("pulseaudio", monkeypatch) as server:
        yield server


@pytest.fixture
def pipewire_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    """Yield a private PipeWire (with WirePlumber and pipewire-pulse) that this process's sound goes to."""
    with sound_server("pipewire", monkeypatch) as server:
        yield server
