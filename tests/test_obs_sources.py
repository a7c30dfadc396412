"""What `setup obs` asks of an OBS on every platform; what its meters make of OBS's events."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from vcam_talker.config import Config, override
from vcam_talker.setup_obs.font import DEFAULT_FACE, caption_face
from vcam_talker.setup_obs.meters import SILENCE_DB, Meters
from vcam_talker.setup_obs.sources import CAMERA, MICROPHONE, Source, wanted_sources

pytestmark = pytest.mark.unit

LINUX = {"v4l2_input", "pulse_input_capture", "text_ft2_source_v2", "ffmpeg_source"}
WINDOWS = {"dshow_input", "wasapi_input_capture", "text_gdiplus_v2", "text_gdiplus_v3", "text_ft2_source_v2"}
MACOS = {"macos-avcapture", "coreaudio_input_capture", "text_ft2_source_v2"}
CANVAS = (1920, 1080)


def wanted(kinds: set[str], camera: str | None, config: Config | None = None) -> dict[str, Source]:
    wish = wanted_sources(config or Config(), kinds, CANVAS, camera)
    return {source.role: source for source in wish.sources}


def test_linux_camera_survives_a_late_frame() -> None:
    sources = wanted(LINUX, "/dev/video10")
    assert list(sources) == ["camera", "microphone", "captions"], "the bottom one first"
    assert sources["camera"].name == CAMERA
    assert sources["camera"].settings == {"device_id": "/dev/video10", "auto_reset": True}
    assert sources["camera"].transform["boundsWidth"] == 1920
    assert sources["microphone"].name == MICROPHONE
    assert sources["microphone"].settings == {"device_id": "vcam_talker_mic"}
    assert sources["captions"].kind == "text_ft2_source_v2"
    assert sources["captions"].transform["positionY"] < 1080


@pytest.mark.parametrize(
    ("kinds", "kind", "sound", "cable", "text"),
    [
        (WINDOWS, "dshow_input", "wasapi_input_capture", "CABLE Output", "text_gdiplus_v3"),
        (MACOS, "macos-avcapture", "coreaudio_input_capture", "BlackHole", "text_ft2_source_v2"),
    ],
)
def test_other_platforms_choose_from_obs_own_lists(
    kinds: set[str], kind: str, sound: str, cable: str, text: str
) -> None:
    sources = wanted(kinds, "obs")
    assert sources["camera"].kind == kind
    assert sources["camera"].choose is not None
    assert sources["camera"].choose[1] == "OBS Virtual Camera"
    assert (sources["microphone"].kind, sources["microphone"].choose) == (sound, ("device_id", cable))
    assert sources["captions"].kind == text


def test_what_can_not_be_had_is_told() -> None:
    config = override(
        Config(), {"camera.device": "null", "microphone.device": "file:x.wav", "obs.captions": ""}
    )
    wish = wanted_sources(config, LINUX, CANVAS)
    assert wish.sources == ()
    assert "camera.device is 'null'" in wish.notes[0]
    assert "microphone.device is 'file:x.wav'" in wish.notes[1]
    bare = wanted_sources(Config(), set(), CANVAS, "/dev/video10")
    assert bare.sources == ()
    assert len(bare.notes) == 3


def test_meters_keep_the_loudest_peak() -> None:
    meters = Meters()

    def event(*levels: float) -> dict[str, object]:
        return {"inputs": [{"inputName": "mic", "inputLevelsMul": [[0, level, 0] for level in levels]}]}

    meters.take("InputVolumeMeters", {"inputs": [{"inputName": "mic", "inputLevelsMul": []}]})
    assert meters.loudest_db() == {}, "its meter does not run yet"
    meters.take("InputVolumeMeters", event(0.0))
    assert meters.loudest_db() == {"mic": SILENCE_DB}
    meters.take("InputVolumeMeters", event(0.01, -0.1))
    meters.take("InputVolumeMeters", event(0.001))
    meters.take("SceneCreated", {})
    assert meters.loudest_db() == {"mic": pytest.approx(-20.0)}
    meters.reset()
    assert meters.loudest_db() == {}


FONTS = {":lang=zh-cn": "Noto Sans CJK SC,Noto Sans CJK SC Bold\n", ":lang=en": "DejaVu Sans\nDejaVu Serif\n"}


def fontconfig(argv: Sequence[str]) -> str:
    if argv[0] == "fc-list":
        return FONTS.get(argv[1], "")
    return "Noto Sans CJK SC" if "zh" in argv[-1] else "DejaVu Sans"


@pytest.mark.parametrize(
    ("language", "face", "package"),
    [
        ("en", "DejaVu Sans", ""),
        ("cmn", "Noto Sans CJK SC", ""),
        ("zh-TW", "Noto Sans CJK SC", ""),
        ("ja", DEFAULT_FACE, "fonts-noto-cjk"),
        ("hi", DEFAULT_FACE, "fonts-noto-core"),
    ],
)
def test_captions_get_a_font_with_their_letters(language: str, face: str, package: str) -> None:
    found, problem = caption_face(language, fontconfig)
    assert found == face
    assert problem.endswith(package)
    assert bool(problem) == bool(package)


def test_without_fontconfig_obs_decides() -> None:
    def absent(_argv: Sequence[str]) -> str:
        raise FileNotFoundError

    assert caption_face("cmn", absent) == (DEFAULT_FACE, "")
