"""Who draws the lips of the persona on air: a network in the lips process, or shapes, and why."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vcam_talker.air.child_process import Context
from vcam_talker.air.supervisor import Limits, Supervisor
from vcam_talker.config import Config
from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.errors import PersonaError, VcamTalkerError
from vcam_talker.core.events import EngineDown
from vcam_talker.core.lips import LipsDraw, LipsEvent, LipsRest, parse_lips
from vcam_talker.core.status import LipsState, LipsView
from vcam_talker.core.types import MOUTH_PARAMS, Pixels, Samples
from vcam_talker.face.neural.client import LipsClient
from vcam_talker.face.neural.package import Package, choose_model, load_package
from vcam_talker.lips.process import lips_main
from vcam_talker.lips.rest import Rest
from vcam_talker.persona import Persona

if TYPE_CHECKING:
    from vcam_talker.face.clip.scene import MouthMaker

log = logging.getLogger(__name__)

_MOST_OF_A_PERIOD = 0.6
"""What of a frame's time its mouth may take."""
_OVERDUE_S = 2.0
"""A question without an answer for so long: the network hangs, whatever its process's heartbeat says."""
_SPOILT = "its network failed at drawing, and is loaded anew"
_STEADY = 60
"""Mouths in time, two seconds of speech: a network that drew so many is trusted as at first."""


@dataclass(frozen=True, slots=True)
class LipsChoice:
    """Who is to draw a persona's lips."""

    persona: Persona
    package: Package | None
    """The network; None: none is wanted, or it can't be used."""
    fault: str = ""
    """Why it can't be used, or what follows from there being none."""
    otherwise: str = "shapes"
    """Who draws them while the network can't: `shapes`, or `nobody`, so that the mouth rests."""
    wanted: bool = True
    """Whether a network is to draw them, as soon as it can be used."""


def choose_lips(persona: Persona, config: Config) -> LipsChoice:
    """Look at the model that is to draw the persona's lips. Reads small files. Never raises."""
    shapes, folder, package, fault = True, None, None, ""
    try:
        shapes = persona.face.kind != "clip" or _has_shapes(persona)
        folder = choose_model(persona, config.lips)
        package = load_package(folder) if folder is not None else None
    except VcamTalkerError as e:
        fault = str(e)
    wanted = folder is not None or bool(fault)
    if not wanted and not shapes:
        fault = str(
            PersonaError(
                f"persona '{persona.name}'",
                "has one picture of its mouth, and there is no network to draw others",
                "Name one in lips.model",
            )
        )
    return LipsChoice(persona, package, fault, "shapes" if shapes else "nobody", wanted)


