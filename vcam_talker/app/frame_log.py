"""A log of every frame that left, for benches and tests: when it was due, when it left, how bright it was."""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path

from vcam_talker.core.errors import DeviceError
from vcam_talker.core.types import VideoFrame

log = logging.getLogger(__name__)

HEADER = "pts_ns sent_ns luma lower\n"
# Where the test card shows how far the mouth is open, as a share of the height.
_LOWER_AT = 0.7


class FrameLog:
    """`note` on the pacer's thread (microseconds, no file access), `flush` elsewhere about once a second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: deque[str] = deque(maxlen=10_000)
        try:
            path.write_text(HEADER, encoding="ascii")
        except OSError as e:
            raise DeviceError(str(path), f"can't be written ({e.strerror})", "Name another file") from None

    def note(self, frame: VideoFrame, sent_ns: int) -> None:
        """Remember a frame; `luma` is that of the picture's centre, `lower` that of a point below it."""
        column = frame.pixels[: frame.height, frame.width // 2]
        luma, lower = int(column[frame.height // 2]), int(column[int(frame.height * _LOWER_AT)])
        self._waiting.append(f"{frame.pts} {sent_ns} {luma} {lower}\n")

    def flush(self) -> None:
        """Append what waits to the file."""
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            with self._path.open("a", encoding="ascii") as file:
                file.writelines(lines)
        except OSError as e:
            log.warning("%s: the frame log lacks %d frames (%s)", self._path, len(lines), e.strerror)
