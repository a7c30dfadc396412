"""A blocking PortAudio output (through PyAudio) that can never block its caller for good.

PortAudio's blocking write has no time limit: while the sound server is stopped or wedged it does not return.
So each stream is owned by one feeder thread. `write` hands it a block and waits until the block was taken,
which adds no buffering, but gives up after `WRITE_TIMEOUT_S`; a feeder that is stuck closes its stream by
itself once the call comes back.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias

import numpy as np

from vcam_talker.air.priority import prefer_this_thread
from vcam_talker.core.errors import DeviceError
from vcam_talker.core.types import Samples

BLOCK_FRAMES: Final = 480
"""Frames per PortAudio period unless asked otherwise: 10 ms at 48 kHz."""
_PyAudio: TypeAlias = Any
"""A `pyaudio.PyAudio` (the library has no types)."""
WRITE_TIMEOUT_S: Final = 1.0
_CLOSE_TIMEOUT_S: Final = 1.0

# Best first: WASAPI and Core Audio have little latency; MME cuts names at 31 characters.
_HOST_APIS: Final = (
    "Windows WASAPI",
    "Core Audio",
    "ALSA",
    "JACK Audio Connection Kit",
    "Windows DirectSound",
    "MME",
)

# PortAudio's set-up and tear-down share global state and are not thread-safe.
_portaudio_lock = threading.Lock()
_ALSA_HANDLER = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)
_JACK_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p)
# The C libraries keep these pointers for the life of the process.
_alsa_handler = _ALSA_HANDLER(lambda _file, _line, _function, _code, _format: None)
_jack_handler = _JACK_HANDLER(lambda _message: None)


@dataclass(frozen=True, slots=True)
class OutputDevice:
    """A sound output as PortAudio lists it."""

    index: int
    name: str
    host_api: str
    channels: int
    """The most it takes."""


class NoSuchOutputError(DeviceError):
    """No sound output has this name."""


class FeederStuckError(OSError):
    """The device took no sound for `WRITE_TIMEOUT_S`."""


def _silence_libraries() -> None:
    """Stop ALSA and JACK from printing their probing of absent hardware on our stderr."""
    if not sys.platform.startswith("linux"):
        return
    for library, functions, handler in (
        ("libasound.so.2", ("snd_lib_error_set_handler",), _alsa_handler),
        ("libjack.so.0", ("jack_set_error_function", "jack_set_info_function"), _jack_handler),
    ):
        try:
            loaded = ctypes.CDLL(library)
        except OSError:
            continue
        for function in functions:
            getattr(loaded, function)(handler)


def alsa_config_file() -> Path:
    """Return the file with ALSA's own configuration. Raises DeviceError without ALSA."""
    try:
        alsa = ctypes.CDLL("libasound.so.2")
    except OSError as error:
        remedy = "Install it: apt install libasound2-plugins"
        raise DeviceError("sound output", f"ALSA can't be loaded ({error})", remedy) from error
    alsa.snd_config_topdir.restype = ctypes.c_char_p
    return Path(os.fsdecode(alsa.snd_config_topdir())) / "alsa.conf"


def _pyaudio() -> ModuleType:
    try:
        import pyaudio
    except ImportError as error:
        raise DeviceError(
            "sound output", f"PortAudio can't be loaded ({error})", "Install it: apt install libportaudio2"
        ) from error
    module: ModuleType = pyaudio
    return module


