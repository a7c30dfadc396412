"""`vcam-talker setup obs`: scene, camera, microphone and captions in a running OBS, and whether they work."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vcam_talker.config import Config
from vcam_talker.control.client import ControlClient
from vcam_talker.control.obs.connection import (
    EVENTS_METERS,
    AbsentError,
    ObsConnection,
    RequestError,
    quiet_library,
)
from vcam_talker.control.obs.settings import SWITCH_ON, ServerFinder
from vcam_talker.core.errors import ConfigError, NotRunningError, SourceError
from vcam_talker.persona import load_persona
from vcam_talker.setup_obs.checks import Check, SoundCheck, check_picture
from vcam_talker.setup_obs.meters import Meters
from vcam_talker.setup_obs.plan import ObsPlan, Step, plan, plan_removal
from vcam_talker.setup_obs.sources import CAMERA, MICROPHONE, Wish, wanted_sources

__all__ = ["Check", "ObsPlan", "Outcome", "Step", "render_plan", "run_setup"]

SCENE = "vcam_talker"
_REMOVAL_S = 5.0


@dataclass(slots=True)
class Outcome:
    """What was found, done and seen."""

    obs: str
    scene: str
    steps: list[str] = field(default_factory=list)
    """What had to change."""
    done: bool = False
    """Whether it was changed."""
    notes: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether something does not arrive in OBS."""
        return any(check.state == "fail" for check in self.checks)


def run_setup(
    config: Config,
    *,
    scene: str = SCENE,
    dry_run: bool = False,
    remove: bool = False,
    ask: Callable[[str], bool],
    announce: Callable[[str], None],
    folders: tuple[Path, ...] | None = None,
) -> Outcome:
    """Show what would change in OBS, through `announce`; unless `dry_run`, do it if `ask` agrees, and check.

    Blocks, a minute at most. `folders`: where OBS's settings are looked for (None: the usual ones). Raises
    SourceError when OBS can't be reached or refuses; the steps before stay done, and a second run goes on.
    """
    meters = Meters()
    obs = _connect(config, meters, folders)
    try:
        client = _running_daemon()
        names = (CAMERA, MICROPHONE, *([config.obs.captions] if config.obs.captions else []))
        wish = Wish((), ()) if remove else _wish(config, obs, client)
        todo = plan_removal(obs, names, scene) if remove else plan(obs, wish, scene)
        outcome = Outcome(f"OBS {obs.obs_version}", scene, [s.title for s in todo.steps], notes=[*todo.notes])
        announce(render_plan(todo))
        if dry_run:
            return outcome
        if todo.steps and not ask(_question(len(todo.steps))):
            announce("Nothing was changed.")
            return outcome
        for step in todo.steps:
            step.do(obs)
        outcome.done = bool(todo.steps)
        if remove:
            _await_removal(obs, names, scene)
            if todo.steps:
                announce("They are gone.")
            return outcome
        _put_on_program(obs, scene, outcome, announce)
        for check in _checks(obs, meters, client, wish, scene, announce):
            outcome.checks.append(check)
            announce(render_check(check))
        return outcome
    finally:
        obs.close()


def render_plan(todo: ObsPlan) -> str:
    """Return the plan as a person reads it."""
    lines = [f"{number}. {step.title}" for number, step in enumerate(todo.steps, 1)]
    lines = lines or ["Nothing is to be done: OBS is as it should be."]
    return "\n".join([*lines, *(f"Note: {note}" for note in todo.notes)])


def render_check(check: Check) -> str:
    """Return a check as a person reads it."""
    remedy = f". {check.remedy}" if check.remedy else ""
    return f"{check.state:8}{check.name:9}{check.detail}{remedy}"


def _connect(config: Config, meters: Meters, folders: tuple[Path, ...] | None) -> ObsConnection:
    quiet_library()
    wanted = config.obs.model_copy(update={"connect": "on"})
    server = ServerFinder(wanted, folders).find()
    if server is None:
        raise ConfigError("OBS", "no server is known", SWITCH_ON)
    # Meters come twenty times a second, and only to those who ask for them.
    obs = ObsConnection(server, events=EVENTS_METERS, on_event=meters.take)
    try:
        obs.connect()
    except AbsentError as e:
        remedy = f"Start OBS; and once, there: {SWITCH_ON.removeprefix('In OBS: ')}"
        raise AbsentError(e.what, e.why, remedy) from None
    try:
        obs.wait_ready()
    except BaseException:
        obs.close()
        raise
    return obs


def _running_daemon() -> ControlClient | None:
    try:
        client = ControlClient.discover()
        client.status()
    except NotRunningError:
        return None
    return client


def _wish(config: Config, obs: ObsConnection, client: ControlClient | None) -> Wish:
    kinds = set(obs.request("GetInputKindList")["inputKinds"])
    video = obs.request("GetVideoSettings")
    canvas = int(video["baseWidth"]), int(video["baseHeight"])
    if client is None:
        return wanted_sources(config, kinds, canvas, None, load_persona(config.persona).language)
    status = client.status()
    sinks = status["sinks"]
    camera = next((s["name"] for s in sinks if s["kind"] == "camera" and s["state"] == "open"), None)
    return wanted_sources(config, kinds, canvas, camera, status["persona"]["language"])


def _question(count: int) -> str:
    return f"Make {'this change' if count == 1 else f'these {count} changes'} in OBS?"


def _await_removal(obs: ObsConnection, names: tuple[str, ...], scene: str) -> None:
    """Wait until OBS has let go of what was removed, which takes it a moment. Raises SourceError."""
    end_s = time.monotonic() + _REMOVAL_S
    while left := plan_removal(obs, names, scene).steps:
        if time.monotonic() > end_s:
            raise SourceError(left[0].title, "OBS keeps it", "Remove it there")
        time.sleep(0.1)


def _put_on_program(
    obs: ObsConnection, scene: str, outcome: Outcome, announce: Callable[[str], None]
) -> None:
    """Show the scene, unless viewers would see that happen."""
    if obs.request("GetCurrentProgramScene")["currentProgramSceneName"] == scene:
        return
    for request in ("GetStreamStatus", "GetRecordStatus"):
        try:
            if obs.request(request).get("outputActive"):
                outcome.notes.append(f"OBS is live or records: the scene '{scene}' was not put on program.")
                announce(f"Note: {outcome.notes[-1]}")
                return
        except RequestError:
            continue
    obs.request("SetCurrentProgramScene", sceneName=scene)


def _checks(
    obs: ObsConnection,
    meters: Meters,
    client: ControlClient | None,
    wish: Wish,
    scene: str,
    announce: Callable[[str], None],
) -> list[Check]:
    if client is None:
        remedy = "Start it with 'vcam-talker run', then run this again"
        return [
            Check("on air", "skipped", "the daemon is not on air: picture and sound can't be seen", remedy)
        ]
    checks: list[Check] = []
    by_role = {source.role: source for source in wish.sources}
    if camera := by_role.get("camera"):
        checks.append(check_picture(obs, camera.name))
    else:
        why = next((note for note in wish.notes if "camera" in note), "there is no camera source")
        checks.append(Check("picture", "skipped", why))
    if microphone := by_role.get("microphone"):
        checks += SoundCheck(obs, meters, client, microphone, scene, announce).run()
    return checks
