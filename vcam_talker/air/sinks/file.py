"""File sinks: MP4 (H.264 + AAC, through PyAV) and WAV."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Final

import numpy as np

from vcam_talker.air.sinks.mp4_encoder import Mp4Encoder, file_error
from vcam_talker.air.sinks.recording import Recording
from vcam_talker.core.errors import DeviceError, DeviceLostError
from vcam_talker.core.types import SAMPLE_RATE, AudioChunk, VideoFrame

_WAV_PATCH_S: Final = 1.0
_WAV_MAX_BYTES: Final = 0xFFFF_FFFF - 44


class Mp4Sink:
    """An MP4 of picture and sound on one timeline, starting at the first frame.

    PTS are exact (frame and sample counters). The file is fragmented, one fragment a second, so that what a
    killed process wrote still plays. With `live` a thread of its own encodes: `write` never blocks, `dropped`
    counts frames for which too many waited, and a disk that hangs is a loss. Otherwise `write` encodes before
    it returns and nothing is lost.

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
        self._live = live
        self._preset = preset
        self._threads = threads
        self.audio = Mp4AudioSink(self)
        self._recording: Recording[Mp4Encoder] | None = None

    @property
    def dropped(self) -> int:
        """Frames for which too many waited, since construction; 0 unless live."""
        return self._dropped

    def open(self, width: int, height: int, fps: int) -> None:
        """Create the file, replacing one of this name. Raises DeviceError."""
        if self.path.suffix.lower() != ".mp4":
            raise DeviceError(self.name, "only .mp4 files can be written", f"Use {self.path.stem}.mp4")
        encoder = Mp4Encoder(self.path, width, height, fps, self._live, self._preset, self._threads)
        self._recording = Recording(self.name, encoder, live=self._live, fps=fps)

    def write(self, frame: VideoFrame) -> None:
        """Add a frame. Raises DeviceLostError when the file can't be written any more."""
        if not self._open_recording().put(lambda encoder: encoder.video(frame), droppable=True):
            self._dropped += 1

    def write_audio(self, chunk: AudioChunk) -> None:
        """Add sound. Raises DeviceLostError."""
        self._open_recording().put(lambda encoder: encoder.audio(chunk))

    def finish(self) -> None:
        """Write what waits and close the file. Raises DeviceLostError if it is incomplete. Idempotent.

        Live, it waits for 30 s at most.
        """
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.finish()

    def close(self) -> None:
        """Like `finish`, but never raises: it logs a loss that no caller of `write` was told of."""
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.close()

    def _open_recording(self) -> Recording[Mp4Encoder]:
        recording = self._recording
        if recording is None:
            raise DeviceLostError(self.name, "the file is closed")
        return recording


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


class _WavFile:
    """An open WAV file. Every method raises DeviceLostError when the disk does not take it."""

    def __init__(self, path: Path, rate: int) -> None:
        """Create the file. Raises DeviceError."""
        self._path = path
        try:
            # Opened by us: a Wave_write that can't open its file complains again when it is collected.
            self._file = path.open("wb")
        except OSError as error:
            raise file_error(DeviceError, path, error) from error
        self._wave = wave.Wave_write(self._file)
        self._wave.setnchannels(1)
        self._wave.setsampwidth(2)
        self._wave.setframerate(rate)

    def append(self, data: bytes, *, patch: bool) -> None:
        """Add s16le samples; with `patch` put the header right."""
        try:
            if patch:
                self._wave.writeframes(data)
            else:
                self._wave.writeframesraw(data)
        except OSError as error:
            raise file_error(DeviceLostError, self._path, error) from error

    def close(self) -> None:
        """Put the header right and close."""
        try:
            try:
                self._wave.close()
            finally:
                self._file.close()
        except OSError as error:
            raise file_error(DeviceLostError, self._path, error) from error


class WavSink:
    """A WAV file, 16 bit mono. Its header is put right every second: a killed writer's file plays.

    With `live` a thread of its own writes and `write` never blocks; a disk that hangs is a loss.
    """

    paced: Final = False

    def __init__(self, path: str | Path, *, live: bool = False) -> None:
        self.path = Path(path)
        self.name = str(path)
        self._live = live
        self._recording: Recording[_WavFile] | None = None
        self._bytes = 0
        self._patch_at = 0
        self._rate = SAMPLE_RATE

    def open(self, rate: int) -> None:
        """Create the file, replacing one of this name. Raises DeviceError."""
        if self.path.suffix.lower() != ".wav":
            raise DeviceError(self.name, "only .wav files can be written", f"Use {self.path.stem}.wav")
        self._recording = Recording(self.name, _WavFile(self.path, rate), live=self._live)
        self._rate, self._bytes, self._patch_at = rate, 0, 0

    def write(self, chunk: AudioChunk) -> None:
        """Append one block. Raises DeviceLostError: full disk, or 4 GiB, which is all that WAV can hold."""
        recording = self._recording
        if recording is None:
            raise DeviceLostError(self.name, "the file is closed")
        data = np.round(np.clip(chunk.samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()
        self._bytes += len(data)
        if self._bytes > _WAV_MAX_BYTES:
            raise DeviceLostError(
                self.name, "a WAV file can't be larger than 4 GiB", "Record to .mp4 instead"
            )
        patch = self._bytes >= self._patch_at
        if patch:
            self._patch_at = self._bytes + round(self._rate * 2 * _WAV_PATCH_S)
        recording.put(lambda file: file.append(data, patch=patch))

    def latency_ns(self) -> int:
        """Return 0: nobody hears it."""
        return 0

    def close(self) -> None:
        """Finish the file. Idempotent, never raises; live, it waits for 30 s at most."""
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.close()
