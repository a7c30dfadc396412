"""The supervisor with real child processes that misbehave in every way."""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest

from vcam_talker.air.feed import SpeechFeed
from vcam_talker.air.supervisor import Limits, Supervisor
from vcam_talker.air.timeline import Timeline
from vcam_talker.core.clock import SystemClock
from vcam_talker.core.ring import Ring
from vcam_talker.core.types import TurnId
from vcam_talker.core.wire import QUANTUM, decode, encode, pack_speech

pytestmark = pytest.mark.real

_LIMITS = Limits(heartbeat_timeout_s=0.6, start_timeout_s=10, backoff_max_s=0.5, ahead_ms=400)


def good_engine(connection: Connection, ring_name: str, _persona: str, _voice: str, _level: str) -> None:
    """Answer every turn with 50 ms of speech; `crash`, `hang` and `nonsense` do as they say."""
    ring = Ring.attach(ring_name)
    connection.send_bytes(encode({"op": "ready", "voices": ["x"]}))
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


class Rig:
    """A supervisor, its timeline and its events."""

    def __init__(self, main: Callable[..., None]) -> None:
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.timeline = Timeline()
        self.feed = SpeechFeed(self.timeline, self._replace)
        self.supervisor = Supervisor(
            main, self.feed, SystemClock(), _LIMITS, self.events.put, persona="p", voice_engine="auto",
            log_level="warning",
        )  # fmt: skip
        self.supervisor.start()

    def _replace(self) -> None:
        self.supervisor.replace()

    def wait(self, op: str, timeout_s: float = 20) -> dict[str, Any]:
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            event = self.events.get(timeout=left_s)
            if event["op"] == op:
                return event
        raise AssertionError(f"no {op}")

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
    made.wait("ready")
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
    reason = rig.wait("down")["reason"]
    assert ("signal 9" if fault == "crash" else "no sign of life") in reason
    rig.wait("ready")
    assert rig.supervisor.view().pid != first
    assert rig.supervisor.send({"op": "turn", "turn": 7})
    assert rig.speech_arrives(7)
    assert rig.supervisor.view().restarts == 1


def test_a_stopped_engine_is_replaced(rig: Rig) -> None:
    pid = rig.supervisor.view().pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert "no sign of life" in rig.wait("down")["reason"]
    rig.wait("ready")


def test_nonsense_in_the_ring_replaces_the_engine(rig: Rig) -> None:
    rig.supervisor.send({"op": "nonsense"})
    deadline_s = time.monotonic() + 5
    while rig.events.empty() and time.monotonic() < deadline_s:
        rig.feed.drain()
        time.sleep(0.01)
    assert "nonsense" in rig.wait("down")["reason"]
    rig.wait("ready")
    rig.supervisor.send({"op": "turn", "turn": 2})
    assert rig.speech_arrives(2)


def test_an_engine_that_never_starts_is_retried_with_growing_pauses() -> None:
    rig = Rig(broken_engine)
    try:
        times = []
        for _ in range(3):
            assert "exit code 3" in rig.wait("down")["reason"]
            times.append(time.monotonic())
        assert rig.supervisor.view().state == "restarting"
        assert not rig.supervisor.send({"op": "turn", "turn": 1})
    finally:
        rig.supervisor.stop()


def test_stopping_leaves_no_child() -> None:
    rig = Rig(good_engine)
    rig.wait("ready")
    pid = rig.supervisor.view().pid
    assert pid is not None
    rig.supervisor.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
