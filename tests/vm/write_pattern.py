"""Write a test pattern to a camera: eight colour bars over a counter in black and white.

The counter says which frame a reader sees; the bars say whether its colours are right. Only for tests of the
VM and of the programs that read; the daemon's own sink has tests of its own.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 1280, 720
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


def pattern() -> npt.NDArray[np.uint8]:
    """Return the bars as yuv420p uint8[H * 3 // 2, W], counter at zero."""
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
    set_counter(picture, 0)
    return picture


def set_counter(picture: npt.NDArray[np.uint8], n: int) -> None:
    """Write `n` into the picture's counter."""
    wide = WIDTH // COUNTER_BITS
    for bit in range(COUNTER_BITS):
        lit = n >> (COUNTER_BITS - 1 - bit) & 1
        picture[HEIGHT - COUNTER_ROWS : HEIGHT, bit * wide : (bit + 1) * wide] = 235 if lit else 16


def get_counter(luma: npt.NDArray[np.uint8]) -> int:
    """Return the counter seen in a Y plane uint8[H, W]."""
    row = luma[HEIGHT - COUNTER_ROWS // 2]
    wide = WIDTH // COUNTER_BITS
    bits = row[wide // 2 :: wide] > 128
    return sum(1 << (COUNTER_BITS - 1 - i) for i, lit in enumerate(bits) if lit)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("device")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--fps", type=int, default=30)
    arguments = parser.parse_args()
    fps = arguments.fps
    import pyvirtualcam

    picture = pattern()
    with pyvirtualcam.Camera(
        WIDTH,
        HEIGHT,
        fps,
        fmt=pyvirtualcam.PixelFormat.I420,
        device=arguments.device,
        backend="v4l2loopback",
    ) as camera:
        start_s = time.monotonic()
        for n in range(round(arguments.seconds * fps)):
            set_counter(picture, n)
            camera.send(picture)
            time.sleep(max(0.0, start_s + (n + 1) / fps - time.monotonic()))


if __name__ == "__main__":
    main()
