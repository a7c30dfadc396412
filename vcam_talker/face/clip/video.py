"""The H.264 files of a presenter made of pictures: checked undecoded, then decoded frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from vcam_talker.core.errors import PersonaError
from vcam_talker.core.types import Pixels

_REMEDY: Final = "Make the persona anew with the studio, or put an undamaged file there"
_BT601: Final = (2, 5, 6)
"""AVColorSpace: unspecified, BT.470BG, SMPTE 170M: one matrix."""
_FULL_RANGE: Final = 2
"""AVCOL_RANGE_JPEG."""

Prepare = Callable[[Pixels], Pixels]
"""Makes a picture of the clip (yuv420p) into what is kept of it."""


@dataclass(frozen=True, slots=True)
class Video:
    """A checked file: where each of its frames lies."""

    path: Path
    size: tuple[int, int]
    pts: tuple[int, ...]
    """Per frame, in the stream's time base."""
    keyframes: frozenset[int]
    """Numbers of the frames that can be decoded by themselves."""


def index_video(path: Path, size: tuple[int, int], frames: int, fps: int | None, max_bytes: int) -> Video:
    """Read where the frames of `path` lie, without decoding it; some 50 ms for five minutes.

    Raises PersonaError unless it is yuv420p (BT.601, limited range) of `size` with `frames` frames, evenly
    `fps` a second (None: at any even rate).
    """
    try:
        stored = path.stat().st_size
        _check(path, stored <= max_bytes, f"is {stored // 1_000_000} MB, more than {max_bytes // 1_000_000}")
        with av.open(str(path)) as container:
            stream = _stream(path, container)
            _check_stream(path, stream, size)
            found = [
                (packet.pts, packet.is_keyframe, packet.is_corrupt or not packet.size)
                for packet in container.demux(stream)
                if packet.pts is not None
            ]
            base = stream.time_base
    except av.InvalidDataError as e:
        raise PersonaError(str(path), "is damaged or no video", _REMEDY) from e
    except (OSError, av.FFmpegError) as e:
        raise PersonaError(str(path), f"can't be read ({e.strerror or e})", _REMEDY) from e
    _check(path, not any(bad for _, _, bad in found), "is damaged: a picture is cut off")
    found.sort()
    _check(path, len(found) == frames, f"holds {len(found)} pictures, face.npz tells of {frames}")
    pts = tuple(p for p, _, _ in found)
    if fps is not None and base is not None:
        _check_rate(path, pts, base, fps)
    return Video(path, size, pts, frozenset(n for n, (_, key, _) in enumerate(found) if key))


def check_keyframes(video: Video, firsts: Sequence[int]) -> None:
    """Raise PersonaError unless each of the frames `firsts` can be decoded by itself."""
    for first in firsts:
        _check(
            video.path, first in video.keyframes, f"has no keyframe where a segment begins (frame {first})"
        )


class Decoder:
    """Decodes one file. One thread; costs nothing until the first `read`. Raises av.FFmpegError, OSError."""

    def __init__(self, video: Video, prepare: Prepare) -> None:
        self._video = video
        self._prepare = prepare
        self._number = {pts: n for n, pts in enumerate(video.pts)}
        self._container: InputContainer | None = None
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._next = 0
        """The frame that the decoder delivers next."""

    def read(self, frame: int, keyframe: int) -> Pixels:
        """Return frame number `frame`, prepared; `keyframe` <= `frame` is where decoding may begin.

        Frames asked for in rising order are decoded once each. Raises EOFError when the file ends before.
        """
        if self._container is None or not keyframe <= self._next <= frame:
            self._seek(keyframe)
        for picture in self._frames:
            number = self._number.get(picture.pts if picture.pts is not None else -1, -1)
            if number < 0:
                continue
            self._next = number + 1
            if number > frame:
                break
            if number == frame:
                return self._prepare(to_pixels(picture))
        raise EOFError(f"frame {frame} did not come")

    def close(self) -> None:
        """Let go of the file. Idempotent; `read` opens it again."""
        self._frames = iter(())
        if self._container is not None:
            self._container.close()
            self._container = None

    def _seek(self, keyframe: int) -> None:
        container = self._container
        if container is None:
            container = self._container = av.open(str(self._video.path))
            codec = container.streams.video[0].codec_context
            # A pool of threads would decode ahead as well, and wake up cores for a picture that has time.
            codec.thread_count = 1
            # A damaged picture is to be an error, not a guess that goes on air.
            codec.options = {"err_detect": "explode"}
        stream = container.streams.video[0]
        container.seek(self._video.pts[keyframe], stream=stream, backward=True)
        self._frames = container.decode(stream)
        self._next = keyframe


def to_pixels(picture: av.VideoFrame) -> Pixels:
    """Return a decoded picture as uint8[H * 3 // 2, W]."""
    if picture.is_corrupt:
        raise EOFError("a picture is damaged")
    return np.asarray(picture.to_ndarray(), np.uint8)


def _stream(path: Path, container: InputContainer) -> VideoStream:
    streams = container.streams.video
    _check(path, len(streams) == 1, f"has {len(streams)} video streams, not one")
    return streams[0]


def _check_stream(path: Path, stream: VideoStream, size: tuple[int, int]) -> None:
    codec = stream.codec_context
    _check(path, codec.name == "h264", f"is {codec.name}, not H.264")
    _check(path, codec.pix_fmt == "yuv420p", f"is {codec.pix_fmt}, not yuv420p")
    found = (codec.width, codec.height)
    _check(path, found == size, f"is {found[0]}x{found[1]}, face.npz tells of {size[0]}x{size[1]}")
    _check(path, int(codec.colorspace) in _BT601, "is not coloured by BT.601")
    _check(path, int(codec.color_range) != _FULL_RANGE, "has colours of full range, not limited")


def _check_rate(path: Path, pts: Sequence[int], base: Fraction, fps: int) -> None:
    times_s = (np.array(pts, np.float64) - pts[0]) * float(base)
    even = np.arange(len(pts)) / fps
    _check(
        path, bool((np.abs(times_s - even) < 0.25 / fps).all()), f"does not run at {fps} pictures a second"
    )


def _check(path: Path, holds: bool, why: str) -> None:
    if not holds:
        raise PersonaError(str(path), why, _REMEDY)
