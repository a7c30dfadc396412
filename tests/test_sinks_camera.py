"""The camera sink over a fake driver, and the choice of a device."""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from vcam_talker.air.sinks import camera as module
from vcam_talker.air.sinks import v4l2
from vcam_talker.air.sinks.camera import CameraSink, pattern_frame
from vcam_talker.core.errors import DeviceError, DeviceLostError
from vcam_talker.core.types import VideoFrame

pytestmark = pytest.mark.unit

WAIT_S = 5.0


class FakeCamera:
    """A driver that can fail or hang."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.fail: OSError | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.closed = threading.Event()
        self.changed = threading.Condition()

    def send(self, pixels: np.ndarray) -> None:
        self.gate.wait(WAIT_S)
        if self.fail:
            raise self.fail
        with self.changed:
            self.sent.append(int(pixels[0, 0]))
            self.changed.notify_all()

    def close(self) -> None:
        self.closed.set()

    def await_frames(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.sent) >= count, WAIT_S)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeCamera:
    fake = FakeCamera()
    monkeypatch.setattr(module, "_open_camera", lambda *_: fake)
    return fake


@pytest.fixture
def sink(driver: FakeCamera) -> CameraSink:  # noqa: ARG001 - it stands in for the real one
    opened = CameraSink("/dev/video10")
    opened.open(64, 36, 30)
    return opened


def frame(value: int) -> VideoFrame:
    shown = pattern_frame(0, 64, 36, 30)
    shown.pixels[:] = value
    return shown


def write_until_lost(sink: CameraSink) -> DeviceLostError:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            sink.write(frame(0))
        except DeviceLostError as error:
            return error
        time.sleep(0.001)
    raise AssertionError("the loss was never noticed")


def test_frames_arrive_in_order(sink: CameraSink, driver: FakeCamera) -> None:
    for value in range(5):
        sink.write(frame(value))
        driver.await_frames(value + 1)
    assert driver.sent == [0, 1, 2, 3, 4]
    assert sink.dropped == 0


def test_a_slow_driver_gets_the_newest_frame_and_stalls_nobody(sink: CameraSink, driver: FakeCamera) -> None:
    driver.gate.clear()
    sink.write(frame(0))
    while sink._writer._waiting is not None:
        time.sleep(0.001)
    for value in range(1, 10):
        sink.write(frame(value))
    driver.gate.set()
    driver.await_frames(2)
    assert driver.sent == [0, 9]
    assert sink.dropped == 8


def test_frames_leave_with_the_pacers_priority(driver: FakeCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(module, "prefer_this_thread", lambda: asked.append(threading.current_thread().name))
    sink = CameraSink("/dev/video10")
    sink.open(64, 36, 30)
    sink.write(frame(0))
    driver.await_frames(1)
    assert asked == ["camera-writer"]
    sink.close()


def test_a_failed_write_is_told_with_its_reason(sink: CameraSink, driver: FakeCamera) -> None:
    driver.fail = OSError(errno.ENODEV, "No such device")
    assert "No such device" in str(write_until_lost(sink))
    assert driver.closed.wait(WAIT_S)


def test_a_hung_driver_is_lost_and_close_returns(
    sink: CameraSink, driver: FakeCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STALL_TIMEOUT_S", 0.02)
    monkeypatch.setattr(module, "_CLOSE_TIMEOUT_S", 0.02)
    driver.gate.clear()
    assert "hung" in str(write_until_lost(sink))
    sink.close()
    assert not driver.closed.is_set()
    driver.gate.set()
    assert driver.closed.wait(WAIT_S), "a driver that comes back is released"


@pytest.mark.usefixtures("driver")
def test_the_format_is_fixed(sink: CameraSink) -> None:
    with pytest.raises(ValueError, match="fixed"):
        sink.write(pattern_frame(0, 32, 18, 30))


def test_opening_after_a_loss_works(sink: CameraSink, driver: FakeCamera) -> None:
    driver.fail = OSError(errno.ENODEV, "No such device")
    write_until_lost(sink)
    sink.close()
    driver.fail = None
    sink.open(64, 36, 30)
    sink.write(frame(7))
    driver.await_frames(1)
    assert driver.sent == [7]


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ("/dev/video254", "no such device"),
        ("/dev/null", "not a video device"),
        ("obs", "none of this kind"),
    ],
)
def test_what_cannot_be_opened_is_refused_with_a_remedy(device: str, why: str) -> None:
    with pytest.raises(DeviceError, match=why) as caught:
        CameraSink(device).open(1280, 720, 30)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("number", "text"),
    [(errno.EACCES, "group 'video'"), (errno.EBUSY, "another program"), (errno.EIO, "can't be opened")],
)
def test_open_errors_name_the_way_out(number: int, text: str) -> None:
    assert text in str(v4l2._open_error("/dev/video10", OSError(number, "reason")))


def test_the_busy_error_names_the_holder(tmp_path: Path) -> None:
    import subprocess

    held = tmp_path / "device"
    held.touch()
    with held.open() as handle, subprocess.Popen(["sleep", "30"], stdin=handle) as process:
        try:
            assert v4l2._holders(str(held)) == [f"sleep ({process.pid})"]
        finally:
            process.kill()


def camera(path: str, label: str, driver: str = v4l2.LOOPBACK_DRIVER) -> v4l2.Camera:
    return v4l2.Camera(path, driver, label, output=True, capture=False)


OURS = camera("/dev/video4", "vcam_talker")
NUMBERED = camera("/dev/video10", "Dummy")
OBS = camera("/dev/video0", "OBS Virtual Camera")
OTHER = camera("/dev/video7", "Loopback")
REAL = camera("/dev/video1", "vcam_talker", driver="uvcvideo")


@pytest.mark.parametrize(
    ("cameras", "expected"),
    [
        ([OBS, REAL, OTHER, NUMBERED, OURS], OURS),
        ([OBS, REAL, OTHER, NUMBERED], NUMBERED),
        ([OBS, REAL, OTHER], OTHER),
        ([OBS, REAL], None),
        ([], None),
    ],
)
def test_auto_prefers_ours_and_leaves_obs_its_own(
    cameras: list[v4l2.Camera], expected: v4l2.Camera | None
) -> None:
    assert v4l2.find_camera("vcam_talker", 10, cameras) is expected


def test_request_codes_are_the_kernels() -> None:
    # From linux/videodev2.h on 64 bit machines.
    assert (v4l2._QUERYCAP, v4l2._S_FMT) == (0x80685600, 0xC0D05605)
    assert (v4l2._STREAMON, v4l2._S_PARM) == (0x40045612, 0xC0CC5616)


def test_a_device_that_is_gone_when_opened_again_is_closed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "video10"
    device.touch()
    forgetful = v4l2.Camera(str(device), v4l2.LOOPBACK_DRIVER, "ours", output=False, capture=False)
    monkeypatch.setattr(v4l2, "_query", lambda *_: forgetful)
    monkeypatch.setattr(v4l2.LoopbackDevice, "_claim", lambda _: device.unlink())
    with pytest.raises(DeviceError, match="no such device"):
        v4l2.LoopbackDevice(str(device), 64, 36, 30)


class FakeLoopback:
    def __init__(self, path: str, *_: int) -> None:
        self.path = path
        self.closes = 0

    def close(self) -> None:
        self.closes += 1


def test_a_device_that_pyvirtualcam_refuses_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = FakeLoopback("/dev/video10")

    class Refusing(module._LoopbackBackend):
        def __init__(self, **_: object) -> None:
            raise ValueError("unknown format")

    monkeypatch.setattr(module, "LoopbackDevice", lambda *_: opened)
    monkeypatch.setattr(module, "_LoopbackBackend", Refusing)
    with pytest.raises(DeviceError, match="unknown format") as caught:
        CameraSink("/dev/video10").open(64, 36, 30)
    assert caught.value.remedy
    assert opened.closes == 1
