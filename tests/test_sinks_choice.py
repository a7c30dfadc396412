"""Which sink a configuration gets."""

from __future__ import annotations

from pathlib import Path

import pulsectl
import pytest
from pulsectl._pulsectl import LibPulse

from vcam_talker.air import devices
from vcam_talker.air.devices import list_devices, make_audio_sink, make_video_sink
from vcam_talker.air.sinks import pulse
from vcam_talker.air.sinks.camera import CameraSink
from vcam_talker.air.sinks.file import Mp4Sink, WavSink
from vcam_talker.air.sinks.microphone import MicrophoneSink, NamedOutputSink
from vcam_talker.air.sinks.null import NullAudioSink, NullVideoSink
from vcam_talker.air.sinks.portaudio import OutputDevice, pick_output
from vcam_talker.air.sinks.v4l2 import LOOPBACK_DRIVER, Camera
from vcam_talker.config import Config, override
from vcam_talker.core.errors import DeviceError

pytestmark = pytest.mark.unit


def configured(**changes: str) -> Config:
    return override(Config(), {f"{section}.device": value for section, value in changes.items()})


@pytest.mark.parametrize(
    ("device", "kind", "sink"),
    [
        ("null", "null", NullVideoSink),
        ("file:show.mp4", "file", Mp4Sink),
        ("/dev/video3", "camera", CameraSink),
        ("obs", "camera", CameraSink),
        ("unitycapture", "camera", CameraSink),
    ],
)
def test_named_cameras(device: str, kind: str, sink: type) -> None:
    output = make_video_sink(configured(camera=device))
    assert (output.kind, type(output.sink), output.note) == (kind, sink, "")


@pytest.mark.parametrize("device", ["webcam", "file:", "OBS"])
def test_what_is_no_camera_is_refused(device: str) -> None:
    with pytest.raises(DeviceError) as caught:
        make_video_sink(configured(camera=device))
    assert caught.value.remedy


def test_auto_without_a_camera_names_the_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "find_camera", lambda *_: None)
    output = make_video_sink(Config())
    assert isinstance(output.sink, NullVideoSink)
    assert "vcam-talker setup camera" in output.note


@pytest.mark.parametrize(("label", "noted"), [("vcam_talker", False), ("Dummy", True)])
def test_auto_takes_a_loopback_and_says_which(
    monkeypatch: pytest.MonkeyPatch, label: str, noted: bool
) -> None:
    camera = Camera("/dev/video9", LOOPBACK_DRIVER, label, output=True, capture=False)
    monkeypatch.setattr(devices, "find_camera", lambda *_: camera)
    output = make_video_sink(Config())
    assert output.sink.name == "/dev/video9"
    assert bool(output.note) is noted


@pytest.mark.parametrize(
    ("device", "kind", "sink"),
    [
        ("null", "null", NullAudioSink),
        ("file:sound.wav", "file", WavSink),
        ("auto", "microphone", MicrophoneSink),
    ],
)
def test_microphones(device: str, kind: str, sink: type) -> None:
    output = make_audio_sink(configured(microphone=device))
    assert (output.kind, type(output.sink)) == (kind, sink)


def test_sound_goes_into_the_cameras_file_when_the_paths_are_one(tmp_path: Path) -> None:
    config = configured(camera=f"file:{tmp_path}/show.mp4", microphone=f"file:{tmp_path}/show.mp4")
    video = make_video_sink(config).sink
    assert isinstance(video, Mp4Sink)
    assert make_audio_sink(config, video).sink is video.audio


def outputs(*names: tuple[str, str]) -> list[OutputDevice]:
    return [OutputDevice(index, name, api, 2) for index, (name, api) in enumerate(names)]


def test_a_cable_is_found_by_name_on_the_best_host_api() -> None:
    listed = outputs(
        ("CABLE Input (VB-Audio Virtual C", "MME"),
        ("Speakers", "Windows WASAPI"),
        ("CABLE Input (VB-Audio Virtual Cable)", "Windows WASAPI"),
    )
    assert pick_output(listed, "cable input") == listed[2]
    assert pick_output(listed, "BlackHole") is None


def test_an_exact_name_wins_over_a_part_of_one() -> None:
    listed = outputs(("BlackHole 16ch", "Core Audio"), ("BlackHole", "Core Audio"))
    assert pick_output(listed, "BlackHole") == listed[1]


def test_a_named_output_that_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "find_output_by_name", lambda _: None)
    with pytest.raises(DeviceError, match="none of this name"):
        make_audio_sink(configured(microphone="CABLE Input"))
    monkeypatch.setattr(devices, "find_output_by_name", lambda _: object())
    assert isinstance(make_audio_sink(configured(microphone="CABLE Input")).sink, NamedOutputSink)


def test_outputs_that_can_be_named_are_listed_once_each_and_only_when_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [
        OutputDevice(0, "pulse", "ALSA", 32),
        OutputDevice(1, "Speakers", "ALSA", 2),
        OutputDevice(2, "Speakers", "JACK Audio Connection Kit", 2),
    ]
    monkeypatch.setattr(devices, "list_outputs", lambda: found)
    monkeypatch.setattr(devices.platform, "system", lambda: "Linux")
    assert list_devices(Config()).outputs == ()
    outputs = list_devices(Config(), outputs=True).outputs
    assert [(view.kind, view.id, view.detail) for view in outputs] == [
        ("output", "Speakers", "ALSA"),
        ("output", "pulse", "ALSA"),
    ]


class BrokenServer:
    """A connection over which nothing can be asked any more."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.closed = False

    def __enter__(self) -> BrokenServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def server_info(self) -> None:
        raise self.error


@pytest.mark.parametrize(
    "error", [pulsectl.PulseOperationFailed(3), pulsectl.PulseDisconnected(), LibPulse.CallError("bad state")]
)
def test_a_sound_server_that_goes_away_while_asked_is_noted(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    server = BrokenServer(error)
    monkeypatch.setattr(pulse, "connect", lambda: server)
    report = list_devices(Config())
    assert any("sound server: the connection broke" in note for note in report.notes)
    assert report.microphones == ()
    assert server.closed
