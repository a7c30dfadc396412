"""A log of every frame that left, for benches and tests: when it was due, when it left, how bright it was."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from vcam_talker.core.types import VideoFrame

HEADER = "pts_ns sent_ns luma\n"


class FrameLog:
    """`note` on the pacer's thread (microseconds, no file access), `flush` elsewhere about once a second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: deque[str] = deque(maxlen=10_000)
        path.write_text(HEADER, encoding="ascii")

    def note(self, frame: VideoFrame, sent_ns: int) -> None:
        """Remember a frame; `luma` is that of the picture's centre."""
        luma = int(frame.pixels[frame.height // 2, frame.width // 2])
        self._waiting.append(f"{frame.pts} {sent_ns} {luma}\n")

    def flush(self) -> None:
        """Append what waits to the file."""
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        with self._path.open("a", encoding="ascii") as file:
            file.writelines(lines)
