"""Which devices and files the daemon feeds, from configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vcam_talker.air.devices import Output, make_audio_sink, make_video_sink
from vcam_talker.air.sinks.file import Mp4Sink
from vcam_talker.config import Config, override
from vcam_talker.core.stages import AudioSink, VideoSink

_FILE: Final = "file:"


@dataclass(frozen=True, slots=True)
class Outputs:
    """The sinks of one daemon, not yet opened."""

    camera: Output[VideoSink]
    microphone: Output[AudioSink]
    audio_taps: tuple[AudioSink, ...] = ()
    """Further takers of the sound: the recording beside a `file:` camera."""


def make_outputs(config: Config) -> Outputs:
    """Build the sinks that the configuration names. Raises DeviceError.

    A recording never replaces one that is there: `show.mp4` becomes `show-2.mp4`.
    """
    changes = {
        "camera.device": _fresh(config.camera.device),
        "microphone.device": _fresh(config.microphone.device),
    }
    config = override(config, changes)
    camera = make_video_sink(config)
    microphone = make_audio_sink(config, camera.sink)
    taps: tuple[AudioSink, ...] = ()
    if isinstance(camera.sink, Mp4Sink) and microphone.sink is not camera.sink.audio:
        taps = (camera.sink.audio,)
    return Outputs(camera, microphone, taps)


def _fresh(device: str) -> str:
    """Return `file:PATH` with the first free name of PATH, PATH-2, PATH-3, ...; anything else as it is."""
    if not device.startswith(_FILE):
        return device
    wanted = Path(device.removeprefix(_FILE))
    path, count = wanted, 1
    while path.exists() and path.is_file():
        count += 1
        path = wanted.with_stem(f"{wanted.stem}-{count}")
    return f"{_FILE}{path}"
