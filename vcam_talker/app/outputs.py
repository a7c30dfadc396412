"""Which devices and files the daemon feeds, from configuration."""

from __future__ import annotations

from dataclasses import dataclass

from vcam_talker.air.devices import Output, make_audio_sink, make_video_sink
from vcam_talker.air.sinks.file import Mp4Sink
from vcam_talker.config import Config
from vcam_talker.core.stages import AudioSink, VideoSink


@dataclass(frozen=True, slots=True)
class Outputs:
    """The sinks of one daemon, not yet opened."""

    camera: Output[VideoSink]
    microphone: Output[AudioSink]
    audio_taps: tuple[AudioSink, ...] = ()
    """Further takers of the sound: the recording beside a `file:` camera."""


def make_outputs(config: Config) -> Outputs:
    """Build the sinks that the configuration names. Raises DeviceError."""
    camera = make_video_sink(config)
    microphone = make_audio_sink(config, camera.sink)
    taps: tuple[AudioSink, ...] = ()
    if isinstance(camera.sink, Mp4Sink) and microphone.sink is not camera.sink.audio:
        taps = (camera.sink.audio,)
    return Outputs(camera, microphone, taps)
