"""Start a daemon as a user does, with its own runtime folder and microphone, and listen to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vcam_talker.app.frame_log import HEADER
from vcam_talker.bench.options import DRAWN
from vcam_talker.control.address import FILE_NAME, Address
from vcam_talker.control.client import ControlClient
from vcam_talker.core.errors import DeviceError
from vcam_talker.core.paths import APP
from vcam_talker.core.types import NS_PER_S, SAMPLE_RATE, Samples

MICROPHONE = "vcam_talker_bench"
_START_TIMEOUT_S = 120.0
"""Generous: an emulated machine takes half a minute for what takes a second elsewhere."""
_STOP_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """What the daemon logged of every frame that left."""

    pts_ns: npt.NDArray[np.int64]
    sent_ns: npt.NDArray[np.int64]
    """CLOCK_MONOTONIC, which every process of the machine shares."""
    luma: npt.NDArray[np.int64]
    """Of the picture's centre: on the test card, the flash."""
    lower: npt.NDArray[np.int64]
    """Of a point below it: on the test card, how far the mouth is open."""

    def lost(self, fps: int) -> int:
        """Return how many frames the count of PTS skipped or sent twice: steps other than one frame."""
        steps = np.diff(np.rint(self.pts_ns * (fps / NS_PER_S)).astype(np.int64))
        return int(np.sum(np.abs(steps - 1)))

    def after(self, start_ns: int) -> FrameTimes:
        """Return the frames sent from `start_ns` on."""
        keep = self.sent_ns >= start_ns
        return FrameTimes(self.pts_ns[keep], self.sent_ns[keep], self.luma[keep], self.lower[keep])


class Daemon:
    """A running daemon under test."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, started_ns: int) -> None:
        self.process = process
        self.folder = folder
        self.started_ns = started_ns
        self.client = ControlClient(self._address())

    def frames(self) -> FrameTimes:
        """Return the frame log as far as it is written (complete up to about a second ago)."""
        text = (self.folder / "frames").read_text(encoding="ascii").removeprefix(HEADER)
        complete = text[: text.rfind("\n") + 1]
        values = np.array(complete.split(), np.int64).reshape(-1, 4)
        return FrameTimes(values[:, 0], values[:, 1], values[:, 2], values[:, 3])

    def wait_until(self, what: str, condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Poll `condition`. Raises DeviceError when it stays false or the daemon ends."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if self.process.poll() is not None:
                raise DeviceError("the daemon under test", "ended", (self.folder / "log").read_text()[-600:])
            if time.monotonic() > deadline_s:
                log = (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-600:]
                raise DeviceError("the daemon under test", f"did not get to: {what}. Its log ends: {log}")
            time.sleep(0.05)

    def wait_idle(self, timeout_s: float = 60.0) -> None:
        """Wait until the engine is ready and nothing is said or waits."""

        def idle() -> bool:
            status = self.client.status()
            return status["engine"]["state"] == "ready" and not status["on_air"] and not status["queue"]

        self.wait_until("silence", idle, timeout_s)

    def wait_microphone(self) -> None:
        """Wait until the microphone is open."""

        def is_open() -> bool:
            return any(
                s["kind"] == "microphone" and s["state"] == "open" for s in self.client.status()["sinks"]
            )

        self.wait_until("an open microphone", is_open)

    def engine_pid(self) -> int | None:
        """Return the engine's process, if there is one."""
        pid: int | None = self.client.status()["engine"]["pid"]
        return pid

    def child_pids(self) -> dict[str, int]:
        """Return the processes of the engine and, where there are such, of the senses and the lips."""
        status = self.client.status()
        found = {name: status[name] for name in ("engine", "senses", "lips") if status.get(name)}
        return {name: view["pid"] for name, view in found.items() if view["pid"] is not None}

    def _address(self) -> Address:
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        path = self.folder / APP / FILE_NAME
        while time.monotonic() < deadline_s and self.process.poll() is None:
            try:
                return Address(**json.loads(path.read_text(encoding="utf-8")))
            except FileNotFoundError:
                time.sleep(0.02)
        log = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
        raise DeviceError("the daemon under test", "did not start", log[-800:])


