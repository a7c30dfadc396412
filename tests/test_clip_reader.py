"""The decoder ahead of time: whatever happens to it, a picture is there and it comes back."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support import clip_persona
from vcam_talker.core.types import Activity, Pixels
from vcam_talker.face.clip.assets import FaceAssets, load_assets
from vcam_talker.face.clip.reader import ClipReader
from vcam_talker.face.clip.video import Decoder, Video, index_video
from vcam_talker.face.clip.walk import Walk

pytestmark = pytest.mark.unit

AHEAD = 6


@pytest.fixture(scope="module")
def assets() -> FaceAssets:
    return load_assets(clip_persona.shared() / "face.npz")


def video_of(folder: Path, assets: FaceAssets) -> Video:
    return index_video(folder / "life.mp4", assets.size, len(assets.frame_view), 30, 1 << 30)


@pytest.fixture(scope="module")
def video(assets: FaceAssets) -> Video:
    return video_of(clip_persona.shared(), assets)


def same(pixels: Pixels) -> Pixels:
    return pixels


class Life:
    """A reader that is asked along a walk."""

    def __init__(self, assets: FaceAssets, video: Video, prepare: Callable[[Pixels], Pixels] = same) -> None:
        self.walk = Walk(assets.segments, 1, AHEAD)
        self.reader = ClipReader(video, prepare, AHEAD)

    def frame(self, number: int) -> tuple[int | None, int]:
        """Return which frame of the clip came, and which was due."""
        plan = self.walk.at(number, Activity.IDLE)
        found = self.reader.get(number, plan)
        return (None if found is None else found.frame), plan[0].clip_frame(number)


def test_every_frame_comes_in_virtual_time(assets: FaceAssets, video: Video) -> None:
    life = Life(assets, video)
    for n in range(200):
        came, due = life.frame(n)
        assert came == due
        assert life.reader.held <= AHEAD + 1


def test_frames_between_are_skipped(assets: FaceAssets, video: Video) -> None:
    life = Life(assets, video)
    for n in (0, 5, 30, 31, 90, 200, 40, 0):
        came, due = life.frame(n)
        assert came == due


def test_a_slow_decoder_leaves_the_picture_and_catches_up(
    assets: FaceAssets, video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcam_talker.face.clip.reader._PATIENCE_S", 0.05)
    gate = threading.Event()
    gate.set()

    def gated(pixels: Pixels) -> Pixels:
        gate.wait(10)
        return pixels

    life = Life(assets, video, gated)
    assert life.frame(0)[0] is not None
    for n in range(1, AHEAD + 1):
        life.frame(n)
    gate.clear()
    began_s = time.monotonic()
    stuck = [life.frame(n)[0] for n in range(AHEAD, AHEAD + 60)]
    # Sixty frames were asked for, and only the first of them was waited for.
    assert time.monotonic() - began_s < 5.0
    assert len(set(stuck)) <= AHEAD + 3
    gate.set()
    for n in range(AHEAD + 60, AHEAD + 500):
        came, due = life.frame(n)
        if came == due:
            return
        time.sleep(0.01)
    pytest.fail("the reader did not catch up")


class CrashError(Exception):
    pass


def test_a_reader_that_dies_is_started_again(
    assets: FaceAssets, video: Video, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("vcam_talker.face.clip.reader._REST_S", 0.05)
    fail = [False]

    def crashing(pixels: Pixels) -> Pixels:
        if fail[0]:
            raise CrashError
        return pixels

    life = Life(assets, video, crashing)
    life.frame(0)
    fail[0] = True
    died = [life.frame(n)[0] for n in range(1, 40)]
    assert died[-1] is not None or None in died
    fail[0] = False
    time.sleep(0.1)
    came, due = life.frame(41)
    assert came == due
    assert "failed" in caplog.text


def test_a_film_that_is_gone_leaves_the_picture(
    assets: FaceAssets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcam_talker.face.clip.reader._REST_S", 0.02)
    shutil.copy(clip_persona.shared() / "life.mp4", tmp_path / "life.mp4")
    life = Life(assets, video_of(tmp_path, assets))
    (tmp_path / "life.mp4").rename(tmp_path / "away.mp4")
    began_s = time.monotonic()
    assert [life.frame(n)[0] for n in range(30)] == [None] * 30
    assert time.monotonic() - began_s < 5.0
    (tmp_path / "away.mp4").rename(tmp_path / "life.mp4")
    time.sleep(0.05)
    for n in range(30, 300):
        if life.frame(n)[0] is not None:
            return
        time.sleep(0.01)
    pytest.fail("the reader did not come back")


def test_rotten_pictures_in_the_middle_never_raise(
    assets: FaceAssets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcam_talker.face.clip.reader._REST_S", 0.0)
    data = bytearray((clip_persona.shared() / "life.mp4").read_bytes())
    for at in range(len(data) // 5, len(data) * 3 // 5, 211):
        data[at] ^= 0xFF
    (tmp_path / "life.mp4").write_bytes(bytes(data))
    life = Life(assets, video_of(tmp_path, assets))
    came = [life.frame(n)[0] for n in range(300)]
    assert len({frame for frame in came if frame is not None}) > 30


def test_the_decoder_delivers_any_frame(assets: FaceAssets, video: Video) -> None:
    decoder = Decoder(video, same)
    pictures = [decoder.read(n, 0) for n in range(100)]
    for segment in assets.segments[:3]:
        for frame in (segment.first + 20, segment.first, segment.first + 3):
            if frame < 100:
                np.testing.assert_array_equal(decoder.read(frame, segment.first), pictures[frame])
    with pytest.raises(EOFError):
        decoder.read(len(video.pts), len(video.pts) - 1)
    decoder.close()
    decoder.close()


def test_the_program_ends_after_the_frame_in_the_making() -> None:
    # A thread that is stopped within the decoder's C++ takes the process down: "terminate called ...".
    program = """
import sys, time
from pathlib import Path
from vcam_talker.core.types import Activity
from vcam_talker.face.clip.assets import load_assets
from vcam_talker.face.clip.reader import ClipReader
from vcam_talker.face.clip.video import index_video
from vcam_talker.face.clip.walk import Walk

def slowly(pixels):
    print("begun", flush=True)
    time.sleep(0.3)
    print("ended", flush=True)
    return pixels

folder = Path(sys.argv[1])
assets = load_assets(folder / "face.npz")
video = index_video(folder / "life.mp4", assets.size, len(assets.frame_view), 30, 1 << 30)
reader = ClipReader(video, slowly, 6)
reader.get(0, Walk(assets.segments, 1, 6).at(0, Activity.IDLE))
time.sleep(0.1)
"""
    command = [sys.executable, "-c", program, str(clip_persona.shared())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.split()
    assert lines.count("begun") == lines.count("ended") >= 2
