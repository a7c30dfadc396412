"""What a camera has to live through, with a real driver. Runs in the VM; leaves its findings in a folder.

`frames.crc`: checksums of the frames ffmpeg captured · `pace.csv`: what a reader saw that stayed while the
writer was killed and another took over · `checks.json`: the sink's answer at each step, `ok` or its error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.vm.read_frames import open_camera
from vcam_talker.air.sinks.camera import CameraSink, pattern_frame
from vcam_talker.core.clock import SystemClock, frame_pts
from vcam_talker.core.errors import VcamTalkerError

WIDTH, HEIGHT, FPS = 640, 360, 15
"""What an emulated machine keeps up with, on a host that has other things to do as well."""
FRAMES = 45
"""Frames that ffmpeg keeps."""
SECOND_LIFE_FRAMES = 60


def write(device: str, frames: int = 1) -> str:
    """Send frames through a sink of our own; return `ok`, or its error as the user reads it."""
    sink, clock = CameraSink(device), SystemClock()
    try:
        sink.open(WIDTH, HEIGHT, FPS)
        start_ns = clock.now_ns()
        for n in range(frames):
            frame = pattern_frame(n, WIDTH, HEIGHT, FPS)
            sink.write(frame)
            clock.sleep_until_ns(start_ns + frame_pts(n + 1, FPS))
    except VcamTalkerError as e:
        return str(e)
    finally:
        sink.close()
    return "ok"


def write_as_pyvirtualcam(device: str) -> None:
    """Write with pyvirtualcam's own backend, which v4l2loopback 0.12 does not see leaving."""
    import pyvirtualcam

    form = pyvirtualcam.PixelFormat.I420
    with pyvirtualcam.Camera(WIDTH, HEIGHT, FPS, fmt=form, device=device, backend="v4l2loopback") as camera:
        camera.send(pattern_frame(0, WIDTH, HEIGHT, FPS).pixels)


def lines(path: Path) -> int:
    """Return how many lines a growing file has."""
    return path.read_text().count("\n") if path.is_file() else 0


def main(device: str, out: Path, options: list[str]) -> None:
    """Run all checks in order; `options` are v4l2loopback's."""
    found: dict[str, str] = {}
    module = "vcam_talker.air.sinks.camera"
    size = f"{WIDTH}x{HEIGHT}"
    writer = subprocess.Popen(
        [sys.executable, "-m", module, device, "--seconds", "400", "--fps", str(FPS), "--size", size]
    )
    os.close(open_camera(device, wait_s=120))
    capture = ["ffmpeg", "-v", "error", "-f", "v4l2", "-i", device, "-frames:v", str(FRAMES)]
    # Passed through: neither repeated nor dropped to fit the nominal rate.
    capture += ["-fps_mode", "passthrough"]
    subprocess.run(
        [*capture, "-f", "framehash", "-hash", "CRC32", out / "frames.crc"], check=True, timeout=180
    )
    found["second writer"] = write(device)

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
        "120",
    ]
    reader = subprocess.Popen(read)
    deadline_s = time.monotonic() + 180
    while lines(pace) < 3 * FPS and time.monotonic() < deadline_s:
        time.sleep(0.1)
    writer.kill()
    writer.wait()
    found["killed at"] = str(time.monotonic_ns())
    found["beside a reader that stayed"] = write(device, SECOND_LIFE_FRAMES)
    reader.kill()
    reader.wait()

    write_as_pyvirtualcam(device)
    found["after pyvirtualcam's own writer"] = write(device)
    subprocess.run(["modprobe", "-r", "v4l2loopback"], check=True)
    found["without the module"] = write(device)
    subprocess.run(["modprobe", "v4l2loopback", *options], check=True)
    found["with the module back"] = write(device)
    (out / "checks.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
