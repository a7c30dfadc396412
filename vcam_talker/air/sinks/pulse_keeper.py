"""Keeps watch over the virtual microphone and the stream that feeds it, on a thread of its own.

All libpulse calls happen here: libpulse is not thread-safe, and a wedged server would block its caller for
good. The write path only reads attributes.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from typing import Any, Final, TypeAlias

from vcam_talker.air.sinks import pulse as server
from vcam_talker.core.errors import DeviceError

log = logging.getLogger(__name__)

Entity: TypeAlias = Any
"""A sink or a stream as `pulsectl` describes it (the library has no types)."""
STREAM_PROPERTY: Final = "vcam_talker.stream"

_READY_TIMEOUT_S: Final = 10.0
"""Connecting, starting a server and creating two modules, on a busy machine."""
_STOP_TIMEOUT_S: Final = 2.0
_STOP_RETRY_S: Final = 0.02
_CHECK_INTERVAL_S: Final = 1.0
_QUICK_INTERVAL_S: Final = 0.1
_QUICK_CHECKS: Final = 20
"""The fill of the buffer settles in the first two seconds; it is sampled faster until then."""
_LATENCY_SAMPLES: Final = 15
_FOREIGN_GRACE_S: Final = 5.0
"""A server that somebody else runs gets this long to come back before we start one."""
_MISPLACED_TIMEOUT_S: Final = 2.0
"""A stream that can't be brought back to its sink for this long counts as lost."""
_ABSENT_TIMEOUT_S: Final = 1.0
"""After an underrun PortAudio has the stream made anew, which takes some milliseconds."""
_NO_SINK: Final = 0xFFFFFFFF
"""What PipeWire shows while a new stream is not yet linked."""

_UNREPORTED_S: Final = 0.008
"""PipeWire's Pulse server reports no latency for streams (always 0). What it adds to the buffer we asked for
depends on its quantum, which follows the reader: 3 to 12 ms measured on 0.3.65, 8 ms being the middle."""


