"""Pictures into H.264 as the daemon's clips want it: BT.601 limited range, closed groups of pictures."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import PictureType

from studio.raster.stage import Picture

Planes = npt.NDArray[np.uint8]
"""uint8[H * 3 // 2, W]: yuv420p."""

_LUMA: Final = (0.299, 0.587, 0.114)
_BT601_LIMITED: Final = 1
_SMPTE170M: Final = 6


def to_yuv(picture: Picture) -> Planes:
    """Return a picture of even size in yuv420p; a chroma value is the mean of four pixels."""
    height, width = picture.shape[:2]
    red, green, blue = (picture[..., k].astype(np.float32) for k in range(3))
    luma = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    u, v = 0.564 * (blue - luma), 0.713 * (red - luma)

    def halved(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        small = plane.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
        return np.asarray(small * (224 / 255) + 128, np.float32)

    y = luma * np.float32(219 / 255) + 16
    planes = [np.clip(np.rint(p), 0, 255).astype(np.uint8).ravel() for p in (y, halved(u), halved(v))]
    return np.concatenate(planes).reshape(height * 3 // 2, width)


def write_film(path: Path, frames: Iterable[Planes], fps: int, keys: frozenset[int], crf: float) -> int:
    """Encode `frames` to an MP4 file and return their number; `keys`: frames that begin a closed group.

    Blocks for a long time. The file is complete when this returns; before that it has another name.
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
                    "preset": "slow",
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
