"""Every sink keeps the same promises: the devices on private servers, the files in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.pulse import pulse_server  # noqa: F401 - a fixture
from vcam_talker.air.sinks import camera as camera_module
from vcam_talker.air.sinks.camera import CameraSink, pattern_frame
from vcam_talker.air.sinks.file import Mp4Sink, WavSink
from vcam_talker.air.sinks.microphone import MicrophoneSink
from vcam_talker.air.sinks.null import NullAudioSink, NullVideoSink
from vcam_talker.air.sinks.preview import PreviewHub
from vcam_talker.config import PreviewConfig
from vcam_talker.core.clock import sample_pts
from vcam_talker.core.errors import DeviceLostError
from vcam_talker.core.stages import AudioSink, VideoSink
from vcam_talker.core.types import SAMPLE_RATE, AudioChunk

pytestmark = pytest.mark.contract

WIDTH, HEIGHT, FPS = 160, 90, 30


class CountingCamera:
    def send(self, pixels: np.ndarray) -> None:
        assert pixels.flags.c_contiguous

    def close(self) -> None:
        pass


def _camera(monkeypatch: pytest.MonkeyPatch) -> VideoSink:
    monkeypatch.setattr(camera_module, "_open_camera", lambda *_: CountingCamera())
    return CameraSink("/dev/video10")


VIDEO: dict[str, Callable[[Path, pytest.MonkeyPatch], VideoSink]] = {
    "camera": lambda _, patch: _camera(patch),
    "mp4": lambda folder, _: Mp4Sink(folder / "show.mp4"),
    "mp4-live": lambda folder, _: Mp4Sink(folder / "show.mp4", live=True),
    "null": lambda *_: NullVideoSink(),
    "preview": lambda *_: PreviewHub(PreviewConfig()),
}
AUDIO: dict[str, Callable[[Path], AudioSink]] = {
    "microphone": lambda _: MicrophoneSink("contract_mic", "Contract microphone"),
    "wav": lambda folder: WavSink(folder / "sound.wav"),
    "wav-live": lambda folder: WavSink(folder / "sound.wav", live=True),
    "null": lambda _: NullAudioSink(),
}


@pytest.fixture(params=VIDEO)
def video(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VideoSink:
    return VIDEO[request.param](tmp_path, monkeypatch)


@pytest.fixture(params=AUDIO)
def audio(request: pytest.FixtureRequest, tmp_path: Path) -> AudioSink:
    if request.param == "microphone":
        request.getfixturevalue("pulse_server")
    return AUDIO[request.param](tmp_path)


def chunk(index: int, count: int = 480) -> AudioChunk:
    return AudioChunk(sample_pts(index * 480, SAMPLE_RATE), SAMPLE_RATE, np.zeros(count, np.float32))


def test_video_opens_writes_and_closes(video: VideoSink) -> None:
    assert video.name
    for _ in range(2):
        video.open(WIDTH, HEIGHT, FPS)
        for index in range(10):
            frame = pattern_frame(index, WIDTH, HEIGHT, FPS)
            frame.pixels.flags.writeable = False
            video.write(frame)
        video.close()
        video.close()


def test_video_says_how_many_frames_never_arrived(video: VideoSink) -> None:
    assert video.dropped == 0
    video.open(WIDTH, HEIGHT, FPS)
    video.write(pattern_frame(0, WIDTH, HEIGHT, FPS))
    video.close()
    assert video.dropped == 0
    with pytest.raises(AttributeError):
        video.dropped = 1  # type: ignore[misc]


def test_video_closes_unopened(video: VideoSink) -> None:
    video.close()


def test_video_write_after_close_is_a_loss_or_nothing(video: VideoSink) -> None:
    video.open(WIDTH, HEIGHT, FPS)
    video.write(pattern_frame(0, WIDTH, HEIGHT, FPS))
    video.close()
    if not isinstance(video, NullVideoSink | PreviewHub):
        with pytest.raises(DeviceLostError):
            video.write(pattern_frame(1, WIDTH, HEIGHT, FPS))


def test_audio_opens_writes_and_closes(audio: AudioSink) -> None:
    assert audio.name
    for _ in range(2):
        audio.open(SAMPLE_RATE)
        for index in range(10):
            audio.write(chunk(index, 480 if index else 333))
        assert audio.latency_ns() >= 0
        assert (audio.latency_ns() > 0) == audio.paced
        audio.close()
        audio.close()


def test_audio_takes_sound_beyond_full_scale(audio: AudioSink) -> None:
    audio.open(SAMPLE_RATE)
    loud = np.full(480, 7.0, np.float32)
    loud.flags.writeable = False
    audio.write(AudioChunk(sample_pts(0, SAMPLE_RATE), SAMPLE_RATE, loud))
    audio.close()


def test_audio_closes_unopened(audio: AudioSink) -> None:
    audio.close()
    assert audio.latency_ns() == 0


def test_audio_write_after_close_is_a_loss_or_nothing(audio: AudioSink) -> None:
    audio.open(SAMPLE_RATE)
    audio.close()
    if not isinstance(audio, NullAudioSink):
        with pytest.raises(DeviceLostError):
            audio.write(chunk(0))
