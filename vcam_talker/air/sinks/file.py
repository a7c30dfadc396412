"""File sinks: MP4 (H.264 + AAC, through PyAV) and WAV."""

from __future__ import annotations

import errno
import io
import logging
import queue
import threading
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from vcam_talker.core.errors import DeviceError, DeviceLostError
from vcam_talker.core.types import NS_PER_S, SAMPLE_RATE, AudioChunk, Pts, Samples, VideoFrame

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)

_MUXER: Final = {
    # delay_moov: the header waits for the first fragment, so that the encoder's priming samples end up in an
    # edit list and both streams start at 0.
    "movflags": "frag_keyframe+delay_moov+default_base_moof",
    "flush_packets": "1",
    # Picture waits this long (microseconds) for sound that may never come, not FFmpeg's ten seconds.
    "max_interleave_delta": "500000",
}
_QUEUE_S: Final = 0.5
"""How much picture may wait for the encoder while live."""
_AUDIO_QUEUE_ITEMS: Final = 1000
"""Ten seconds of sound in 10 ms blocks; an encoder that stands still for so long has failed."""
_FINISH_TIMEOUT_S: Final = 30.0
_COLORSPACE_SMPTE170M: Final = 6
"""FFmpeg's AVCOL_SPC_SMPTE170M: the BT.601 matrix of yuv420p throughout the house."""
_AAC_FRAME: Final = 1024
_AAC_BITRATE: Final = 128_000
_WAV_PATCH_S: Final = 1.0
_WAV_MAX_BYTES: Final = 0xFFFF_FFFF - 44


class Mp4Sink:
    """An MP4 of picture and sound on one timeline, starting at the first frame.

    PTS are exact (frame and sample counters). The file is fragmented, one fragment a second, so that what a
    killed process wrote still plays. With `live` an encoder thread works behind a bounded queue: `write`
    never blocks, and `dropped` counts frames that found it full. Otherwise `write` encodes before it returns
    and nothing is lost.

    `write` belongs to one thread and `audio.write` to one thread, which may be another.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        live: bool = False,
        preset: str = "veryfast",
        threads: int = 0,
    ) -> None:
        """`preset` is x264's; `threads` 0 lets x264 choose."""
        self.path = Path(path)
        self.name = str(path)
        self.dropped = 0
        self._live = live
        self._preset = preset
        self._threads = threads
        self.audio = Mp4AudioSink(self)
        self._encoder: _Encoder | None = None
        self._worker: _Worker | None = None

    def open(self, width: int, height: int, fps: int) -> None:
        """Create the file, replacing one of this name. Raises DeviceError."""
        if self.path.suffix.lower() != ".mp4":
            raise DeviceError(self.name, "only .mp4 files can be written", f"Use {self.path.stem}.mp4")
        self._encoder = _Encoder(self.path, width, height, fps, self._preset, self._threads)
        if self._live:
            self._worker = _Worker(max(2, round(fps * _QUEUE_S)))

    def write(self, frame: VideoFrame) -> None:
        """Add a frame. Raises DeviceLostError when the file can't be written any more."""
        encoder = self._require()
        if self._worker is None:
            encoder.video(frame)
        elif not self._worker.offer(lambda: encoder.video(frame), droppable=True):
            self.dropped += 1

    def write_audio(self, chunk: AudioChunk) -> None:
        """Add sound. Raises DeviceLostError."""
        encoder = self._require()
        if self._worker is None:
            encoder.audio(chunk)
        else:
            self._worker.offer(lambda: encoder.audio(chunk), droppable=False)

    def finish(self) -> None:
        """Write what waits and close the file. Raises DeviceLostError if it is incomplete. Idempotent."""
        encoder, worker = self._encoder, self._worker
        self._encoder = self._worker = None
        if encoder is None:
            return
        try:
            if worker is not None:
                worker.finish()
        finally:
            encoder.close()

    def close(self) -> None:
        """Like `finish`, but never raises."""
        try:
            self.finish()
        except DeviceLostError as error:
            log.error("%s", error)

    def _require(self) -> _Encoder:
        if self._encoder is None:
            raise DeviceLostError(self.name, "the file is closed")
        return self._encoder


class Mp4AudioSink:
    """The sound track of an `Mp4Sink`; the file is opened and closed by its picture."""

    paced: Final = False

    def __init__(self, owner: Mp4Sink) -> None:
        self._owner = owner

    @property
    def name(self) -> str:
        """The file's name."""
        return self._owner.name

    def open(self, rate: int) -> None:
        """Check the rate. Raises DeviceError."""
        if rate != SAMPLE_RATE:
            raise DeviceError(self.name, f"sound is {SAMPLE_RATE} Hz, not {rate} Hz")

    def write(self, chunk: AudioChunk) -> None:
        """Add sound; gaps between chunks become silence. Raises DeviceLostError."""
        self._owner.write_audio(chunk)

    def latency_ns(self) -> int:
        """Return 0: nobody hears it."""
        return 0

    def close(self) -> None:
        """Do nothing: the picture closes the file."""


