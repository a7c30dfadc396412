"""The lips process of the persona on air: what it is to draw, when it is tried again, what `status` says."""

from __future__ import annotations

import logging
import math
import threading
from typing import TYPE_CHECKING

from vcam_talker.air.child_process import Context
from vcam_talker.air.supervisor import Limits, Supervisor
from vcam_talker.app.lips_choice import LipsChoice, choose_lips
from vcam_talker.config import Config
from vcam_talker.core.clock import MonotonicClock
from vcam_talker.core.errors import PersonaError, VcamTalkerError
from vcam_talker.core.events import EngineDown
from vcam_talker.core.lips import LipsDraw, LipsEvent, LipsLoad, LipsNews, LipsRest, parse_lips
from vcam_talker.core.status import LipsState, LipsView
from vcam_talker.face.neural.client import LipsClient
from vcam_talker.lips.process import lips_main
from vcam_talker.lips.rest import Rest
from vcam_talker.lips.watch import Watch
from vcam_talker.persona import load_persona

if TYPE_CHECKING:
    from vcam_talker.face.clip.scene import MouthMaker

log = logging.getLogger(__name__)

_MOST_OF_A_PERIOD = 0.6
"""What of a frame's time its mouth may take."""
_OVERDUE_S = 2.0
"""A question without an answer for so long: the network hangs, whatever its process's heartbeat says."""
_SPOILT = "its network failed at drawing, and is loaded anew"
_CHANGED = "its files, or those of the network that draws its mouths, changed while they were read"
_KEEP_STILL = "Leave them as they are for a moment"
_STEADY = 60
"""Mouths in time, two seconds of speech: a network that drew so many is trusted as at first."""


