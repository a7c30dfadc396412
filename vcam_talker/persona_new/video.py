"""Reads a clip that anybody may have made: its rate and size are checked before anything is decoded.

Pixels of tape formats (DV, HDV) and of some DVDs are wider or narrower than high: they are made square.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from vcam_talker.core.errors import BadInputError
from vcam_talker.core.types import Pixels
from vcam_talker.persona_new.source import check_source

MIN_S: Final = 3.0
MAX_S: Final = 60.0
_MAX_PX: Final = 3840 * 2160
_MAX_STRETCH: Final = 4
"""Width of a pixel in heights, or heights in widths: more is no format, but damage."""
_MAX_PACKETS: Final = 200_000
_RATES: Final = (10.0, 122.0)
_FAST: Final = 31.0
"""Pictures a second: of faster clips every second (third, fourth) picture is taken."""
_UNEVEN: Final = 0.3
_FEW: Final = 0.02
"""A picture comes late by that share of its time; so many may."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A checked file."""

    path: Path
    fps: int
    """Of the pictures that are taken."""
    step: int
    """Which are every so many."""
    frames: int
    """How many are taken; a longer file is cut."""
    seconds_left_out: float
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel over its height."""

    def pictures(self) -> Iterator[Pixels]:
        """Yield the pictures taken as players show them, uint8[H, W, 3]: upright, with square pixels.

        Raises BadInputError where one is damaged.
        """
        try:
            with av.open(str(self.path)) as container:
                container.streams.video[0].thread_type = "AUTO"
                for number, frame in enumerate(container.decode(video=0)):
                    if number >= self.frames * self.step:
                        return
                    if number % self.step == 0:
                        yield _upright(frame, self.pixel_aspect)
        except (OSError, av.FFmpegError) as e:
            raise _damaged(self.path) from e


def open_clip(path: Path) -> Clip:
    """Look at a file without decoding it. Raises BadInputError."""
    try:
        check_source(path, "Give a video file, such as MP4 or WebM")
        with path.open("rb"):
            pass
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise BadInputError(str(path), "has no pictures, only sound", "Give a video of a face")
            aspect = _pixel_aspect(path, container.streams.video[0])
            times = _times(container, container.streams.video[0])
    except av.InvalidDataError as e:
        raise BadInputError(str(path), "is no video, or damaged", "Give an undamaged MP4 or WebM file") from e
    except (OSError, av.FFmpegError) as e:
        raise BadInputError(str(path), f"can't be read ({e.strerror or e})", "Check the path") from e
    return _planned(path, times, aspect)


def _pixel_aspect(path: Path, stream: VideoStream) -> Fraction:
    """Return the width of a pixel over its height, once that and the size of the picture may be."""
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    if not 1 / _MAX_STRETCH <= aspect <= _MAX_STRETCH:
        why = f"says that its pixels are {aspect.numerator}:{aspect.denominator} wide to high"
        remedy = "Say what they are: ffmpeg -i IN -vf setsar=1 OUT.mp4"
        raise BadInputError(str(path), why, remedy)
    codec = stream.codec_context
    width, height = _shown(codec.width, codec.height, aspect)
    if width * height > _MAX_PX:
        why = f"is {width}x{height}, more than 3840x2160"
        raise BadInputError(str(path), why, "Make it smaller: 1920x1080 is plenty")
    return aspect


def _shown(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Return width and height in square pixels; the longer side of a pixel is kept, so that none is lost."""
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def _times(container: InputContainer, stream: VideoStream) -> list[float]:
    """Return when pictures are shown, seconds, rising."""
    found: list[float] = []
    for packet in container.demux(stream):
        if packet.pts is not None and stream.time_base is not None:
            found.append(float(packet.pts * stream.time_base))
        if len(found) >= _MAX_PACKETS:
            break
    return sorted(found)


def _planned(path: Path, times: list[float], aspect: Fraction) -> Clip:
    if len(times) < 2 or times[-1] - times[0] < MIN_S:
        length = times[-1] - times[0] if times else 0.0
        why = f"lasts {length:.1f} s; a loop needs {MIN_S:.0f} s or more"
        raise BadInputError(str(path), why, "Give a longer clip, 8 to 60 s; or a picture, with --portrait")
    gaps = np.diff(times)
    usual = float(np.median(gaps))
    uneven = float((np.abs(gaps - usual) > _UNEVEN * usual).mean())
    if uneven > _FEW:
        low, high = np.percentile(gaps, (2, 98)) * 1000
        raise BadInputError(
            str(path),
            f"has no constant frame rate: its pictures follow each other after {low:.0f} to {high:.0f} ms",
            "Make it constant first: ffmpeg -i IN -vf fps=30 OUT.mp4",
        )
    rate = (len(times) - 1) / (times[-1] - times[0])
    if not _RATES[0] <= rate <= _RATES[1]:
        why = f"has {rate:.1f} pictures a second, not {_RATES[0]:.0f} to {_RATES[1]:.0f}"
        raise BadInputError(str(path), why, "Give one with 25 or 30")
    step = max(1, int(-(-rate // _FAST)))
    fps = round(rate / step)
    frames = min(len(times) // step, round(MAX_S * fps))
    left_out = max(0.0, (len(times) / step - frames) / fps)
    return Clip(path, fps, step, frames, left_out if left_out > 0.5 else 0.0, aspect)


def _upright(frame: av.VideoFrame, aspect: Fraction) -> Pixels:
    """Return the picture with square pixels, turned as the camera was held."""
    rgb = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    size = _shown(frame.width, frame.height, aspect)
    if size != (frame.width, frame.height):
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90) % 4))


def _damaged(path: Path) -> BadInputError:
    return BadInputError(str(path), "is damaged: not all of it can be decoded", "Give an undamaged copy")
