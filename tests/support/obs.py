"""A real OBS Studio on a private screen, with its own home, asked and watched over obs-websocket v5.

The protocol: https://github.com/obsproject/obs-websocket/blob/master/docs/generated/protocol.md
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.support.xvfb import xvfb

_HELLO, _IDENTIFY, _IDENTIFIED, _EVENT, _REQUEST, _RESPONSE = 0, 1, 2, 5, 6, 7
_NOT_READY = 207
_EVENTS_ALL = 0x7FF
_EVENTS_METERS = 1 << 16
"""High-volume events, InputVolumeMeters among them, have to be asked for by name."""
SILENCE_DB = -100.0
"""What the meters of this module call digital silence."""

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

_COLLECTION = {
    "name": "T",
    "current_scene": "Scene",
    "current_program_scene": "Scene",
    "scene_order": [{"name": "Scene"}],
    "sources": [{"id": "scene", "name": "Scene", "settings": {}}],
}
"""Without the global sound inputs that OBS guesses for a collection it makes itself."""

_PROFILE = """\
[General]
Name=T

[Video]
BaseCX={width}
BaseCY={height}
OutputCX={width}
OutputCY={height}
FPSType=1
FPSInt={fps}
"""


class ObsError(Exception):
    """OBS refused a request; the message holds its own words."""


class ObsClient:
    """A synchronous obs-websocket v5 client; used from one thread."""

    def __init__(self, port: int, password: str, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._events: deque[dict[str, Any]] = deque(maxlen=1000)
        with ExitStack() as stack:
            # Meters that nobody reads stand in the way of a goodbye, so it is not waited for.
            connection = connect(
                f"ws://127.0.0.1:{port}", open_timeout=timeout_s, close_timeout=0.2, max_size=None
            )
            self._socket: ClientConnection = stack.enter_context(connection)
            challenge = self._receive(_HELLO)["authentication"]
            identify = {
                "rpcVersion": 1,
                "eventSubscriptions": _EVENTS_ALL | _EVENTS_METERS,
                "authentication": _hashed(_hashed(password, challenge["salt"]), challenge["challenge"]),
            }
            self._send(_IDENTIFY, identify)
            self._receive(_IDENTIFIED)
            self._open = stack.pop_all()

    def close(self) -> None:
        """Hang up."""
        self._open.close()

    def call(self, request: str, **data: Any) -> dict[str, Any]:
        """Return OBS's answer to a request. Raises ObsError when it refuses, TimeoutError when it is mute."""
        number = uuid.uuid4().hex
        self._send(_REQUEST, {"requestType": request, "requestId": number, "requestData": data})
        while True:
            answer = self._receive(_RESPONSE)
            if answer["requestId"] == number:
                break
        status = answer["requestStatus"]
        if not status["result"]:
            raise ObsError(f"{request}: {status['code']} {status.get('comment', '')}")
        found: dict[str, Any] = answer.get("responseData") or {}
        return found

    def events(self, kind: str, seconds: float) -> Iterator[dict[str, Any]]:
        """Yield the data of the events of one kind that come from now on, for `seconds`."""
        self._events.clear()
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            while self._events:
                event = self._events.popleft()
                if event["eventType"] == kind:
                    yield event["eventData"]
            try:
                self._read(left_s)
            except TimeoutError:
                return

    def loudness_db(self, source: str, seconds: float) -> list[float]:
        """Return the peaks an input's meter shows for `seconds`, in dBFS, one per event of OBS (every 50 ms).

        Empty while the meter doesn't run yet.
        """
        return [
            level
            for event in self.events("InputVolumeMeters", seconds)
            for level in _levels_db(event, source)
        ]

    def wait_for_meter(self, source: str, wanted: Callable[[float], bool], timeout_s: float) -> bool:
        """Return True as soon as an input's meter shows a wanted level in dBFS, False after `timeout_s`."""
        for event in self.events("InputVolumeMeters", timeout_s):
            if any(wanted(level) for level in _levels_db(event, source)):
                return True
        return False

    def screenshot(self, source: str, width: int = 320, height: int = 180) -> npt.NDArray[np.uint8]:
        """Return what a source shows in OBS: uint8[H, W, 3], RGB."""
        png = self.screenshot_png(source, width, height)
        with av.open(io.BytesIO(png), "r") as container:
            return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)

    def screenshot_png(self, source: str, width: int, height: int) -> bytes:
        """Return what a source shows in OBS as a PNG file."""
        answer = self.call(
            "GetSourceScreenshot", sourceName=source, imageFormat="png", imageWidth=width, imageHeight=height
        )
        return base64.b64decode(answer["imageData"].partition(",")[2])

    def _send(self, operation: int, data: Mapping[str, Any]) -> None:
        self._socket.send(json.dumps({"op": operation, "d": data}))

    def _receive(self, operation: int) -> dict[str, Any]:
        """Return the next message of one kind; events that come between are kept."""
        deadline_s = time.monotonic() + self._timeout_s
        while True:
            message = self._read(max(0.0, deadline_s - time.monotonic()))
            if message["op"] == operation:
                found: dict[str, Any] = message["d"]
                return found

    def _read(self, timeout_s: float) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv(timeout_s))
        if message["op"] == _EVENT:
            self._events.append(message["d"])
        return message


