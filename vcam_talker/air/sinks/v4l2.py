"""Video4Linux2 by ioctl: find loopback cameras, and write frames to one.

Structures and request codes are those of linux/videodev2.h. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vcam_talker.core.errors import DeviceError
from vcam_talker.core.types import Pixels

LOOPBACK_DRIVER: Final = "v4l2 loopback"
OBS_LABEL: Final = "OBS Virtual Camera"
SETUP_REMEDY: Final = "Create it: vcam-talker setup camera"

_CAP_VIDEO_CAPTURE: Final = 0x1
_CAP_VIDEO_OUTPUT: Final = 0x2
_CAP_DEVICE_CAPS: Final = 0x80000000
_BUF_TYPE_VIDEO_OUTPUT: Final = 2
_FIELD_NONE: Final = 1
_COLORSPACE_SMPTE170M: Final = 1
_QUANTIZATION_LIMITED: Final = 2
_PIX_PRIV_MAGIC: Final = 0xFEEDCAFE
_FOURCC_YUV420: Final = int.from_bytes(b"YU12", "little")


class _Capability(ctypes.Structure):
    _fields_ = (
        ("driver", ctypes.c_char * 16),
        ("card", ctypes.c_char * 32),
        ("bus_info", ctypes.c_char * 32),
        ("version", ctypes.c_uint32),
        ("capabilities", ctypes.c_uint32),
        ("device_caps", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 3),
    )


class _PixFormat(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint32)
        for name in (
            "width",
            "height",
            "pixelformat",
            "field",
            "bytesperline",
            "sizeimage",
            "colorspace",
            "priv",
            "flags",
            "ycbcr_enc",
            "quantization",
            "xfer_func",
        )
    )


class _FormatUnion(ctypes.Union):
    # The pointer gives the union the alignment that the kernel's has.
    _fields_ = (("pix", _PixFormat), ("raw", ctypes.c_uint8 * 200), ("pointer", ctypes.c_void_p))


class _Format(ctypes.Structure):
    _fields_ = (("type", ctypes.c_uint32), ("fmt", _FormatUnion))


class _OutputParm(ctypes.Structure):
    _fields_ = (
        ("capability", ctypes.c_uint32),
        ("outputmode", ctypes.c_uint32),
        ("numerator", ctypes.c_uint32),
        ("denominator", ctypes.c_uint32),
        ("extendedmode", ctypes.c_uint32),
        ("writebuffers", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 4),
    )


class _ParmUnion(ctypes.Union):
    _fields_ = (("output", _OutputParm), ("raw", ctypes.c_uint8 * 200))


class _StreamParm(ctypes.Structure):
    _fields_ = (("type", ctypes.c_uint32), ("parm", _ParmUnion))


def _request(direction: int, number: int, size: int) -> int:
    """Return an ioctl code of the `V` group; direction 1 write, 2 read, 3 both."""
    return direction << 30 | size << 16 | ord("V") << 8 | number


_QUERYCAP: Final = _request(2, 0, ctypes.sizeof(_Capability))
_S_FMT: Final = _request(3, 5, ctypes.sizeof(_Format))
_STREAMON: Final = _request(1, 18, 4)
_S_PARM: Final = _request(3, 22, ctypes.sizeof(_StreamParm))


@dataclass(frozen=True, slots=True)
class Camera:
    """A video device."""

    path: str
    driver: str
    label: str
    output: bool
    """It takes frames now."""
    capture: bool
    """It gives frames: with exclusive_caps that means somebody writes to it."""

    @property
    def loopback(self) -> bool:
        """Whether v4l2loopback made it."""
        return self.driver == LOOPBACK_DRIVER


def _query(fd: int, path: str) -> Camera:
    import fcntl

    capability = _Capability()
    fcntl.ioctl(fd, _QUERYCAP, capability)
    declared = capability.capabilities
    caps = capability.device_caps if declared & _CAP_DEVICE_CAPS else declared
    return Camera(
        path,
        capability.driver.decode(errors="replace"),
        capability.card.decode(errors="replace"),
        bool(caps & _CAP_VIDEO_OUTPUT),
        bool(caps & _CAP_VIDEO_CAPTURE),
    )


@contextlib.contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def list_cameras() -> list[Camera]:
    """Return every video device that can be asked, by number. Takes microseconds per device."""
    if not sys.platform.startswith("linux"):
        return []
    cameras = []
    nodes = [node for node in Path("/dev").glob("video*") if node.name[5:].isdigit()]
    for node in sorted(nodes, key=lambda node: int(node.name[5:])):
        # A device that is gone, busy or not ours to open is not one we could use.
        with contextlib.suppress(OSError), _opened(str(node), os.O_RDWR | os.O_NONBLOCK) as fd:
            cameras.append(_query(fd, str(node)))
    return cameras


def find_camera(label: str, number: int, cameras: list[Camera] | None = None) -> Camera | None:
    """Return the loopback camera to use by itself: ours by label, then by number, then any that is not OBS's.

    OBS's own is left alone: OBS takes the first it finds and expects to be its only writer.
    """
    loopbacks = [c for c in (list_cameras() if cameras is None else cameras) if c.loopback]
    for wanted in (
        lambda c: c.label == label,
        lambda c: c.path == f"/dev/video{number}",
        lambda c: not c.label.startswith(OBS_LABEL),
    ):
        found = next((camera for camera in loopbacks if wanted(camera)), None)
        if found is not None:
            return found
    return None


class LoopbackDevice:
    """An open v4l2loopback output with one fixed format: yuv420p, BT.601 limited range.

    Sets the frame rate that readers see, which pyvirtualcam's own writer does not, and tells of failed
    writes, which that one only prints. `write` releases the GIL and never waits for a reader.
    """

    def __init__(self, path: str, width: int, height: int, fps: int) -> None:
        """Open and claim the device. Raises DeviceError saying what to do."""
        self.path = path
        self._size = width * height * 3 // 2
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise _open_error(path, error) from error
        try:
            self._check()
            self._set_format(width, height)
            self._set_rate(fps)
            self._claim()
        except DeviceError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise _open_error(path, error) from error

    def write(self, pixels: Pixels) -> None:
        """Send one frame of width * height * 3 / 2 bytes. Raises OSError when the device is gone."""
        written = os.write(self._fd, pixels.data)
        if written != self._size:
            raise OSError(errno.EIO, f"took {written} of {self._size} bytes")

    def close(self) -> None:
        """Release the device. Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _check(self) -> None:
        try:
            camera = _query(self._fd, self.path)
        except OSError as error:
            raise DeviceError(self.path, "this is not a video device", SETUP_REMEDY) from error
        if not camera.loopback:
            raise DeviceError(
                self.path,
                f"'{camera.label}' ({camera.driver}) takes no frames: it is a real camera",
                SETUP_REMEDY,
            )
        if not camera.output and not camera.capture:
            # v4l2loopback 0.12 forgets to offer its output again after a writer that never called STREAMON,
            # as pyvirtualcam's does not. One claim and release makes it remember.
            self._claim()
            self.close()
            self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
            camera = _query(self._fd, self.path)
        if camera.capture and not camera.output and (holders := _holders(self.path)):
            raise _busy(self.path, holders)

    def _set_format(self, width: int, height: int) -> None:
        import fcntl

        wanted = _Format(type=_BUF_TYPE_VIDEO_OUTPUT)
        pix = wanted.fmt.pix
        pix.width, pix.height, pix.pixelformat = width, height, _FOURCC_YUV420
        pix.field, pix.colorspace, pix.quantization = (
            _FIELD_NONE,
            _COLORSPACE_SMPTE170M,
            _QUANTIZATION_LIMITED,
        )
        pix.bytesperline, pix.sizeimage, pix.priv = width, self._size, _PIX_PRIV_MAGIC
        try:
            fcntl.ioctl(self._fd, _S_FMT, wanted)
        except OSError as error:
            if error.errno in {errno.EBUSY, errno.EINVAL}:
                raise _busy(self.path, _holders(self.path)) from error
            raise
        if (pix.width, pix.height, pix.pixelformat) != (width, height, _FOURCC_YUV420):
            code = pix.pixelformat.to_bytes(4, "little").decode(errors="replace")
            raise DeviceError(
                self.path,
                f"it is held at {pix.width}x{pix.height} {code} and refuses {width}x{height} YU12",
                "Close the programs that read it, or set [air] width and height to its size",
            )

    def _set_rate(self, fps: int) -> None:
        import fcntl

        rate = _StreamParm(type=_BUF_TYPE_VIDEO_OUTPUT)
        rate.parm.output.numerator, rate.parm.output.denominator = 1, fps
        # Some versions keep the rate while a reader is attached; frames come at our rate all the same.
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._fd, _S_PARM, rate)

    def _claim(self) -> None:
        """Become the writer. From 0.14 on the first write does this, and STREAMON without buffers fails."""
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.ioctl(self._fd, _STREAMON, ctypes.c_int(_BUF_TYPE_VIDEO_OUTPUT))


def _open_error(path: str, error: OSError) -> DeviceError:
    if error.errno == errno.ENOENT:
        return DeviceError(path, "there is no such device", SETUP_REMEDY)
    if error.errno in {errno.EACCES, errno.EPERM}:
        remedy = "Join the group 'video' and log in again: sudo usermod -aG video $USER"
        return DeviceError(path, "no permission to write to it", remedy)
    if error.errno == errno.EBUSY:
        return _busy(path, _holders(path))
    return DeviceError(path, f"it can't be opened ({error.strerror})", SETUP_REMEDY)


def _busy(path: str, holders: list[str]) -> DeviceError:
    who = f": {', '.join(holders)}" if holders else ""
    return DeviceError(
        path, f"another program writes to it{who}", "Stop that program or choose another --camera"
    )


def _holders(path: str) -> list[str]:
    """Return `name (pid)` of the other processes that have the device open, as far as /proc may be read."""
    holders = []
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            if any(str(fd.readlink()) == path for fd in (process / "fd").iterdir()):
                holders.append(f"{(process / 'comm').read_text().strip()} ({process.name})")
    return holders
