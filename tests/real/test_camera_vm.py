"""The camera on a real v4l2loopback, in a VM: what ffmpeg, a reader of ours, Chromium and OBS get from it."""

from __future__ import annotations

import json
import shlex
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import vm
from tests.vm.camera_checks import FPS, FRAMES, HEIGHT, SECOND_LIFE_FRAMES, WIDTH
from tests.vm.write_pattern import BARS, as_bt709, to_yuv
from vcam_talker.air.sinks import camera

pytestmark = [pytest.mark.real, pytest.mark.vm]

PYTHON = "python -m tests.vm."
OPENING = 5
"""Frames until a reader has settled."""
BUFFERS = 2
"""Of the driver."""
CHROMIUM_FRAMES = 5
"""Pictures that Chromium has to show one after the other: a still one is no camera."""


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run tests/vm/camera_checks.py in the VM once; return the folder with its findings."""
    out = tmp_path_factory.mktemp("checks")
    command = ["python", "-m", "tests.vm.camera_checks", vm.CAMERA, str(out), *shlex.split(vm.CAMERA_MODULE)]
    vm.run(command, timeout_s=600, out_dir=out).check()
    return out


@pytest.fixture(scope="module")
def answers(checks: Path) -> dict[str, str]:
    """What the sink said at each step of the checks."""
    found: dict[str, str] = json.loads((checks / "checks.json").read_text())
    return found


def test_ffmpeg_captures_every_pixel_in_order(checks: Path) -> None:
    lines = (checks / "frames.crc").read_text().splitlines()
    frames = [int(line.split(",")[-1], 16) for line in lines if not line.startswith("#")]
    assert len(frames) == FRAMES
    # The bar of the test pattern is back where it was after two seconds: that many different pictures.
    loop = 2 * FPS
    known = {zlib.crc32(camera.pattern_frame(n, WIDTH, HEIGHT, FPS).pixels.tobytes()): n for n in range(loop)}
    numbers = [known.get(frame) for frame in frames]
    whole = [n for n in numbers if n is not None]
    # The driver hands out its two buffers without a copy: a reader that is held up may see one overwritten,
    # half or whole; in the latter case the newer frame comes before the older one.
    assert len(whole) > 0.8 * FRAMES, f"ffmpeg saw frames {numbers}"
    steps = np.diff(whole[OPENING:]) % loop
    back = loop - steps[steps >= loop / 2]
    assert len(back) <= 0.1 * FRAMES, f"ffmpeg saw frames {numbers}"
    assert (back <= BUFFERS).all(), f"ffmpeg saw frames {numbers}"


def test_a_reader_sees_the_rate_and_no_frame_twice(checks: Path, answers: dict[str, str]) -> None:
    killed_ns = int(answers["killed at"])
    frames = [frame for frame in vm.read_pace(checks / "pace.csv") if frame[0] < killed_ns]
    assert len(frames) > 2 * FPS
    times_ns, sequence, pictures = (np.array(column) for column in zip(*frames, strict=True))
    # Medians: a busy host holds an emulated machine up for a tenth of a second now and then.
    assert np.median(np.diff(times_ns)) / 1e6 == pytest.approx(1000 / FPS, rel=0.1)
    assert np.diff(sequence).min() > 0
    assert np.median(np.diff(sequence)) == 1
    assert np.mean(np.diff(pictures) == 0) < 0.1


def test_a_reader_keeps_its_camera_when_the_writer_is_killed(checks: Path, answers: dict[str, str]) -> None:
    killed_ns = int(answers["killed at"])
    assert answers["beside a reader that stayed"] == "ok"
    second_life = [frame for frame in vm.read_pace(checks / "pace.csv") if frame[0] > killed_ns]
    assert len(second_life) > SECOND_LIFE_FRAMES // 2


def test_a_second_writer_is_told_who_holds_the_camera(answers: dict[str, str]) -> None:
    assert "another program writes to it: python" in answers["second writer"]


def test_a_careless_writer_before_us_does_no_harm(answers: dict[str, str]) -> None:
    assert answers["after pyvirtualcam's own writer"] == "ok"


def test_a_missing_device_names_the_remedy_and_comes_back(answers: dict[str, str]) -> None:
    assert answers["without the module"].startswith(f"{vm.CAMERA}: there is no such device")
    assert "vcam-talker setup camera" in answers["without the module"]
    assert answers["with the module back"] == "ok"


@pytest.fixture(scope="module")
def viewers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let Chromium and OBS open the camera at the same time; return the folder with what they saw."""
    out = tmp_path_factory.mktemp("viewers")
    # Ten frames a second leave an emulated machine time for the programs that matter here.
    vm.run(
        f"""
        {PYTHON}write_pattern {vm.CAMERA} --fps 10 --seconds 900 &
        {PYTHON}chromium_camera {vm.CAMERA} --frames {CHROMIUM_FRAMES} --timeout 600 \
            >$VM_OUT/chromium.json 2>$VM_OUT/chromium.log &
        chromium=$!
        {PYTHON}obs_camera {vm.CAMERA} $VM_OUT/obs.png >$VM_OUT/obs.json
        wait $chromium
        """,
        timeout_s=800,
        out_dir=out,
    ).check()
    return out


def colour_error(row: list[list[int]], expected: Sequence[Sequence[int]]) -> int:
    """Return the largest difference of a channel, 0 .. 255."""
    return int(np.abs(np.array(row) - np.array(expected)).max())


def test_chromium_offers_the_camera_by_name_and_shows_it(viewers: Path) -> None:
    seen: dict[str, Any] = json.loads((viewers / "chromium.json").read_text())
    assert "error" not in seen, seen
    assert seen["cameras"] == [vm.CAMERA_LABEL]
    assert seen["label"] == vm.CAMERA_LABEL
    assert seen["size"] == [WIDTH, HEIGHT]
    assert seen["frames"] >= CHROMIUM_FRAMES
    assert colour_error(seen["row"], BARS) <= 4, seen["row"]


def test_obs_offers_the_camera_by_name_and_shows_it(viewers: Path) -> None:
    seen: dict[str, Any] = json.loads((viewers / "obs.json").read_text())
    assert vm.CAMERA_LABEL in seen["cameras"][vm.CAMERA]
    # OBS takes every YUV camera for BT.709, whatever the device says: saturated colours shift.
    accepted = (BARS, [as_bt709(to_yuv(bar)) for bar in BARS])
    assert min(colour_error(seen["row"], bars) for bars in accepted) <= 4, seen["row"]
