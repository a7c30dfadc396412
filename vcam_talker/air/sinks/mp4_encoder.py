"""H.264 and AAC into a fragmented MP4, through PyAV, with exact times."""

from __future__ import annotations

import errno
import io
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from vcam_talker.core.errors import DeviceError, DeviceLostError
from vcam_talker.core.types import NS_PER_S, SAMPLE_RATE, AudioChunk, Pts, Samples, VideoFrame

if TYPE_CHECKING:
    from av import FFmpegError
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

_MUXER: Final = {
    # delay_moov: the header waits for the first fragment, so that the encoder's priming samples end up in
    # an edit list and both streams start at 0.
    "movflags": "frag_keyframe+delay_moov+default_base_moof",
    "flush_packets": "1",
}
_SOUND_PATIENCE_S: Final = 2.0
"""Live, sound missing for this long becomes silence: the muxer holds the picture until it has both."""
_COLORSPACE_SMPTE170M: Final = 6
"""FFmpeg's AVCOL_SPC_SMPTE170M: the BT.601 matrix of yuv420p throughout the house."""
_AAC_FRAME: Final = 1024
_AAC_BITRATE: Final = 128_000
_INSTALL_REMEDY: Final = "Install PyAV again: pip install --force-reinstall av"
_EARLY_CHUNKS: Final = 100
"""One second of 10 ms blocks: more than sound can be ahead of the first picture."""