def _start_portaudio(pyaudio: ModuleType) -> _PyAudio:
    try:
        return pyaudio.PyAudio()
    except OSError as error:
        raise DeviceError("sound output", f"PortAudio can't be started ({error})") from error


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the C libraries, and put them back whatever happens.

    ALSA reads its own while PortAudio starts and again while the stream is opened, libpulse while the stream
    is opened; neither can be told in another way. The environment is the whole process's: a program that
    another thread starts in these milliseconds inherits the changes, so hold it for nothing else. They mean
    nothing to a program that plays no sound, as the engine and the voices don't; streams of one that does
    would be taken for ours.
    """
    before = {name: os.environ.get(name) for name in changes}
    try:
        os.environ.update(changes)
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _list(audio: _PyAudio) -> list[OutputDevice]:
    devices = []
    for index in range(audio.get_device_count()):
        info = audio.get_device_info_by_index(index)
        if info["maxOutputChannels"] > 0:
            host_api = audio.get_host_api_info_by_index(info["hostApi"])["name"]
            devices.append(OutputDevice(index, info["name"], host_api, int(info["maxOutputChannels"])))
    return devices


def list_outputs() -> list[OutputDevice]:
    """Return every sound output. Takes up to a second. Raises DeviceError without PortAudio."""
    pyaudio = _pyaudio()
    with _portaudio_lock:
        _silence_libraries()
        audio = _start_portaudio(pyaudio)
        try:
            return _list(audio)
        except OSError as error:
            raise DeviceError("sound output", f"PortAudio can't list it ({error})") from error
        finally:
            audio.terminate()


def pick_output(devices: list[OutputDevice], name: str) -> OutputDevice | None:
    """Return the output called `name`, else one that contains it, case ignored; best host API first."""

    def preference(device: OutputDevice) -> int:
        return _HOST_APIS.index(device.host_api) if device.host_api in _HOST_APIS else len(_HOST_APIS)

    wanted = name.casefold()
    ordered = sorted(devices, key=preference)
    exact = [device for device in ordered if device.name.casefold() == wanted]
    partial = [device for device in ordered if wanted in device.name.casefold()]
    return next(iter(exact + partial), None)


def find_output_by_name(name: str) -> OutputDevice | None:
    """Return the output called `name` or containing it (`CABLE Input`), or None. Raises DeviceError."""
    return pick_output(list_outputs(), name)


class PortAudioOutput:
    """One open output stream, float32. Used from one thread."""

    def __init__(
        self,
        name: str,
        rate: int,
        channels: int,
        *,
        period_frames: int = BLOCK_FRAMES,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Open the output called `name` and start it. Raises DeviceError.

        `channels`: how many are wanted; mono sound is copied to each. `period_frames`: PortAudio asks ALSA
        for a buffer of three of these. `environment` holds while it opens.
        """
        pyaudio = _pyaudio()
        with _portaudio_lock:
            _silence_libraries()
            with _environment(environment or {}):
                self._open(pyaudio, name, rate, channels, period_frames)
        self._changed = threading.Condition()
        self._block: bytes | None = None
        self._error: OSError | None = None
        self._closing = False
        self._feeder = threading.Thread(target=self._feed, name="sound-feeder", daemon=True)
        self._feeder.start()

    def _open(self, pyaudio: ModuleType, name: str, rate: int, channels: int, period_frames: int) -> None:
        self._audio = _start_portaudio(pyaudio)
        try:
            device = pick_output(_list(self._audio), name)
            if device is None:
                raise NoSuchOutputError(f"sound output '{name}'", "there is none of this name")
            self._channels = min(channels, device.channels)
            self._stream = self._audio.open(
                rate=rate,
                channels=self._channels,
                format=pyaudio.paFloat32,
                output=True,
                output_device_index=device.index,
                frames_per_buffer=period_frames,
            )
        except (OSError, ValueError) as error:  # ValueError: PyAudio's own checks of the parameters
            self._audio.terminate()
            raise DeviceError(f"sound output '{name}'", f"it can't be opened ({error})") from error
        except DeviceError:
            self._audio.terminate()
            raise
        self.latency_s: float = self._stream.get_output_latency()

    def write(self, samples: Samples) -> None:
        """Play float32[N] mono; blocks while the buffer is full. Raises OSError when the device is gone."""
        block = np.clip(samples, -1.0, 1.0).astype(np.float32, copy=False)
        if self._channels > 1:
            block = np.repeat(block, self._channels)
        with self._changed:
            self._block = block.tobytes()
            self._changed.notify_all()
            taken = self._changed.wait_for(lambda: self._block is None or self._error, WRITE_TIMEOUT_S)
            if self._error is not None:
                raise self._error
            if not taken:
                raise FeederStuckError(f"it took no sound for {WRITE_TIMEOUT_S:g} s")

    def close(self) -> None:
        """Stop at once and release. Idempotent, never raises, returns within a second."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._feeder.join(_CLOSE_TIMEOUT_S)

    def _feed(self) -> None:
        # Playout's real-time policy is not inherited, on purpose; but a block that waits here is a gap.
        prefer_this_thread()
        while (block := self._next_block()) is not None:
            try:
                self._stream.write(block)
            except OSError as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                break
            with self._changed:
                self._block = None
                self._changed.notify_all()
        self._release()

    def _next_block(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._block is not None or self._closing)
            return None if self._closing else self._block

    def _release(self) -> None:
        with _portaudio_lock:
            try:
                self._stream.close()
            except OSError:
                pass  # the device is gone already: there is nothing left to release
            finally:
                self._audio.terminate()
