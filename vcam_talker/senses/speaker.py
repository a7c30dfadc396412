"""The virtual speaker of call mode: a null sink that an application plays the call into, and we listen to.

The presenter's own voice goes to the virtual microphone and never comes here.
"""

from __future__ import annotations

import os

from vcam_talker.air.sinks import pulse as server
from vcam_talker.core.errors import DeviceError
from vcam_talker.core.types import SAMPLE_RATE


def ensure_speaker(pulse: server.Connection, name: str, label: str) -> bool:
    """Make sure that the sink `name` exists; return whether it is ours to remove.

    Never leaves it as the user's default output where there was another. Raises DeviceError.
    """
    pulsectl = server.load()
    sinks = {sink.name: sink for sink in pulse.sink_list()}
    if (there := sinks.get(name)) is not None:
        owner = there.proplist.get(server.OWNER_PROPERTY, "")
        return owner == str(os.getpid()) or not server.alive(owner)
    before = pulse.server_info().default_sink_name or ""
    arguments = (
        f"sink_name={name} rate={SAMPLE_RATE} channels=2 channel_map=stereo norewinds=1 "
        f'sink_properties=\'device.description="{server.quotable(label)}" '
        f'{server.OWNER_PROPERTY}="{os.getpid()}"\''
    )
    try:
        pulse.module_load("module-null-sink", arguments)
    except pulsectl.PulseError as e:
        raise DeviceError(f"speaker '{name}'", f"the sound server refuses to create it ({e})") from e
    server.await_device(pulse.sink_list, name, f"speaker '{name}'")
    if before != name and pulse.server_info().default_sink_name == name and before in sinks:
        pulse.sink_default_set(sinks[before])
    return True


def remove_speaker(pulse: server.Connection, name: str) -> None:
    """Unload the speaker's module; the server moves whoever plays into it."""
    pulsectl = server.load()
    for module in pulse.module_list():
        if f"sink_name={name} " in f"{module.argument or ''} ":
            try:
                pulse.module_unload(module.index)
            except pulsectl.PulseError:
                return