class Lips:
    """The lips process as air sees it. Used on the control loop, but for what its supervisor calls.

    A network that can't be loaded, or fails at drawing, rests, and is tried again for ever, ever more rarely.
    The latter is loaded into a new process: what a GPU or a library has broken in the old one goes with it.
    """

    def __init__(self, config: Config, clock: MonotonicClock) -> None:
        self._config = config
        self._clock = clock
        deadline_s = min(config.lips.deadline_ms / 1000, _MOST_OF_A_PERIOD / config.air.fps)
        self._client = LipsClient(deadline_s)
        self._supervisor: Supervisor[LipsEvent] | None = None
        self._running = False
        self._choice: LipsChoice | None = None
        self._fault = ""
        self._label = ""
        """Of the network that draws them now."""
        self._rest = Rest(clock)
        self._spoilt = False
        """Whether a network failed at drawing in the process that there is."""
        self._answered_before = 0
        """Mouths that came in time, before the network that draws them now."""
        self._newer: tuple[LipsChoice, Package] | None = None
        """The model that was found in the place of a choice's own, when it was loaded once more."""

    def mouths(self, choice: LipsChoice) -> MouthMaker | None:
        """Return who draws the mouths in a scene of that persona; None: nobody but the shapes. Any thread."""
        if not choice.wanted:
            return None
        # A face that is no clip has no use for what this imports.
        from vcam_talker.face.neural.current import current_mouths

        return current_mouths(choice.persona, self._size, self._client, lambda: self._package(choice))

    def supervise(self, context: Context, limits: Limits, choice: LipsChoice) -> None:
        """Get ready to start the process, once."""
        self._supervisor = Supervisor(
            "lips process", lips_main, context, self._client, self._clock, limits, parse_lips, self._on_event,
            persona=str(choice.persona.root), config=self._config,
        )  # fmt: skip
        self._take(choice)

    def start(self) -> None:
        """Start the process if there is a mouth to draw; returns at once."""
        if self._wanted and self._supervisor is not None and not self._running:
            self._running = True
            self._supervisor.start()

    def use(self, choice: LipsChoice) -> None:
        """Draw another persona's mouths."""
        before = self._choice
        self._client.draws(0)
        self._take(choice)
        if self._supervisor is not None:
            root = choice.persona.root
            self._supervisor.use_persona(str(root))
            if self._spoilt:
                self._supervisor.replace(_SPOILT)
            elif before is not None and before.persona.root == root:
                # Chosen once more, its files may have changed; the supervisor has nothing new to tell.
                self._supervisor.send({"op": "persona", "name": str(root)})
        self.start()

    def check(self) -> None:
        """Replace a process that hangs; try again what has rested long enough. Call about once a second."""
        if not self._running or self._supervisor is None:
            return
        self._supervisor.check()
        if self._rest.over():
            self._try_again(self._supervisor)
        if self._client.overdue_s() > _OVERDUE_S:
            self._client.draws(0)
            self._supervisor.replace(f"no mouth was drawn for {_OVERDUE_S:.0f} s")

    def stop(self) -> None:
        """End the process; within a few seconds. Idempotent."""
        if self._running and self._supervisor is not None:
            self._supervisor.stop()
        self._rest.forget()
        self._client.close()

    def view(self) -> LipsView:
        """Return who draws the lips, for `status`."""
        process = self._supervisor.view() if self._running and self._supervisor is not None else None
        times_ms = self._client.times_ms()
        return LipsView(
            state=self._state(process.state if process else "stopped"),
            drawn_by=self._label or (self._choice.otherwise if self._choice else "shapes"),
            detail=self._detail(),
            pid=process.pid if process else None,
            restarts=process.restarts if process else 0,
            asked=self._client.asked,
            answered=self._client.answered,
            p50_ms=round(times_ms[0], 1) if times_ms else None,
            p95_ms=round(times_ms[1], 1) if times_ms else None,
            last_error=process.last_error if process else "",
        )

    def _state(self, process: str) -> LipsState:
        if self._fault:
            return "failed"
        if not self._wanted:
            return "off"
        if process == "restarting":
            return "restarting"
        if not self._label:
            return "starting"
        return "slow" if self._client.slow else "ready"

    def _detail(self) -> str:
        left_s = self._rest.left_s()
        if not self._fault or left_s is None:
            return self._fault
        return f"{self._fault}; {_again(left_s)}"

    @property
    def _wanted(self) -> bool:
        return self._choice is not None and self._choice.wanted

    @property
    def _size(self) -> tuple[int, int]:
        return self._config.air.width, self._config.air.height

    def _package(self, choice: LipsChoice) -> Package | None:
        """Return the model that draws the choice's persona now. Any thread."""
        newer = self._newer
        return newer[1] if newer is not None and newer[0] is choice else choice.package

    def _take(self, choice: LipsChoice) -> None:
        self._choice, self._label, self._fault = choice, "", choice.fault
        self._newer = None
        self._rest.forget()
        if choice.fault:
            log.warning("%s%s", choice.fault, "; it is tried again, ever more rarely" * choice.wanted)

    def _on_event(self, event: LipsEvent) -> None:
        """Take what the process, or its supervisor, tells; on the supervisor's thread."""
        match event:
            case LipsDraw():
                self._begin(event)
            case LipsRest():
                drew, self._label = bool(self._label), ""
                self._client.draws(0)
                if event.fault and self._wanted:
                    self._begin_rest(event.fault, drawing=drew)
            case EngineDown():
                self._label, self._spoilt = "", False
                # The next process loads the network, whatever became of it in this one.
                self._rest.end()
            case _:
                pass

    def _begin(self, drawn: LipsDraw) -> None:
        """Have the process draw, if its model is that of the scene on air, or can become it."""
        choice = self._choice
        if choice is None or not self._follow(choice, drawn.face):
            # It speaks of the persona before, and will of this one; or files change right now.
            log.debug("the lips' process draws another face")
            self._client.draws(0)
            self._rest.begin(drawing=False)
            return
        self._label, self._fault = drawn.label, ""
        self._rest.end()
        self._answered_before = self._client.answered
        self._client.draws(drawn.face)
        log.info("the lips are drawn by %s", drawn.label)

    def _follow(self, choice: LipsChoice, face: int) -> bool:
        """Take the model that draws `face`, which may have been mended. Return whether it is there."""
        from vcam_talker.face.neural.drawer import face_id

        package = self._package(choice)
        if package is not None and face == face_id(choice.persona, package, self._size):
            return True
        package = choose_lips(choice.persona, self._config).package
        if package is None or face != face_id(choice.persona, package, self._size):
            return False
        self._newer = choice, package
        return True

    def _begin_rest(self, fault: str, *, drawing: bool) -> None:
        """Leave the network alone for a while. A fault that is still the same is not logged again."""
        if drawing:
            self._spoilt = True
            if self._client.answered - self._answered_before >= _STEADY:
                self._rest.forget()
        rest_s = self._rest.begin(drawing=drawing)
        news, self._fault = fault != self._fault, fault
        log.log(logging.WARNING if news else logging.DEBUG, "%s; %s", fault, _again(rest_s))

    def _try_again(self, supervisor: Supervisor[LipsEvent]) -> None:
        if self._spoilt:
            supervisor.replace(_SPOILT)
        elif self._choice is not None:
            # A process that is only starting does not get it, and loads the network by itself.
            supervisor.send({"op": "persona", "name": str(self._choice.persona.root)})


