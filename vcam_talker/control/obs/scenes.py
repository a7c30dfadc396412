"""Switch OBS's program scene by what the presenter does, and never against the user.

A rule acts once, when its state has begun and lasted `after_s`. It acts only while a scene that some rule
names is on program, so whoever puts on another one ("Break") has switched the rules off for that time; and
not within ten seconds of a switch made by anybody else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Literal

from vcam_talker.config import ObsScene
from vcam_talker.control.obs.connection import NOT_FOUND, ObsConnection, RequestError
from vcam_talker.control.obs.owner import Work

log = logging.getLogger(__name__)

HANDS_OFF_S: Final = 10.0
"""After somebody else's switch."""
_ECHO_S: Final = 20.0
"""OBS tells of a switch we asked for within this: when the transition has ended."""

State = Literal["speaking", "listening", "idle", "quiet"]


class SceneRules:
    """Lives on the control loop but for the requests themselves; nothing here blocks."""

    def __init__(
        self,
        rules: Sequence[ObsScene],
        submit: Callable[[Work, object], bool],
        post: Callable[[Callable[[], None]], None],
    ) -> None:
        """`post` has something done on the control loop, from any thread."""
        self._rules = tuple(rules)
        self._named = {rule.scene for rule in rules}
        self._submit = submit
        self._post = post
        self._state: State = "idle"
        self._program: str | None = None
        self._asked_s: dict[str, float] = {}
        """Scene -> when we asked for it; OBS has yet to tell that it is on program."""
        self._touched_s = float("-inf")
        self._timers: list[asyncio.TimerHandle] = []
        self._missing: set[str] = set()

    @property
    def note(self) -> str:
        """What is wrong with the rules, for the user."""
        missing = ", ".join(f"'{name}'" for name in sorted(self._missing))
        return f"scene rules: OBS has no scene {missing}" if missing else ""

    def enter(self, speaking: Literal["", "speaking", "quiet"], *, listening: bool) -> None:
        """Take what the presenter does now: its own talk counts as `speaking` where no rule names `quiet`."""
        state: State = "listening" if listening else "idle"
        if speaking:
            state = "quiet" if speaking == "quiet" and self._has("quiet") else "speaking"
        if state != self._state:
            self._state = state
            self._begin()

    def reassert(self) -> None:
        """Take that this is another connection: learn the scene on program, then apply what holds now."""
        self._asked_s.clear()
        self._touched_s = float("-inf")
        self._missing.clear()
        if self._rules:
            self._submit(self._start, self)

    def on_program(self, scene: str) -> bool:
        """Take that another scene is on program; return whether that was our doing."""
        now_s = asyncio.get_running_loop().time()
        ours = now_s - self._asked_s.pop(scene, float("-inf")) < _ECHO_S
        if not ours:
            self._foreign(scene)
        elif not self._asked_s:
            self._program = scene
        return ours

    def stop(self) -> None:
        """Forget what was to come."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _has(self, when: State) -> bool:
        return any(rule.when == when for rule in self._rules)

    def _begin(self) -> None:
        self.stop()
        loop = asyncio.get_running_loop()
        for rule in self._rules:
            if rule.when == self._state:
                self._timers.append(loop.call_later(rule.after_s, self._apply, rule.scene))

    def _apply(self, scene: str) -> None:
        if self._program is None or self._program == scene or self._program not in self._named:
            return
        if asyncio.get_running_loop().time() - self._touched_s < HANDS_OFF_S:
            log.debug("scene '%s' is left out: somebody else has just switched", scene)
            return
        before = self._program
        if self._submit(lambda connection: self._switch(connection, scene, before), self):
            # What we asked for counts as there: the state may change again before OBS has told.
            self._program = scene
            self._asked_s[scene] = asyncio.get_running_loop().time()

    # --- on the owner's thread

    def _start(self, connection: ObsConnection) -> None:
        self._ask_program(connection)
        self._post(self._begin)

    def _switch(self, connection: ObsConnection, scene: str, before: str) -> None:
        # OBS tells of a switch only when its transition has ended: somebody may have switched just now.
        found = _program_scene(connection)
        if found not in {before, scene}:
            self._post(lambda: self._foreign(found))
            return
        try:
            connection.request("SetCurrentProgramScene", sceneName=scene)
        except RequestError as e:
            absent = e.code == NOT_FOUND
            self._post(lambda: self._failed(scene, absent=absent))
            self._ask_program(connection)
        else:
            self._post(lambda: self._missing.discard(scene))

    def _ask_program(self, connection: ObsConnection) -> None:
        found = _program_scene(connection)
        self._post(lambda: self._learnt(found))

    # --- back on the control loop

    def _foreign(self, scene: str) -> None:
        """Take that somebody else has put a scene on program."""
        self._program = scene
        self._asked_s.clear()
        self._touched_s = asyncio.get_running_loop().time()

    def _learnt(self, scene: str) -> None:
        self._program = scene

    def _failed(self, scene: str, *, absent: bool) -> None:
        self._asked_s.pop(scene, None)
        if absent and scene not in self._missing:
            self._missing.add(scene)
            log.warning("%s", self.note)


def _program_scene(connection: ObsConnection) -> str:
    return str(connection.request("GetCurrentProgramScene")["currentProgramSceneName"])
