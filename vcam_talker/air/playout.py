"""The playout thread: 10 ms of sound after 10 ms of sound, for ever, to microphone, preview and files."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vcam_talker.air.feed import SpeechFeed
from vcam_talker.air.playout_clock import PlayoutClock
from vcam_talker.air.priority import prefer_this_thread
from vcam_talker.air.reopen import Keeper
from vcam_talker.air.timeline import Timeline
from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.errors import DeviceError, DeviceLostError
from vcam_talker.core.stages import AudioSink
from vcam_talker.core.types import NO_TURN, AudioChunk
from vcam_talker.core.wire import QUANTUM

log = logging.getLogger(__name__)

# Without a device, lateness up to this (a write that blocked before it failed) is caught up with, so that the
# picture does not wait; more (suspend, a stopped process) is not: no burst afterwards.
_CATCH_UP_NS = 1_000_000_000


class PlayoutThread:
    """Owns the sound devices' thread and feeds the media clock.

    An open, paced microphone sets the pace: its blocking write is the clock. Without one (null, file, or
    while the device is lost) the thread keeps time itself, continuing the same line.
    """

    def __init__(
        self,
        timeline: Timeline,
        feed: SpeechFeed,
        playout_clock: PlayoutClock,
        clock: MonotonicClock,
        microphone: Keeper[AudioSink],
        preview: AudioSink,
        taps: Sequence[AudioSink],
        *,
        idle_latency_ns: int,
        offset_ns: int = 0,
    ) -> None:
        self._timeline = timeline
        self._feed = feed
        self._playout_clock = playout_clock
        self._clock = clock
        self._microphone = microphone
        self._preview = preview
        self._taps = taps
        self._idle_latency_ns = idle_latency_ns
        self._offset_ns = offset_ns
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="playout")
        self._blocks = 0
        self._gain = 1.0
        self.muted = False
        """Send silence to the microphone and the recorders; the preview goes on. Written by any thread."""
        self.expecting = False
        """Speech is about to come: look for it every 10 ms instead of every 20. Written by any thread."""
        self.samples_written = 0
        """To the microphone."""

    def start(self) -> None:
        """Begin; returns at once."""
        # Before the thread runs: the pacer may ask the clock first.
        self._playout_clock.restart(0, self._idle_latency_ns + self._offset_ns)
        self._thread.start()

    def stop(self) -> None:
        """End after the block in work."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    @property
    def written(self) -> int:
        """Samples that have left the timeline since start."""
        return self._blocks * QUANTUM

    def _run(self) -> None:
        prefer_this_thread()
        device: AudioSink | None = None
        life = -1
        while not self._stop.is_set():
            self._feed.drain()
            chunk = self._next()
            self._tap(self._preview, chunk)
            chunk = self._faded(chunk)
            for tap in self._taps:
                self._tap(tap, chunk)
            current = self._microphone.current()
            if current is not device or self._microphone.reopened != life:
                device, life = current, self._microphone.reopened
                # A lost device leaves the line as it is; a new one has a rhythm and a latency of its own.
                if device is not None and device.paced:
                    before = self.written - len(chunk.samples)
                    self._playout_clock.restart(before, device.latency_ns() + self._offset_ns)
            if device is not None:
                self._write(device, chunk)
            if device is not None and device.paced and self._microphone.state == "open":
                self._playout_clock.mark(self.written, device.latency_ns() + self._offset_ns)
            else:
                self._keep_time()

    def _next(self) -> AudioChunk:
        """Return the next sound: 10 ms, or 20 ms while nobody speaks, which wakes half as many threads."""
        silent = self._timeline.on_air == NO_TURN and self._timeline.waiting_ms == 0 and not self.expecting
        chunk = self._timeline.pull()
        self._blocks += 1
        if silent:
            second = self._timeline.pull()
            self._blocks += 1
            samples = np.concatenate((chunk.samples, second.samples))
            chunk = replace(chunk, samples=samples, turn=second.turn)
        return chunk

    def _faded(self, chunk: AudioChunk) -> AudioChunk:
        """Return what the audience gets: the chunk, or silence while muted, with a fade between the two."""
        wanted = 0.0 if self.muted else 1.0
        if wanted == self._gain == 1.0:
            return chunk
        ramp = np.linspace(self._gain, wanted, len(chunk.samples), dtype=np.float32)
        self._gain = wanted
        return replace(chunk, samples=chunk.samples * ramp)

    def _write(self, device: AudioSink, chunk: AudioChunk) -> None:
        try:
            device.write(chunk)
            self.samples_written += len(chunk.samples)
        except DeviceLostError as e:
            self._microphone.lost(e)

    def _tap(self, tap: AudioSink, chunk: AudioChunk) -> None:
        try:
            tap.write(chunk)
        except DeviceError as e:
            # A recorder whose disk is full must not silence the microphone; it says so once itself.
            log.debug("%s", e)

    def _keep_time(self) -> None:
        due_ns = self._playout_clock.write_time_of(self.written)
        if self._clock.now_ns() - due_ns > _CATCH_UP_NS:
            self._playout_clock.restart(self.written, self._idle_latency_ns + self._offset_ns)
            return
        self._clock.sleep_until_ns(due_ns)
