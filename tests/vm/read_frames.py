"""Read a V4L2 camera as a meeting program does, and log when each frame came: `read_frames DEVICE OUT.csv`.

Memory-mapped streaming straight on the kernel's interface, so that no library repeats, drops or re-times a
frame. Columns: `t_ns` CLOCK_MONOTONIC when the frame was dequeued, `sequence` the driver's counter, `luma`
mean of the Y plane, `crc32` of the picture (equal: the very same picture).
"""

from __future__ import annotations

import argparse
import csv
import errno
import fcntl
import mmap
import os
import select
import struct
import sys
import time
import zlib
from pathlib import Path

_BUFFERS = 4
_CAPTURE, _MMAP = 1, 1
_CAP_CAPTURE = 0x0000_0001
_BUFFER = struct.Struct("@IIIII4xqq16sIIQIIi4x")
"""struct v4l2_buffer on a 64-bit machine."""
_FORMAT_BYTES = 208
_LUMA_STRIDE = 61
"""Bytes between the luma samples that are averaged: a prime, so that no column is favoured."""


def _iowr(number: int, size: int, direction: int = 3) -> int:
    return direction << 30 | size << 16 | ord("V") << 8 | number


QUERYCAP = _iowr(0, 104, 2)
G_FMT = _iowr(4, _FORMAT_BYTES)
REQBUFS = _iowr(8, 20)
QUERYBUF = _iowr(9, _BUFFER.size)
QBUF = _iowr(15, _BUFFER.size)
DQBUF = _iowr(17, _BUFFER.size)
STREAMON = _iowr(18, 4, 1)
STREAMOFF = _iowr(19, 4, 1)


def open_camera(path: str, wait_s: float) -> int:
    """Return a descriptor once the device can be captured from (with exclusive_caps: once someone writes)."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        except FileNotFoundError:
            device = -1
        if device >= 0:
            capability = bytearray(104)
            fcntl.ioctl(device, QUERYCAP, capability)
            if struct.unpack_from("@I", capability, 88)[0] & _CAP_CAPTURE:
                return device
            os.close(device)
        if time.monotonic() > deadline:
            raise SystemExit(f"{path}: nobody writes to it")
        time.sleep(0.01)


def buffer(index: int) -> bytearray:
    """Return a zeroed v4l2_buffer that names a memory-mapped capture buffer."""
    return bytearray(_BUFFER.pack(index, _CAPTURE, 0, 0, 0, 0, 0, b"", 0, _MMAP, 0, 0, 0, 0))


def read(device: int, seconds: float, stall_s: float, out: Path) -> int:
    """Log frames for `seconds`; return how many. Ends early when none comes for `stall_s`."""
    layout = bytearray(_FORMAT_BYTES)
    struct.pack_into("@I", layout, 0, _CAPTURE)
    fcntl.ioctl(device, G_FMT, layout)
    width, height, fourcc = struct.unpack_from("@II4s", layout, 8)
    print(f"{width}x{height} {fourcc.decode()}", flush=True)
    request = bytearray(struct.pack("@IIIII", _BUFFERS, _CAPTURE, _MMAP, 0, 0))
    fcntl.ioctl(device, REQBUFS, request)
    maps = []
    for index in range(struct.unpack_from("@I", request)[0]):
        slot = buffer(index)
        fcntl.ioctl(device, QUERYBUF, slot)
        offset, length = struct.unpack_from("@QI", slot, 64)
        maps.append(mmap.mmap(device, length, offset=offset))
        fcntl.ioctl(device, QBUF, slot)
    fcntl.ioctl(device, STREAMON, struct.pack("@i", _CAPTURE))
    frames = 0
    end = time.monotonic() + seconds
    with out.open("w", newline="", buffering=1) as file:
        log = csv.writer(file)
        log.writerow(["t_ns", "sequence", "luma", "crc32"])
        while (now := time.monotonic()) < end:
            if not select.select([device], [], [], min(stall_s, end - now))[0]:
                if time.monotonic() < end:
                    print(f"no frame for {stall_s} s", flush=True)
                break
            slot = buffer(0)
            try:
                fcntl.ioctl(device, DQBUF, slot)
            except OSError as e:
                if e.errno == errno.EAGAIN:
                    continue
                print(f"dequeue: {e}", flush=True)
                break
            t_ns = time.monotonic_ns()
            index, _, used, *_, sequence, _, _, _, _, _ = _BUFFER.unpack(slot)
            picture = maps[index][:used]
            fcntl.ioctl(device, QBUF, slot)
            luma = picture[: width * height : _LUMA_STRIDE]
            log.writerow([t_ns, sequence, f"{sum(luma) / len(luma):.2f}", zlib.crc32(picture)])
            frames += 1
    fcntl.ioctl(device, STREAMOFF, struct.pack("@i", _CAPTURE))
    return frames


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("device")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--wait", type=float, default=10.0, help="seconds to wait for a writer")
    parser.add_argument("--stall", type=float, default=5.0, help="seconds without a frame that end the run")
    arguments = parser.parse_args()
    device = open_camera(arguments.device, arguments.wait)
    try:
        frames = read(device, arguments.seconds, arguments.stall, arguments.out)
    finally:
        os.close(device)
    print(f"{frames} frames", flush=True)
    return 0 if frames else 1


if __name__ == "__main__":
    sys.exit(main())
