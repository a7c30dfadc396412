"""Checks of the way to the virtual microphone: sound server, its modules, PortAudio, ALSA's Pulse plug-in."""

from __future__ import annotations

import os
import sys

from vcam_talker.air.sinks.pulse import can_start_server, connect
from vcam_talker.config import Config
from vcam_talker.core.errors import DeviceError
from vcam_talker.doctor.finding import Finding, Machine

_PLUGIN_FOLDERS = ("usr/lib/*/alsa-lib", "usr/lib64/alsa-lib", "usr/lib/alsa-lib", "usr/local/lib/alsa-lib")
_MODULE_FOLDERS = ("usr/lib/pulse-*/modules", "usr/lib/*/pulse-*/modules", "usr/lib/*/pulseaudio/modules")


def check_sound_server(config: Config, machine: Machine) -> list[Finding]:
    """See whether a server answers, and whether the microphone is or can be made on it."""
    if config.microphone.device != "auto":
        return [Finding("sound", "ok", f"microphone is '{config.microphone.device}': no server needed")]
    if sys.platform != "linux":
        remedy = "VB-Cable on Windows, BlackHole on macOS; name it in 'microphone.device'"
        return [Finding("sound", "warn", "the microphone can't be made here", remedy)]
    try:
        pulse = connect()
    except (DeviceError, ImportError, OSError) as e:
        return [_without_server(config, str(e))]
    try:
        info = pulse.server_info()
        found = [Finding("sound", "ok", f"{info.server_name} {info.server_version} answers")]
        sources = {source.name for source in pulse.source_list()}
    finally:
        pulse.close()
    name = config.microphone.name
    if name in sources:
        return [*found, Finding("microphone", "ok", f"'{name}' is there")]
    if "PipeWire" in info.server_name or _has_modules(machine):
        return [*found, Finding("microphone", "ok", f"'{name}' can be made")]
    message = "PulseAudio lacks module-null-sink or module-remap-source"
    return [*found, Finding("microphone", "fail", message, "apt-get install --reinstall pulseaudio")]


def _without_server(config: Config, why: str) -> Finding:
    if not config.microphone.start_sound_server:
        remedy = "Start one, or set 'microphone.start_sound_server' to true"
        return Finding("sound", "fail", f"no virtual microphone: {why}", remedy)
    if can_start_server():
        return Finding("sound", "ok", "no server runs; the daemon starts PulseAudio when it goes on air")
    if address := os.environ.get("PULSE_SERVER"):
        message = f"no virtual microphone: nothing answers at PULSE_SERVER={address}"
        return Finding("sound", "fail", message, "Unset PULSE_SERVER or start that server")
    message = "no virtual microphone: no sound server runs, and PulseAudio is not installed"
    return Finding("sound", "fail", message, "apt-get install pulseaudio")


def _has_modules(machine: Machine) -> bool:
    """Return whether both modules lie on this machine; where there is no module folder at all, believe so."""
    folders = [folder for pattern in _MODULE_FOLDERS for folder in machine.root.glob(pattern)]
    wanted = ("module-null-sink.so", "module-remap-source.so")
    return not folders or any(all((folder / name).is_file() for name in wanted) for folder in folders)


def check_portaudio(config: Config, machine: Machine) -> list[Finding]:
    """Look at PortAudio, and at the ALSA plug-in through which it reaches the server on Linux."""
    if config.microphone.device == "null" or config.microphone.device.startswith("file:"):
        return [Finding("portaudio", "ok", f"microphone is '{config.microphone.device}': not needed")]
    try:
        import pyaudio
    except ImportError as e:
        remedy = "apt-get install gcc libc6-dev python3-dev portaudio19-dev, then 'make install'"
        return [Finding("portaudio", "fail", f"no virtual microphone: PyAudio is missing ({e})", remedy)]
    found = [Finding("portaudio", "ok", str(pyaudio.get_portaudio_version_text()))]
    if sys.platform == "linux" and not _pulse_plugin(machine):
        message = "no virtual microphone: ALSA's Pulse plug-in is missing"
        found.append(Finding("portaudio", "fail", message, "apt-get install libasound2-plugins"))
    return found


def _pulse_plugin(machine: Machine) -> bool:
    name = "libasound_module_pcm_pulse.so"
    return any((f / name).exists() for pattern in _PLUGIN_FOLDERS for f in machine.root.glob(pattern))
