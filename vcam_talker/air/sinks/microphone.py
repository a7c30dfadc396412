"""Sound devices as sinks: our own virtual microphone (Linux), or a named output (VB-Cable, BlackHole)."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from vcam_talker.air.sinks.portaudio import (
    BLOCK_FRAMES,
    NoSuchOutputError,
    PortAudioOutput,
    alsa_config_file,
)
from vcam_talker.air.sinks.pulse import sink_name
from vcam_talker.air.sinks.pulse_keeper import STREAM_PROPERTY, MicrophoneKeeper, may_start_server
from vcam_talker.core.errors import DeviceError, DeviceLostError
from vcam_talker.core.types import NS_PER_S, AudioChunk

log = logging.getLogger(__name__)

_PCM: Final = "vcam_talker"
"""Name of the ALSA device that we define."""
_PERIODS: Final = 3
"""How many periods PortAudio's ALSA buffer has."""
_OUTPUT_TIMEOUT_S: Final = 1.5
_OUTPUT_RETRY_S: Final = 0.1
_PLACE_TIMEOUT_S: Final = 3.0
_REMEDY: Final = "It is opened again as soon as the sound server allows"


class MicrophoneSink:
    """The microphone that applications list, on PulseAudio or PipeWire.

    `open` creates it and blocks for up to 10 s (typically 0.1 s); `write` blocks while the buffer is full,
    for 1 s at most. After DeviceLostError the owner calls `close` and `open` again with back-off: the devices
    that are still there stay, so that readers keep their microphone.
    """

    paced: Final = True

    def __init__(self, name: str, label: str, *, latency_ms: int = 20, start_server: bool = True) -> None:
        """`latency_ms`: buffer asked of the server. `start_server`: start PulseAudio when no server runs."""
        self.name = name
        self._label = label
        self._latency_ms = latency_ms
        self._start_server = start_server
        self._keeper: MicrophoneKeeper | None = None
        self._retired: MicrophoneKeeper | None = None
        """The keeper of the last life, until its thread has ended."""
        self._output: PortAudioOutput | None = None
        self._last_foreign_s: float | None = None

    @property
    def server_name(self) -> str:
        """What the sound server calls itself; empty while closed."""
        return self._keeper.server_name if self._keeper else ""

    def open(self, rate: int) -> None:
        """Create the microphone and start its stream, mono at `rate` Hz. Raises DeviceError."""
        if self._retired is not None and self._retired.alive:
            raise DeviceError(f"microphone '{self.name}'", "the sound server does not answer", _REMEDY)
        self._retired = keeper = MicrophoneKeeper(
            self.name,
            self._label,
            start_server=self._start_server and may_start_server(self._last_foreign_s),
            latency_s=self._latency_ms / 1000,
        )
        try:
            keeper.start()
            output = self._open_output(keeper, rate)
        except DeviceError:
            # Taken back: nobody may come again to remove a microphone that never gets sound.
            keeper.stop(remove=True)
            raise
        self._keeper, self._output = keeper, output
        try:
            self._await_placement(keeper, output)
        except DeviceError:
            self.close()
            raise

    def _open_output(self, keeper: MicrophoneKeeper, rate: int) -> PortAudioOutput:
        try:
            # What can't be cleaned up does no harm; an open output must not be lost over it.
            with TemporaryDirectory(prefix="vcam-talker-", ignore_cleanup_errors=True) as folder:
                return self._await_output(keeper, rate, self._environment(keeper, Path(folder)))
        except OSError as error:
            why = f"the settings for ALSA can't be written ({error.strerror or error})"
            remedy = "Free some space for temporary files, or set TMPDIR to a folder that has some"
            raise DeviceError(f"microphone '{self.name}'", why, remedy) from error

    def _await_output(
        self, keeper: MicrophoneKeeper, rate: int, environment: dict[str, str]
    ) -> PortAudioOutput:
        deadline_s = time.monotonic() + _OUTPUT_TIMEOUT_S
        period_frames = rate * self._latency_ms // (1000 * _PERIODS)
        while True:
            try:
                return PortAudioOutput(_PCM, rate, 1, period_frames=period_frames, environment=environment)
            except NoSuchOutputError as error:
                raise DeviceError(
                    f"microphone '{self.name}'",
                    "ALSA has no way to the sound server",
                    "Install it: apt install libasound2-plugins",
                ) from error
            except DeviceError:
                # PipeWire refuses streams until its session manager is up, after its Pulse server.
                if keeper.lost is not None or time.monotonic() > deadline_s:
                    raise
                time.sleep(_OUTPUT_RETRY_S)

    def write(self, chunk: AudioChunk) -> None:
        """Play one block; blocks while the buffer is full. Raises DeviceLostError."""
        if self._output is None or self._keeper is None:
            raise DeviceLostError(f"microphone '{self.name}'", "it is closed", _REMEDY)
        if self._keeper.lost is not None:
            raise DeviceLostError(f"microphone '{self.name}'", self._keeper.lost, _REMEDY)
        try:
            self._output.write(chunk.samples)
        except OSError as error:
            self._keeper.lost = f"the sound server is gone or wedged ({error})"
            raise DeviceLostError(f"microphone '{self.name}'", self._keeper.lost, _REMEDY) from error

    def latency_ns(self) -> int:
        """Return the time from `write` returning until a reader gets the block's last sample. Does not block.

        Follows the server's own report, refreshed once a second off the write path.
        """
        return self._keeper.latency_ns if self._keeper else 0

    def close(self) -> None:
        """Stop, and remove the devices if they are ours and were not lost. Idempotent, never raises."""
        keeper, output = self._keeper, self._output
        self._keeper = self._output = None
        if keeper is not None and keeper.server_name and not keeper.started_server:
            self._last_foreign_s = time.monotonic()
        # The stream ends first: removing the devices under it would move it to the speakers.
        if keeper is not None:
            keeper.retire()
        if output is not None:
            output.close()
        if keeper is not None:
            keeper.stop(remove=keeper.lost is None)

    def _environment(self, keeper: MicrophoneKeeper, folder: Path) -> dict[str, str]:
        """Return what makes ALSA's way to the sound server play into our sink, under a name of our own.

        ALSA's stock `pulse` device ends its stream on every underrun and makes a new one, which takes 0.1 s
        to 0.7 s; with `handle_underrun 0` the server just plays silence. `PULSE_LATENCY_MSEC` is no way to a
        small buffer: after an underrun the server may wait for more sound than ALSA lets us write, for ever.
        `node.dont-reconnect` is PipeWire's: without its target the stream ends instead of going elsewhere.
        """
        definition = folder / "asound.conf"
        definition.write_text(
            f'pcm.{_PCM} {{ type pulse device "{sink_name(self.name)}" handle_underrun 0 }}\n',
            encoding="ascii",
        )
        return {
            "ALSA_CONFIG_PATH": f"{alsa_config_file()}:{definition}",
            "PULSE_PROP": f"{STREAM_PROPERTY}={keeper.stream_tag} node.dont-reconnect=true",
        }

    def _await_placement(self, keeper: MicrophoneKeeper, output: PortAudioOutput) -> None:
        """Play silence until the stream is seen on our sink: only then may speech be written."""
        silence = np.zeros(BLOCK_FRAMES, np.float32)
        deadline = time.monotonic() + _PLACE_TIMEOUT_S
        while not keeper.placed():
            if keeper.lost is not None:
                raise DeviceError(f"microphone '{self.name}'", keeper.lost)
            if time.monotonic() > deadline:
                raise DeviceError(f"microphone '{self.name}'", "its stream does not reach its sink")
            try:
                output.write(silence)
            except OSError as error:
                raise DeviceError(f"microphone '{self.name}'", f"its stream failed ({error})") from error


