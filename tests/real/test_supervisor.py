"""The supervisor with real child processes that misbehave in every way."""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TypeVar

import numpy as np
import pytest

from vcam_talker.air.child_process import child_context
from vcam_talker.air.feed import SpeechFeed
from vcam_talker.air.supervisor import Limits, Supervisor
from vcam_talker.air.timeline import Timeline
from vcam_talker.config import Config
from vcam_talker.core.clock import SystemClock
from vcam_talker.core.events import EngineDown, EngineEvent, Ready, parse_event
from vcam_talker.core.ring import Ring
from vcam_talker.core.types import TurnId
from vcam_talker.core.wire import QUANTUM, decode, encode, pack_speech

pytestmark = pytest.mark.real

E = TypeVar("E", bound=EngineEvent)

_LIMITS = Limits(heartbeat_timeout_s=0.6, start_timeout_s=10, backoff_max_s=0.5)


def good_engine(connection: Connection, ring_name: str, persona: str, _config: Config) -> None:
    """Answer every turn with 50 ms of speech; `crash`, `hang` and `nonsense` do as they say."""
    ring = Ring.attach(ring_name)
    connection.send_bytes(encode({"op": "ready", "persona": persona, "voices": ["x"], "warnings": []}))
    while True:
        if connection.poll(0.1):
            command = decode(connection.recv_bytes())
            match command["op"]:
                case "quit":
                    return
                case "crash":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "hang":
                    time.sleep(60)
                case "persona":
                    ready = {"op": "ready", "persona": command["name"], "voices": [], "warnings": []}
                    connection.send_bytes(encode(ready))
                case "lie":
                    connection.send_bytes(command["lie"].encode())
                case "nonsense":
                    ring.try_write(b"nonsense")
                case "turn":
                    samples = np.full(5 * QUANTUM, 0.1, np.float32)
                    ring.try_write(
                        pack_speech(TurnId(command["turn"]), samples, np.zeros((5, 7), np.float32))
                    )
        connection.send_bytes(encode({"op": "alive"}))


def broken_engine(*_args: object) -> None:
    """Die at once."""
    raise SystemExit(3)


def mute_engine(connection: Connection, *_args: object) -> None:
    """Give signs of life for ever, but never get ready."""
    while True:
        connection.send_bytes(encode({"op": "alive"}))
        time.sleep(0.1)


class Rig:
    """A supervisor, its timeline and its events."""

    def __init__(self, main: Callable[..., None], limits: Limits = _LIMITS) -> None:
        self.events: queue.Queue[EngineEvent] = queue.Queue()
        self.timeline = Timeline()
        self.feed = SpeechFeed(self.timeline, self._replace, 400)
        self.supervisor = Supervisor(
            "engine", main, child_context([main]), self.feed, SystemClock(), limits, parse_event,
            self.events.put, persona="p", config=Config(),
        )  # fmt: skip
        self.supervisor.start()

    def _replace(self, reason: str) -> None:
        self.supervisor.replace(reason)

    def wait(self, kind: type[E], timeout_s: float = 20) -> E:
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            event = self.events.get(timeout=left_s)
            if isinstance(event, kind):
                return event
        raise AssertionError(f"no {kind.__name__}")

    def speech_arrives(self, turn: int) -> bool:
        deadline_s = time.monotonic() + 10
        while time.monotonic() < deadline_s:
            self.feed.drain()
            if self.timeline.pull().turn == turn:
                return True
            time.sleep(0.005)
        return False


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig(good_engine)
    made.wait(Ready)
    yield made
    made.supervisor.stop()
    made.feed.detach()


def test_speech_crosses_from_the_child(rig: Rig) -> None:
    assert rig.supervisor.send({"op": "turn", "turn": 1})
    assert rig.speech_arrives(1)
    assert rig.supervisor.view().state == "ready"


@pytest.mark.parametrize("fault", ["crash", "hang"])
def test_a_lost_engine_is_replaced_and_the_next_speaks(rig: Rig, fault: str) -> None:
    first = rig.supervisor.view().pid
    rig.supervisor.send({"op": fault})
    reason = rig.wait(EngineDown).reason
    assert ("signal 9" if fault == "crash" else "no sign of life") in reason
    rig.wait(Ready)
    assert rig.supervisor.view().pid != first
    assert rig.supervisor.send({"op": "turn", "turn": 7})
    assert rig.speech_arrives(7)
    assert rig.supervisor.view().restarts == 1