def _hashed(secret: str, salt: str) -> str:
    return base64.b64encode(hashlib.sha256((secret + salt).encode()).digest()).decode()


def _levels_db(event: Mapping[str, Any], source: str) -> Iterator[float]:
    """Yield the peak of one input in an InputVolumeMeters event; nothing while its meter doesn't run."""
    for meter in event["inputs"]:
        if meter["inputName"] == source and meter["inputLevelsMul"]:
            # [magnitude, peak, input peak] per channel; some versions give the peak its sample's sign.
            peak = max(abs(channel[1]) for channel in meter["inputLevelsMul"])
            yield max(SILENCE_DB, 20 * math.log10(peak)) if peak > 0 else SILENCE_DB


class ObsStudio:
    """One OBS with its settings: started, killed, stopped in its tracks, started again on the same port."""

    def __init__(
        self, root: Path, environment: Mapping[str, str], port: int, password: str, timeout_s: float
    ) -> None:
        self.port = port
        self.password = password
        self.config = root / "home" / ".config" / "obs-studio"
        """OBS's settings folder."""
        self._log = root / "obs.log"
        self._environment = environment
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._client: ObsClient | None = None

    @property
    def client(self) -> ObsClient:
        """A client of the OBS that runs now."""
        assert self._client is not None, "OBS does not run"
        return self._client

    def start(self) -> ObsClient:
        """Start it and wait until it takes requests. Raises TimeoutError with the end of its log."""
        self.launch()
        return self.attach()

    def attach(self) -> ObsClient:
        """Wait until the OBS that was launched takes requests. Raises TimeoutError."""
        assert self._process is not None
        self._client = _wait_for(self.port, self.password, self._process, self._log, self._timeout_s)
        return self._client

    def launch(self) -> None:
        """Start it, and don't wait. It ends with the thread that calls this."""
        # After a kill it would ask, on its private screen, whether to start in safe mode.
        shutil.rmtree(self.config / ".sentinel", ignore_errors=True)
        # setpriv: it ends with this process, however that ends.
        command = ["setpriv", "--pdeathsig", "KILL", "obs", "--multi", "--minimize-to-tray"]
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [*command, "--collection", "T", "--profile", "T"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def wait_port(self, timeout_s: float = 30.0) -> None:
        """Wait until its WebSocket port accepts connections. Raises TimeoutError."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise TimeoutError("OBS opened no port")

    def kill(self) -> None:
        """End it with SIGKILL: asked politely it would ask back on its private screen."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None
        if self._client is not None:
            self._client.close()
            self._client = None

    def signal(self, number: signal.Signals) -> None:
        """Send it SIGSTOP or SIGCONT."""
        assert self._process is not None, "OBS does not run"
        self._process.send_signal(number)


@contextmanager
def obs_program(
    env: Mapping[str, str] | None = None,
    *,
    canvas: tuple[int, int] = (640, 360),
    fps: int = 30,
    timeout_s: float = 30.0,
    sounds: bool = True,
) -> Iterator[ObsStudio]:
    """Start OBS with an empty scene `Scene` and the sound inputs it guesses; clean up.

    `env` decides about the sound server (PULSE_SERVER), and may add to the environment. `canvas` and `fps`
    bound the work of drawing without a graphics card. Raises TimeoutError with the end of OBS's log when it
    doesn't come up in `timeout_s`, which is also how long a client waits for an answer.
    """
    if shutil.which("obs") is None:
        raise FileNotFoundError("no OBS: sudo apt-get install obs-studio xvfb")
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="obs-", ignore_cleanup_errors=True)
        root = Path(stack.enter_context(folder))
        display = stack.enter_context(xvfb())
        # OBS listens on every address, and only a password keeps others out.
        port, password = _free_port(), secrets.token_hex(16)
        environment = {**os.environ, **(env or {}), **_private(root), "DISPLAY": display}
        environment.pop("WAYLAND_DISPLAY", None)
        _write_settings(root, port, password, _PROFILE.format(width=canvas[0], height=canvas[1], fps=fps))
        program = ObsStudio(root, environment, port, password, timeout_s)
        if not sounds:
            collection = program.config / "basic" / "scenes" / "T.json"
            collection.parent.mkdir(parents=True)
            collection.write_text(json.dumps(_COLLECTION))
        stack.callback(program.kill)
        program.start()
        yield program


