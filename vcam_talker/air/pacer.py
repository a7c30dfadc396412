"""The pacer: frame n leaves when the audience hears the sound of its PTS, by absolute deadlines.

Two threads. The *painter's* draws one frame ahead; the *pacer's* only sleeps and sends, so that a slow
drawing shows the picture before once more instead of delaying the tick.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from vcam_talker.air.pacing import PacingMeter
from vcam_talker.air.painter import Painter
from vcam_talker.air.playout_clock import PlayoutClock
from vcam_talker.air.priority import prefer_this_thread
from vcam_talker.air.reopen import Keeper
from vcam_talker.core.clock import MonotonicClock, frame_pts
from vcam_talker.core.errors import DeviceError, DeviceLostError
from vcam_talker.core.stages import VideoSink
from vcam_talker.core.types import NO_TURN, NS_PER_S, Pts, TurnId, VideoFrame

log = logging.getLogger(__name__)

# Drawing starts this long before the deadline: a few times what it takes, and less than the microphone's
# latency, so that the sound of the frame is already committed.
_PAINT_AHEAD_NS = 16_000_000
# Of the period: the most that a scene which waits for another process gets.
_MOST_AHEAD = 0.95
# When the clock was laid anew and the next frame would be this many periods late or early, the count of
# frames starts from the clock again: neither a burst nor a frozen picture.
_LATE_PERIODS = 3
_EARLY_PERIODS = 2

SentListener = Callable[[VideoFrame, int], None]
TurnListener = Callable[[TurnId, int], None]


class Pacer:
    """Sends frames to the camera and to the taps (preview, recorder) on the media clock."""

    def __init__(
        self,
        painter: Painter,
        playout_clock: PlayoutClock,
        clock: MonotonicClock,
        fps: int,
        camera: Keeper[VideoSink],
        taps: Sequence[VideoSink],
        meter: PacingMeter,
        on_sent: SentListener | None = None,
        on_turn: TurnListener | None = None,
    ) -> None:
        """`on_sent` learns of every frame, `on_turn` of the first one of every turn; both must not block."""
        self._painter = painter
        self._playout_clock = playout_clock
        self._clock = clock
        self._fps = fps
        self._period_ns = NS_PER_S // fps
        self._camera = camera
        self._taps = taps
        self._meter = meter
        self._on_sent = on_sent
        self._on_turn = on_turn
        self._turn = NO_TURN
        self._stop = threading.Event()
        self._slot = threading.Condition()
        self._wanted: Pts | None = None
        self._ready: VideoFrame | None = None
        self._paint_thread = threading.Thread(target=self._paint, name="painter")
        self._pace_thread = threading.Thread(target=self._pace, name="pacer")
        self.first_frame_ns: int | None = None
        """Monotonic time at which the first frame had left."""
        self.frames_written = 0
        """To the camera."""

    def start(self) -> None:
        """Begin; returns at once."""
        self._paint_thread.start()
        self._pace_thread.start()

    def stop(self) -> None:
        """End after the frame in work."""
        self._stop.set()
        with self._slot:
            self._slot.notify_all()
        for thread in (self._pace_thread, self._paint_thread):
            if thread.is_alive():
                thread.join(timeout=5)

    def _paint(self) -> None:
        """Thread: draw whatever PTS is wanted."""
        prefer_this_thread()
        while not self._stop.is_set():
            with self._slot:
                while self._wanted is None:
                    if self._stop.is_set():
                        return
                    self._slot.wait()
                pts, self._wanted = self._wanted, None
            frame = self._painter.draw(pts)
            with self._slot:
                self._ready = frame
                self._slot.notify_all()

    def _pace(self) -> None:
        """Thread: sleep to the deadline, send."""
        prefer_this_thread()
        index = self._first_index()
        frame = self._painter.draw(frame_pts(index, self._fps))
        while not self._stop.is_set():
            pts = frame_pts(index, self._fps)
            self._clock.sleep_until_ns(self._playout_clock.time_of(pts) - self._ahead_ns)
            self._order(pts)
            # Asked again: the clock may have been re-anchored (device opened or lost) meanwhile.
            deadline_ns = self._playout_clock.time_of(pts)
            self._clock.sleep_until_ns(deadline_ns)
            newest = self._take(pts)
            repeated = newest is None
            # A frame that was drawn late leaves with the PTS of the tick it leaves at.
            frame = replace(newest or frame, pts=pts)
            self._send(frame)
            now_ns = self._clock.now_ns()
            self._meter.sent(now_ns, deadline_ns, repeated=repeated, rung=self._painter.rung)
            index = self._next_index(index, now_ns)

    @property
    def _ahead_ns(self) -> int:
        """How long before the deadline drawing starts, within the period."""
        wanted_ns = _PAINT_AHEAD_NS + round(self._painter.needs.patience_s * NS_PER_S)
        return max(_PAINT_AHEAD_NS, min(wanted_ns, round(_MOST_AHEAD * self._period_ns)))

    def _first_index(self) -> int:
        return int(self._playout_clock.now() * self._fps // NS_PER_S) + 1

    def _next_index(self, index: int, now_ns: int) -> int:
        behind_ns = now_ns - self._playout_clock.time_of(frame_pts(index + 1, self._fps))
        if -_EARLY_PERIODS * self._period_ns <= behind_ns <= _LATE_PERIODS * self._period_ns:
            return index + 1
        target = int((self._playout_clock.at(now_ns) * self._fps) // NS_PER_S) + 1
        self._meter.skipped(abs(target - index - 1))
        return target

    def _order(self, pts: Pts) -> None:
        with self._slot:
            self._wanted = pts
            self._slot.notify_all()

    def _take(self, pts: Pts) -> VideoFrame | None:
        """Return the newest drawn frame if it is a new one and not from the future."""
        with self._slot:
            if self._ready is None or self._ready.pts > pts:
                return None
            frame, self._ready = self._ready, None
            return frame

    def _send(self, frame: VideoFrame) -> None:
        camera = self._camera.current()
        if camera is not None:
            try:
                camera.write(frame)
                self.frames_written += 1
            except DeviceLostError as e:
                self._camera.lost(e)
        now_ns = self._clock.now_ns()
        if self.first_frame_ns is None:
            self.first_frame_ns = now_ns
        if self._on_sent is not None:
            self._on_sent(frame, now_ns)
        if frame.turn != self._turn:
            self._turn = frame.turn
            if self._on_turn is not None and frame.turn != NO_TURN:
                self._on_turn(frame.turn, now_ns)
        for tap in self._taps:
            try:
                tap.write(frame)
            except DeviceError as e:
                # A recorder whose disk is full must not stop the camera; it says so once itself.
                log.debug("%s", e)
