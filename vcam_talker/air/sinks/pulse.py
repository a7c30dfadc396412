"""The virtual microphone on PulseAudio, and on PipeWire through its Pulse server: making and removing it.

A null sink takes our sound; a remapped source on its monitor is what applications list as a microphone
(Chromium hides plain monitors). The sink carries our process id in its properties, so that what a crashed run
left behind is told from what another daemon uses, and is taken over with its readers still attached.

Every function blocks and takes a connected `pulsectl.Pulse`; use one connection from one thread only.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias

from vcam_talker.core.errors import DeviceError, DeviceLostError
from vcam_talker.core.types import SAMPLE_RATE

log = logging.getLogger(__name__)

Connection: TypeAlias = Any
"""A connected `pulsectl.Pulse` (the library has no types)."""
OWNER_PROPERTY: Final = "vcam_talker.pid"

_START_TIMEOUT_S: Final = 8.0
_APPEAR_TIMEOUT_S: Final = 3.0
_IDLE_EXIT_S: Final = 20
_NO_SERVER_REMEDY: Final = (
    "Install one (apt install pulseaudio), log in to a desktop session, or use --mic null"
)


def sink_name(name: str) -> str:
    """Return the name of the sink that feeds the microphone `name`."""
    return f"{name}_sink"


def load() -> ModuleType:
    """Return `pulsectl`. Raises DeviceError without libpulse."""
    try:
        import pulsectl
    except (ImportError, OSError) as error:
        raise DeviceError(
            "sound server", f"libpulse can't be loaded ({error})", "Install it: apt install libpulse0"
        ) from error
    module: ModuleType = pulsectl
    return module


@contextlib.contextmanager
def losses() -> Iterator[None]:
    """Turn whatever pulsectl raises when the server goes away into DeviceLostError."""
    pulsectl = load()
    # Lists are asked for without pulsectl's own translation of what libpulse refuses at once.
    refused: type[Exception] = pulsectl._pulsectl.LibPulse.CallError  # noqa: SLF001
    try:
        yield
    except (pulsectl.PulseError, pulsectl.PulseDisconnected, refused) as error:
        raise DeviceLostError("sound server", f"the connection broke ({error or 'closed'})") from error


def connect() -> Connection:
    """Return a connection to the user's sound server; one that systemd starts on demand is started by this.

    Blocks for as long as a wedged server does: call it where that harms nobody. Raises DeviceError.
    """
    pulsectl = load()
    # pulsectl's own time limit is no help: it always waits to its end, even when connected at once.
    pulse = pulsectl.Pulse("vcam_talker", connect=False)
    try:
        pulse.connect()
    except pulsectl.PulseError as error:
        pulse.close()
        raise DeviceError("sound server", "none answers for this user", _NO_SERVER_REMEDY) from error
    return pulse


def can_start_server() -> bool:
    """Return whether PulseAudio is installed and the environment does not name another server."""
    return shutil.which("pulseaudio") is not None and not os.environ.get("PULSE_SERVER")


def start_server() -> None:
    """Start a PulseAudio for this user; works for root in a container too. Raises DeviceError.

    It leaves by itself 20 s after its last client, so nothing outlives the daemon.
    """
    _forget_dead_server()
    command = ["pulseaudio", "--start", f"--exit-idle-time={_IDLE_EXIT_S}", "--log-target=null"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_START_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(
            "sound server", f"pulseaudio can't be started ({error})", _NO_SERVER_REMEDY
        ) from error
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise DeviceError("sound server", f"pulseaudio can't be started ({reason[0]})", _NO_SERVER_REMEDY)
    log.info("started a PulseAudio server for this user")


def _forget_dead_server() -> None:
    """Remove the pid file of a killed server that nobody reaped, as in containers without an init.

    `pulseaudio --start` takes such a process for a running server and does nothing.
    """
    if runtime := os.environ.get("PULSE_RUNTIME_PATH"):
        pid_file = Path(runtime) / "pid"
    else:
        pid_file = Path(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")) / "pulse" / "pid"
    with contextlib.suppress(OSError, ValueError):
        status = Path(f"/proc/{int(pid_file.read_text())}/stat").read_text(errors="replace")
        if status.rpartition(")")[2].split()[0] == "Z":
            pid_file.unlink()


def ensure_microphone(pulse: Connection, name: str, label: str) -> bool:
    """Make sure that the microphone `name` exists; return whether it is ours to remove.

    Reuses what is there. Never leaves our sink or source as the user's default where there was another.
    Raises DeviceError.
    """
    pulsectl = load()
    label = quotable(label)
    default = Defaults(pulse)
    sinks = {sink.name: sink for sink in pulse.sink_list()}
    sources = {source.name: source for source in pulse.source_list()}
    owned = True
    sink = sinks.get(sink_name(name))
    if sink is not None:
        owner = sink.proplist.get(OWNER_PROPERTY, "")
        # Our own process id: an earlier life of this daemon's microphone, or of one before it (in a container
        # each start may get the same).
        owned = owner == str(os.getpid()) or not alive(owner)
        if owned and name in sources and sources[name].description != label:
            # Left by an earlier run under another label; applications must see the one configured now.
            remove_microphone(pulse, name)
            sink = None
            del sources[name]
    try:
        if sink is None:
            pulse.module_load("module-null-sink", _sink_arguments(name, label))
            await_device(pulse.sink_list, sink_name(name), f"microphone '{name}'")
        if name not in sources:
            pulse.module_load("module-remap-source", _source_arguments(name, label))
            await_device(pulse.source_list, name, f"microphone '{name}'")
    except pulsectl.PulseError as error:
        raise DeviceError(
            f"microphone '{name}'", f"the sound server refuses to create it ({error})"
        ) from error
    default.restore(pulse, sink_name(name), name)
    return owned


def remove_microphone(pulse: Connection, name: str) -> None:
    """Unload the modules of the microphone `name`, whoever made them; readers are moved by the server."""
    pulsectl = load()
    marks = (f"source_name={name} ", f"sink_name={sink_name(name)} ")
    for mark in marks:
        for module in pulse.module_list():
            if mark in f"{module.argument or ''} ":
                try:
                    pulse.module_unload(module.index)
                except pulsectl.PulseError as error:
                    log.debug("module %s was gone already: %s", module.index, error)


class Defaults:
    """The user's default sink and source, to be put back after devices of ours took their place."""

    def __init__(self, pulse: Connection) -> None:
        info = pulse.server_info()
        self._sink: str = info.default_sink_name or ""
        self._source: str = info.default_source_name or ""

    def restore(self, pulse: Connection, our_sink: str, our_source: str) -> None:
        """Make the defaults of before the defaults again, where `our_*` have become them."""
        info = pulse.server_info()
        if info.default_sink_name == our_sink:
            for sink in pulse.sink_list():
                if sink.name == self._sink != our_sink:
                    pulse.sink_default_set(sink)
        if info.default_source_name == our_source:
            for source in pulse.source_list():
                # A monitor is what a machine without a microphone has as its default; ours is better.
                if source.name == self._source != our_source and not source.monitor_of_sink_name:
                    pulse.source_default_set(source)


