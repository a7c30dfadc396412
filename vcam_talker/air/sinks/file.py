"""File sinks: MP4 (H.264 + AAC, through PyAV) and WAV."""

from __future__ import annotations

import contextlib
import io
import logging
import queue
import threading
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from vcam_talker.air.sinks.mp4_encoder import Mp4Encoder, file_error
from vcam_talker.core.errors import DeviceError, DeviceLostError
from vcam_talker.core.types import SAMPLE_RATE, AudioChunk, VideoFrame

log = logging.getLogger(__name__)

_QUEUE_S: Final = 0.5
"""How much picture may wait for the encoder while live."""
_AUDIO_QUEUE_ITEMS: Final = 1000
"""Ten seconds of sound in 10 ms blocks."""
_STALL_S: Final = 10.0
"""A disk that holds up one write for as long as this many frames take has failed. Frames, not a clock: a
process that was stopped for a while has lost nothing."""
_FINISH_TIMEOUT_S: Final = 30.0
_FAILED_FINISH_TIMEOUT_S: Final = 2.0
_WAV_PATCH_S: Final = 1.0
_WAV_MAX_BYTES: Final = 0xFFFF_FFFF - 44

_Job: TypeAlias = Callable[[Mp4Encoder], None]


class Mp4Sink:
    """An MP4 of picture and sound on one timeline, starting at the first frame.

    PTS are exact (frame and sample counters). The file is fragmented, one fragment a second, so that what a
    killed process wrote still plays. With `live` an encoder thread works behind a bounded queue: `write`
    never blocks, and `dropped` counts frames that found it full; an encoder that stands still (a disk that
    hangs) is a loss. Otherwise `write` encodes before it returns and nothing is lost.

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
        self._dropped = 0
        self._told = ""
        """The loss that a caller of `write` has had."""
        self._live = live
        self._preset = preset
        self._threads = threads
        self.audio = Mp4AudioSink(self)
        self._encoder: Mp4Encoder | None = None
        self._worker: _Worker | None = None

    @property
    def dropped(self) -> int:
        """Frames that found the live encoder's queue full, since construction."""
        return self._dropped

    def open(self, width: int, height: int, fps: int) -> None:
        """Create the file, replacing one of this name. Raises DeviceError."""
        if self.path.suffix.lower() != ".mp4":
            raise DeviceError(self.name, "only .mp4 files can be written", f"Use {self.path.stem}.mp4")
        self._encoder = Mp4Encoder(self.path, width, height, fps, self._live, self._preset, self._threads)
        if self._live:
            self._worker = _Worker(self._encoder, self.name, fps)

    def write(self, frame: VideoFrame) -> None:
        """Add a frame. Raises DeviceLostError when the file can't be written any more."""
        self._put(lambda encoder: encoder.video(frame), droppable=True)

    def write_audio(self, chunk: AudioChunk) -> None:
        """Add sound. Raises DeviceLostError."""
        self._put(lambda encoder: encoder.audio(chunk), droppable=False)

    def _put(self, job: _Job, *, droppable: bool) -> None:
        encoder, worker = self._encoder, self._worker
        if encoder is None:
            raise DeviceLostError(self.name, "the file is closed")
        try:
            if not self._live:
                job(encoder)
            elif worker is not None and not worker.offer(job, droppable=droppable):
                self._dropped += 1
        except DeviceLostError as error:
            self._told = str(error)
            raise

    def finish(self) -> None:
        """Write what waits and close the file. Raises DeviceLostError if it is incomplete. Idempotent.

        Live, it waits for 30 s at most; a stuck encoder closes the file itself if it ever comes back.
        """
        encoder, worker = self._encoder, self._worker
        self._encoder = self._worker = None
        if worker is not None:
            worker.finish()
        elif encoder is not None:
            encoder.close()

    def close(self) -> None:
        """Like `finish`, but never raises: it logs a loss that no caller of `write` was told of."""
        try:
            self.finish()
        except DeviceLostError as error:
            if str(error) != self._told:
                log.error("%s", error)


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
    """Owns the encoder: does jobs in order on a thread of its own, drops picture when too much waits."""

    def __init__(self, encoder: Mp4Encoder, name: str, fps: int) -> None:
        self._encoder = encoder
        self._name = name
        self._jobs: queue.Queue[tuple[_Job, bool] | None] = queue.Queue(_AUDIO_QUEUE_ITEMS)
        self._frames = threading.BoundedSemaphore(max(2, round(fps * _QUEUE_S)))
        self._error: DeviceLostError | None = None
        self._ending = threading.Event()
        self._stall_frames = max(1, round(fps * _STALL_S))
        self._refused = 0
        """Frames that were dropped since the last job ended."""
        self._thread = threading.Thread(target=self._run, name="mp4-encoder", daemon=True)
        self._thread.start()

    def offer(self, job: _Job, *, droppable: bool) -> bool:
        """Queue a job; False when it was dropped. Raises DeviceLostError: the encoder failed or is stuck."""
        if self._error is not None:
            raise self._error
        if droppable and not self._frames.acquire(blocking=False):
            self._refused += 1
            if self._refused < self._stall_frames:
                return False
            raise self._fail(DeviceLostError(self._name, f"the disk has taken nothing for {_STALL_S:g} s"))
        try:
            self._jobs.put_nowait((job, droppable))
        except queue.Full:
            if droppable:
                self._frames.release()
            raise self._fail(DeviceLostError(self._name, "the encoder can't keep up")) from None
        return True

    def finish(self) -> None:
        """Wait for what is queued and for the file to be closed. Raises DeviceLostError."""
        self._ending.set()
        with contextlib.suppress(queue.Full):
            self._jobs.put_nowait(None)
        timeout_s = _FINISH_TIMEOUT_S if self._error is None else _FAILED_FINISH_TIMEOUT_S
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.warning("%s: the encoder is stuck; the file is left as it is", self._name)
            self._fail(DeviceLostError(self._name, f"it was not finished within {timeout_s:g} s"))
        if self._error is not None:
            raise self._error

    def _fail(self, error: DeviceLostError) -> DeviceLostError:
        """Return the first error, which is the one that counts."""
        self._error = self._error or error
        return self._error

    def _run(self) -> None:
        while (item := self._next()) is not None:
            job, is_frame = item
            if is_frame:
                self._frames.release()
            if self._error is None:
                self._do(job)
        self._do(lambda encoder: encoder.close())

    def _next(self) -> tuple[_Job, bool] | None:
        # The mark of the end found no room if the queue was full; then this thread was not waiting for it.
        if self._ending.is_set() and self._jobs.empty():
            return None
        return self._jobs.get()

    def _do(self, job: _Job) -> None:
        try:
            job(self._encoder)
        except DeviceLostError as error:
            self._fail(error)
        self._refused = 0


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
                try:
                    opened.close()
                finally:
                    file.close()
            except OSError as error:
                log.error("%s", file_error(DeviceLostError, self.path, error))
