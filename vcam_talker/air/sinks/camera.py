"""The virtual camera, through pyvirtualcam: v4l2loopback on Linux, OBS or Unity Capture elsewhere.

On Linux pyvirtualcam's front end is used with a writer of our own (`register_backend`), because its native
one only prints a failed write, holds the GIL while it copies, never tells readers the frame rate, and leaves
a v4l2loopback 0.12 device unusable for the next writer.

Frames leave on a thread of their own: a driver that hangs costs frames, never the pacer.
"""

from __future__ import annotations

import argparse
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from vcam_talker.air.priority import prefer_this_thread
from vcam_talker.air.sinks.v4l2 import LoopbackDevice
from vcam_talker.core.clock import SystemClock, frame_pts
from vcam_talker.core.errors import DeviceError, DeviceLostError, VcamTalkerError
from vcam_talker.core.types import NS_PER_S, Pixels, VideoFrame

if TYPE_CHECKING:
    import pyvirtualcam

STALL_TIMEOUT_S: Final = 2.0
"""A driver that has not taken a frame for this long is lost."""
_CLOSE_TIMEOUT_S: Final = 1.0
_BACKEND: Final = "vcam_talker_v4l2"
_REMEDY: Final = "It is opened again as soon as it is back"
_OBS_REMEDY: Final = "Install OBS Studio and press Start Virtual Camera there once"
_INSTALL_REMEDY: Final = "Install it again: pip install --force-reinstall pyvirtualcam"
_UNITY_REMEDY: Final = "Install Unity Capture and register its camera"


class _LoopbackBackend:
    """pyvirtualcam's backend interface over an open `LoopbackDevice`."""

    def __init__(self, *, loopback: LoopbackDevice, fourcc: int, **_ignored: object) -> None:
        self._loopback = loopback
        self._fourcc = fourcc

    def send(self, frame: npt.NDArray[np.uint8]) -> None:
        self._loopback.write(frame)

    def close(self) -> None:
        self._loopback.close()

    def device(self) -> str:
        return self._loopback.path

    def native_fourcc(self) -> int:
        return self._fourcc


