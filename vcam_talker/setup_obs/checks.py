"""Does it arrive? Asked of OBS: a moving picture by screenshots, the voice by its volume meters."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import av
import numpy as np
import numpy.typing as npt

from vcam_talker.control.client import ControlClient
from vcam_talker.control.obs.connection import ObsConnection, RequestError
from vcam_talker.control.obs.remake import remake_input
from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.setup_obs.meters import Meters
from vcam_talker.setup_obs.sources import PULSE, Source

PHRASE: Final = "Hello, this is a test of my voice in OBS."
_PICTURE_S: Final = 6.0
_SHOT_SIZE: Final = (160, 90)
_BLACK: Final = 6.0
"""Mean of the 8 bit samples, below which a picture is black."""
_MOVED: Final = 0.05
"""Mean change of the 8 bit samples between two screenshots, above which something moves."""
_MOVES: Final = 2
"""The first change may be that of a source which has just come up."""
_HEARD_DB: Final = -45.0
_QUIETER_DB: Final = 15.0
"""A voice is at least this much louder than what was before."""
_METER_S: Final = 8.0
_BEFORE_S: Final = 0.6
_VOICE_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, from OBS's side."""

    name: str
    state: Literal["ok", "warn", "fail", "skipped"]
    detail: str
    remedy: str = ""


def check_picture(obs: ObsConnection, source: str, *, patience_s: float = _PICTURE_S) -> Check:
    """Watch a source in OBS until it shows a moving picture. Blocks for `patience_s` at most."""
    end_s = time.monotonic() + patience_s
    shot = before = None
    moved = 0
    while time.monotonic() < end_s:
        shot = screenshot(obs, source)
        lit = shot if shot is not None and float(shot.mean()) >= _BLACK else None
        if lit is not None and before is not None and float(np.abs(lit - before).mean()) > _MOVED:
            moved += 1
            if moved == _MOVES:
                return Check("picture", "ok", f"'{source}' shows a moving picture")
        before = lit
        time.sleep(0.25)
    if shot is None:
        why, remedy = "shows nothing", "Open its properties in OBS and choose the device anew"
    elif before is None:
        why, remedy = "is black", "Is the daemon on air? See 'vcam-talker status'"
    else:
        why, remedy = "stands still", "Open its properties in OBS and choose the device anew"
    return Check("picture", "fail", f"'{source}' {why}", remedy)


def screenshot(obs: ObsConnection, source: str) -> npt.NDArray[np.float32] | None:
    """Return what a source shows, float32[90, 160, 3] in 0 to 255; None while it has no picture."""
    width, height = _SHOT_SIZE
    try:
        answer = obs.request(
            "GetSourceScreenshot", sourceName=source, imageFormat="png", imageWidth=width, imageHeight=height
        )
    except RequestError:
        return None
    raw = base64.b64decode(str(answer["imageData"]).partition(",")[2])
    with av.open(io.BytesIO(raw), "r") as container:
        frame = next(container.decode(video=0))
        return np.asarray(frame.to_ndarray(format="rgb24"), np.float32)


class SoundCheck:
    """Lets the daemon speak and watches the meters. Blocks for up to 40 s."""

    def __init__(
        self,
        obs: ObsConnection,
        meters: Meters,
        client: ControlClient,
        source: Source,
        scene: str,
        announce: Callable[[str], None],
    ) -> None:
        self._obs = obs
        self._meters = meters
        self._client = client
        self._source = source
        self._scene = scene
        self._announce = announce

    def run(self) -> list[Check]:
        """Check, heal the input once if it is dead, check again."""
        if blocked := self._blocked():
            return [blocked]
        checks = self._listen()
        if checks[0].state == "fail":
            # A source whose device has just changed is deaf for some seconds.
            checks = self._listen()
        if checks[0].state != "fail" or self._source.kind != PULSE:
            return checks
        others = self._other_pulse_inputs()
        if others:
            # As long as one of them is left OBS keeps its dead connection to the sound server.
            remedy = "Restart OBS: its sound inputs do not survive a restart of the sound server"
            return [Check("sound", "fail", f"{checks[0].detail}; so may {', '.join(others)}", remedy)]
        self._announce("OBS hears nothing. Its microphone source is made anew.")
        remake_input(self._obs, self._source.name)
        return self._listen()

    def _blocked(self) -> Check | None:
        status = self._client.status()
        if status["show"]["muted"]:
            return Check("sound", "skipped", "the daemon is muted", "vcam-talker unmute, then run this again")
        if status["show"]["paused"]:
            return Check(
                "sound", "skipped", "the daemon is paused", "vcam-talker resume, then run this again"
            )
        microphone = next((s for s in status["sinks"] if s["kind"] == "microphone"), None)
        if microphone is None or microphone["state"] != "open":
            why = (microphone or {}).get("detail") or "the daemon has no microphone"
            return Check("sound", "fail", why, "See 'vcam-talker doctor'")
        if self._obs.request("GetInputMute", inputName=self._source.name)["inputMuted"]:
            return Check(
                "sound", "fail", f"'{self._source.name}' is muted in OBS", "Unmute it in OBS's mixer"
            )
        program = self._obs.request("GetCurrentProgramScene")["currentProgramSceneName"]
        if program != self._scene:
            return Check(
                "sound",
                "skipped",
                f"OBS meters only what is on program, and that is '{program}'",
                f"Put '{self._scene}' on program, then run this again",
            )
        return None

    def _listen(self) -> list[Check]:
        name = self._source.name
        if not self._until(lambda: name in self._meters.loudest_db(), _METER_S):
            return [Check("sound", "fail", f"OBS has no meter for '{name}'", "Choose its device anew in OBS")]
        self._meters.reset()
        time.sleep(_BEFORE_S)
        before = self._meters.loudest_db()
        self._meters.reset()
        try:
            self._client.say(PHRASE)
        except VcamTalkerError as e:
            return [Check("sound", "fail", f"the daemon can't speak: {e}")]
        heard = self._until(lambda: self._is_voice(name, before), _VOICE_S)
        time.sleep(_BEFORE_S)
        loudest = self._meters.loudest_db()
        if not heard:
            why = f"OBS hears nothing at '{name}' while the daemon speaks"
            return [Check("sound", "fail", why, "Choose its device anew in OBS, or restart OBS")]
        checks = [Check("sound", "ok", f"OBS hears the voice at '{name}', {loudest[name]:.0f} dB")]
        doubles = [other for other in loudest if other != name and self._is_voice(other, before)]
        if doubles:
            names = ", ".join(f"'{other}'" for other in doubles)
            checks.append(
                Check(
                    "no echo",
                    "warn",
                    f"{names} hears the voice as well: viewers get it twice",
                    "Mute that source, or choose another device for it",
                )
            )
        return checks

    def _is_voice(self, name: str, before: dict[str, float]) -> bool:
        level_db = self._meters.loudest_db().get(name)
        if level_db is None or level_db < _HEARD_DB:
            return False
        return level_db > before.get(name, -100.0) + _QUIETER_DB

    def _other_pulse_inputs(self) -> list[str]:
        found: list[dict[str, Any]] = self._obs.request("GetInputList")["inputs"]
        return [
            f"'{i['inputName']}'"
            for i in found
            if str(i["inputKind"]).startswith("pulse_") and i["inputName"] != self._source.name
        ]

    @staticmethod
    def _until(condition: Callable[[], bool], timeout_s: float) -> bool:
        end_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end_s:
                return False
            time.sleep(0.05)
        return True
