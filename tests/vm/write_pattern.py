"""Write a test pattern to a camera: eight colour bars over a counter in black and white.

It goes through the daemon's own sink. The counter makes every frame differ from the one before; the bars tell
whether a program that reads them gets the colours right.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

from vcam_talker.air.sinks.camera import CameraSink
from vcam_talker.core.clock import SystemClock, frame_pts
from vcam_talker.core.types import VideoFrame

WIDTH, HEIGHT = 640, 360
BARS = (
    (235, 235, 235),
    (220, 220, 20),
    (20, 220, 220),
    (20, 220, 20),
    (220, 20, 220),
    (220, 20, 20),
    (20, 20, 220),
    (16, 16, 16),
)
"""RGB of the bars, left to right."""
COUNTER_BITS = 16
COUNTER_ROWS = 80
"""Height of the counter at the lower edge; most significant bit on the left."""


def to_yuv(rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return BT.601 limited-range Y, U, V."""
    r, g, b = (c / 255 for c in rgb)
    y = 16 + 65.481 * r + 128.553 * g + 24.966 * b
    u = 128 - 37.797 * r - 74.203 * g + 112.0 * b
    v = 128 + 112.0 * r - 93.786 * g - 18.214 * b
    return round(y), round(u), round(v)


def as_bt709(yuv: tuple[int, int, int]) -> tuple[int, ...]:
    """Return the RGB that a program shows which takes Y, U, V for BT.709 limited range."""
    y, u, v = (yuv[0] - 16) / 219, (yuv[1] - 128) / 224, (yuv[2] - 128) / 224
    rgb = (y + 1.5748 * v, y - 0.1873 * u - 0.4681 * v, y + 1.8556 * u)
    return tuple(round(255 * min(1.0, max(0.0, c))) for c in rgb)


def pattern(n: int) -> npt.NDArray[np.uint8]:
    """Return frame `n` as yuv420p uint8[H * 3 // 2, W]."""
    picture = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
    luma = picture[:HEIGHT]
    chroma_u, chroma_v = picture[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    wide = WIDTH // len(BARS)
    for i, bar in enumerate(BARS):
        y, u, v = to_yuv(bar)
        luma[:, i * wide : (i + 1) * wide] = y
        chroma_u[:, i * wide // 2 : (i + 1) * wide // 2] = u
        chroma_v[:, i * wide // 2 : (i + 1) * wide // 2] = v
    chroma_u[-COUNTER_ROWS // 2 :] = 128
    chroma_v[-COUNTER_ROWS // 2 :] = 128
    wide = WIDTH // COUNTER_BITS
    for bit in range(COUNTER_BITS):
        lit = n >> (COUNTER_BITS - 1 - bit) & 1
        luma[-COUNTER_ROWS:, bit * wide : (bit + 1) * wide] = 235 if lit else 16
    return picture


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("device")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--fps", type=int, default=30)
    arguments = parser.parse_args()
    sink, clock = CameraSink(arguments.device), SystemClock()
    sink.open(WIDTH, HEIGHT, arguments.fps)
    try:
        start_ns = clock.now_ns()
        for n in range(round(arguments.seconds * arguments.fps)):
            pts = frame_pts(n, arguments.fps)
            clock.sleep_until_ns(start_ns + pts)
            sink.write(VideoFrame(pts, pattern(n)))
    finally:
        sink.close()


if __name__ == "__main__":
    main()
