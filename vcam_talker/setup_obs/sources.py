"""What the presenter needs in OBS, in the words of this OBS's platform."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from vcam_talker.air.devices import open_camera
from vcam_talker.config import Config
from vcam_talker.core.errors import DeviceError
from vcam_talker.setup_obs.font import DEFAULT_FACE, caption_face

Role = Literal["camera", "microphone", "captions"]

CAMERA: Final = "vcam_talker camera"
MICROPHONE: Final = "vcam_talker microphone"
PULSE: Final = "pulse_input_capture"

_CAMERA_KINDS: Final = {
    "v4l2_input": "device_id",
    "dshow_input": "video_device_id",
    "macos-avcapture": "device",
    "av_capture_input_v2": "device",
}
_SOUND_KINDS: Final = {
    PULSE: ("device_id", ""),
    "wasapi_input_capture": ("device_id", "CABLE Output"),
    "coreaudio_input_capture": ("device_id", "BlackHole"),
}
"""Kind -> property, and what the other end of the usual cable is called; empty: ours has its own name."""
_TEXT_KINDS: Final = ("text_gdiplus", "text_ft2_source")
_OBS_CAMERA: Final = "OBS Virtual Camera"

# libobs: OBS_ALIGN_LEFT 1, RIGHT 2, TOP 4, BOTTOM 8; 0 is the centre.
_TOP_LEFT: Final = 5
_BOTTOM: Final = 8


@dataclass(frozen=True, slots=True)
class Source:
    """An input as it should be."""

    role: Role
    name: str
    kind: str
    settings: Mapping[str, Any]
    """Those that make it work; held up on every run."""
    look: Mapping[str, Any] = field(default_factory=dict)
    """Those that only a new input gets: the user may change them."""
    transform: Mapping[str, Any] = field(default_factory=dict)
    """Where a new one is placed; empty: it has no picture."""
    choose: tuple[str, str] | None = None
    """Property whose value is looked up in OBS's own list, and a part of the item's name."""


@dataclass(frozen=True, slots=True)
class Wish:
    """All sources, bottom first, and what can't be had here."""

    sources: tuple[Source, ...]
    notes: tuple[str, ...]


def wanted_sources(
    config: Config,
    kinds: Collection[str],
    canvas: tuple[int, int],
    camera: str | None = None,
    language: str = "en",
) -> Wish:
    """Return what to make of the input kinds that this OBS has, on a canvas of that width and height.

    `camera`: the device that the running daemon writes to; None: what the configuration leads to.
    `language`: of the captions, BCP 47.
    """
    notes: list[str] = []
    sources = [
        _camera(config, kinds, canvas, camera, notes),
        _microphone(config, kinds, notes),
        _captions(config, kinds, canvas, language, notes),
    ]
    return Wish(tuple(s for s in sources if s is not None), tuple(notes))


def _camera(
    config: Config, kinds: Collection[str], canvas: tuple[int, int], camera: str | None, notes: list[str]
) -> Source | None:
    if camera is None:
        camera, why = _configured_camera(config)
        if not camera:
            notes.append(f"No camera source: {why}")
            return None
    kind = next((k for k in _CAMERA_KINDS if k in kinds), None)
    if kind is None:
        notes.append("No camera source: this OBS has no input for cameras. Install its full package")
        return None
    width, height = canvas
    fill = {
        "positionX": 0,
        "positionY": 0,
        "alignment": _TOP_LEFT,
        "boundsType": "OBS_BOUNDS_SCALE_INNER",
        "boundsAlignment": 0,
        "boundsWidth": width,
        "boundsHeight": height,
    }
    if kind == "v4l2_input":
        # Without auto_reset one late frame ends OBS's capture for good.
        settings = {"device_id": camera, "auto_reset": True}
        return Source("camera", CAMERA, kind, settings, {"buffering": False}, fill)
    label = _OBS_CAMERA if camera == "obs" else camera
    return Source("camera", CAMERA, kind, {}, {}, fill, (_CAMERA_KINDS[kind], label))


def _configured_camera(config: Config) -> tuple[str, str]:
    """Return the camera's device, or empty and why there is none."""
    try:
        output = open_camera(config.camera)
    except DeviceError as e:
        return "", str(e)
    if output.kind == "camera":
        return output.sink.name, ""
    return "", output.note or f"camera.device is '{config.camera.device}', which no other program can watch"


def _microphone(config: Config, kinds: Collection[str], notes: list[str]) -> Source | None:
    device = config.microphone.device
    if device == "null" or device.startswith("file:"):
        notes.append(f"No microphone source: microphone.device is '{device}', which nobody can hear")
        return None
    kind = next((k for k in _SOUND_KINDS if k in kinds), None)
    if kind is None:
        notes.append("No microphone source: this OBS can't record sound. Install its full package")
        return None
    key, cable = _SOUND_KINDS[kind]
    if not cable:
        name = config.microphone.name if device == "auto" else f"{device}.monitor"
        return Source("microphone", MICROPHONE, kind, {key: name})
    # What is played into the cable's input is heard at its output.
    heard_at = cable if device == "auto" else device.replace("Input", "Output")
    return Source("microphone", MICROPHONE, kind, {}, choose=(key, heard_at))


def _captions(
    config: Config, kinds: Collection[str], canvas: tuple[int, int], language: str, notes: list[str]
) -> Source | None:
    name = config.obs.captions
    if not name:
        return None
    found = [kind for start in _TEXT_KINDS for kind in sorted(kinds, reverse=True) if kind.startswith(start)]
    if not found:
        notes.append("No captions: this OBS has no text source. Install its full package")
        return None
    width, height = canvas
    block, size = round(width * 0.84), max(16, round(height / 20))
    look: dict[str, Any] = {"font": {"face": DEFAULT_FACE, "style": "Bold", "size": size, "flags": 1}}
    if found[0].startswith("text_gdiplus"):
        look |= {
            "font": {**look["font"], "face": "Arial"},
            "align": "center",
            "valign": "bottom",
            "outline": True,
            "outline_size": max(2, size // 12),
            "extents": True,
            "extents_cx": block,
            "extents_cy": size * 4,
            "extents_wrap": True,
        }
    else:
        face, problem = caption_face(language)
        if problem:
            notes.append(problem)
        look["font"]["face"] = face
        look |= {"outline": True, "custom_width": block, "word_wrap": True}
    place = {"positionX": width / 2, "positionY": height * 0.95, "alignment": _BOTTOM}
    return Source("captions", name, found[0], {}, look, place)
