"""The whole daemon on a real camera device: its engine is killed while it speaks, and a reader watches.

Runs in the VM; leaves `pace.csv` (every frame the reader got) and `checks.json` (what happened when) behind.
Small pictures at a low rate: an emulated machine is to be kept from stuttering for reasons of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.stall import StallMeter
from vcam_talker.bench.harness import Daemon, daemon

WIDTH, HEIGHT, FPS = 320, 180, 10
SLOW_S = 120.0
"""For steps that take a second on a machine of flesh."""
_AGAIN_S = 20.0


def grow(running: Daemon, log: Path, frames: int) -> None:
    """Wait until the reader has logged that many more frames."""
    wanted = log.read_text().count("\n") + frames if log.is_file() else frames
    running.wait_until(
        "frames at the reader", lambda: log.is_file() and log.read_text().count("\n") >= wanted
    )


def speak(running: Daemon, text: str) -> None:
    """Say something, and wait until it is on air; again, if an engine that was held up went with the line."""
    said_s = -_AGAIN_S

    def speaking() -> bool:
        nonlocal said_s
        turn = running.client.status()["on_air"]
        if turn is None and time.monotonic() - said_s >= _AGAIN_S:
            running.client.say(text)
            said_s = time.monotonic()
        return bool(turn) and turn["state"] == "speaking"

    running.wait_until("speech on air", speaking, SLOW_S)


def main(device: str, out: Path) -> None:
    """Run the checks on a camera device."""
    found: dict[str, object] = {}
    pace = out / "pace.csv"
    read = [
        sys.executable,
        "-m",
        "tests.vm.read_frames",
        device,
        str(pace),
        "--seconds",
        "300",
        "--stall",
        "60",
    ]
    options = ["--fps", str(FPS), "--size", f"{WIDTH}x{HEIGHT}"]
    with (
        StallMeter() as stall,
        daemon(*options, persona="testcard", camera=device, mic="null") as running,
    ):
        running.wait_idle(SLOW_S)
        reader = subprocess.Popen(read)
        try:
            grow(running, pace, 3 * FPS)
            speak(running, "beep. " * 20)
            grow(running, pace, 2 * FPS)
            engine = running.engine_pid()
            stall.longest_ms = 0.0
            found["killed_ns"] = time.monotonic_ns()
            os.kill(engine or 0, signal.SIGKILL)
            running.wait_until("a new engine", lambda: running.engine_pid() not in {engine, None}, SLOW_S)
            running.wait_idle(SLOW_S)
            grow(running, pace, 2 * FPS)
            found["watched_until_ns"] = time.monotonic_ns()
            found["stall_ms"] = stall.longest_ms
            found["restarts"] = running.client.status()["engine"]["restarts"]
            speak(running, "beep. ")
        finally:
            reader.kill()
            reader.wait()
    (out / "checks.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
