"""Encode on another thread while the next frame is drawn: FFmpeg releases the interpreter's lock."""

from __future__ import annotations

import queue
import threading
from types import TracebackType

from vcam_talker.air.sinks.file import Mp4Sink
from vcam_talker.core.types import AudioChunk, VideoFrame

# A handful of frames evens out key frames; more would only cost memory.
_AHEAD = 12


class Encoding:
    """Writes frames and sound into an offline Mp4Sink in order; `put` blocks while too much waits.

    A context manager: leaving it waits for everything. `put` and leaving raise what
    the sink raised, DeviceError above all.
    """

    def __init__(self, sink: Mp4Sink) -> None:
        self._sink = sink
        self._waiting: queue.Queue[VideoFrame | AudioChunk | None] = queue.Queue(_AHEAD)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)

    def __enter__(self) -> Encoding:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.put(None)
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def put(self, item: VideoFrame | AudioChunk) -> None:
        """Queue a frame or a block of sound."""
        if self._error is not None:
            raise self._error
        self._waiting.put(item)

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            if self._error is not None:
                continue  # keeps emptying the queue, so that nobody waits for ever
            try:
                if isinstance(item, VideoFrame):
                    self._sink.write(item)
                else:
                    self._sink.audio.write(item)
            except Exception as e:  # noqa: BLE001 - handed to the one who draws, who raises it
                self._error = e
