"""Live picture and sound for the page: JPEG and PCM packets, made only while somebody watches.

A packet is one binary message, little-endian, a header of 16 bytes and its payload:

| offset | type   | what                                                      |
|--------|--------|-----------------------------------------------------------|
| 0      | uint8  | kind: 1 picture (JPEG, BT.601 full range), 2 sound (s16le, mono) |
| 1      | uint8  | version of this format: 1                                 |
| 2      | uint16 | 0                                                         |
| 4      | uint32 | sound: sample rate in Hz; picture: width << 16 or height  |
| 8      | int64  | PTS of the picture or of the first sample, ns on the media clock |

A picture that did not change is not sent again: the last one stays valid. Sound comes in blocks of at
most 20 ms, each ahead of the moment at which it is heard at the microphone by that device's latency; a
picture comes at its moment. Pictures may be missing at any time, and after a stall sound too: the PTS
tells.
"""

from __future__ import annotations

import logging
import struct
import threading
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from vcam_talker.config import PreviewConfig
from vcam_talker.core.types import NS_PER_S, SAMPLE_RATE, AudioChunk, Pixels, Pts, Samples, VideoFrame

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

log = logging.getLogger(__name__)

PICTURE: Final = 1
SOUND: Final = 2
VERSION: Final = 1
HEADER: Final = struct.Struct("<BBHIq")

BLOCK_MS: Final = 20
VIDEO_QUEUE_MS: Final = 400
"""What a viewer may lag behind in pictures; older ones are worthless next to newer ones."""
AUDIO_QUEUE_MS: Final = 2000
"""What a viewer may lag behind in sound: a gap is heard, so it is kept five times as long."""


def picture_packet(pts: Pts, width: int, height: int, jpeg: bytes) -> bytes:
    """Return the packet of a picture."""
    return HEADER.pack(PICTURE, VERSION, 0, width << 16 | height, pts) + jpeg


