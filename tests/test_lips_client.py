"""Air's end of the lips: one question at a time, answers in time or not at all. The other end is a thread."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection

import numpy as np
import pytest

from vcam_talker.core.types import Pixels
from vcam_talker.face.neural.client import LipsClient
from vcam_talker.face.neural.crossing import MAX_SIDE_PX, Ask, Crossing, fits, pack_told, unpack_told

pytestmark = pytest.mark.unit

FACE = 0xF00D_F00D_F00D_F00D
CROP = np.arange(24 * 16, dtype=np.uint8).reshape(24, 16)
POSE = np.linspace(0, 1, 7, dtype=np.float32)
_PATIENT_S = 20.0

Handler = Callable[[Ask, Pixels, np.ndarray], Pixels | None]


class Child:
    """Serves questions as the lips process does, on a thread; without `go_on` it waits as if stopped."""

    def __init__(self, client: LipsClient, handle: Handler | None = None) -> None:
        name, theirs = client.open(get_context("spawn"))
        self.crossing = Crossing.attach(name)
        self.go_on = threading.Event()
        self.go_on.set()
        self.answered = threading.Semaphore(0)
        self.asks: list[Ask] = []
        self._handle = handle or (lambda _ask, crop, _condition: crop[::-1])
        # Of its own: the client closes what it has opened.
        self._pipe = Connection(os.dup(theirs.fileno()))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        client.draws(FACE)

    def _run(self) -> None:
        try:
            while True:
                ask = Ask.unpack(self._pipe.recv_bytes())
                self.asks.append(ask)
                self.go_on.wait()
                drawn = self._handle(ask, *self.crossing.question(ask))
                if drawn is not None:
                    self.crossing.put_answer(drawn)
                self._pipe.send_bytes(pack_told(ask.number, drawn=drawn is not None))
                self.answered.release()
        except (EOFError, OSError, ValueError):
            self._pipe.close()

    def close(self) -> None:
        self.go_on.set()
        self._thread.join(5)
        self.crossing.close()


@pytest.fixture
def client() -> Iterator[LipsClient]:
    made = LipsClient(_PATIENT_S)
    yield made
    made.close()


@pytest.fixture
def child(client: LipsClient) -> Iterator[Child]:
    made = Child(client)
    yield made
    client.detach()
    made.close()


def test_a_question_is_answered(client: LipsClient, child: Child) -> None:
    for n in range(5):
        crop = CROP + np.uint8(n)
        drawn = client.draw(FACE, 7 + n, crop, POSE)
        assert drawn is not None
        np.testing.assert_array_equal(drawn, crop[::-1])
    assert [ask.key for ask in child.asks] == [7, 8, 9, 10, 11]
    assert (client.asked, client.answered) == (5, 5)
    assert client.times_ms() is not None


def test_the_condition_crosses(client: LipsClient) -> None:
    def handle(_ask: Ask, crop: Pixels, condition: np.ndarray) -> Pixels:
        return np.full_like(crop, round(float(condition.sum())))

    child = Child(client, handle)
    sound = np.full(13_440, 0.01, np.float32)
    drawn = client.draw(FACE, 1, CROP, sound)
    assert drawn is not None
    assert drawn[0, 0] == 134
    client.detach()
    child.close()


def test_nobody_is_asked_before_it_is_ready_or_for_another_face(client: LipsClient, child: Child) -> None:
    assert client.ready(FACE)
    assert not client.ready(FACE + 1)
    assert client.draw(FACE + 1, 0, CROP, POSE) is None
    client.draws(0)
    assert not client.ready(FACE)
    assert not client.ready(0)
    assert client.draw(FACE, 0, CROP, POSE) is None
    assert not child.asks


def test_a_late_answer_is_never_shown(child: Child, client: LipsClient) -> None:
    client._deadline_s = 0.01
    child.go_on.clear()
    assert client.draw(FACE, 1, CROP, POSE) is None, "not in time"
    asked = len(child.asks)
    for _ in range(3):
        assert client.draw(FACE, 2, CROP, POSE) is None, "nothing is asked while an answer is due"
    assert len(child.asks) == asked == 1
    assert client.overdue_s() > 0.0
    child.go_on.set()
    assert child.answered.acquire(timeout=10)
    client._deadline_s = _PATIENT_S
    other = CROP + np.uint8(100)
    drawn = client.draw(FACE, 3, other, POSE)
    assert drawn is not None
    np.testing.assert_array_equal(drawn, other[::-1], "the answer to the last question, not the late one")
    assert client.overdue_s() == 0.0


def test_an_answer_that_comes_after_the_last_frame_is_not_overdue(child: Child, client: LipsClient) -> None:
    client._deadline_s = 0.0
    child.go_on.clear()
    assert client.draw(FACE, 1, CROP, POSE) is None
    time.sleep(0.02)
    assert client.overdue_s() > 0.01
    child.go_on.set()
    assert child.answered.acquire(timeout=10)
    assert client.overdue_s() == 0.0
    assert client.ready(FACE)


def test_a_stopped_child_is_waited_for_once(child: Child, client: LipsClient) -> None:
    client._deadline_s = 0.05
    child.go_on.clear()
    client.draw(FACE, 1, CROP, POSE)
    waits: list[float] = []
    client._pipe.poll = lambda timeout=0.0: waits.append(timeout)  # type: ignore[method-assign,union-attr]
    for _ in range(5):
        assert client.draw(FACE, 1, CROP, POSE) is None
    assert max(waits) == 0.0
    del client._pipe.poll  # type: ignore[union-attr]


def test_a_child_that_can_draw_nothing_says_so(client: LipsClient) -> None:
    child = Child(client, lambda _ask, _crop, _condition: None)
    assert client.draw(FACE, 1, CROP, POSE) is None
    assert client.overdue_s() == 0.0
    assert client.answered == 0
    client.detach()
    child.close()


def test_one_that_is_stopped_is_not_called_slow(child: Child, client: LipsClient) -> None:
    client._deadline_s = 0.0
    child.go_on.clear()
    for _ in range(100):
        assert client.draw(FACE, 1, CROP, POSE) is None
    assert not client.slow
    assert client.ready(FACE)


def test_the_next_child_starts_afresh(client: LipsClient, child: Child) -> None:
    client._deadline_s = 0.01
    child.go_on.clear()
    client.draw(FACE, 1, CROP, POSE)
    client.detach()
    assert not client.ready(FACE)
    assert client.overdue_s() == 0.0
    client._deadline_s = _PATIENT_S
    following = Child(client)
    assert client.draw(FACE, 1, CROP, POSE) is not None
    assert following.asks[0].number > child.asks[0].number, "numbers never come twice"
    client.detach()
    following.close()


def test_a_child_that_talks_nonsense_harms_nobody(client: LipsClient, child: Child) -> None:
    child._pipe.send_bytes(b"nonsense")
    assert client.draw(FACE, 1, CROP, POSE) is None
    assert not client.ready(FACE)


def test_a_child_that_vanishes_harms_nobody(client: LipsClient) -> None:
    def vanish(_ask: Ask, _crop: Pixels, _condition: np.ndarray) -> Pixels:
        raise EOFError

    client._deadline_s = 0.05
    child = Child(client, vanish)
    for _ in range(3):
        assert client.draw(FACE, 1, CROP, POSE) is None
    client.detach()
    child.close()


def test_a_network_that_is_always_late_is_left_alone_for_a_while(
    child: Child, client: LipsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client._deadline_s = 0.0
    for _ in range(60):
        child.go_on.clear()
        assert client.draw(FACE, 1, CROP, POSE) is None
        child.go_on.set()
        assert child.answered.acquire(timeout=10)
    assert client.slow
    assert not client.ready(FACE)
    later_s = time.monotonic() + 11
    monkeypatch.setattr(time, "monotonic", lambda: later_s)
    assert not client.slow
    assert client.ready(FACE)


def test_how_slow_one_network_is_does_not_count_against_the_next(child: Child, client: LipsClient) -> None:
    client._deadline_s = 0.0
    for _ in range(60):
        child.go_on.clear()
        client.draw(FACE, 1, CROP, POSE)
        child.go_on.set()
        assert child.answered.acquire(timeout=10)
    client.draws(0)
    client.draws(FACE)
    assert client.slow, "loaded again it is no quicker"
    client.draws(0)
    client.draws(FACE + 1)
    assert not client.slow
    assert client.ready(FACE + 1)
    client._deadline_s = _PATIENT_S
    assert client.times_ms() is None
    assert client.draw(FACE + 1, 1, CROP, POSE) is not None
    assert client.times_ms() is not None


def test_what_cannot_cross_is_not_asked(client: LipsClient, child: Child) -> None:
    huge = np.zeros(((MAX_SIDE_PX + 2) * 3 // 2, 16), np.uint8)
    assert client.draw(FACE, 1, huge, POSE) is None
    assert client.draw(FACE, 1, CROP, np.zeros(40_000, np.float32)) is None
    assert not child.asks
    assert not fits(15, 16, 7)
    assert not fits(0, 16, 7)


@pytest.mark.parametrize("message", [b"", b"x" * 7, Ask(1, 2, 3, 9999, 2, 7).pack(), b"y" * 64])
def test_a_message_that_is_none_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"question|answer"):
        Ask.unpack(message)
    with pytest.raises(ValueError, match="answer"):
        unpack_told(message)


def test_the_memory_goes_with_its_owner() -> None:
    made = Crossing.create()
    name = made.name
    other = Crossing.attach(name)
    other.close()
    made.close()
    made.close()
    with pytest.raises(FileNotFoundError):
        Crossing.attach(name)
