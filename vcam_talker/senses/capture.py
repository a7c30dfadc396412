"""Sound from a source of the sound server: 16 kHz mono, in windows of 32 ms, with the time of each."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

import numpy as np

from vcam_talker.asr.vad import RATE, WINDOW, WINDOW_NS
from vcam_talker.core.errors import DeviceError, DeviceLostError
from vcam_talker.core.types import Samples

_FRAGMENT_MS: Final = 10
_STEADY_OVER: Final = 64
"""Windows, 2 s: how soon times follow a source that stood still, and how long a stall of ours may be."""
_STOP_TIMEOUT_S: Final = 2.0
_WORDS_OF_ERROR: Final = 300


class PulseCapture:
    """A `parec` of our own: a server that hangs or dies takes down that program and nothing else.

    Used from one thread; `close` from any. The program ends with its pipe, so it can't outlive us.
    """

    def __init__(self, source: str, title: str) -> None:
        """Begin to record `source` (empty: the user's default). Raises DeviceError without the program."""
        program = shutil.which("parec")
        if program is None:
            raise DeviceError("parec", "is not installed", "Install it: apt install pulseaudio-utils")
        command = [
            program, "--raw", "--format=s16le", f"--rate={RATE}", "--channels=1", f"--client-name={title}",
            f"--latency-msec={_FRAGMENT_MS}", f"--process-time-msec={_FRAGMENT_MS}",
        ]  # fmt: skip
        if source:
            command.append(f"--device={source}")
        self._source = source or "the default microphone"
        # stdin stays closed: it must not read what is typed at the daemon.
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )

    @property
    def pid(self) -> int:
        """The recording program's, by which the sound server knows the stream."""
        return self._process.pid

    def windows(self) -> Iterator[tuple[int, Samples]]:
        """Yield (monotonic ns at which the window's last sample was recorded, float32[512]).

        Times are steady though windows are read in bursts by a busy machine. Blocks for 32 ms each. Raises
        DeviceLostError when the source or the server is gone.
        """
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101 - opened with a pipe
        held = b""
        recorded_ns = 0
        latest: deque[int] = deque(maxlen=_STEADY_OVER)
        while data := pipe.read(2 * WINDOW):
            held += data
            while len(held) >= 2 * WINDOW:
                block, held = held[: 2 * WINDOW], held[2 * WINDOW :]
                recorded_ns += WINDOW_NS
                # A window may be read late and never early: the earliest of the latest ones tells the truth.
                latest.append(time.monotonic_ns() - _FRAGMENT_MS * 1_000_000 - recorded_ns)
                at_ns = recorded_ns + min(latest)
                yield at_ns, np.frombuffer(block, np.int16).astype(np.float32) / np.float32(32768)
        raise DeviceLostError(self._source, self._why())

    def close(self) -> None:
        """End the recording; whoever reads `windows` is let go. Idempotent."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _why(self) -> str:
        self.close()
        pipe = self._process.stderr
        words = pipe.read(_WORDS_OF_ERROR).decode(errors="replace") if pipe else ""
        lines = [line.strip() for line in words.splitlines() if line.strip()]
        return lines[-1] if lines else "the recording ended"