class NamedOutputSink:
    """A sound output by name: the cable that carries our sound to an application (VB-Cable, BlackHole)."""

    paced: Final = True

    def __init__(self, name: str) -> None:
        self.name = name
        self._output: PortAudioOutput | None = None

    def open(self, rate: int) -> None:
        """Open it, blocking for up to a second. Raises DeviceError. Never falls back to another output."""
        try:
            # Cables are stereo and their drivers may refuse anything else.
            self._output = PortAudioOutput(self.name, rate, 2)
        except DeviceError as error:
            raise DeviceError(error.what, error.why, "vcam-talker devices lists what there is") from error

    def write(self, chunk: AudioChunk) -> None:
        """Play one block; blocks while the buffer is full, for 1 s at most. Raises DeviceLostError."""
        if self._output is None:
            raise DeviceLostError(f"sound output '{self.name}'", "it is closed")
        try:
            self._output.write(chunk.samples)
        except OSError as error:
            raise DeviceLostError(
                f"sound output '{self.name}'", f"it takes no sound ({error})", _REMEDY
            ) from error

    def latency_ns(self) -> int:
        """Return what the driver reports for its own buffers."""
        return round(self._output.latency_s * NS_PER_S) if self._output else 0

    def close(self) -> None:
        """Stop. Idempotent, never raises."""
        output, self._output = self._output, None
        if output is not None:
            output.close()
