"""Pictures and clips of built-in presenters, and of nobody, as files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

from vcam_talker.core.paths import builtin_dir


@cache
def presenter(name: str = "kofi") -> np.ndarray:
    """Return the first picture of a presenter's life, RGB."""
    return next(iter(life(name)))


def life(name: str = "kofi", frames: int = 1) -> list[np.ndarray]:
    """Return pictures of a presenter's life."""
    with av.open(str(builtin_dir("personas") / name / "life.mp4")) as container:
        return [f.to_ndarray(format="rgb24") for f in islice(container.decode(video=0), frames)]


def write(path: Path, rgb: np.ndarray) -> Path:
    """Write a picture."""
    assert cv2.imwrite(str(path), rgb[..., ::-1])
    return path


def write_clip(path: Path, pictures: Iterable[np.ndarray], times_ms: Sequence[int]) -> Path:
    """Write a clip whose pictures are shown at `times_ms`."""
    with av.open(str(path), "w") as container:
        stream = None
        for rgb, at in zip(pictures, times_ms, strict=True):
            if stream is None:
                stream = container.add_stream("libx264", rate=30)
                stream.width, stream.height, stream.pix_fmt = rgb.shape[1], rgb.shape[0], "yuv420p"
                stream.codec_context.time_base = Fraction(1, 1000)
                stream.options = {"preset": "ultrafast", "crf": "18", "bf": "0"}
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        assert stream is not None
        container.mux(stream.encode(None))
    return path


def huge_png(path: Path, side: int) -> Path:
    """Write the header of a PNG picture of `side` x `side` pixels, and hardly anything else."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))))
    return path


def face_points(middle: tuple[float, float] = (320.0, 170.0), unit: float = 100.0) -> np.ndarray:
    """Return points as of a face, float32[72, 2]: `unit` pixels from brows to chin."""

    def ring(x: float, y: float, wide: float, high: float, count: int) -> np.ndarray:
        # From the corner at the viewer's left over the top.
        turn = np.pi + 2 * np.pi * np.arange(count) / count
        return np.stack((x + wide * np.cos(turn), y + high * np.sin(turn)), 1)

    t = np.linspace(0, np.pi, 9)
    jaw = np.stack((-0.62 * np.cos(t), 0.05 + 0.55 * np.sin(t)), 1)
    brows = [np.stack((np.linspace(a, b, 5), np.full(5, -0.4)), 1) for a, b in ((-0.45, -0.1), (0.1, 0.45))]
    bridge = np.stack((np.zeros(4), np.linspace(-0.25, 0.02, 4)), 1)
    base = np.stack((np.linspace(-0.13, 0.13, 5), np.full(5, 0.1)), 1)
    eyes = [ring(x, -0.25, 0.12, 0.045, 6) for x in (-0.26, 0.26)]
    inner = ring(0, 0.3, 0.2, 0.001, 12)
    parts = (jaw, *brows, bridge, base, *eyes, ring(0, 0.3, 0.23, 0.08, 20), inner)
    return (np.concatenate(parts) * unit + middle).astype(np.float32)
