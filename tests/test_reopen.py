"""The keeper of a device: losses are noticed once, nothing blocks its user, nothing stays open."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from vcam_talker.air import reopen
from vcam_talker.air.reopen import Keeper
from vcam_talker.core.errors import DeviceError, DeviceLostError

pytestmark = pytest.mark.unit

WAIT_S = 5.0
LOSS = DeviceLostError("device", "it went away")


class FakeSink:
    """A device whose opening can fail, and whose opening and closing can hang."""

    name = "device"

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.is_open = False
        self.opens = 0
        self.closed_by: list[threading.Thread] = []
        self.may_open, self.may_close = threading.Event(), threading.Event()
        self.may_open.set()
        self.may_close.set()
        self.opening = threading.Event()
        self.changed = threading.Condition()

    def open(self) -> None:
        self.opening.set()
        assert self.may_open.wait(WAIT_S)
        if self.failures:
            raise self.failures.pop(0)
        with self.changed:
            self.is_open = True
            self.opens += 1
            self.changed.notify_all()

    def close(self) -> None:
        assert self.may_close.wait(WAIT_S)
        with self.changed:
            self.is_open = False
            self.closed_by.append(threading.current_thread())
            self.changed.notify_all()

    def await_true(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, WAIT_S)


@pytest.fixture
def sink() -> FakeSink:
    return FakeSink()


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(reopen, "_FIRST_DELAY_S", 0.001)
    yield
    threads = [t for t in threading.enumerate() if t.name.endswith(" device")]
    for thread in threads:
        thread.join(WAIT_S)
    assert not any(thread.is_alive() for thread in threads)


def kept(sink: FakeSink, *, reopens: bool = True) -> Keeper[FakeSink]:
    keeper = Keeper(sink, FakeSink.open, reopen=reopens)
    keeper.open_now()
    return keeper


def await_thread(keeper: Keeper[FakeSink]) -> None:
    assert keeper._thread is not None
    keeper._thread.join(WAIT_S)


def await_open(keeper: Keeper[FakeSink]) -> None:
    await_thread(keeper)
    assert keeper.state == "open"


def test_a_lost_device_comes_back_and_is_counted(sink: FakeSink) -> None:
    keeper = kept(sink)
    keeper.lost(LOSS)
    await_open(keeper)
    assert keeper.current() is sink
    assert (keeper.reopened, keeper.detail) == (1, "")
    keeper.close()
    assert (keeper.state, keeper.current(), sink.is_open) == ("closed", None, False)


def test_a_lost_file_is_closed_but_not_by_its_user(sink: FakeSink) -> None:
    keeper = kept(sink, reopens=False)
    sink.may_close.clear()  # closing hangs: so would the pacer
    keeper.lost(LOSS)
    assert (keeper.state, keeper.detail) == ("lost", str(LOSS))
    sink.may_close.set()
    sink.await_true(lambda: bool(sink.closed_by))
    assert sink.closed_by[0] is not threading.current_thread()
    keeper.close()
    assert sink.opens == 1


def test_a_loss_is_told_once(sink: FakeSink, caplog: pytest.LogCaptureFixture) -> None:
    keeper = kept(sink, reopens=False)
    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            keeper.lost(LOSS)
    assert [record.getMessage() for record in caplog.records] == [str(LOSS)]
    keeper.close()


def test_a_device_that_opens_after_the_end_is_closed_again(
    sink: FakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reopen, "_CLOSE_TIMEOUT_S", 0.01, raising=False)
    keeper = Keeper(sink, FakeSink.open)
    sink.may_open.clear()
    keeper.open_later()
    assert sink.opening.wait(WAIT_S)
    keeper.close()
    assert keeper.state == "closed"
    sink.may_open.set()
    sink.await_true(lambda: sink.opens == 1)
    await_thread(keeper)
    assert not sink.is_open
    assert (keeper.state, keeper.current()) == ("closed", None)


@pytest.mark.parametrize("error", [DeviceError("device", "busy"), OSError(errno.ENOSPC, "No space left")])
def test_what_fails_to_open_is_tried_again(sink: FakeSink, error: Exception) -> None:
    keeper = kept(sink)
    sink.failures = [error, error, error]
    keeper.lost(LOSS)
    await_open(keeper)
    assert sink.opens == 2
    keeper.close()


def test_the_reason_is_shown_while_it_is_lost(sink: FakeSink) -> None:
    keeper = Keeper(sink, FakeSink.open)
    sink.failures = [OSError(errno.ENOSPC, "No space left")]
    with pytest.raises(DeviceError, match=r"device: .*No space left"):
        keeper.open_now()