def test_a_stopped_engine_is_replaced(rig: Rig) -> None:
    pid = rig.supervisor.view().pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert "no sign of life" in rig.wait(EngineDown).reason
    rig.wait(Ready)


def test_nonsense_in_the_ring_replaces_the_engine(rig: Rig) -> None:
    rig.supervisor.send({"op": "nonsense"})
    deadline_s = time.monotonic() + 5
    while rig.events.empty() and time.monotonic() < deadline_s:
        rig.feed.drain()
        time.sleep(0.01)
    assert "nonsense" in rig.wait(EngineDown).reason
    rig.wait(Ready)
    rig.supervisor.send({"op": "turn", "turn": 2})
    assert rig.speech_arrives(2)


def test_an_engine_that_never_starts_is_retried_with_growing_pauses() -> None:
    rig = Rig(broken_engine)
    try:
        times = []
        for _ in range(3):
            assert "exit code 3" in rig.wait(EngineDown).reason
            times.append(time.monotonic())
        assert rig.supervisor.view().state == "restarting"
        assert not rig.supervisor.send({"op": "turn", "turn": 1})
    finally:
        rig.supervisor.stop()


def test_stopping_leaves_no_child() -> None:
    rig = Rig(good_engine)
    rig.wait(Ready)
    pid = rig.supervisor.view().pid
    assert pid is not None
    rig.supervisor.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    "lie",
    ['{"op": "ready", "voices": 5}', '{"op": "token", "turn": 1e999, "at_ns": 0, "brain": ""}', "[" * 60_000],
    ids=["shape", "infinity", "depth"],
)
def test_an_engine_that_lies_is_replaced_and_harms_nobody(rig: Rig, lie: str) -> None:
    rig.supervisor.send({"op": "lie", "lie": lie})
    assert rig.wait(EngineDown).reason
    rig.wait(Ready)


def test_what_a_listener_can_not_bear_costs_a_child_and_not_its_keeper() -> None:
    rig = Rig(good_engine)
    heard: queue.Queue[EngineEvent] = queue.Queue()
    hear = rig.supervisor._listener
    refused = iter([Ready, EngineDown])

    def listener(event: EngineEvent) -> None:
        heard.put(event)
        if isinstance(event, next(refused, ())):
            raise RuntimeError("not this one")
        hear(event)

    rig.supervisor._listener = listener
    try:
        rig.wait(Ready)
        assert isinstance(heard.get(timeout=1), Ready)
        assert "not this one" in heard.get(timeout=1).reason  # type: ignore[union-attr]
        assert rig.supervisor.view().restarts == 1
    finally:
        rig.supervisor.stop()


def test_an_engine_that_lives_but_never_gets_ready_is_replaced() -> None:
    rig = Rig(mute_engine, replace(_LIMITS, start_timeout_s=0.5))
    try:
        assert "no sign of life" in rig.wait(EngineDown).reason
    finally:
        rig.supervisor.stop()


def test_a_persona_chosen_while_the_engine_starts_is_not_lost() -> None:
    rig = Rig(good_engine)
    try:
        while rig.supervisor.view().pid is None:
            time.sleep(0.001)
        rig.supervisor.use_persona("other")
        assert rig.wait(Ready).persona == "p", "it was started with the one before"
        assert rig.wait(Ready).persona == "other"
        rig.supervisor.send({"op": "crash"})
        rig.wait(EngineDown)
        assert rig.wait(Ready).persona == "other", "later engines start with it"
    finally:
        rig.supervisor.stop()


def test_an_engine_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    create = Ring.create

    def full(capacity: int) -> Ring:
        made.append(capacity)
        if len(made) < 3:
            raise OSError(28, "No space left on device")
        return create(capacity)

    monkeypatch.setattr(Ring, "create", full)
    rig = Rig(good_engine)
    try:
        assert "No space left" in rig.wait(EngineDown).reason
        rig.wait(Ready)
        assert len(made) == 3
    finally:
        rig.supervisor.stop()


def test_a_stopped_engine_with_a_full_pipe_blocks_nobody(rig: Rig) -> None:
    pid = rig.supervisor.view().pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    for turn in range(40):
        rig.supervisor.send({"op": "turn", "turn": turn, "text": "x" * 20_000})
    deadline_s = time.monotonic() + 20
    while rig.events.empty() and time.monotonic() < deadline_s:
        rig.supervisor.check()
        time.sleep(0.1)
    rig.wait(EngineDown)
    rig.wait(Ready)