class MicrophoneKeeper:
    """One life of the microphone: from `start` to `stop`. Every public member is safe from any thread."""

    def __init__(self, name: str, label: str, *, start_server: bool, latency_s: float) -> None:
        self.stream_tag = f"{os.getpid()}-{id(self):x}"
        self.lost: str | None = None
        """Why the microphone can no longer be used; None while all is well."""
        self.server_name = ""
        self.started_server = False
        self._name = name
        self._label = label
        self._start_server = start_server
        self._latency_ns = round((latency_s + _UNREPORTED_S) * 1e9)
        self._latencies_s: deque[float] = deque(maxlen=_LATENCY_SAMPLES)
        self._error: DeviceError | None = None
        self._ready = threading.Event()
        self._placed = threading.Event()
        self._stopping = threading.Event()
        self._retired = False
        self._remove = False
        self._owned = False
        self._misplaced_s: float | None = None
        self._seen_stream_s: float | None = None
        self._pulse: Any = None
        self._pulse_lock = threading.Lock()
        """Held to wake or to free the connection: waking a freed one aborts the process."""
        self._thread = threading.Thread(target=self._run, name="microphone-keeper", daemon=True)

    @property
    def latency_ns(self) -> int:
        """Time from a write until a reader of the microphone gets the sound."""
        return self._latency_ns

    def start(self) -> None:
        """Connect and create the devices. Blocks for up to 10 s. Raises DeviceError."""
        self._thread.start()
        if not self._ready.wait(_READY_TIMEOUT_S):
            raise DeviceError("sound server", f"it did not answer within {_READY_TIMEOUT_S:g} s")
        if self._error is not None:
            raise self._error

    def placed(self) -> bool:
        """Return whether our stream plays into the microphone and nowhere else."""
        return self._placed.is_set()

    def retire(self) -> None:
        """Stop minding the stream, which is about to end."""
        self._retired = True

    def stop(self, *, remove: bool) -> None:
        """End the watch; with `remove`, take the devices away if they are ours. Idempotent, never raises."""
        self._remove = remove
        self._stopping.set()
        deadline_s = time.monotonic() + _STOP_TIMEOUT_S
        while self._thread.is_alive() and time.monotonic() < deadline_s:
            with self._pulse_lock:
                if self._pulse is not None:
                    self._pulse.event_listen_stop()
            # A stop that comes just before listening begins is forgotten by pulsectl: ask again.
            self._thread.join(_STOP_RETRY_S)

    @property
    def alive(self) -> bool:
        """Whether its thread still runs; after `stop` that means: stuck in a server that does not answer."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            with server.losses():
                self._connect()
                self._owned = server.ensure_microphone(self._pulse, self._name, self._label)
                self._ready.set()
                self._watch()
                self._finish()
        except DeviceError as error:
            self._fail(error)
        finally:
            with self._pulse_lock:
                connection, self._pulse = self._pulse, None
            if connection is not None:
                connection.close()

    def _finish(self) -> None:
        if self._remove and self._owned and self.lost is None:
            server.remove_microphone(self._pulse, self._name)

    def _fail(self, error: DeviceError) -> None:
        self._error = error
        self.lost = self.lost or str(error)
        self._ready.set()

    def _connect(self) -> None:
        try:
            self._pulse = server.connect()
        except DeviceError:
            if not (self._start_server and server.can_start_server()):
                raise
            server.start_server()
            self.started_server = True
            self._pulse = server.connect()
        self.server_name = self._pulse.server_info().server_name

    def _watch(self) -> None:
        pulsectl = server.load()

        def wake(_event: object) -> None:
            raise pulsectl.PulseLoopStop

        self._pulse.event_mask_set("sink", "source", "sink_input", "server")
        self._pulse.event_callback_set(wake)
        checks = 0
        while not self._stopping.is_set() and self.lost is None:
            try:
                self._check()
            except pulsectl.PulseOperationFailed as error:
                # What was listed a moment ago is gone; when it is the server itself, listening says so.
                log.debug("sound server: operation failed: %s", error)
            checks += 1
            settled = checks > _QUICK_CHECKS and self._placed.is_set()
            interval = _CHECK_INTERVAL_S if settled else _QUICK_INTERVAL_S
            self._pulse.event_listen(timeout=interval)

    def _check(self) -> None:
        sinks = {sink.name: sink for sink in self._pulse.sink_list()}
        sink = sinks.get(server.sink_name(self._name))
        microphone = any(source.name == self._name for source in self._pulse.source_list())
        streams = [
            s for s in self._pulse.sink_input_list() if s.proplist.get(STREAM_PROPERTY) == self.stream_tag
        ]
        if sink is None or not microphone:
            # The server has moved our stream to the default sink: not one word on the speakers.
            for stream in streams:
                self._pulse.mute(stream)
            self.lost = "it was removed from the sound server"
            return
        for stream in streams:
            self._keep(stream, sink)
        now_s = time.monotonic()
        if streams:
            self._seen_stream_s = now_s
        elif self._seen_stream_s is not None:
            self._placed.clear()
            if now_s - self._seen_stream_s > _ABSENT_TIMEOUT_S and not self._retired:
                self.lost = "the sound server ended its stream"

    def _keep(self, stream: Entity, sink: Entity) -> None:
        if stream.sink != sink.index:
            self._bring_back(stream, sink)
            return
        self._misplaced_s = None
        if sink.state == "suspended":
            self._pulse.sink_suspend(sink.index, 0)
        # The server restores what a mixer did to an earlier stream; persona and voice decide about the level.
        if stream.mute:
            self._pulse.mute(stream, mute=False)
        if abs(stream.volume.value_flat - 1.0) > 0.01:
            self._pulse.volume_set_all_chans(stream, 1.0)
        self._placed.set()
        self._note_latency(stream)

    def _bring_back(self, stream: Entity, sink: Entity) -> None:
        self._placed.clear()
        now_s = time.monotonic()
        if self._misplaced_s is None:
            self._misplaced_s = now_s
        if now_s - self._misplaced_s > _MISPLACED_TIMEOUT_S:
            self.lost = "its stream is held at another output"
        if stream.sink != _NO_SINK:
            log.warning("the microphone's stream was moved to another output; moving it back")
            self._pulse.mute(stream)
            self._pulse.sink_input_move(stream.index, sink.index)

    def _note_latency(self, stream: Entity) -> None:
        if stream.buffer_usec <= 0:
            return
        # The null sink takes blocks out of the buffer and hands them to readers at once. Sampled at any
        # moment the buffer is somewhere between just filled and due for the next write; right after a write,
        # which is what we are asked for, it is full: the upper quartile.
        self._latencies_s.append(stream.buffer_usec / 1e6)
        full_s = sorted(self._latencies_s)[len(self._latencies_s) * 3 // 4]
        self._latency_ns = round(full_s * 1e9)


def may_start_server(last_foreign_s: float | None) -> bool:
    """Return whether it is time to start a server, given when somebody else's was last seen (monotonic)."""
    return last_foreign_s is None or time.monotonic() - last_foreign_s > _FOREIGN_GRACE_S
