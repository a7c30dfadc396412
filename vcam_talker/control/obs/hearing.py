"""Does OBS still hear the microphone? On Linux a restart of the sound server leaves its inputs dead.

All Pulse inputs of OBS share one connection to the sound server, which it never makes anew: each goes on, and
shows silence. It helps to remove all of them and to make them again a second later. That is done when ours is
the only one; otherwise the user is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from vcam_talker.control.obs.connection import EVENTS_METERS, ObsConnection
from vcam_talker.control.obs.owner import Work
from vcam_talker.control.obs.remake import in_group, remake_input
from vcam_talker.core.status import SinkView

log = logging.getLogger(__name__)

PULSE: Final = "pulse_input_capture"
_ALL_PULSE: Final = (PULSE, "pulse_output_capture")
_LISTEN_S: Final = 2.0
"""From the first sample of a turn on."""
_LEAST_S: Final = 0.5
_LEAST_METERS: Final = 20
"""OBS tells 20 a second. Those of an input that has just been made are empty and don't count."""
_RESTART: Final = "restart OBS: its Pulse inputs do not survive a restart of the sound server"


class Hearing:
    """Watches OBS's meters while the first turn is spoken over a new connection, or a new microphone.

    Lives on the control loop but for what is asked of OBS.
    """

    def __init__(
        self,
        events: int,
        microphone: Callable[[], SinkView | None],
        submit: Callable[[Work, object], bool],
        post: Callable[[Callable[[], None]], None],
    ) -> None:
        """`events`: the link's mask; `microphone`: how ours is, None while it is muted or there is none."""
        self._events = events
        self._microphone = microphone
        self._submit = submit
        self._post = post
        self._due = True
        self._life = -1
        self._ours: frozenset[str] = frozenset()
        self._levels: dict[str, list[float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._remade = False
        self.note = ""
        """Why OBS hears nothing, and what to do; empty while it does, or while nobody knows."""

    def reassert(self) -> None:
        """Take that this is another connection."""
        self.stop()
        self._due = True
        self._remade = False
        self.note = ""

    def on_speech(self) -> None:
        """Take that a turn's first sample has left."""
        sink = self._microphone()
        if sink is None or sink.kind != "microphone" or sink.state != "open":
            return
        if sink.reopened != self._life:
            self._life = sink.reopened
            self._due = True
            self._remade = False
        if self._due and self._timer is None:
            name = sink.name
            self._submit(lambda connection: self._begin(connection, name), self)

    def on_silence(self) -> None:
        """Take that the turn has ended: too short a one tells nothing, and the next one is listened to."""
        if (
            self._timer is not None
            and asyncio.get_running_loop().time() < self._timer.when() - _LISTEN_S + _LEAST_S
        ):
            self.stop()
            self._submit(lambda connection: connection.subscribe(self._events), (self, "meters"))

    def on_meters(self, data: dict[str, Any]) -> None:
        """Take an InputVolumeMeters event."""
        for meter in data.get("inputs", ()):
            name, channels = str(meter.get("inputName")), meter.get("inputLevelsMul") or ()
            if name in self._ours and channels:
                self._levels.setdefault(name, []).append(max(abs(float(c[1])) for c in channels))

    def stop(self) -> None:
        """Stop listening."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._ours = frozenset()

    def _listen(self, names: frozenset[str]) -> None:
        if self._timer is None:
            self._ours = names
            self._levels.clear()
            self._timer = asyncio.get_running_loop().call_later(_LISTEN_S, self._judge)

    def _judge(self) -> None:
        self.stop()
        self._submit(lambda connection: connection.subscribe(self._events), (self, "meters"))
        if self._microphone() is None:
            return  # it was muted meanwhile
        measured = {name: levels for name, levels in self._levels.items() if len(levels) >= _LEAST_METERS}
        if not measured:
            return
        self._due = False
        deaf = sorted(name for name, levels in measured.items() if not any(levels))
        if not deaf:
            self.note = ""
        elif self._remade or len(deaf) > 1:
            self._tell(deaf[0])
        else:
            self._submit(lambda connection: self._mend(connection, deaf[0]), self)

    def _tell(self, name: str) -> None:
        self.note = f"OBS hears nothing from '{name}': {_RESTART}"
        log.warning("%s", self.note)

    def _again(self) -> None:
        """Look once more, at the next turn."""
        self._due = self._remade = True

    # --- on the owner's thread

    def _begin(self, connection: ObsConnection, microphone: str) -> None:
        names = frozenset(
            name
            for name in _inputs(connection, PULSE)
            if _device(connection, name) == microphone
            and not connection.request("GetInputMute", inputName=name)["inputMuted"]
        )
        if names:
            connection.subscribe(self._events | EVENTS_METERS)
            self._post(lambda: self._listen(names))

    def _mend(self, connection: ObsConnection, name: str) -> None:
        pulse = [other for kind in _ALL_PULSE for other in _inputs(connection, kind)]
        if pulse != [name] or in_group(connection, name):
            self._post(lambda: self._tell(name))
            return
        log.warning("OBS hears nothing from '%s' since the sound server was restarted; it is made anew", name)
        remake_input(connection, name)
        self._post(self._again)


def _inputs(connection: ObsConnection, kind: str) -> list[str]:
    found = connection.request("GetInputList", inputKind=kind)["inputs"]
    return [str(entry["inputName"]) for entry in found]


def _device(connection: ObsConnection, name: str) -> str:
    settings = connection.request("GetInputSettings", inputName=name)["inputSettings"]
    return str(settings.get("device_id", ""))
