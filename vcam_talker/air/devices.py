"""Which devices there are, and the sinks that the configuration asks for."""

from __future__ import annotations

import platform
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, Literal, TypeVar

from vcam_talker.air.confinement import confinement
from vcam_talker.air.loopback import read_loopback
from vcam_talker.air.sinks import pulse
from vcam_talker.air.sinks.camera import CameraSink
from vcam_talker.air.sinks.file import Mp4Sink, WavSink
from vcam_talker.air.sinks.microphone import MicrophoneSink, NamedOutputSink
from vcam_talker.air.sinks.null import NullAudioSink, NullVideoSink
from vcam_talker.air.sinks.portaudio import find_output_by_name, list_outputs, pick_output
from vcam_talker.air.sinks.v4l2 import OBS_LABEL, Camera, find_camera, list_cameras
from vcam_talker.config import CameraConfig, Config, MicrophoneConfig
from vcam_talker.core.errors import DeviceError
from vcam_talker.core.stages import AudioSink, VideoSink
from vcam_talker.core.status import DeviceReport, DeviceView

_FILE: Final = "file:"
_CABLES: Final = {"Windows": ("CABLE Input", "VB-Cable"), "Darwin": ("BlackHole", "BlackHole")}
"""Platform -> name of the output, name of the product."""
_SERVER_TIMEOUT_S: Final = 2.0
_OUTPUTS_TIMEOUT_S: Final = 3.0

SinkT_co = TypeVar("SinkT_co", VideoSink, AudioSink, covariant=True)


@dataclass(frozen=True, slots=True)
class Output(Generic[SinkT_co]):
    """A sink, not yet open, and what to tell the user about the choice."""

    sink: SinkT_co
    kind: Literal["camera", "microphone", "file", "null"]
    note: str = ""
    """Why it is not what was asked for, and the one command that helps; empty when it is."""


def open_camera(spec: CameraConfig) -> Output[VideoSink]:
    """Return the sink for `auto`, `/dev/videoN`, `obs`, `unitycapture`, `null` or `file:PATH`.

    `auto` without a camera gives a null sink; the note then names the command that adds one. Raises
    DeviceError for a value that names nothing; a device that is missing or busy is refused by its `open`.
    """
    if spec.device == "null":
        return Output(NullVideoSink(), "null")
    if spec.device.startswith(_FILE):
        return Output(Mp4Sink(_path(spec.device), live=True), "file")
    if spec.device == "auto":
        return _auto_camera(spec)
    if spec.device in {"obs", "unitycapture"} or spec.device.startswith("/dev/"):
        return Output(CameraSink(spec.device), "camera")
    kinds = "auto, /dev/videoN, obs, unitycapture, null or file:PATH"
    raise DeviceError(f"camera '{spec.device}'", "there is no such kind", f"Use {kinds}")


def _auto_camera(spec: CameraConfig) -> Output[VideoSink]:
    if platform.system() != "Linux":
        return Output(CameraSink("obs"), "camera")
    camera = find_camera(spec.label, spec.number)
    if camera is None:
        return Output(NullVideoSink(), "null", _no_camera())
    note = "" if camera.label == spec.label else f"using '{camera.label}' at {camera.path}"
    return Output(CameraSink(camera.path), "camera", note)


def _no_camera() -> str:
    remedy = confinement(Path("/"), read_loopback()) or "Add one: vcam-talker setup camera"
    return f"no virtual camera on this machine. {remedy}"


def make_video_sink(config: Config) -> Output[VideoSink]:
    """Return the video sink that `[camera]` asks for. See `open_camera`."""
    return open_camera(config.camera)


def make_audio_sink(config: Config, video: VideoSink | None = None) -> Output[AudioSink]:
    """Return the audio sink that `[microphone]` asks for: `auto`, an output's name, `null` or `file:PATH`.

    `file:` with the very path that `video` writes records both into that one file. Raises DeviceError for an
    output that does not exist.
    """
    spec = config.microphone
    if spec.device == "null":
        return Output(NullAudioSink(), "null")
    if spec.device.startswith(_FILE):
        path = _path(spec.device)
        if isinstance(video, Mp4Sink) and video.name == path:
            return Output(video.audio, "file")
        return Output(WavSink(path, live=True), "file")
    if spec.device == "auto":
        return _auto_microphone(spec)
    if find_output_by_name(spec.device) is None:
        remedy = "vcam-talker devices lists what there is"
        raise DeviceError(f"sound output '{spec.device}'", "there is none of this name", remedy)
    return Output(NamedOutputSink(spec.device), "microphone")