class _Worker:
    """Runs jobs in order on a thread of its own; picture is dropped when too much waits."""

    def __init__(self, capacity_frames: int) -> None:
        self._jobs: queue.Queue[tuple[Callable[[], None], bool] | None] = queue.Queue(_AUDIO_QUEUE_ITEMS)
        self._frames = threading.BoundedSemaphore(capacity_frames)
        self._error: DeviceLostError | None = None
        self._thread = threading.Thread(target=self._run, name="mp4-encoder", daemon=True)
        self._thread.start()

    def offer(self, job: Callable[[], None], *, droppable: bool) -> bool:
        """Queue a job; False when it was dropped. Raises the encoder's DeviceLostError."""
        if self._error is not None:
            raise self._error
        if droppable and not self._frames.acquire(blocking=False):
            return False
        try:
            self._jobs.put_nowait((job, droppable))
        except queue.Full:
            raise DeviceLostError("recording", "the encoder has stood still for ten seconds") from None
        return True

    def finish(self) -> None:
        """Wait for what is queued. Raises the encoder's DeviceLostError."""
        self._jobs.put(None)
        self._thread.join(_FINISH_TIMEOUT_S)
        if self._thread.is_alive():
            raise DeviceLostError("recording", f"the encoder did not end within {_FINISH_TIMEOUT_S:g} s")
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, is_frame = item
            if is_frame:
                self._frames.release()
            if self._error is None:
                try:
                    job()
                except DeviceLostError as error:
                    self._error = error


class _Encoder:
    """Encodes and muxes; used from one thread at a time (`_lock` covers picture and sound offline)."""

    def __init__(self, path: Path, width: int, height: int, fps: int, preset: str, threads: int) -> None:
        import av

        self._path = path
        self._fps = fps
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
            raise _file_error(DeviceError, path, error) from error
        self._output = _Checked(self._file)
        self._container: OutputContainer = av.open(
            self._output,
            "w",
            format="mp4",
            options=_MUXER,
        )
        self._video = self._add_video(width, height, fps, preset, threads)
        self._audio = self._add_audio()

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

    def audio(self, chunk: AudioChunk) -> None:
        with self._lock:
            if self._origin is None:
                # Half a second is more than sound can be ahead of its first picture.
                self._early = [*self._early, chunk][-round(_QUEUE_S * 100) :]
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
        try:
            self._container.mux(encode())
        except OSError as error:
            raise _file_error(DeviceLostError, self._path, error) from error

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
        try:
            self._container.close()
            if self._output.error is not None:
                raise self._output.error
        except OSError as error:
            raise _file_error(DeviceLostError, self._path, error) from error
        finally:
            self._file.close()


class _Checked:
    """A file that remembers its first failed write: FFmpeg does not pass on what fails while it finishes."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of it. Raises OSError."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self.error = self.error or error
            raise
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


class WavSink:
    """A WAV file, 16 bit mono. Its header is put right every second: a killed writer's file plays."""

    paced: Final = False

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = str(path)
        self._wave: wave.Wave_write | None = None
        self._file: io.BufferedWriter | None = None
        self._bytes = 0
        self._patch_at = 0
        self._rate = SAMPLE_RATE

    def open(self, rate: int) -> None:
        """Create the file, replacing one of this name. Raises DeviceError."""
        if self.path.suffix.lower() != ".wav":
            raise DeviceError(self.name, "only .wav files can be written", f"Use {self.path.stem}.wav")
        try:
            # Opened by us: a Wave_write that can't open its file complains again when it is collected.
            self._file = self.path.open("wb")  # noqa: SIM115 - held open until close
        except OSError as error:
            raise _file_error(DeviceError, self.path, error) from error
        self._wave = wave.open(self._file, "wb")
        self._wave.setnchannels(1)
        self._wave.setsampwidth(2)
        self._wave.setframerate(rate)
        self._rate, self._bytes, self._patch_at = rate, 0, 0

    def write(self, chunk: AudioChunk) -> None:
        """Append one block. Raises DeviceLostError: full disk, or 4 GiB, which is all that WAV can hold."""
        if self._wave is None:
            raise DeviceLostError(self.name, "the file is closed")
        data = np.round(np.clip(chunk.samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()
        self._bytes += len(data)
        if self._bytes > _WAV_MAX_BYTES:
            raise DeviceLostError(
                self.name, "a WAV file can't be larger than 4 GiB", "Record to .mp4 instead"
            )
        try:
            if self._bytes >= self._patch_at:
                self._wave.writeframes(data)
                self._patch_at = self._bytes + round(self._rate * 2 * _WAV_PATCH_S)
            else:
                self._wave.writeframesraw(data)
        except OSError as error:
            raise _file_error(DeviceLostError, self.path, error) from error

    def latency_ns(self) -> int:
        """Return 0: nobody hears it."""
        return 0

    def close(self) -> None:
        """Finish the file. Idempotent, never raises."""
        opened, self._wave = self._wave, None
        file, self._file = self._file, None
        if opened is not None and file is not None:
            try:
                opened.close()
                file.close()
            except OSError as error:
                log.error("%s", _file_error(DeviceLostError, self.path, error))


def _counter(elapsed_ns: int, rate: int) -> int:
    """Return the nearest frame or sample number; PTS are floored divisions of exactly these."""
    return (elapsed_ns * rate + NS_PER_S // 2) // NS_PER_S


def _file_error(kind: type[DeviceError], path: Path, error: OSError) -> DeviceError:
    remedies = {
        errno.ENOSPC: "Free some space or choose another disk",
        errno.EACCES: "Choose a folder that you may write to",
        errno.ENOENT: "Create the folder first",
    }
    return kind(str(path), error.strerror or str(error), remedies.get(error.errno or 0, ""))