def quotable(text: str) -> str:
    """Return `text` without the characters that module arguments can't carry."""
    return "".join(" " if c in "\"'\\" or not c.isprintable() else c for c in text).strip()


def _sink_arguments(name: str, label: str) -> str:
    return (
        f"sink_name={sink_name(name)} rate={SAMPLE_RATE} channels=1 channel_map=mono norewinds=1 "
        f'sink_properties=\'device.description="{label} (feed)" {OWNER_PROPERTY}="{os.getpid()}"\''
    )


def _source_arguments(name: str, label: str) -> str:
    return (
        f"source_name={name} master={sink_name(name)}.monitor rate={SAMPLE_RATE} channels=1 channel_map=mono "
        f'source_properties=\'device.description="{label}" device.icon_name="audio-input-microphone"\''
    )


def alive(pid: str) -> bool:
    """Return whether the process that made the devices still runs."""
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def await_device(list_devices: Callable[[], list[Any]], name: str, what: str) -> None:
    """Wait until the server lists `name`: PipeWire answers before its devices are. Raises DeviceError."""
    deadline = time.monotonic() + _APPEAR_TIMEOUT_S
    while all(device.name != name for device in list_devices()):
        if time.monotonic() > deadline:
            raise DeviceError(what, "the sound server accepted it but does not show it")
        time.sleep(0.01)
