"""Pictures into H.264 as clips of presenters are kept: BT.601 limited range, closed groups of pictures."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.video.frame import PictureType

from vcam_talker.core.types import Pixels

_BT601_LIMITED: Final = 1
_SMPTE170M: Final = 6


def write_film(
    path: Path, frames: Iterable[Pixels], fps: int, keys: frozenset[int], crf: float, preset: str = "slow"
) -> int:
    """Encode `frames` (yuv420p, uint8[H * 3 // 2, W]) to an MP4 file and return their number.

    `keys`: frames that begin a closed group. Blocks for a long time. The file is complete when this returns;
    before that it has another name. Raises OSError and av.FFmpegError.
    """
    part = path.with_name(path.name + ".part")
    count = 0
    with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = None
        for planes in frames:
            if stream is None:
                height, width = planes.shape[0] * 2 // 3, planes.shape[1]
                stream = container.add_stream("libx264", rate=fps)
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.codec_context.time_base = Fraction(1, fps)
                stream.codec_context.colorspace = _SMPTE170M
                stream.codec_context.color_primaries = _SMPTE170M
                stream.codec_context.color_trc = _SMPTE170M
                stream.codec_context.color_range = _BT601_LIMITED
                stream.options = {
                    "crf": f"{crf:g}",
                    "preset": preset,
                    "tune": "animation",
                    # Two reference frames and few B frames: cheap to decode around the clock.
                    "x264-params": "scenecut=0:keyint=infinite:open-gop=0:bframes=2:ref=2",
                }
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(planes), format="yuv420p")
            frame.pts, frame.time_base = count, Fraction(1, fps)
            frame.pict_type = PictureType.I if count in keys else PictureType.NONE
            container.mux(stream.encode(frame))
            count += 1
        if stream is not None:
            container.mux(stream.encode(None))
    part.replace(path)
    return count
