"""Which source the ears record, and whether the recording still comes from there."""

from __future__ import annotations

import logging
from typing import Any, Final

from vcam_talker.air.sinks import pulse as server
from vcam_talker.config import EarsConfig, MicrophoneConfig
from vcam_talker.core.errors import DeviceError, DeviceLostError
from vcam_talker.senses.speaker import ensure_speaker, remove_speaker

log = logging.getLogger(__name__)

_OWN_REMEDY: Final = 'Name a real microphone in ears.device, or set ears.mode = "call"'


class EarSource:
    """Opens what `[ears]` names: a microphone, or the monitor of a virtual speaker it makes. One thread."""

    def __init__(self, config: EarsConfig, microphone: MicrophoneConfig) -> None:
        self._config = config
        self._own = {microphone.name, f"{server.sink_name(microphone.name)}.monitor"}
        self._pulse: Any = None
        self._expected = ""
        self._owned = False

    @property
    def name(self) -> str:
        """What a user would call it."""
        config = self._config
        if config.mode == "call":
            return config.speaker_name
        return "the default microphone" if config.device == "auto" else config.device

    def open(self) -> str:
        """Return the name of the source to record, made first if need be. Blocks. Raises DeviceError."""
        self._disconnect()
        with server.losses():
            self._pulse = server.connect()
            self._expected = self._find()
        return self._expected

    def check(self, pid: int) -> None:
        """Raise DeviceLostError when the recording of program `pid` was moved to another source.

        A server moves streams whose source has gone to the default one, which might be our own microphone.
        """
        with server.losses():
            sources = {source.index: source.name for source in self._pulse.source_list()}
            for stream in self._pulse.source_output_list():
                if stream.proplist.get("application.process.id") != str(pid):
                    continue
                actual = sources.get(stream.source, "")
                if actual and actual != self._expected:
                    raise DeviceLostError(self.name, f"the recording was moved to {actual}")

    def close(self) -> None:
        """Take the virtual speaker away if it is ours, and hang up. Never raises."""
        if self._pulse is not None and self._owned:
            try:
                with server.losses():
                    remove_speaker(self._pulse, self._config.speaker_name)
            except DeviceError as e:
                log.debug("%s", e)
        self._disconnect()

    def _find(self) -> str:
        config = self._config
        if config.mode == "call":
            self._owned = ensure_speaker(self._pulse, config.speaker_name, config.speaker_label)
            return f"{config.speaker_name}.monitor"
        name = config.device
        if name == "auto":
            name = self._pulse.server_info().default_source_name or ""
            # Without a microphone servers take the loudspeakers' monitor: everything that plays here.
            if not name or name in self._own or name.endswith(".monitor"):
                raise DeviceError("ears", "there is no microphone", "Connect one, or name it in ears.device")
        if name in self._own:
            raise DeviceError("ears", f"'{name}' is the presenter's own voice", _OWN_REMEDY)
        names = [source.name for source in self._pulse.source_list()]
        if name not in names:
            real = [n for n in names if n not in self._own and not n.endswith(".monitor")]
            raise DeviceError(
                "ears", f"there is no microphone '{name}'", f"There are: {', '.join(real) or 'none'}"
            )
        return name

    def _disconnect(self) -> None:
        if self._pulse is not None:
            self._pulse.close()
            self._pulse = None