class Mp4Encoder:
    """Encodes and muxes; thread-safe, blocking. Every method raises DeviceLostError when a write fails."""

    def __init__(
        self, path: Path, width: int, height: int, fps: int, live: bool, preset: str, threads: int
    ) -> None:
        import av

        self._path = path
        self._fps = fps
        self._live = live
        self._lock = threading.Lock()
        self._origin: Pts | None = None
        self._early: list[AudioChunk] = []
        self._next_frame = 0
        self._next_sample = 0
        self._pending: Samples = np.zeros(0, np.float32)
        try:
            # Opened by us: FFmpeg says less of a bad path, and keeps the error of a last write to itself.
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise file_error(DeviceError, path, error) from error
        self._output = _Checked(self._file)
        try:
            self._container: OutputContainer = av.open(self._output, "w", format="mp4", options=_MUXER)
            self._video = self._add_video(width, height, fps, preset, threads)
            self._audio = self._add_audio()
        except (av.FFmpegError, ValueError) as error:  # a ValueError is an encoder that is not built in
            self._file.close()
            raise DeviceError(str(path), f"FFmpeg can't begin it ({error})", _INSTALL_REMEDY) from error

    def _add_video(self, width: int, height: int, fps: int, preset: str, threads: int) -> VideoStream:
        from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc

        stream = self._container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, fps)
        context = stream.codec_context
        context.time_base = Fraction(1, fps)
        context.gop_size = fps
        context.max_b_frames = 0
        context.thread_count = threads
        context.colorspace = _COLORSPACE_SMPTE170M
        context.color_range = ColorRange.MPEG
        context.color_primaries = ColorPrimaries.SMPTE170M
        context.color_trc = ColorTrc.SMPTE170M
        context.options = {"preset": preset, "crf": "20"}
        return stream

    def _add_audio(self) -> AudioStream:
        stream = self._container.add_stream("aac", rate=SAMPLE_RATE)
        stream.layout, stream.bit_rate = "mono", _AAC_BITRATE
        stream.time_base = Fraction(1, SAMPLE_RATE)
        return stream

    def video(self, frame: VideoFrame) -> None:
        """Encode a frame at its place on the time line; the first one is its origin."""
        import av

        with self._lock:
            if self._origin is None:
                self._origin = frame.pts
                for chunk in self._early:
                    self._encode_audio(chunk, frame.pts)
                self._early.clear()
            index = _counter(frame.pts - self._origin, self._fps)
            if index < self._next_frame:
                return  # a repeat of what is in the file already
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.pixels), format="yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, self._fps)
            self._next_frame = index + 1
            self._mux(lambda: self._video.encode(picture))
            if self._live:
                self._fill_sound(index)

    def _fill_sound(self, frame_index: int) -> None:
        due = (frame_index * SAMPLE_RATE) // self._fps - round(_SOUND_PATIENCE_S * SAMPLE_RATE)
        missing = due - self._next_sample - len(self._pending)
        if missing > 0:
            self._append(np.zeros(missing, np.float32))

    def audio(self, chunk: AudioChunk) -> None:
        """Encode sound at its place; what lies before the first picture is cut, gaps are silence."""
        with self._lock:
            if self._origin is None:
                # Kept until the first picture says where the file begins.
                self._early = [*self._early, chunk][-_EARLY_CHUNKS:]
                return
            self._encode_audio(chunk, self._origin)

    def _encode_audio(self, chunk: AudioChunk, origin: Pts) -> None:
        start = _counter(chunk.pts - origin, SAMPLE_RATE)
        end = self._next_sample + len(self._pending)
        samples = chunk.samples
        if start > end:
            samples = np.concatenate([np.zeros(start - end, np.float32), samples])
        elif start < end:
            samples = samples[end - start :]
        self._append(samples)

    def _append(self, samples: Samples) -> None:
        self._pending = np.concatenate([self._pending, samples])
        while len(self._pending) >= _AAC_FRAME:
            block, self._pending = self._pending[:_AAC_FRAME], self._pending[_AAC_FRAME:]
            self._encode_block(block)

    def _encode_block(self, block: Samples) -> None:
        import av

        frame = av.AudioFrame.from_ndarray(block[None, :].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = (
            SAMPLE_RATE,
            self._next_sample,
            Fraction(1, SAMPLE_RATE),
        )
        self._next_sample += len(block)
        self._mux(lambda: self._audio.encode(frame))

    def _mux(self, encode: Callable[[], list]) -> None:  # type: ignore[type-arg]
        import av

        try:
            self._container.mux(encode())
        except (OSError, av.FFmpegError) as error:
            raise file_error(DeviceLostError, self._path, error) from error
        self._check_written()

    def close(self) -> None:
        """Flush both encoders and finish the file. Raises DeviceLostError."""
        with self._lock:
            try:
                if self._origin is not None:
                    if len(self._pending):
                        self._encode_block(self._pending)
                    self._mux(lambda: self._audio.encode(None))
                    self._mux(lambda: self._video.encode(None))
            finally:
                self._finish_file()

    def _finish_file(self) -> None:
        import av

        try:
            try:
                self._container.close()
            finally:
                self._file.close()
        except (OSError, av.FFmpegError) as error:
            raise file_error(DeviceLostError, self._path, error) from error
        self._check_written()

    def _check_written(self) -> None:
        if self._output.error is not None:
            raise file_error(DeviceLostError, self._path, self._output.error)


class _Checked:
    """A file that keeps its first failed write for us: FFmpeg hides what fails while it finishes."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of it, or remember why not and swallow the rest."""
        view = memoryview(data)
        try:
            while view and self.error is None:
                view = view[self._file.write(view) :]
        except OSError as error:
            self.error = error
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _counter(elapsed_ns: int, rate: int) -> int:
    """Return the nearest frame or sample number; PTS are floored divisions of exactly these."""
    return (elapsed_ns * rate + NS_PER_S // 2) // NS_PER_S


def file_error(kind: type[DeviceError], path: Path, error: OSError | FFmpegError) -> DeviceError:
    """Return `error` as a `kind` that says what to do about it.

    Not every FFmpegError is an OSError: ExternalError, InvalidDataError and ArgumentError are not.
    """
    remedies = {
        errno.ENOSPC: "Free some space or choose another disk",
        errno.EACCES: "Choose a folder that you may write to",
        errno.ENOENT: "Create the folder first",
    }
    return kind(str(path), error.strerror or str(error), remedies.get(error.errno or 0, ""))
