"""Sinks that only count: no device, no file."""

from __future__ import annotations

from typing import Final

from vcam_talker.core.types import AudioChunk, VideoFrame


class NullVideoSink:
    """Takes frames and forgets them."""

    name: Final = "null"

    def __init__(self) -> None:
        self.frames = 0
        """Taken since construction."""

    @property
    def dropped(self) -> int:
        """Return 0: it takes everything."""
        return 0

    def open(self, width: int, height: int, fps: int) -> None:
        """Do nothing."""

    def write(self, frame: VideoFrame) -> None:  # noqa: ARG002 - the protocol's name
        """Count one."""
        self.frames += 1

    def close(self) -> None:
        """Do nothing."""


class NullAudioSink:
    """Takes sound and forgets it; the playout thread keeps time."""

    name: Final = "null"
    paced: Final = False

    def __init__(self) -> None:
        self.samples = 0
        """Taken since construction."""

    def open(self, rate: int) -> None:
        """Do nothing."""

    def write(self, chunk: AudioChunk) -> None:
        """Count its samples."""
        self.samples += len(chunk.samples)

    def latency_ns(self) -> int:
        """Return 0: nobody hears it."""
        return 0

    def close(self) -> None:
        """Do nothing."""