def _auto_microphone(spec: MicrophoneConfig) -> Output[AudioSink]:
    if platform.system() == "Linux":
        sink = MicrophoneSink(
            spec.name, spec.label, latency_ms=spec.latency_ms, start_server=spec.start_sound_server
        )
        return Output(sink, "microphone")
    output, product = _CABLES.get(platform.system(), ("", "a virtual cable"))
    if find_output_by_name(output) is None:
        return Output(NullAudioSink(), "null", f"no virtual microphone on this machine. Install {product}")
    return Output(NamedOutputSink(output), "microphone")


def _path(device: str) -> str:
    path = device.removeprefix(_FILE)
    if not path:
        raise DeviceError(f"'{device}'", "the file has no name", "Write file:PATH")
    return path


def list_devices(config: Config | None = None, *, outputs: bool = False) -> DeviceReport:
    """Return cameras and microphones at hand, and what is missing. Blocks for up to 2 s; never raises.

    `outputs`: list the sound outputs that `[microphone] device` can name, too, which may take 3 s more. Not
    for a process that is on air: PortAudio's lock would hold up its microphone.
    """
    config = config or Config()
    notes: list[str] = []
    cameras = tuple(_camera_view(camera) for camera in list_cameras())
    if platform.system() == "Linux":
        if find_camera(config.camera.label, config.camera.number) is None:
            notes.append(_no_camera())
        microphones = _pulse_views(config.microphone, notes)
    else:
        microphones = _output_views(notes)
    named = _named_outputs(notes) if outputs else ()
    return DeviceReport(cameras, microphones, tuple(notes), named)


def _camera_view(camera: Camera) -> DeviceView:
    usable, detail = True, ""
    if not camera.loopback:
        usable, detail = False, "a real camera: it takes no frames"
    elif camera.label.startswith(OBS_LABEL):
        detail = "left to OBS unless named"
    elif camera.capture and not camera.output:
        usable, detail = False, "a program writes to it"
    return DeviceView("camera", camera.path, camera.label, usable, detail)


def _pulse_views(spec: MicrophoneConfig, notes: list[str]) -> tuple[DeviceView, ...]:
    found: list[DeviceView] = []

    def ask() -> None:
        try:
            connection = pulse.connect()
        except DeviceError as error:
            can_start = spec.start_sound_server and pulse.can_start_server()
            notes.append("the sound server is started with the daemon" if can_start else str(error))
            return
        try:
            with connection, pulse.losses():
                server = connection.server_info().server_name
                sources = connection.source_list()
        except DeviceError as error:
            notes.append(str(error))
            return
        found.extend(
            DeviceView("microphone", source.name, source.description, usable=True, detail=f"on {server}")
            for source in sources
            if source.name == spec.name
        )
        created = bool(found)
        found.extend(
            DeviceView("source", source.name, source.description, usable=True, detail="for ears.device")
            for source in sources
            if source.name != spec.name and not source.name.endswith(".monitor")
        )
        if not created:
            notes.append(f"the microphone '{spec.label}' is created on {server} when the daemon runs")

    # A wedged server would hold up the answer for good.
    thread = threading.Thread(target=ask, name="list-devices", daemon=True)
    thread.start()
    thread.join(_SERVER_TIMEOUT_S)
    if thread.is_alive():
        detail = "the sound server does not answer"
        return (DeviceView("microphone", spec.name, spec.label, usable=False, detail=detail),)
    return tuple(found)


def _named_outputs(notes: list[str]) -> tuple[DeviceView, ...]:
    """Return what `make_audio_sink` finds by name: PortAudio's outputs, a sound server's among them."""
    if platform.system() != "Linux":
        return ()  # there they are the microphones
    found: list[DeviceView] = []
    problems: list[str] = []

    def ask() -> None:
        try:
            # One name is one choice, however many ways lead to it.
            for name, output in {output.name: output for output in reversed(list_outputs())}.items():
                found.append(DeviceView("output", name, name, usable=True, detail=output.host_api))
        except DeviceError as error:
            problems.append(str(error))

    thread = threading.Thread(target=ask, name="list-outputs", daemon=True)
    thread.start()
    thread.join(_OUTPUTS_TIMEOUT_S)
    if thread.is_alive():
        notes.append("the sound outputs can't be listed: PortAudio does not answer")
        return ()
    notes += problems
    return tuple(sorted(found, key=lambda view: view.id))


def _output_views(notes: list[str]) -> tuple[DeviceView, ...]:
    name, product = _CABLES.get(platform.system(), ("", "a virtual cable"))
    try:
        outputs = list_outputs()
    except DeviceError as error:
        notes.append(str(error))
        return ()
    if pick_output(outputs, name) is None:
        notes.append(f"no virtual microphone on this machine. Install {product}")
    return tuple(
        DeviceView("microphone", output.name, output.name, usable=True, detail=output.host_api)
        for output in outputs
    )