@contextmanager
def obs_studio(
    env: Mapping[str, str] | None = None,
    *,
    canvas: tuple[int, int] = (640, 360),
    fps: int = 30,
    timeout_s: float = 30.0,
) -> Iterator[ObsClient]:
    """Start OBS as `obs_program` does; yield a client of it."""
    with obs_program(env, canvas=canvas, fps=fps, timeout_s=timeout_s) as program:
        yield program.client


def _private(root: Path) -> dict[str, str]:
    for folder in ("home/.config", "run"):
        (root / folder).mkdir(parents=True, mode=0o700)
    return {
        "HOME": str(root / "home"),
        "XDG_CONFIG_HOME": str(root / "home" / ".config"),
        "XDG_RUNTIME_DIR": str(root / "run"),
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "QT_QPA_PLATFORM": "xcb",
        # It would look for updates; nobody listens on the discard port.
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }


def _write_settings(root: Path, port: int, password: str, profile: str) -> None:
    """Write the profile; switch obs-websocket on, in global.ini up to OBS 30.1, in its own file after."""
    config = root / "home" / ".config" / "obs-studio"
    later = config / "plugin_config" / "obs-websocket"
    later.mkdir(parents=True)
    basic = config / "basic" / "profiles" / "T" / "basic.ini"
    basic.parent.mkdir(parents=True)
    basic.write_text(profile)
    for name in ("global.ini", "user.ini"):
        (config / name).write_text(_SETTINGS.format(port=port, password=password))
    settings = {
        "first_load": False,
        "server_enabled": True,
        "server_port": port,
        "auth_required": True,
        "server_password": password,
        "alerts_enabled": False,
    }
    (later / "config.json").write_text(json.dumps(settings))


def _wait_for(
    port: int, password: str, process: subprocess.Popen[bytes], log: Path, timeout_s: float
) -> ObsClient:
    deadline_s = time.monotonic() + timeout_s
    why: Exception | None = None
    while time.monotonic() < deadline_s and process.poll() is None:
        client = None
        try:
            client = ObsClient(port, password, timeout_s)
            client.call("GetSceneList")
        except (OSError, WebSocketException, ObsError) as e:
            why = e
            if client is not None:
                client.close()
            time.sleep(0.2)
        else:
            return client
    words = log.read_text(errors="replace")[-3000:]
    raise TimeoutError(f"OBS did not come up ({process.poll()}, {why}):\n{words}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