class CameraSink:
    """A virtual camera. `write` never blocks; the device's format is fixed from `open` to `close`."""

    def __init__(self, device: str) -> None:
        """`device`: `/dev/videoN`, `obs` (Windows, macOS) or `unitycapture` (Windows)."""
        self.name = device
        self._dropped = 0
        self._writer: _Writer | None = None
        self._shape = (0, 0)

    @property
    def dropped(self) -> int:
        """Frames that were still waiting for the driver when the next one came, since construction."""
        return self._dropped

    def open(self, width: int, height: int, fps: int) -> None:
        """Acquire the device. Raises DeviceError: missing, busy, forbidden, no output, size refused."""
        self._shape = (height * 3 // 2, width)
        self._writer = _Writer(self.name, _open_camera(self.name, width, height, fps))

    def write(self, frame: VideoFrame) -> None:
        """Send one yuv420p frame. Raises DeviceLostError; ValueError for another size than opened with."""
        if frame.pixels.shape != self._shape:
            raise ValueError(
                f"{self.name} takes {self._shape}, not {frame.pixels.shape}: its format is fixed"
            )
        if self._writer is None:
            raise DeviceLostError(self.name, "it is closed", _REMEDY)
        self._dropped += self._writer.put(frame.pixels)

    def close(self) -> None:
        """Release the device. Idempotent, never raises; waits for a hung driver for 1 s at most."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


class _Writer:
    """Owns the open camera: a thread that sends the newest frame from a mailbox of one."""

    def __init__(self, name: str, camera: pyvirtualcam.Camera) -> None:
        self._name = name
        self._camera = camera
        self._changed = threading.Condition()
        self._waiting: Pixels | None = None
        self._sending_since_ns: int | None = None
        self._error: Exception | None = None
        self._closing = False
        self._clock = SystemClock()
        self._thread = threading.Thread(target=self._run, name="camera-writer", daemon=True)
        self._thread.start()

    def put(self, pixels: Pixels) -> int:
        """Leave a frame to be sent; return how many it replaced. Raises DeviceLostError."""
        with self._changed:
            if self._error is not None:
                raise DeviceLostError(
                    self._name, f"it takes no frames ({self._error})", _REMEDY
                ) from self._error
            since_ns = self._sending_since_ns
            if since_ns is not None and self._clock.now_ns() - since_ns > STALL_TIMEOUT_S * NS_PER_S:
                raise DeviceLostError(self._name, f"its driver has hung for {STALL_TIMEOUT_S:g} s", _REMEDY)
            replaced = self._waiting is not None
            self._waiting = pixels
            self._changed.notify_all()
        return int(replaced)

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        # The pacer's policy is not inherited, on purpose; but a frame that waits here is late all the same.
        prefer_this_thread()
        try:
            while (pixels := self._next()) is not None:
                self._camera.send(pixels)
                with self._changed:
                    self._sending_since_ns = None
        except (OSError, RuntimeError) as error:
            with self._changed:
                self._error = error
        finally:
            # Also when a hung driver comes back after `close` has given up.
            self._camera.close()

    def _next(self) -> Pixels | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._closing)
            pixels, self._waiting = self._waiting, None
            self._sending_since_ns = self._clock.now_ns() if pixels is not None else None
            return pixels


def _open_camera(device: str, width: int, height: int, fps: int) -> pyvirtualcam.Camera:
    """Return an open `pyvirtualcam.Camera` that takes I420. Raises DeviceError."""
    if device.startswith("/"):
        return _open_loopback(device, width, height, fps)
    available = {"win32": ("obs", "unitycapture"), "darwin": ("obs",)}.get(sys.platform, ())
    if device not in available:
        here = " or ".join(available) or "/dev/videoN"
        raise DeviceError(f"camera '{device}'", "there is none of this kind on this system", f"Use {here}")
    pyvirtualcam = _pyvirtualcam()
    try:
        return pyvirtualcam.Camera(width, height, fps, fmt=pyvirtualcam.PixelFormat.I420, backend=device)
    except RuntimeError as error:
        remedy = _OBS_REMEDY if device == "obs" else _UNITY_REMEDY
        raise DeviceError(f"camera '{device}'", str(error), remedy) from error


def _open_loopback(device: str, width: int, height: int, fps: int) -> pyvirtualcam.Camera:
    if not sys.platform.startswith("linux"):
        raise DeviceError(device, "device paths are for Linux", "Use --camera obs")
    pyvirtualcam = _pyvirtualcam()
    pyvirtualcam.register_backend(_BACKEND, _LoopbackBackend)
    loopback = LoopbackDevice(device, width, height, fps)
    try:
        return pyvirtualcam.Camera(
            width,
            height,
            fps,
            fmt=pyvirtualcam.PixelFormat.I420,
            device=device,
            backend=_BACKEND,
            loopback=loopback,
        )
    except RuntimeError as error:
        loopback.close()
        raise DeviceError(device, f"pyvirtualcam refuses it ({error})", _INSTALL_REMEDY) from error


def _pyvirtualcam() -> ModuleType:
    try:
        import pyvirtualcam
    except ImportError as error:
        raise DeviceError("camera", f"pyvirtualcam can't be loaded ({error})", _INSTALL_REMEDY) from error
    module: ModuleType = pyvirtualcam
    return module


def pattern_frame(index: int, width: int, height: int, fps: int) -> VideoFrame:
    """Return a test pattern: ramps of luma and chroma, and a white bar that crosses once in two seconds."""
    pixels = np.empty((height * 3 // 2, width), np.uint8)
    pixels[:height] = np.linspace(16, 235, width).astype(np.uint8)
    bar = index * width // (2 * fps) % width
    pixels[:height, bar : bar + max(2, width // 64)] = 235
    chroma = pixels[height:].reshape(2, height // 2, width // 2)
    chroma[0] = np.linspace(64, 192, height // 2).astype(np.uint8)[:, None]
    chroma[1] = np.linspace(192, 64, width // 2).astype(np.uint8)[None, :]
    return VideoFrame(frame_pts(index, fps), pixels)


def main(arguments: list[str] | None = None) -> int:
    """Send the test pattern to a camera; for trying a device by hand."""
    parser = argparse.ArgumentParser(description="Send a test pattern to a virtual camera.")
    parser.add_argument("device")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=int, default=30)
    options = parser.parse_args(arguments)
    width, height = (int(side) for side in options.size.split("x"))
    sink, clock = CameraSink(options.device), SystemClock()
    frames = round(options.seconds * options.fps)
    try:
        sink.open(width, height, options.fps)
        start_ns = clock.now_ns()
        for index in range(frames):
            frame = pattern_frame(index, width, height, options.fps)
            clock.sleep_until_ns(start_ns + frame.pts)
            sink.write(frame)
    except VcamTalkerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    finally:
        sink.close()
    print(f"sent {frames - sink.dropped} of {frames} frames to {sink.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
