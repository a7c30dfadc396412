"""The lips' main loop: questions from air in, drawn mouths out, on memory that both share.

Commands: `persona {name}`, `quit`. Events: see core/lips.py. Questions: see face/neural/crossing.py.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vcam_talker.config import Config
from vcam_talker.core.errors import EngineError, VcamTalkerError
from vcam_talker.core.events import Alive, Ready
from vcam_talker.core.lips import LipsDraw, LipsEvent, LipsLoad, LipsRest, pack
from vcam_talker.core.wire import decode, encode
from vcam_talker.lips.misses import Misses

if TYPE_CHECKING:
    from vcam_talker.core.types import Pixels
    from vcam_talker.face.neural.crossing import Ask, Crossing
    from vcam_talker.face.neural.drawer import LocalDrawer

log = logging.getLogger(__name__)

HEARTBEAT_S: Final = 0.25
_OOM_SCORE: Final = "700"
_NICE: Final = 0
"""A frame waits for it, so nothing of ours but air goes first; air's own nice value is not inherited."""
_MAX_QUESTION_BYTES: Final = 256


def lips_main(connection: Connection, crossing: tuple[str, Connection], persona: str, config: Config) -> None:
    """Run until air closes the pipe or says `quit`. Entry point of the child process.

    `crossing`: the shared memory's name, and our end of the pipe that tells of it.
    """
    # Ctrl+C and a service manager reach the whole group; air decides when the lips end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.basicConfig(level=config.log_level.upper(), format="%(asctime)s %(levelname)s lips: %(message)s")
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
    # What this takes half a second to import must not hold up the server that all children are forked from.
    from vcam_talker.face.neural.crossing import Crossing

    memory, questions = crossing
    _Lips(connection, questions, Crossing.attach(memory), config).run(persona)


class _Lips:
    """The model of one persona at a time."""

    def __init__(
        self, connection: Connection, questions: Connection, crossing: Crossing, config: Config
    ) -> None:
        self._connection = connection
        self._questions = questions
        self._crossing = crossing
        self._config = config
        self._send_lock = threading.Lock()
        self._persona = ""
        """As the command named it; every event tells of whom it speaks."""
        self._drawer: LocalDrawer | None = None
        self._misses = Misses()

    def run(self, persona: str) -> None:
        """Serve until a pipe closes."""
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        self._send(Ready(persona, (), ()))
        self._load(persona)
        while (received := self._receive()) is not None:
            message, is_question = received
            if is_question:
                self._answer(message)
            elif not self._obey(decode(message)):
                break

    def _receive(self) -> tuple[bytes, bool] | None:
        """Return what comes next, and whether it is a question; None when air has closed a pipe."""
        try:
            if self._questions in wait([self._questions, self._connection]):
                return self._questions.recv_bytes(_MAX_QUESTION_BYTES), True
            return self._connection.recv_bytes(), False
        except (EOFError, OSError):
            return None

    def _obey(self, command: dict[str, Any]) -> bool:
        """Return whether to go on."""
        if command["op"] == "persona":
            self._load(str(command["name"]))
        return bool(command["op"] != "quit")

    def _load(self, name: str) -> None:
        """Get ready to draw `name`, if anybody is to draw it."""
        # While this thread loads it can't answer, and a question without an answer ends the process.
        self._send(LipsLoad(name))
        self._persona = name
        self._drop()
        self._misses.begin()
        try:
            made = self._open(name)
        except (VcamTalkerError, OSError, MemoryError) as e:
            log.debug("the network can't be loaded", exc_info=e)
            self._send(LipsRest(name, str(e if isinstance(e, VcamTalkerError) else _refused(e))))
            return
        if made is None:
            self._send(LipsRest(name))
            return
        self._drawer = made
        self._send(LipsDraw(name, made.face, made.label))

    def _drop(self) -> None:
        """Close the network, if there is one."""
        drawer, self._drawer = self._drawer, None
        if drawer is not None:
            drawer.close()

    def _open(self, name: str) -> LocalDrawer | None:
        from vcam_talker.face.clip.resample import use_one_thread
        from vcam_talker.face.neural.drawer import LocalDrawer
        from vcam_talker.face.neural.package import choose_model, load_package
        from vcam_talker.persona import load_persona

        use_one_thread()
        # Air knows the face by the folder as it is named, which a symbolic link may be part of.
        persona = load_persona(name).model_copy(update={"root": Path(name)})
        folder = choose_model(persona, self._config.lips)
        if folder is None:
            return None
        air = self._config.air
        return LocalDrawer(persona, load_package(folder), (air.width, air.height), self._config.lips)

    def _answer(self, message: bytes) -> None:
        from vcam_talker.face.neural.crossing import Ask, pack_told

        ask = Ask.unpack(message)
        drawn = self._draw(ask)
        if drawn is not None:
            self._crossing.put_answer(drawn)
        with contextlib.suppress(OSError):  # air is gone, which the next look at the pipes tells
            self._questions.send_bytes(pack_told(ask.number, drawn=drawn is not None))

    def _draw(self, ask: Ask) -> Pixels | None:
        """Return the mouth; None when there is none: that frame does without.

        After too many in a row the network is dropped; air decides when it is tried again.
        """
        if self._drawer is None or not self._drawer.ready(ask.face):
            return None
        crop, condition = self._crossing.question(ask)
        try:
            drawn = self._drawer.draw(ask.face, ask.key, crop, condition)
        except VcamTalkerError as e:
            if fault := self._misses.missed(e):
                self._drop()
                self._send(LipsRest(self._persona, fault, drawing=True))
            return None
        self._misses.drew()
        return drawn

    def _beat(self) -> None:
        """Thread: give signs of life, also while a model loads."""
        while True:
            self._send(Alive())
            time.sleep(HEARTBEAT_S)

    def _send(self, event: LipsEvent) -> None:
        """Send from any thread. When air is gone there is nothing left to do here."""
        try:
            with self._send_lock:
                self._connection.send_bytes(encode(pack(event)))
        except (BrokenPipeError, OSError):
            os._exit(0)


def _refused(error: OSError | MemoryError) -> EngineError:
    """Return what to tell of something that the system refuses now, and may grant later."""
    why = "not enough memory" if isinstance(error, MemoryError) else error.strerror or repr(error)
    return EngineError("the lips' network", f"can't be loaded ({why})", "Free what the system lacks")