def sound_packet(pts: Pts, rate: int, samples: Samples) -> bytes:
    """Return the packet of a block of sound; float32[N] in [-1, 1], anything beyond is clipped."""
    pcm = np.rint(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2")
    header = HEADER.pack(SOUND, VERSION, 0, rate, pts)
    return b"".join((header, pcm.tobytes()))


class _Lane:
    """Packets of one kind that wait for one viewer, bounded by what they last."""

    def __init__(self, capacity_ns: int) -> None:
        self._capacity_ns = capacity_ns
        self._waiting: deque[tuple[int, int, bytes]] = deque()
        self._length_ns = 0

    def push(self, sequence: int, duration_ns: int, packet: bytes) -> int:
        """Add a packet; return how many of the oldest had to go."""
        self._waiting.append((sequence, duration_ns, packet))
        self._length_ns += duration_ns
        dropped = 0
        while self._length_ns > self._capacity_ns and len(self._waiting) > 1:
            self._length_ns -= self._waiting.popleft()[1]
            dropped += 1
        return dropped

    def drain(self) -> list[tuple[int, int, bytes]]:
        taken = list(self._waiting)
        self._waiting.clear()
        self._length_ns = 0
        return taken


class Subscription:
    """One viewer. Thread-safe; a slow one loses its oldest pictures, much later its oldest sound."""

    def __init__(self, wake: Callable[[], None], leave: Callable[[Subscription], None]) -> None:
        self._wake = wake
        self._leave = leave
        self._lock = threading.Lock()
        self._lanes = {PICTURE: _Lane(VIDEO_QUEUE_MS * 1_000_000), SOUND: _Lane(AUDIO_QUEUE_MS * 1_000_000)}
        self._sequence = 0
        self._empty = True
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Packets this viewer was too slow for."""
        return self._dropped

    def push(self, kind: int, duration_ns: int, packet: bytes) -> None:
        """Queue a packet and wake the viewer if it had none. Called by the hub; does not block."""
        with self._lock:
            self._sequence += 1
            self._dropped += self._lanes[kind].push(self._sequence, duration_ns, packet)
            was_empty, self._empty = self._empty, False
        if was_empty:
            self._wake()

    def take(self) -> list[bytes]:
        """Return the packets that wait, oldest first; never blocks."""
        with self._lock:
            waiting = [entry for lane in self._lanes.values() for entry in lane.drain()]
            self._empty = True
        waiting.sort()
        return [packet for _, _, packet in waiting]

    def close(self) -> None:
        """Leave. Idempotent."""
        self._leave(self)


class JpegEncoder:
    """Scales pictures and encodes them as JPEG (FFmpeg's mjpeg). Used from one thread."""

    def __init__(self, width: int, quality: int) -> None:
        """Encode at most `width` pixels across; `quality` 30 .. 95 as libjpeg counts."""
        # Imported here: the camera must not wait for FFmpeg's libraries at start.
        from av.video.reformatter import VideoReformatter

        self._max_width = width
        self._qscale = _qscale(quality)
        self._reformatter = VideoReformatter()
        self._codec: VideoCodecContext | None = None

    def encode(self, frame: VideoFrame) -> tuple[int, int, bytes]:
        """Return width, height and JPEG. Takes about 2 ms from 1280x720. Raises av.FFmpegError."""
        import av
        from av.video.reformatter import ColorRange, Colorspace, Interpolation

        width = min(self._max_width, frame.width)
        height = max(2, round(frame.height * width / frame.width / 2) * 2)
        source = av.VideoFrame.from_numpy_buffer(frame.pixels, format=frame.format)
        is_yuv = frame.format == "yuv420p"
        picture = self._reformatter.reformat(
            source,
            width,
            height,
            "yuvj420p",
            src_colorspace=Colorspace.ITU601,
            dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.MPEG if is_yuv else ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.BILINEAR,
        )
        codec = self._codec
        if codec is None or (codec.width, codec.height) != (width, height):
            codec = self._codec = self._open(width, height)
        picture.pts = None
        return width, height, b"".join(bytes(packet) for packet in codec.encode(picture))

    def _open(self, width: int, height: int) -> VideoCodecContext:
        import av

        codec = av.CodecContext.create("mjpeg", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuvj420p"
        codec.time_base = Fraction(1, 1000)
        codec.thread_count = 1
        codec.qmin = codec.qmax = self._qscale
        # Without bitexact every picture carries a comment with the version of the encoder.
        codec.options = {"flags": "+bitexact"}
        return codec


def _qscale(quality: int) -> int:
    """Return FFmpeg's quantiser scale for a libjpeg quality.

    libjpeg scales its luminance table (mean 57) by 5000/q or 200 - 2q per cent, FFmpeg the MPEG-1 intra
    matrix (mean 25) by qscale / 8; equal means give qscale = 0.18 * per cent.
    """
    per_cent = 5000 / quality if quality < 50 else 200 - 2 * quality
    return min(31, max(2, round(0.18 * per_cent)))


class PreviewAudio:
    """The sound side of the hub, an AudioSink. Used from the playout thread."""

    def __init__(self, hub: PreviewHub) -> None:
        self._hub = hub
        self._rate = SAMPLE_RATE
        self._partial: list[Samples] = []
        self._partial_pts = Pts(0)
        self._partial_samples = 0

    @property
    def name(self) -> str:
        """What a user would call it."""
        return "preview sound"

    @property
    def paced(self) -> bool:
        """False: it takes whatever comes."""
        return False

    def open(self, rate: int) -> None:
        """Take blocks at `rate` Hz. Never raises."""
        self._rate = rate

    def write(self, chunk: AudioChunk) -> None:
        """Pass a block on in pieces of 20 ms. Returns at once, and does nothing while nobody listens."""
        if not self._hub.watched:
            self._forget()
            return
        expected = self._partial_pts + self._partial_samples * NS_PER_S // chunk.rate
        if self._partial_samples and (chunk.rate != self._rate or abs(expected - chunk.pts) > 1_000_000):
            self._flush()
        self._rate = chunk.rate
        block = chunk.rate * BLOCK_MS // 1000
        taken = 0
        while taken < chunk.samples.size:
            if not self._partial_samples:
                self._partial_pts = Pts(chunk.pts + taken * NS_PER_S // chunk.rate)
            piece = chunk.samples[taken : taken + block - self._partial_samples]
            self._partial.append(piece)
            self._partial_samples += piece.size
            taken += piece.size
            if self._partial_samples >= block:
                self._flush()

    def latency_ns(self) -> int:
        """Return 0: the page keeps picture and sound together by their PTS."""
        return 0

    def close(self) -> None:
        """Forget the started block. Idempotent."""
        self._forget()

    def _flush(self) -> None:
        packet = sound_packet(self._partial_pts, self._rate, np.concatenate(self._partial))
        duration_ns = self._partial_samples * NS_PER_S // self._rate
        self._forget()
        self._hub.publish(SOUND, duration_ns, packet)

    def _forget(self) -> None:
        self._partial.clear()
        self._partial_samples = 0


class PreviewHub:
    """Fans the live picture and sound out to viewers: a VideoSink, and an AudioSink in `audio`.

    `write` only hands the newest picture to the hub's own encoder thread (FFmpeg releases the GIL there);
    a picture that is not encoded when the next one comes is lost to the viewers, never to the camera.
    Without viewers `write` returns after one test and the encoder thread sleeps.
    """

    def __init__(self, config: PreviewConfig) -> None:
        self._config = config
        self.audio = PreviewAudio(self)
        self._fps = 30
        self._changed = threading.Condition()
        self._viewers: tuple[Subscription, ...] = ()
        self._pending: VideoFrame | None = None
        self._dropped = 0
        self._refresh = False
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """What a user would call it."""
        return "preview"

    @property
    def dropped(self) -> int:
        """Pictures that gave way to a newer, different one before they were encoded."""
        return self._dropped

    @property
    def watched(self) -> bool:
        """True while somebody watches."""
        return bool(self._viewers)

    def open(self, width: int, height: int, fps: int) -> None:  # noqa: ARG002 - frames carry their size
        """Expect pictures at `fps`. Never raises."""
        self._fps = fps

    def write(self, frame: VideoFrame) -> None:
        """Offer one frame to the viewers. Returns at once."""
        if not self._viewers:
            return
        with self._changed:
            self._dropped += self._pending is not None and self._pending.pixels is not frame.pixels
            self._pending = frame
            self._changed.notify()

    def subscribe(self, wake: Callable[[], None]) -> Subscription:
        """Join; the next frame is sent even if it did not change. See PreviewSource.subscribe."""
        viewer = Subscription(wake, self._remove)
        with self._changed:
            self._viewers = (*self._viewers, viewer)
            self._refresh = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._encode_loop, name="preview", daemon=True)
                self._thread.start()
        return viewer

    def publish(self, kind: int, duration_ns: int, packet: bytes) -> None:
        """Queue a packet for every viewer; called by the encoder and playout threads. Does not block."""
        for viewer in self._viewers:
            viewer.push(kind, duration_ns, packet)

    def close(self) -> None:
        """Stop the encoder thread and let every viewer go. Idempotent."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._viewers = ()
            self._changed.notify_all()
        if thread is not None:
            thread.join(timeout=2.0)

    def _remove(self, viewer: Subscription) -> None:
        with self._changed:
            self._viewers = tuple(v for v in self._viewers if v is not viewer)
            if not self._viewers:
                self._pending = None

    def _next(self, last: Pixels | None) -> VideoFrame | None:
        """Wait for a frame worth encoding; None when the hub closes."""
        with self._changed:
            while self._thread is threading.current_thread():
                frame, self._pending = self._pending, None
                if frame is not None and (self._refresh or frame.pixels is not last):
                    self._refresh = False
                    return frame
                if frame is None:
                    self._changed.wait()
            return None

    def _encode_loop(self) -> None:
        import av

        encoder = JpegEncoder(self._config.width, self._config.quality)
        last: Pixels | None = None
        broken = False
        while (frame := self._next(last)) is not None:
            # Held until the next frame, so that its identity can't be taken over by another array.
            last = frame.pixels
            try:
                width, height, jpeg = encoder.encode(frame)
            except (av.FFmpegError, ValueError) as e:
                # The camera goes on without the preview; said once, not thirty times a second.
                if not broken:
                    log.warning("preview: a picture could not be encoded (%s)", e)
                broken = True
                continue
            broken = False
            self.publish(PICTURE, NS_PER_S // self._fps, picture_packet(frame.pts, width, height, jpeg))
