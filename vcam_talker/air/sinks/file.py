"""File sinks: MP4 (H.264 + AAC, through PyAV) and WAV."""

from __future__ import annotations

import io
import logging
import queue
import threading
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from vcam_talker.air.sinks.mp4_encoder import Mp4Encoder, file_error
from vcam_talker.core.errors import DeviceError, DeviceLostError
from vcam_talker.core.types import SAMPLE_RATE, AudioChunk, VideoFrame

log = logging.getLogger(__name__)

_QUEUE_S: Final = 0.5
"""How much picture may wait for the encoder while live."""
_AUDIO_QUEUE_ITEMS: Final = 1000
"""Ten seconds of sound in 10 ms blocks; an encoder that stands still for so long has failed."""
_FINISH_TIMEOUT_S: Final = 30.0
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
        preset: str = "superfast",
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
        self._encoder: Mp4Encoder | None = None
        self._worker: _Worker | None = None

    def open(self, width: int, height: int, fps: int) -> None:
        """Create the file, replacing one of this name. Raises DeviceError."""
        if self.path.suffix.lower() != ".mp4":
            raise DeviceError(self.name, "only .mp4 files can be written", f"Use {self.path.stem}.mp4")
        self._encoder = Mp4Encoder(self.path, width, height, fps, self._live, self._preset, self._threads)
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

    def _require(self) -> Mp4Encoder:
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
            self._file = self.path.open("wb")
        except OSError as error:
            raise file_error(DeviceError, self.path, error) from error
        self._wave = wave.Wave_write(self._file)
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
            raise file_error(DeviceLostError, self.path, error) from error

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
                log.error("%s", file_error(DeviceLostError, self.path, error))
