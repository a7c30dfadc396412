"""Which devices and files the daemon feeds, from configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vcam_talker.air.devices import make_audio_sink, make_video_sink
from vcam_talker.air.sinks.file import Mp4Sink
from vcam_talker.config import Config
from vcam_talker.core.stages import AudioSink, VideoSink

_FILE = "file:"


@dataclass(frozen=True, slots=True)
class Outputs:
    """The sinks of one daemon, not yet opened."""

    camera: VideoSink
    microphone: AudioSink
    audio_taps: tuple[AudioSink, ...] = ()
    """Further takers of the sound: the recording beside a `file:` camera."""
    camera_note: str = ""
    """Why there is no camera, and the one command that adds it."""

    @property
    def camera_kind(self) -> Literal["camera", "file", "null"]:
        """What the camera is, for `status`."""
        if isinstance(self.camera, Mp4Sink):
            return "file"
        return "null" if self.camera.name == "null" else "camera"

    @property
    def microphone_kind(self) -> Literal["microphone", "file", "null"]:
        """What the microphone is, for `status`."""
        if self.microphone.paced:
            return "microphone"
        return "null" if self.microphone.name == "null" else "file"


def make_outputs(config: Config) -> Outputs:
    """Build the sinks that the configuration names. Raises ConfigError, DeviceError."""
    camera, note = make_video_sink(config)
    taps = (camera.audio,) if isinstance(camera, Mp4Sink) else ()
    return Outputs(camera, make_audio_sink(config), taps, note)