@contextmanager
def daemon(
    *arguments: str,
    persona: str = DRAWN,
    camera: str = "null",
    mic: str = "auto",
    microphone: str = MICROPHONE,
    cache: Path | None = None,
    config: str = "",
) -> Iterator[Daemon]:
    """Run `vcam-talker run` with a runtime folder and microphone of its own until the block ends.

    Hot phrases are kept in `cache`, and only those asked for; without it nothing is, so that every sentence
    costs what it costs the first time. `config`: further tables, TOML.
    """
    folder = Path(tempfile.mkdtemp(prefix="vcam-talker-bench-"))
    config_file = folder / "config.toml"
    phrases = "enabled = false" if cache is None else f"folder = {json.dumps(str(cache))}"
    if "[obs]" not in config:
        # The OBS of whoever runs this is nobody's business.
        config += '\n[obs]\nconnect = "off"\n'
    config_file.write_text(
        f'greet = false\n[microphone]\nname = "{microphone}"\nlabel = "{microphone}"\n'
        f"[cache]\nwarm = false\n{phrases}\n{config}",
        encoding="utf-8",
    )
    command = [
        sys.executable, "-m", "vcam_talker", "run", "--config", str(config_file), "--persona", persona,
        "--camera", camera, "--mic", mic, "--port", "0", "--frame-log", str(folder / "frames"), *arguments,
    ]  # fmt: skip
    # The sound server is found in the user's own runtime folder; only ours is moved.
    environment = dict(os.environ, VCAM_TALKER_RUNTIME_DIR=str(folder / APP))
    with (folder / "log").open("wb") as log:
        started_ns = time.monotonic_ns()
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield Daemon(process, folder, started_ns)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


class MicRecorder:
    """Reads the virtual microphone as another application does, and knows when each sample arrived."""

    _BLOCK = SAMPLE_RATE // 100

    def __init__(self, source: str = MICROPHONE, latency_ms: int = 10) -> None:
        program = shutil.which("parec")
        if program is None:
            raise DeviceError("parec", "is not installed", "Install pulseaudio-utils")
        command = [
            program, f"--device={source}", "--raw", "--format=s16le", f"--rate={SAMPLE_RATE}", "--channels=1",
            f"--latency-msec={latency_ms}", f"--process-time-msec={latency_ms}",
        ]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self._lock = threading.Lock()
        self._blocks: list[bytes] = []
        self._arrivals_ns: list[int] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def heard(self) -> int:
        """How many samples have arrived."""
        return len(self._blocks) * self._BLOCK

    def samples(self, start: int = 0) -> Samples:
        """Return what was heard from sample `start` (a multiple of 480) on, float32[N]."""
        with self._lock:
            data = b"".join(self._blocks[start // self._BLOCK :])
        return np.frombuffer(data, np.int16).astype(np.float32) / np.float32(32768)

    def arrival_ns(self, sample: int) -> int:
        """Return the monotonic time at which that sample was in our hands."""
        with self._lock:
            return self._arrivals_ns[min(sample // self._BLOCK, len(self._arrivals_ns) - 1)]

    def arrivals_ns(self) -> npt.NDArray[np.int64]:
        """Return the arrival of every block of 10 ms."""
        with self._lock:
            return np.array(self._arrivals_ns, np.int64)

    def wait_started(self) -> None:
        """Wait for the first sound. Raises DeviceError after 10 s."""
        deadline_s = time.monotonic() + 10
        while not self._arrivals_ns:
            if time.monotonic() > deadline_s:
                raise DeviceError("the virtual microphone", "gives no samples", "See `vcam-talker doctor`")
            time.sleep(0.01)

    def close(self) -> None:
        """Stop listening."""
        self._process.terminate()
        self._process.wait(5)
        self._thread.join(5)

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - opened with a pipe
        while data := self._process.stdout.read(2 * self._BLOCK):
            now_ns = time.monotonic_ns()
            with self._lock:
                self._blocks.append(data)
                self._arrivals_ns.append(now_ns)


def loud_spans(samples: Samples, threshold: float = 0.01, gap_s: float = 0.15) -> list[tuple[int, int]]:
    """Return (first, last) sample of every stretch of sound; gaps shorter than `gap_s` are bridged."""
    loud = np.flatnonzero(np.abs(samples) > threshold)
    if not loud.size:
        return []
    breaks = np.flatnonzero(np.diff(loud) > gap_s * SAMPLE_RATE)
    starts = np.concatenate(([loud[0]], loud[breaks + 1]))
    ends = np.concatenate((loud[breaks], [loud[-1]]))
    return [(int(a), int(b)) for a, b in zip(starts, ends, strict=True)]


def ms(ns: float) -> float:
    """Return nanoseconds as milliseconds."""
    return ns * 1000 / NS_PER_S
