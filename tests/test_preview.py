"""The preview hub: right colours, bounded queues, no cost while nobody watches."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from vcam_talker.air.sinks.preview import (
    AUDIO_QUEUE_MS,
    HEADER,
    PICTURE,
    SOUND,
    VERSION,
    JpegEncoder,
    PreviewHub,
    Subscription,
    _qscale,
)
from vcam_talker.config import PreviewConfig
from vcam_talker.core.stages import AudioSink, PreviewSource, VideoSink
from vcam_talker.core.types import SAMPLE_RATE, AudioChunk, Pixels, Pts, VideoFrame

pytestmark = pytest.mark.unit

BT601 = {"src_colorspace": Colorspace.ITU601, "dst_colorspace": Colorspace.ITU601}


def rgb_scene() -> np.ndarray:
    """Return rgb24 with soft gradients and saturated patches."""
    y, x = np.mgrid[0:720, 0:1280]
    rgb = np.stack([x * 255 / 1280, y * 255 / 720, 128 + 60 * np.sin(x / 60)], -1).astype(np.uint8)
    for i, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)]):
        rgb[100:300, 100 + 200 * i : 260 + 200 * i] = colour
    return rgb


def yuv_of(rgb: np.ndarray) -> Pixels:
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    yuv = frame.reformat(
        format="yuv420p", **BT601, src_color_range=ColorRange.JPEG, dst_color_range=ColorRange.MPEG
    )
    pixels = yuv.to_ndarray()
    pixels.setflags(write=False)
    return pixels


def rgb_of(jpeg: bytes) -> np.ndarray:
    """Decode as a browser does: BT.601, full range."""
    picture = av.CodecContext.create("mjpeg", "r").decode(av.Packet(jpeg))[0]
    return picture.reformat(
        format="rgb24", **BT601, src_color_range=ColorRange.JPEG, dst_color_range=ColorRange.JPEG
    ).to_ndarray()


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2)))


class Viewer:
    """Subscribes and collects packets until enough are there."""

    def __init__(self, hub: PreviewHub) -> None:
        self._arrived = threading.Event()
        self.subscription = hub.subscribe(self._arrived.set)
        self.packets: list[bytes] = []

    def wait_for(self, kind: int, count: int = 1) -> list[tuple[int, int, bytes]]:
        """Return (field at 4, pts, payload) of the packets of `kind`."""
        while True:
            found = [p for p in self.packets if p[0] == kind]
            if len(found) >= count:
                return [(HEADER.unpack_from(p)[3], HEADER.unpack_from(p)[4], p[HEADER.size :]) for p in found]
            assert self._arrived.wait(5.0), f"only {len(found)} packets of kind {kind}"
            self._arrived.clear()
            self.packets += self.subscription.take()


@pytest.fixture
def hub() -> Iterator[PreviewHub]:
    hub = PreviewHub(PreviewConfig())
    hub.open(1280, 720, 30)
    hub.audio.open(SAMPLE_RATE)
    yield hub
    hub.close()


def test_it_has_the_shapes_of_the_seams(hub: PreviewHub) -> None:
    video: VideoSink = hub
    audio: AudioSink = hub.audio
    source: PreviewSource = hub
    assert (video.name, audio.paced, audio.latency_ns()) == ("preview", False, 0)
    assert source is hub


def test_a_picture_arrives_scaled_with_its_pts_and_its_colours(hub: PreviewHub) -> None:
    rgb = rgb_scene()
    viewer = Viewer(hub)
    hub.write(VideoFrame(Pts(1_234_567_890_123), yuv_of(rgb)))
    size, pts, jpeg = viewer.wait_for(PICTURE)[0]
    assert viewer.packets[0][1] == VERSION
    assert (size >> 16, size & 0xFFFF) == (960, 540)
    assert pts == 1_234_567_890_123
    shown = rgb_of(jpeg)
    assert shown.shape == (540, 960, 3)
    small = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(960, 540).to_ndarray()
    assert psnr(shown, small) > 28
    # The middle of each patch: a wrong range would show as 16 and 235 for black and white.
    for i, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)]):
        patch = shown[110:190, 95 + 150 * i : 175 + 150 * i].reshape(-1, 3).mean(0)
        assert np.abs(patch - colour).max() < 8, (colour, patch)


def test_rgb_frames_are_taken_too() -> None:
    rgb = rgb_scene()
    width, height, jpeg = JpegEncoder(1280, 90).encode(VideoFrame(Pts(0), rgb, "rgb24"))
    assert (width, height) == (1280, 720)
    assert psnr(rgb_of(jpeg), rgb) > 28


def test_quality_is_monotonic_and_spans_the_codec() -> None:
    scales = [_qscale(quality) for quality in range(30, 96)]
    assert scales == sorted(scales, reverse=True)
    assert (scales[0], scales[-1]) == (30, 2)


def test_an_unchanged_picture_is_not_sent_again_but_a_new_viewer_gets_it(hub: PreviewHub) -> None:
    first = Viewer(hub)
    pixels = yuv_of(rgb_scene())
    other = pixels.copy()
    hub.write(VideoFrame(Pts(1), pixels))
    first.wait_for(PICTURE)
    hub.write(VideoFrame(Pts(2), pixels))
    hub.write(VideoFrame(Pts(3), other))
    assert [pts for _, pts, _ in first.wait_for(PICTURE, 2)] == [1, 3]
    second = Viewer(hub)
    hub.write(VideoFrame(Pts(4), other))
    assert second.wait_for(PICTURE)[0][1] == 4


def test_without_viewers_nothing_is_kept_and_no_thread_runs(hub: PreviewHub) -> None:
    before = threading.active_count()
    hub.write(VideoFrame(Pts(0), yuv_of(rgb_scene())))
    hub.audio.write(AudioChunk(Pts(0), SAMPLE_RATE, np.zeros(480, np.float32)))
    assert threading.active_count() == before
    assert not hub.watched
    assert hub._pending is None
    assert hub.audio._partial == []


def test_sound_comes_in_contiguous_blocks_of_20_ms(hub: PreviewHub) -> None:
    viewer = Viewer(hub)
    ramp = np.linspace(-1, 1, 4800, dtype=np.float32)
    taken = 0
    for size in (480, 100, 1500, 480, 2240):
        pts = Pts(taken * 1_000_000_000 // SAMPLE_RATE)
        hub.audio.write(AudioChunk(pts, SAMPLE_RATE, ramp[taken : taken + size]))
        taken += size
    blocks = viewer.wait_for(SOUND, 5)
    assert [rate for rate, _, _ in blocks] == [SAMPLE_RATE] * 5
    assert all(abs(pts - n * 20_000_000) <= 1 for n, (_, pts, _) in enumerate(blocks))
    pcm = np.frombuffer(b"".join(payload for _, _, payload in blocks), "<i2")
    assert np.abs(pcm / 32767 - ramp).max() < 1e-4


def test_a_jump_of_the_clock_ends_the_block(hub: PreviewHub) -> None:
    viewer = Viewer(hub)
    half = np.full(480, 0.5, np.float32)
    hub.audio.write(AudioChunk(Pts(0), SAMPLE_RATE, half))
    hub.audio.write(AudioChunk(Pts(5_000_000_000), SAMPLE_RATE, half))
    hub.audio.write(AudioChunk(Pts(5_010_000_000), SAMPLE_RATE, half))
    assert [(pts, len(pcm)) for _, pts, pcm in viewer.wait_for(SOUND, 2)] == [(0, 960), (5_000_000_000, 1920)]


def test_too_loud_sound_is_clipped_not_wrapped(hub: PreviewHub) -> None:
    viewer = Viewer(hub)
    hub.audio.write(AudioChunk(Pts(0), SAMPLE_RATE, np.array([2.0, -2.0] * 480, np.float32)))
    pcm = np.frombuffer(viewer.wait_for(SOUND)[0][2], "<i2")
    assert set(pcm.tolist()) == {32767, -32767}


def test_a_slow_viewer_loses_old_pictures_keeps_sound_and_stalls_nobody() -> None:
    wakes: list[int] = []
    viewer = Subscription(lambda: wakes.append(1), lambda _: None)
    for n in range(60):
        viewer.push(PICTURE, 33_333_333, f"picture {n}".encode())
        viewer.push(SOUND, 20_000_000, f"sound {n}".encode())
    taken = viewer.take()
    pictures = [p for p in taken if p.startswith(b"picture")]
    sounds = [p for p in taken if p.startswith(b"sound")]
    assert len(wakes) == 1
    assert pictures == [f"picture {n}".encode() for n in range(48, 60)]
    assert len(sounds) == 60
    assert viewer.dropped == 48
    assert taken.index(b"sound 50") < taken.index(b"picture 51") < taken.index(b"sound 51")
    assert viewer.take() == []


def test_even_sound_is_bounded() -> None:
    viewer = Subscription(lambda: None, lambda _: None)
    for n in range(1000):
        viewer.push(SOUND, 20_000_000, str(n).encode())
    taken = viewer.take()
    assert len(taken) == AUDIO_QUEUE_MS // 20
    assert taken[-1] == b"999"


def test_one_viewer_leaving_leaves_the_others(hub: PreviewHub) -> None:
    leaving, staying = Viewer(hub), Viewer(hub)
    leaving.subscription.close()
    leaving.subscription.close()
    hub.write(VideoFrame(Pts(7), yuv_of(rgb_scene())))
    assert staying.wait_for(PICTURE)[0][1] == 7
    assert leaving.subscription.take() == []


def test_the_picture_may_change_its_size(hub: PreviewHub) -> None:
    viewer = Viewer(hub)
    for width, height in ((640, 360), (320, 240)):
        viewer.packets.clear()
        hub.write(VideoFrame(Pts(0), np.full((height * 3 // 2, width), 128, np.uint8)))
        size = viewer.wait_for(PICTURE)[0][0]
        assert (size >> 16, size & 0xFFFF) == (width, height)


def test_a_picture_that_cannot_be_encoded_is_reported_once(
    hub: PreviewHub, caplog: pytest.LogCaptureFixture
) -> None:
    viewer = Viewer(hub)
    broken = np.zeros((7, 4), np.uint8)
    for _ in range(3):
        hub.write(VideoFrame(Pts(0), broken.copy()))
    hub.write(VideoFrame(Pts(1), yuv_of(rgb_scene())))
    viewer.wait_for(PICTURE)
    assert caplog.text.count("could not be encoded") <= 1


def test_pictures_that_are_too_many_for_the_encoder_are_counted(
    hub: PreviewHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, gate = threading.Event(), threading.Event()

    def encode(_encoder: JpegEncoder, _frame: VideoFrame) -> tuple[int, int, bytes]:
        entered.set()
        gate.wait(5)
        return 2, 2, b""

    monkeypatch.setattr(JpegEncoder, "encode", encode)
    Viewer(hub)
    pictures = [np.full((3, 2), shade, np.uint8) for shade in range(4)]
    hub.write(VideoFrame(Pts(0), pictures[0]))
    assert entered.wait(5)
    for picture in (pictures[1], pictures[1], pictures[2], pictures[3]):
        hub.write(VideoFrame(Pts(1), picture))
    assert hub.dropped == 2, "the one in work, a repeat and the newest are not lost"
    gate.set()


def test_it_opens_again_after_close(hub: PreviewHub) -> None:
    Viewer(hub)
    hub.close()
    hub.close()
    viewer = Viewer(hub)
    hub.write(VideoFrame(Pts(9), yuv_of(rgb_scene())))
    assert viewer.wait_for(PICTURE)[0][1] == 9
