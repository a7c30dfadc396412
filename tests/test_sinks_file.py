"""MP4 and WAV: exact times, both streams in step, and files that survive their writer."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
import wave
from collections import deque
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vcam_talker.air.reopen import Keeper
from vcam_talker.air.sinks import file as module
from vcam_talker.air.sinks import recording
from vcam_talker.air.sinks.camera import pattern_frame
from vcam_talker.air.sinks.file import Mp4Sink, WavSink
from vcam_talker.air.sinks.mp4_encoder import Mp4Encoder
from vcam_talker.core.clock import frame_pts, sample_pts
from vcam_talker.core.errors import DeviceError, DeviceLostError
from vcam_talker.core.types import AudioChunk, Pts, VideoFrame

pytestmark = pytest.mark.unit

RATE = 48_000
WAIT_S = 5.0
SIZE = (64, 36)


def picture(index: int, fps: int, offset: int = 0) -> VideoFrame:
    return VideoFrame(Pts(frame_pts(index, fps) + offset), pattern_frame(index, *SIZE, fps).pixels)


def block(index: int, level: float = 0.0, offset: int = 0) -> AudioChunk:
    return AudioChunk(Pts(sample_pts(index * 480, RATE) + offset), RATE, np.full(480, level, np.float32))


def write_seconds(sink: Mp4Sink, seconds: int) -> None:
    for index in range(30 * seconds):
        sink.write(picture(index, 30))
        for part in range(index * 10 // 3, (index + 1) * 10 // 3):
            sink.audio.write(block(part))


def read_video(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def read_audio(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


@pytest.mark.parametrize("fps", [25, 30, 60])
def test_pts_and_frame_count_are_exact(tmp_path: Path, fps: int) -> None:
    sink = Mp4Sink(tmp_path / "show.mp4")
    sink.open(*SIZE, fps)
    for index in range(2 * fps):
        sink.write(picture(index, fps, offset=7_000_000_123))
    sink.finish()
    assert read_video(sink.path) == [Fraction(index, fps) for index in range(2 * fps)]


def test_colours_are_flagged_bt601_limited(tmp_path: Path) -> None:
    sink = Mp4Sink(tmp_path / "show.mp4")
    sink.open(*SIZE, 30)
    sink.write(picture(0, 30))
    sink.finish()
    with av.open(str(sink.path)) as container:
        context = container.streams.video[0].codec_context
        assert (int(context.colorspace), int(context.color_range)) == (6, 1)


def test_sound_and_picture_are_in_step(tmp_path: Path) -> None:
    sink = Mp4Sink(tmp_path / "show.mp4")
    sink.open(*SIZE, 30)
    sink.audio.open(RATE)
    offset = 5_000_000_000
    for index in range(30):
        sink.write(picture(index, 30, offset))
    for index in range(100):
        sink.audio.write(block(index, 0.5 if index == 50 else 0.0, offset))
    sink.finish()
    loud = np.flatnonzero(np.abs(read_audio(sink.path)) > 0.25)
    assert abs(loud[0] - 24_000) < 48
    assert abs(loud[-1] - 24_479) < 48


def test_sound_before_the_first_picture_is_cut_and_gaps_are_silence(tmp_path: Path) -> None:
    sink = Mp4Sink(tmp_path / "show.mp4")
    sink.open(*SIZE, 30)
    for index in range(10):
        sink.audio.write(block(index, 0.9))
    sink.write(picture(3, 30))  # at 100 ms: just after those ten blocks
    sink.audio.write(block(60, 0.5))  # at 600 ms
    sink.finish()
    sound = read_audio(sink.path)
    loud = np.flatnonzero(np.abs(sound) > 0.25)
    assert abs(loud[0] - 24_000) < 48


def test_frames_left_out_leave_a_gap_and_repeats_are_ignored(tmp_path: Path) -> None:
    sink = Mp4Sink(tmp_path / "show.mp4")
    sink.open(*SIZE, 30)
    for index in (0, 1, 1, 5):
        sink.write(picture(index, 30))
    sink.finish()
    assert read_video(sink.path) == [Fraction(index, 30) for index in (0, 1, 5)]


def test_live_never_blocks_and_counts_what_it_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    encode = Mp4Encoder.video
    monkeypatch.setattr(Mp4Encoder, "video", lambda self, frame: (gate.wait(5), encode(self, frame))[1])
    sink = Mp4Sink(tmp_path / "show.mp4", live=True)
    sink.open(*SIZE, 30)
    for index in range(60):
        sink.write(picture(index, 30))
    assert sink.dropped >= 60 - 15 - 1
    gate.set()
    sink.finish()
    assert len(read_video(sink.path)) == 60 - sink.dropped


def test_a_killed_writers_file_plays(tmp_path: Path) -> None:
    path = tmp_path / "show.mp4"
    script = (
        "import sys, time; from tests.test_sinks_file import *\n"
        f"sink = Mp4Sink({str(path)!r}, live=True); sink.open(*SIZE, 30)\n"
        "for i in range(90):\n"
        "    sink.write(picture(i, 30)); [sink.audio.write(block(3 * i + j)) for j in range(3)]\n"
        "    time.sleep(0.002)\n"
        "time.sleep(0.3); print('written', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        os.kill(process.pid, signal.SIGKILL)
    frames = read_video(path)
    assert len(frames) >= 30
    assert frames == [Fraction(index, 30) for index in range(len(frames))]


def test_a_live_recording_without_sound_is_written_too(tmp_path: Path) -> None:
    sink = Mp4Sink(tmp_path / "show.mp4", live=True)
    sink.open(*SIZE, 30)
    for index in range(300):
        before = -1
        while sink.dropped != before:  # the encoder is slower than this loop
            before = sink.dropped
            sink.write(picture(index, 30))
            if sink.dropped != before:
                time.sleep(0.01)  # or 300 refusals in a row would pass for a hung disk
    assert sink.path.stat().st_size > 0, "the picture waits for sound that never comes"
    sink.finish()


@pytest.mark.parametrize("kind", [Mp4Sink, WavSink])
def test_unusable_paths_are_refused(tmp_path: Path, kind: type) -> None:
    suffix = ".mp4" if kind is Mp4Sink else ".wav"

    def opened(path: Path) -> None:
        sink = kind(path)
        sink.open(*SIZE, 30) if kind is Mp4Sink else sink.open(RATE)

    with pytest.raises(DeviceError, match=f"only {suffix}"):
        opened(tmp_path / "show.avi")
    with pytest.raises(DeviceError, match=r"No such file or directory.*Create the folder"):
        opened(tmp_path / "missing" / f"show{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(DeviceError, match="directory"):
        opened(tmp_path / f"folder{suffix}")


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    (tmp_path / "full.mp4").symlink_to("/dev/full")
    (tmp_path / "full.wav").symlink_to("/dev/full")
    video = Mp4Sink(tmp_path / "full.mp4")
    video.open(*SIZE, 30)
    with pytest.raises(DeviceLostError, match="No space left"):
        write_seconds(video, 4)
    video.close()
    audio = WavSink(tmp_path / "full.wav")
    audio.open(RATE)
    with pytest.raises(DeviceLostError, match="No space left"):
        deque(map(audio.write, map(block, range(1000))), maxlen=0)
    audio.close()


def test_an_incomplete_file_is_told_by_finish_and_not_by_close(tmp_path: Path) -> None:
    (tmp_path / "full.mp4").symlink_to("/dev/full")
    for end, raises in ((Mp4Sink.close, False), (Mp4Sink.finish, True)):
        sink = Mp4Sink(tmp_path / "full.mp4")
        sink.open(*SIZE, 30)
        sink.write(picture(0, 30))
        if raises:
            with pytest.raises(DeviceLostError, match="No space left"):
                end(sink)
        else:
            end(sink)


def test_a_codec_that_refuses_is_a_loss(tmp_path: Path) -> None:
    sink = Mp4Sink(tmp_path / "show.mp4", preset="no such preset")
    sink.open(*SIZE, 30)
    with pytest.raises(DeviceLostError, match=r"show\.mp4: Invalid argument"):
        sink.write(picture(0, 30))
    sink.close()


@pytest.mark.parametrize("kind", [av.error.ExternalError, av.error.InvalidDataError, av.error.UnknownError])
def test_ffmpegs_errors_without_an_errno_are_losses(tmp_path: Path, kind: type[av.FFmpegError]) -> None:
    def fail() -> list[av.Packet]:
        raise kind(-1, "the encoder broke")

    encoder = Mp4Encoder(tmp_path / "show.mp4", *SIZE, 30, False, "superfast", 1)
    with pytest.raises(DeviceLostError, match="the encoder broke"):
        encoder._mux(fail)
    encoder.close()


class Hung:
    """An encoder whose disk hangs until `gate` is set."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.closed = threading.Event()
        patch.setattr(Mp4Encoder, "video", self._video)
        close = Mp4Encoder.close

        def closing(encoder: Mp4Encoder) -> None:
            close(encoder)
            self.closed.set()

        patch.setattr(Mp4Encoder, "close", closing)
        patch.setattr(recording, "_FINISH_TIMEOUT_S", 0.02)
        patch.setattr(recording, "_FAILED_FINISH_TIMEOUT_S", 0.02)

    def _video(self, _frame: VideoFrame) -> None:
        self.entered.set()
        self.gate.wait(WAIT_S)