def _again(in_s: float) -> str:
    return f"it is tried again in {math.ceil(in_s)} s, then ever more rarely"


class LocalLips:
    """A network in this very process, for offline programs: every mouth is drawn, however long it takes."""

    def __init__(self, persona: Persona, config: Config) -> None:
        """Open the model that is to draw the persona's lips, if there is one. Blocks for seconds.

        Raises PersonaError; ConfigError, EngineError: who named a network gets it or an error. Where the
        shipped one can't be used, shapes draw the mouths, and the log says so.
        """
        self.mouths: MouthMaker | None = None
        """Who draws the mouths; None: the shapes."""
        self._drawer: _LocalDrawer | None = None
        size = (config.air.width, config.air.height)
        try:
            folder = choose_model(persona, config.lips)
            if folder is None:
                return
            from vcam_talker.face.neural.patches import neural_mouths

            package = load_package(folder)
            self._drawer = _LocalDrawer(persona, package, size, config)
            self.mouths = neural_mouths(persona, package, size, self._drawer)
        except PersonaError:
            raise  # shapes could not draw such a persona either
        except VcamTalkerError as e:
            if config.lips.model or persona.face.lips:
                raise
            log.warning("%s; shapes draw the lips", e)

    def check(self) -> None:
        """Raise what went wrong while mouths were drawn, EngineError: shapes drew them from then on."""
        if self._drawer is not None and self._drawer.fault is not None:
            raise self._drawer.fault

    def close(self) -> None:
        """Free memory. Idempotent."""
        if self._drawer is not None:
            self._drawer.close()


class _LocalDrawer:
    """A `face.neural.drawer.LocalDrawer` whose first error is kept: a painter would show a still picture."""

    patience_s = 0.0

    def __init__(self, persona: Persona, package: Package, size: tuple[int, int], config: Config) -> None:
        from vcam_talker.face.neural.drawer import LocalDrawer

        self._drawer = LocalDrawer(persona, package, size, config.lips)
        self.fault: VcamTalkerError | None = None

    def ready(self, face: int) -> bool:
        return self.fault is None and self._drawer.ready(face)

    def draw(self, face: int, key: int, crop: Pixels, condition: Samples) -> Pixels | None:
        try:
            return self._drawer.draw(face, key, crop, condition)
        except VcamTalkerError as e:
            self.fault = e
            return None

    def close(self) -> None:
        self._drawer.close()


def _has_shapes(persona: Persona) -> bool:
    """Tell whether a persona made of pictures knows mouths but the one at rest. Raises PersonaError."""
    from vcam_talker.face.clip.archive import Archive

    with Archive(persona.root / persona.face.file) as archive:
        return len(archive.floats("shapes", (None, len(MOUTH_PARAMS)), 1.0)) > 1