class Lips:
    """The lips process as air sees it. Used on the control loop, but for what its supervisor calls.

    What it tells of another persona than that on air was under way when that came, and changes nothing.

    A network that can't be loaded, or fails at drawing, rests, and is tried again for ever, ever more rarely.
    The latter is loaded into a new process: what a GPU or a library has broken in the old one goes with it.
    """

    def __init__(self, config: Config, clock: MonotonicClock) -> None:
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        """Held while a choice, or what is told of one, is taken over; never while files are read."""
        deadline_s = min(config.lips.deadline_ms / 1000, _MOST_OF_A_PERIOD / config.air.fps)
        self._client = LipsClient(deadline_s)
        self._supervisor: Supervisor[LipsEvent] | None = None
        self._running = False
        self._choice: LipsChoice | None = None
        self._fault = ""
        self._label = ""
        """Of the network that draws them now."""
        self._rest = Rest(clock)
        self._watch = Watch(clock)
        self._spoilt = False
        """Whether a network failed at drawing in a process that is not replaced yet; it may load no other."""
        self._answered_before = 0
        """Mouths that came in time, before the network that draws them now."""
        self._newer: tuple[LipsChoice, LipsChoice] | None = None
        """A choice, and what has become of it since: the persona's files may say something else by now."""

    def mouths(self, choice: LipsChoice) -> MouthMaker | None:
        """Return who draws the mouths in a scene of that persona; None: nobody but the shapes. Any thread."""
        if not choice.wanted:
            return None
        # A face that is no clip has no use for what this imports.
        from vcam_talker.face.neural.current import current_mouths

        return current_mouths(choice.persona, self._size, self._client, lambda: self._now(choice).package)

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
        with self._lock:
            before = self._choice
            spoilt, self._spoilt = self._spoilt, False
            self._client.draws(0)
            self._take(choice)
        if self._supervisor is not None:
            root = choice.persona.root
            self._watch.told()
            self._supervisor.use_persona(str(root))
            if spoilt:
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
        elif stuck := self._watch.fault():
            self._supervisor.replace(stuck)

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
        return self._choice is not None and self._now(self._choice).wanted

    @property
    def _size(self) -> tuple[int, int]:
        return self._config.air.width, self._config.air.height

    def _now(self, choice: LipsChoice) -> LipsChoice:
        """Return what has become of a choice since it was made. Any thread."""
        newer = self._newer
        return newer[1] if newer is not None and newer[0] is choice else choice

    def _take(self, choice: LipsChoice) -> None:
        self._choice, self._label, self._fault = choice, "", choice.fault
        self._newer = None
        self._rest.forget()
        if choice.fault:
            log.warning("%s%s", choice.fault, "; it is tried again, ever more rarely" * choice.wanted)

    def _on_event(self, event: LipsEvent) -> None:
        """Take what the process, or its supervisor, tells; on the supervisor's thread."""
        self._watch.heard(event)
        match event:
            case LipsLoad() if self._spoilt and self._supervisor is not None:
                # It was told of another persona before air knew that it is broken.
                self._spoilt = False
                self._supervisor.replace(_SPOILT)
            case LipsLoad() | LipsDraw() | LipsRest():
                self._hear(event)
            case EngineDown():
                with self._lock:
                    self._label, self._spoilt = "", False
                    # The next process loads the network, whatever became of it in this one.
                    self._rest.end()
            case _:
                pass

    def _hear(self, event: LipsNews) -> None:
        if isinstance(event, LipsRest) and event.drawing:
            self._spoilt = True  # whosever mouths it drew
        choice = self._choice
        if choice is None or not choice.wanted or event.persona != str(choice.persona.root):
            return
        now = self._look(choice, event)
        with self._lock:
            # Files were read, which takes a while. Of what was chosen meanwhile the process will tell, too.
            if self._choice is choice:
                self._follow(choice, event, now)

    def _look(self, choice: LipsChoice, event: LipsNews) -> LipsChoice | None:
        """Return the choice as the process found it in the persona's files, which may have been mended.

        None if they are otherwise by now, and for events that tell nothing of them. Reads small files.
        """
        if isinstance(event, LipsLoad) or (isinstance(event, LipsRest) and event.fault):
            return None
        face = event.face if isinstance(event, LipsDraw) else 0
        now = self._now(choice)
        if self._is_drawn(choice, now, face):
            return now
        try:
            now = choose_lips(load_persona(event.persona), self._config)
        except (VcamTalkerError, OSError) as e:
            log.debug("persona '%s' can't be read: %r", choice.persona.name, e)
            return None
        return now if self._is_drawn(choice, now, face) else None

    def _is_drawn(self, choice: LipsChoice, now: LipsChoice, face: int) -> bool:
        """Tell whether the network of `now` draws the scene of `choice` as `face`; 0: none is wanted."""
        from vcam_talker.face.neural.drawer import face_id

        if now.package is None:
            return face == 0 and not now.wanted
        return face == face_id(choice.persona, now.package, self._size)

    def _follow(self, choice: LipsChoice, event: LipsNews, now: LipsChoice | None) -> None:
        """Do as the process tells of the persona on air; `now`: see `_look`. The lock is held."""
        self._label = ""
        self._client.draws(0)
        if isinstance(event, LipsLoad):
            self._rest.end()
        elif isinstance(event, LipsRest) and event.fault:
            self._begin_rest(event.fault, drawing=event.drawing)
        elif now is None:
            fault = PersonaError(f"persona '{choice.persona.name}'", _CHANGED, _KEEP_STILL)
            self._begin_rest(str(fault), drawing=False)
        else:
            self._newer = choice, now
            self._fault = now.fault
            self._rest.end()
            if now.fault:
                log.warning("%s", now.fault)
            if isinstance(event, LipsDraw):
                self._begin(event)

    def _begin(self, drawn: LipsDraw) -> None:
        self._label = drawn.label
        self._answered_before = self._client.answered
        self._client.draws(drawn.face)
        log.info("the lips are drawn by %s", drawn.label)

    def _begin_rest(self, fault: str, *, drawing: bool) -> None:
        """Leave the network alone for a while. A fault that is still the same is not logged again."""
        if drawing and self._client.answered - self._answered_before >= _STEADY:
            self._rest.forget()
        rest_s = self._rest.begin(drawing=drawing)
        news, self._fault = fault != self._fault, fault
        log.log(logging.WARNING if news else logging.DEBUG, "%s; %s", fault, _again(rest_s))

    def _try_again(self, supervisor: Supervisor[LipsEvent]) -> None:
        if self._spoilt:
            supervisor.replace(_SPOILT)
        elif self._choice is not None:
            # A process that is only starting does not get it, and loads the network by itself.
            self._watch.told()
            supervisor.send({"op": "persona", "name": str(self._choice.persona.root)})


def _again(in_s: float) -> str:
    return f"it is tried again in {math.ceil(in_s)} s, then ever more rarely"