def test_a_hung_disk_is_a_loss_that_is_told_once_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hung = Hung(monkeypatch)
    sink = Mp4Sink(tmp_path / "show.mp4", live=True)
    keeper = Keeper(sink, lambda opened: opened.open(*SIZE, 30), reopen=False)
    keeper.open_now()
    sink.write(picture(0, 30))
    assert hung.entered.wait(WAIT_S)
    with caplog.at_level(logging.WARNING):
        for index in range(30 * 11):
            try:
                sink.write(picture(index, 30))
            except DeviceLostError as error:
                keeper.lost(error)
        assert keeper.state == "lost"
        assert sink.dropped == 30 * 10 - 1
        for index in range(50):
            with pytest.raises(DeviceLostError):
                sink.audio.write(block(index))
        keeper.close()
    assert sum("taken nothing" in record.getMessage() for record in caplog.records) == 1
    assert not hung.closed.is_set(), "the stuck thread holds the encoder"
    hung.gate.set()
    assert hung.closed.wait(WAIT_S), "a disk that comes back gets its file closed"


def test_finishing_does_not_wait_for_room_in_the_queue_of_a_hung_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hung = Hung(monkeypatch)
    monkeypatch.setattr(recording, "_QUEUE_ITEMS", 3)
    sink = Mp4Sink(tmp_path / "show.mp4", live=True)
    sink.open(*SIZE, 30)
    sink.write(picture(0, 30))
    assert hung.entered.wait(WAIT_S)
    for index in range(3):
        sink.audio.write(block(index))
    closing = threading.Thread(target=sink.close, daemon=True)
    closing.start()
    closing.join(WAIT_S / 2)
    returned = not closing.is_alive()
    hung.gate.set()
    assert returned
    assert "its disk hangs" in caplog.text
    assert hung.closed.wait(WAIT_S)


