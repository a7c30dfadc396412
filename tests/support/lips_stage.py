"""A persona on air whose network fails when it is told to; its process is a thread."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from tests.support import clip_persona
from tests.support.tiny_lips import make_pose_model
from vcam_talker.app.lips import Lips
from vcam_talker.app.lips_choice import LipsChoice, choose_lips
from vcam_talker.config import Config, override
from vcam_talker.core.clock import ManualClock
from vcam_talker.core.errors import EngineError, VcamTalkerError
from vcam_talker.core.events import EngineDown, Ready
from vcam_talker.core.lips import parse_lips
from vcam_talker.core.status import EngineView
from vcam_talker.core.types import MOUTH_PARAMS, NS_PER_S, Pixels
from vcam_talker.core.wire import decode
from vcam_talker.face.clip.compositor import Planes
from vcam_talker.face.neural.crossing import Crossing
from vcam_talker.face.neural.drawer import face_id
from vcam_talker.lips.misses import _TOO_MANY
from vcam_talker.lips.process import _Lips
from vcam_talker.persona import Persona, load_persona

CROP = np.arange(24 * 16, dtype=np.uint8).reshape(24, 16)
POSE = np.zeros(len(MOUTH_PARAMS), np.float32)
NAN = EngineError("mouth.onnx", "output 'maps' holds NaN", "Try fp32")
GONE = EngineError("mouth.onnx", "is not the file that model.json tells of", "Put an undamaged copy there")


class Network:
    """Stands for a `LocalDrawer`; fails while `fault` is set."""

    label = "tiny on ort"

    def __init__(self, face: int) -> None:
        self.face = face
        self.fault: VcamTalkerError | None = None
        self.closed = False

    def ready(self, face: int) -> bool:
        return face == self.face

    def draw(self, _face: int, _key: int, crop: Pixels, _condition: np.ndarray) -> Pixels:
        if self.fault is not None:
            raise self.fault
        return crop[::-1]

    def close(self) -> None:
        self.closed = True


class White:
    """A drawer that paints all white."""

    patience_s = 0.0

    def ready(self, _face: int) -> bool:
        return True

    def draw(self, _face: int, _key: int, crop: Pixels, _condition: np.ndarray) -> Pixels:
        drawn = crop.copy()
        Planes(drawn).luma[...] = 255
        return drawn


class Process:
    """Stands for the supervisor and the process that it keeps alive."""

    def __init__(self, lips: Lips, config: Config, load: Callable[[str], Network | None]) -> None:
        self.loads: list[str] = []
        self.replaced: list[str] = []
        self._lips = lips
        self._config = config
        self._load = load
        self._persona = ""
        self._child: _Lips | None = None
        self._crossing: Crossing | None = None
        self._held: list[dict[str, object]] | None = None

    def stop_obeying(self) -> None:
        """Leave commands in the pipe, as while a network loads."""
        self._held = []

    def obey(self) -> None:
        """Take what has come since."""
        held, self._held = self._held or [], None
        for command in held:
            self.send(command)

    def begin(self, persona: str) -> None:
        self._persona = persona
        name, theirs = self._lips._client.open(get_context("spawn"))
        # Of its own: the client closes what it has opened.
        questions = Connection(os.dup(theirs.fileno()))
        self._events, events = get_context("spawn").Pipe()
        self._close_memory()
        self._crossing = Crossing.attach(name)
        child = self._child = _Lips(events, questions, self._crossing, self._config)
        child._open = self._open  # type: ignore[assignment,method-assign]
        threading.Thread(target=self._answer, args=(child, questions), daemon=True).start()
        self._lips._on_event(Ready(persona, (), ()))
        child._load(persona)
        self.pump()

    def _open(self, name: str) -> Network | None:
        self.loads.append(name)
        return self._load(name)

    @staticmethod
    def _answer(child: _Lips, questions: Connection) -> None:
        try:
            while True:
                child._answer(questions.recv_bytes())
        except (EOFError, OSError):
            questions.close()

    def pump(self) -> None:
        while self._events.poll():
            self._lips._on_event(parse_lips(decode(self._events.recv_bytes())))

    def send(self, command: dict[str, object]) -> bool:
        if self._held is not None:
            self._held.append(command)
            return True
        assert self._child is not None
        self._child._obey(command)
        self.pump()
        return True

    def use_persona(self, name: str) -> None:
        if name != self._persona:
            self._persona = name
            self.send({"op": "persona", "name": name})

    def replace(self, reason: str) -> None:
        self.replaced.append(reason)
        self._lips._client.detach()
        self._lips._on_event(EngineDown(reason))
        self.begin(self._persona)

    def check(self) -> None:
        self.pump()

    def view(self) -> EngineView:
        return EngineView("ready", 1, len(self.replaced))

    def stop(self) -> None:
        self._lips._client.detach()
        self._close_memory()

    def _close_memory(self) -> None:
        if self._crossing is not None:
            self._crossing.close()


class Stage:
    """A persona on air whose network can be made to fail."""

    def __init__(self, persona: Persona, config: Config) -> None:
        self.clock = ManualClock()
        self.config = config
        self.lips = Lips(config, self.clock)
        self.lips._client._deadline_s = 20.0
        self.loading: VcamTalkerError | None = None
        self.drawing: VcamTalkerError | None = None
        """What goes wrong from the next load on."""
        self.network: Network | None = None
        self.process = Process(self.lips, config, self._load)
        self.lips._supervisor = self.process  # type: ignore[assignment]
        self.choice = choose_lips(persona, config)

    @property
    def name(self) -> str:
        """What events call its persona."""
        return str(self.choice.persona.root)

    def begin(self) -> None:
        self.lips._take(self.choice)
        self.lips._running = True
        self.process.begin(str(self.choice.persona.root))

    def _load(self, name: str) -> Network | None:
        if self.loading is not None:
            raise self.loading
        choice = choose_lips(load_persona(name), self.config)
        if not choice.wanted:
            return None
        made = Network(self.face(choice))
        made.fault = self.drawing
        self.network = made
        return made

    def face(self, choice: LipsChoice) -> int:
        assert choice.package is not None
        air = self.config.air
        return face_id(choice.persona, choice.package, (air.width, air.height))

    def draw(self, choice: LipsChoice | None = None) -> Pixels | None:
        found = self.lips._client.draw(self.face(choice or self.choice), 0, CROP, POSE)
        self.process.pump()
        return found

    def fail(self, fault: VcamTalkerError | None = NAN, times: int = _TOO_MANY) -> None:
        assert self.network is not None
        self.network.fault = fault
        assert [self.draw() for _ in range(times)] == [None] * times

    def wait(self, seconds: float) -> None:
        self.clock.advance(round(seconds * NS_PER_S))
        self.lips.check()

    def rests_s(self) -> float | None:
        return self.lips._rest.left_s()


@pytest.fixture(scope="module")
def persona() -> Persona:
    return load_persona(str(clip_persona.shared()))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    model = make_pose_model(tmp_path / "model")
    changes = {"lips.model": str(model), "air.width": 640, "air.height": 360}
    return override(Config(), changes)


@pytest.fixture
def stage(persona: Persona, config: Config, caplog: pytest.LogCaptureFixture) -> Iterator[Stage]:
    made = Stage(persona, config)
    with caplog.at_level(logging.INFO):
        yield made
    made.lips.stop()
