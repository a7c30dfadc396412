"""The source ladder and the count of frames, on virtual time."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from vcam_talker.air.pacer import Pacer
from vcam_talker.air.pacing import PacingMeter
from vcam_talker.air.painter import FaceDirector, Painter
from vcam_talker.air.playout_clock import PlayoutClock
from vcam_talker.air.reopen import Keeper
from vcam_talker.air.sinks.null import NullVideoSink
from vcam_talker.air.timeline import QUANTUM, Timeline
from vcam_talker.core.clock import ManualClock, frame_pts
from vcam_talker.core.stages import NO_NEEDS, SceneNeeds, VideoSink
from vcam_talker.core.types import (
    NS_PER_S,
    SAMPLE_RATE,
    Activity,
    Emotion,
    FaceInput,
    Pts,
    TurnId,
    VideoFrame,
)

pytestmark = pytest.mark.unit

_FPS = 30
_SIZE = (32, 16)


class FakeScene:
    """Draws its own call count into the first pixel; fails when told to."""

    def __init__(self, size: tuple[int, int] = _SIZE) -> None:
        self.size = size
        self.needs = NO_NEEDS
        self.fails = False
        self.drawn: list[tuple[Pts, FaceInput]] = []

    def draw(self, pts: Pts, face: FaceInput) -> VideoFrame:
        if self.fails:
            raise RuntimeError("out of paint")
        self.drawn.append((pts, face))
        return VideoFrame(pts, np.full((24, 32), len(self.drawn) % 256, np.uint8))

    def still(self) -> VideoFrame:
        return VideoFrame(Pts(0), np.full((24, 32), 77, np.uint8))


def _painter(scene: FakeScene, timeline: Timeline | None = None) -> Painter:
    return Painter(timeline or Timeline(), scene, FaceDirector(Emotion.NEUTRAL), _FPS)


def test_a_scene_that_fails_is_replaced_by_the_still_picture_and_tried_again() -> None:
    scene = FakeScene()
    painter = _painter(scene)
    assert painter.draw(frame_pts(0, _FPS)).pixels[0, 0] == 1
    assert painter.rung == "idle"
    scene.fails = True
    for n in range(1, 5):
        frame = painter.draw(frame_pts(n, _FPS))
        assert frame.pixels[0, 0] == 77
        assert frame.pts == frame_pts(n, _FPS)
    assert painter.rung == "still"
    scene.fails = False
    rungs = []
    for n in range(5, 200):
        painter.draw(frame_pts(n, _FPS))
        rungs.append(painter.rung)
    assert rungs[-1] == "idle"


def test_speech_on_the_timeline_is_live_with_the_mouth_of_the_middle_of_the_frame() -> None:
    scene, timeline = FakeScene(), Timeline()
    painter = _painter(scene, timeline)
    mouth = np.zeros((40, 7), np.float32)
    mouth[:, 0] = np.linspace(0, 1, 40)
    timeline.push(TurnId(1), np.full(40 * QUANTUM, 0.1, np.float32), mouth)
    for n in range(9):
        painter.draw(frame_pts(n, _FPS))
    assert painter.rung == "live"
    pts, face = scene.drawn[-1]
    assert face.activity is Activity.SPEAKING
    middle_s = pts / NS_PER_S + 0.5 / _FPS
    assert face.mouth[0] == pytest.approx(
        np.interp(middle_s - 0.005, np.arange(40) / 100, mouth[:, 0]), abs=1e-3
    )


def test_another_size_is_refused() -> None:
    painter = _painter(FakeScene())
    with pytest.raises(ValueError, match="scene of"):
        painter.swap(FakeScene((64, 32)))


class Recorder(NullVideoSink):
    """Keeps the PTS of every frame; tells when enough have come."""

    def __init__(self, wanted: int) -> None:
        super().__init__()
        self.pts: list[int] = []
        self.done = threading.Event()
        self._wanted = wanted

    def write(self, frame: VideoFrame) -> None:
        self.pts.append(frame.pts)
        if len(self.pts) >= self._wanted:
            self.done.set()


def _pacer(sink: VideoSink, clock: ManualClock, media: PlayoutClock) -> Pacer:
    keeper = Keeper(sink, lambda _sink: None)
    keeper.open_now()
    return Pacer(_painter(FakeScene()), media, clock, _FPS, keeper, [], PacingMeter(_FPS))


def test_every_tick_leaves_with_its_own_pts() -> None:
    clock = ManualClock()
    media = PlayoutClock(clock, 48_000, 0)
    sink = Recorder(200)
    pacer = _pacer(sink, clock, media)
    pacer.start()
    assert sink.done.wait(20)
    pacer.stop()
    indices = np.rint(np.array(sink.pts) * _FPS / NS_PER_S).astype(int)
    assert np.all(np.diff(indices) == 1), "drawn late or not, no PTS is skipped or sent twice"


@pytest.mark.parametrize("jump_ms", [-500, 500])
def test_when_the_clock_is_laid_anew_the_count_starts_from_it(jump_ms: int) -> None:
    clock = ManualClock()
    media = PlayoutClock(clock, 48_000, 0)
    media.restart(0, 0)
    clock.advance(10 * NS_PER_S)
    pacer = _pacer(NullVideoSink(), clock, media)
    before = int(media.at(clock.now_ns()) * _FPS // NS_PER_S)
    media.restart(int((10_000 + jump_ms) * 48), 0)
    following = pacer._next_index(before, clock.now_ns())
    # Neither a burst nor a frozen picture: the next frame is due within one period.
    wait_ns = media.time_of(frame_pts(following, _FPS)) - clock.now_ns()
    assert 0 < wait_ns <= NS_PER_S / _FPS


def test_sound_is_gathered_for_a_scene_that_asks_and_a_mouth_that_moves() -> None:
    scene, timeline = FakeScene(), Timeline()
    painter = _painter(scene, timeline)
    ramp = np.linspace(-0.5, 0.5, 60 * QUANTUM, dtype=np.float32)
    timeline.push(TurnId(1), ramp, np.full((60, 7), 0.5, np.float32))
    painter.draw(frame_pts(2, _FPS))
    assert scene.drawn[-1][1].sound is None
    scene.needs = SceneNeeds((0.05, 0.25))
    painter.draw(frame_pts(3, _FPS))
    sound = scene.drawn[-1][1].sound
    assert sound is not None
    middle = round((3.5 / _FPS - 0.05) * SAMPLE_RATE)
    np.testing.assert_allclose(sound, ramp[middle : middle + round(0.3 * SAMPLE_RATE)], atol=1e-4)
    painter.draw(frame_pts(300, _FPS))
    painter.draw(frame_pts(310, _FPS))
    assert scene.drawn[-1][1].sound is None, "at rest"


@pytest.mark.parametrize(
    ("patience_s", "ahead_ms"),
    [(0.0, 16.0), (0.005, 21.0), (0.02, 0.95 * 1000 / 30), (1.0, 0.95 * 1000 / 30)],
)
def test_a_scene_that_may_have_to_wait_is_asked_earlier(patience_s: float, ahead_ms: float) -> None:
    clock = ManualClock()
    pacer = _pacer(NullVideoSink(), clock, PlayoutClock(clock, 48_000, 0))
    pacer._painter._scene.needs = SceneNeeds(patience_s=patience_s)
    assert pacer._ahead_ns / 1e6 == pytest.approx(ahead_ms)
