"""Decodes the clip ahead of its time, on a thread of its own that never holds more than a few pictures."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import av

from vcam_talker.core.types import Pixels
from vcam_talker.face.clip.video import Decoder, Prepare, Video
from vcam_talker.face.clip.walk import Step

log = logging.getLogger(__name__)

_PATIENCE_S: Final = 1.0
"""How long one frame is waited for: on air it is ready long before, in virtual time it decides the pace."""
_REST_S: Final = 1.0
"""After a failure."""
_IDLE_S: Final = 5.0
"""The thread ends when nothing was asked for so long: a scene that left the air needs no goodbye."""
_LAST_FRAME_S: Final = 2.0
"""How long the end of the program waits for a frame in the making: a thread that Python stops within the
decoder takes the process down with it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded frame of the clip."""

    frame: int
    """Of the clip."""
    pixels: Pixels
    """uint8[H * 3 // 2, W], read-only."""


class ClipReader:
    """Hands out frames of a walk through the clip. `get` belongs to one thread; nothing is ever raised."""

    def __init__(self, video: Video, prepare: Prepare, ahead: int) -> None:
        """Keep `ahead` >= 1 frames ready; `prepare` runs on the reader's thread."""
        self._video = video
        self._prepare = prepare
        self._ahead = ahead
        self._changed = threading.Condition()
        self._plan: tuple[Step, ...] = ()
        self._wanted = 0
        self._asked_s = 0.0
        self._next = 0
        """Number of the frame to be decoded next."""
        self._ready: dict[int, Picture] = {}
        self._thread: threading.Thread | None = None
        self._rest_until_s = 0.0
        self._late = False
        self._over = threading.Event()
        self._running: list[threading.Thread] = []
        weakref.finalize(self, _end, self._over, self._changed, self._running)

    @property
    def held(self) -> int:
        """How many decoded frames are kept."""
        return len(self._ready)

    def get(self, number: int, plan: Sequence[Step]) -> Picture | None:
        """Return frame `number`, which belongs to the first step of `plan`; else the last before it, or None.

        Waits for at most a second, and not at all while the decoder is late or has failed.
        """
        with self._changed:
            self._asked_s = time.monotonic()
            follows = bool(self._plan) and plan[0] in self._plan and number >= self._wanted
            if not follows:
                self._ready.clear()
                self._next = number
            self._plan, self._wanted = tuple(plan), number
            self._next = max(self._next, number)
            self._ensure_thread()
            self._changed.notify_all()
            deadline_s = self._asked_s + _PATIENCE_S
            while self._expected(number) and not self._late:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    self._late = True
                    log.warning(
                        "the clip %s is decoded too slowly; the picture stands", self._video.path.name
                    )
                    break
                self._changed.wait(left_s)
            found = self._ready.get(number)
            if found is not None:
                self._late = False
            else:
                earlier = [n for n in self._ready if n < number]
                found = self._ready[max(earlier)] if earlier else None
            self._forget_before(number)
            return found

    def _expected(self, number: int) -> bool:
        alive = self._thread is not None and self._thread.is_alive()
        return number not in self._ready and self._next <= number and alive

    def _forget_before(self, number: int) -> None:
        keep = max((n for n in self._ready if n <= number), default=number)
        for n in [n for n in self._ready if n < keep]:
            del self._ready[n]

    def _ensure_thread(self) -> None:
        alive = self._thread is not None and self._thread.is_alive()
        if not alive and time.monotonic() >= self._rest_until_s:
            self._thread = threading.Thread(target=self._run, name="clip reader", daemon=True)
            self._running[:] = [self._thread]
            self._thread.start()

    def _run(self) -> None:
        decoder = Decoder(self._video, self._prepare)
        try:
            while (job := self._next_job()) is not None:
                number, step = job
                frame = step.clip_frame(number)
                pixels = decoder.read(frame, step.segment.first)
                pixels.flags.writeable = False
                self._deliver(number, step, Picture(frame, pixels))
        except (OSError, EOFError, av.FFmpegError) as e:
            self._fail(f"{e}")
        except Exception:  # this is a supervisor: whatever goes wrong, the next call starts another thread
            log.exception("the clip's reader failed")
            self._fail("see above")
        finally:
            decoder.close()

    def _next_job(self) -> tuple[int, Step] | None:
        """Wait for a frame to decode; None when nobody asks any more."""
        with self._changed:
            while not self._over.is_set():
                if self._next <= self._wanted + self._ahead - 1:
                    for step in self._plan:
                        if step.begin <= self._next < step.end:
                            return self._next, step
                left_s = self._asked_s + _IDLE_S - time.monotonic()
                if left_s <= 0:
                    self._thread = None
                    return None
                self._changed.wait(left_s)
            return None

    def _deliver(self, number: int, step: Step, picture: Picture) -> None:
        with self._changed:
            # Meanwhile the presenter's life may have jumped elsewhere.
            if number == self._next and step in self._plan:
                self._ready[number] = picture
                self._next = number + 1
            elif number > max(self._ready, default=number - 1) and step in self._plan:
                # Too late for its own time, but newer than what is shown.
                self._ready[number] = picture
            self._changed.notify_all()

    def _fail(self, why: str) -> None:
        log.warning("the clip %s can't be decoded (%s); the picture stands", self._video.path, why)
        with self._changed:
            self._rest_until_s = time.monotonic() + _REST_S
            self._thread = None
            self._changed.notify_all()


def _end(over: threading.Event, changed: threading.Condition, running: list[threading.Thread]) -> None:
    """Let the thread end before the program does. Knows nothing of the reader, which it would keep alive."""
    over.set()
    with changed:
        changed.notify_all()
    for thread in running:
        if thread is not threading.current_thread():
            thread.join(_LAST_FRAME_S)
