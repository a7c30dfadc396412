"""Who draws the lips of the persona on air: a network in the lips process, or shapes, and why."""

from __future__ import annotations

import logging
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
from vcam_talker.persona import Persona

if TYPE_CHECKING:
    from vcam_talker.face.clip.scene import MouthMaker

log = logging.getLogger(__name__)

_MOST_OF_A_PERIOD = 0.6
"""What of a frame's time its mouth may take."""
_OVERDUE_S = 2.0
"""A question without an answer for so long: the network hangs, whatever its process's heartbeat says."""


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


def choose_lips(persona: Persona, config: Config) -> LipsChoice:
    """Look at the model that is to draw the persona's lips. Reads small files. Never raises."""
    shapes = True
    try:
        folder = choose_model(persona, config.lips)
        package = load_package(folder) if folder is not None else None
        shapes = persona.face.kind != "clip" or _has_shapes(persona)
    except VcamTalkerError as e:
        return LipsChoice(persona, None, str(e))
    fault = ""
    if package is None and not shapes:
        fault = str(
            PersonaError(
                f"persona '{persona.name}'",
                "has one picture of its mouth, and there is no network to draw others",
                "Name one in lips.model",
            )
        )
    return LipsChoice(persona, package, fault, "shapes" if shapes else "nobody")


class Lips:
    """The lips process as air sees it. Used on the control loop, but for what its supervisor calls."""

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

    def mouths(self, choice: LipsChoice) -> MouthMaker | None:
        """Return who draws the mouths in a scene of that persona; None: nobody but the shapes. Any thread."""
        if choice.package is None:
            return None
        # A face that is no clip has no use for what this imports.
        from vcam_talker.face.neural.patches import neural_mouths

        air = self._config.air
        size = (air.width, air.height)
        return neural_mouths(choice.persona, choice.package, size, self._client)

    def supervise(self, context: Context, limits: Limits, choice: LipsChoice) -> None:
        """Get ready to start the process, once."""
        self._supervisor = Supervisor(
            "lips process", lips_main, context, self._client, self._clock, limits, parse_lips, self._on_event,
            persona=str(choice.persona.root), config=self._config,
        )  # fmt: skip
        self._take(choice)

    def start(self) -> None:
        """Start the process if there is a mouth to draw; returns at once."""
        wanted = self._choice is not None and self._choice.package is not None
        if wanted and self._supervisor is not None and not self._running:
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
            if before is not None and before.persona.root == root:
                # Chosen once more, its files may have changed; the supervisor has nothing new to tell.
                self._supervisor.send({"op": "persona", "name": str(root)})
        self.start()

    def check(self) -> None:
        """Replace a process that hangs. Call about once a second."""
        if not self._running or self._supervisor is None:
            return
        self._supervisor.check()
        if self._client.overdue_s() > _OVERDUE_S:
            self._client.draws(0)
            self._supervisor.replace(f"no mouth was drawn for {_OVERDUE_S:.0f} s")

    def stop(self) -> None:
        """End the process; within a few seconds. Idempotent."""
        if self._running and self._supervisor is not None:
            self._supervisor.stop()
        self._client.close()

    def view(self) -> LipsView:
        """Return who draws the lips, for `status`."""
        process = self._supervisor.view() if self._running and self._supervisor is not None else None
        times_ms = self._client.times_ms()
        return LipsView(
            state=self._state(process.state if process else "stopped"),
            drawn_by=self._label or (self._choice.otherwise if self._choice else "shapes"),
            detail=self._fault,
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
        if self._choice is None or self._choice.package is None:
            return "off"
        if process == "restarting":
            return "restarting"
        if not self._label:
            return "starting"
        return "slow" if self._client.slow else "ready"

    def _take(self, choice: LipsChoice) -> None:
        self._choice, self._label, self._fault = choice, "", choice.fault
        if choice.fault:
            log.warning("%s", choice.fault)

    def _on_event(self, event: LipsEvent) -> None:
        """Take what the process, or its supervisor, tells; on the supervisor's thread."""
        match event:
            case LipsDraw():
                self._label, self._fault = event.label, ""
                self._client.draws(event.face)
                log.info("the lips are drawn by %s", event.label)
            case LipsRest():
                self._label = ""
                self._client.draws(0)
                wanted = self._choice is not None and self._choice.package is not None
                if event.fault and wanted:
                    self._fault = event.fault
                    log.warning("%s", event.fault)
            case EngineDown():
                self._label = ""
            case _:
                pass


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