def test_a_frame_that_finds_the_queue_full_gives_its_place_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung = Hung(monkeypatch)
    monkeypatch.setattr(recording, "_QUEUE_ITEMS", 3)
    sink = Mp4Sink(tmp_path / "show.mp4", live=True)
    sink.open(*SIZE, 10)
    sink.write(picture(0, 10))
    assert hung.entered.wait(WAIT_S)
    for index in range(3):
        sink.audio.write(block(index))
    with pytest.raises(DeviceLostError, match="can't keep up"):
        sink.write(picture(1, 10))
    assert sink._recording is not None
    places = sink._recording._frames
    assert [places.acquire(blocking=False) for _ in range(6)] == [True] * 5 + [False]
    hung.gate.set()
    sink.close()


def test_a_hung_disk_under_a_wav_file_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, entered, closed = threading.Event(), threading.Event(), threading.Event()
    append, close = module._WavFile.append, module._WavFile.close

    def appending(file: module._WavFile, data: bytes, *, patch: bool) -> None:
        entered.set()
        gate.wait(WAIT_S)
        append(file, data, patch=patch)

    def closing(file: module._WavFile) -> None:
        close(file)
        closed.set()

    monkeypatch.setattr(module._WavFile, "append", appending)
    monkeypatch.setattr(module._WavFile, "close", closing)
    monkeypatch.setattr(recording, "_QUEUE_ITEMS", 20)
    monkeypatch.setattr(recording, "_FAILED_FINISH_TIMEOUT_S", 0.02)
    sink = WavSink(tmp_path / "sound.wav", live=True)
    sink.open(RATE)
    sink.write(block(0))
    assert entered.wait(WAIT_S)
    with pytest.raises(DeviceLostError, match="can't keep up"):
        deque(map(sink.write, map(block, range(1, 30))), maxlen=0)
    sink.close()
    assert not closed.is_set()
    gate.set()
    assert closed.wait(WAIT_S)


def test_a_live_wav_file_is_complete(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "sound.wav", live=True)
    sink.open(RATE)
    for index in range(100):
        sink.write(block(index, 0.5))
    sink.close()
    with wave.open(str(sink.path)) as reader:
        assert reader.getnframes() == RATE


def test_a_loss_that_the_writer_was_told_of_is_not_told_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "full.mp4").symlink_to("/dev/full")
    sink = Mp4Sink(tmp_path / "full.mp4")
    sink.open(*SIZE, 30)
    with pytest.raises(DeviceLostError, match="No space left"):
        write_seconds(sink, 4)
    sink.close()
    assert caplog.text == ""


def test_wav_holds_the_samples_and_is_readable_while_it_grows(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "sound.wav")
    sink.open(RATE)
    for index in range(250):
        sink.write(block(index, 0.5))
    with wave.open(str(sink.path)) as reader:
        assert reader.getnframes() >= RATE
    sink.close()
    with wave.open(str(sink.path)) as reader:
        assert (reader.getframerate(), reader.getnchannels(), reader.getnframes()) == (RATE, 1, 250 * 480)
        samples = np.frombuffer(reader.readframes(480), "<i2")
    assert np.all(samples == round(0.5 * 32767))


def test_wav_stops_at_four_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAV_MAX_BYTES", 2000)
    sink = WavSink(tmp_path / "sound.wav")
    sink.open(RATE)
    sink.write(block(0))
    sink.write(block(1))
    with pytest.raises(DeviceLostError, match="4 GiB"):
        sink.write(block(2))
    sink.close()
