"""The rig's scene: what is in the picture, and what a scene promises."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from vcam_talker.core.errors import ConfigError
from vcam_talker.core.types import (
    MOUTH_PARAMS,
    NS_PER_S,
    Activity,
    Emotion,
    FaceInput,
    MouthPose,
    Pixels,
    Pts,
    VideoFrame,
    rest_mouth,
)
from vcam_talker.face.rig.scene import RigScene
from vcam_talker.face.rig.sheet import MOUTHS, mouth_of, to_rgb
from vcam_talker.persona import Persona, load_persona

pytestmark = pytest.mark.unit

SIZE = (640, 360)


@pytest.fixture(scope="module")
def persona() -> Persona:
    return load_persona("mira")


@pytest.fixture(scope="module")
def calm(persona: Persona) -> Persona:
    idle = persona.idle.model_copy(update={"sway": 0.0, "breath": 0.0, "gaze": 0.0, "blinks_per_min": 0.0})
    return persona.model_copy(update={"idle": idle})


@pytest.fixture(scope="module")
def marked(persona: Persona, tmp_path_factory: pytest.TempPathFactory) -> Persona:
    """The same persona with the inside of the mouth in a colour that nothing else has."""
    root = tmp_path_factory.mktemp("marked")
    text = (persona.root / persona.face.file).read_text(encoding="utf-8")
    marked, count = re.subn(r'(?m)^mouth = "#\w+"', 'mouth = "#00ff00"', text)
    assert count == 1
    (root / persona.face.file).write_text(marked, encoding="utf-8")
    return persona.model_copy(update={"root": root})


def at(seconds: float) -> Pts:
    return Pts(int(seconds * NS_PER_S))


_minutes = itertools.count(1)


def settle(scene: RigScene, face: FaceInput) -> VideoFrame:
    """Jump a minute ahead, which shows the face at once."""
    return scene.draw(at(60.0 * next(_minutes)), face)


@pytest.fixture(scope="module")
def marked_scene(marked: Persona) -> RigScene:
    return RigScene(marked, *SIZE)


@pytest.fixture(scope="module")
def calm_scene(calm: Persona) -> RigScene:
    return RigScene(calm, 1280, 720)


def mouth_box(scene: RigScene) -> tuple[slice, slice]:
    """Rows and columns of the lower face, in which every mouth lies."""
    width, height = scene.size
    return slice(int(height * 0.5), int(height * 0.72)), slice(int(width * 0.42), int(width * 0.58))


def cavity_pixels(frame: VideoFrame) -> int:
    """Count the pixels that show the inside of the mouth of a `marked` persona, which is green."""
    red, green, blue = np.moveaxis(to_rgb(frame.pixels).astype(int), -1, 0)
    return int(((green > red + 60) & (green > blue + 60)).sum())


def with_param(name: str, value: float, jaw: float = 0.0) -> MouthPose:
    mouth = rest_mouth()
    mouth[MOUTH_PARAMS.index("jaw")] = jaw
    mouth[MOUTH_PARAMS.index(name)] = value
    return mouth


def test_frames_have_the_size_and_format_promised(persona: Persona) -> None:
    scene = RigScene(persona, *SIZE)
    frame = scene.draw(at(3.0), FaceInput())
    assert scene.size == SIZE
    assert frame.pixels.shape == (SIZE[1] * 3 // 2, SIZE[0])
    assert frame.pixels.dtype == np.uint8
    assert frame.format == "yuv420p"
    assert frame.pts == at(3.0)
    assert not frame.pixels.flags.writeable


@pytest.mark.parametrize("size", [(160, 160), (320, 640), (854, 480), (1000, 162)])
def test_any_even_size_shows_a_face(persona: Persona, size: tuple[int, int]) -> None:
    rgb = to_rgb(RigScene(persona, *size).still().pixels).astype(int)
    assert rgb.shape == (size[1], size[0], 3)
    assert rgb.mean() > 30
    skin = np.abs(rgb - (255, 227, 210)).max(-1) < 12
    assert skin.mean() > 0.01


@pytest.mark.parametrize("size", [(641, 360), (640, 361), (158, 360), (3842, 360), (0, 0)])
def test_sizes_that_cannot_be_drawn_are_refused(persona: Persona, size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match=str(size[0])):
        RigScene(persona, *size)


@pytest.mark.parametrize("emotion", list(Emotion))
@pytest.mark.parametrize("activity", list(Activity))
def test_the_mouth_is_shut_in_silence(marked_scene: RigScene, emotion: Emotion, activity: Activity) -> None:
    face = FaceInput(emotion=emotion, activity=activity)
    start = settle(marked_scene, FaceInput()).pts
    for n in range(1, 5):
        frame = marked_scene.draw(Pts(start + at(n * 0.2)), face)
        assert cavity_pixels(frame) == 0
    assert marked_scene.aperture_px(rest_mouth()) == 0.0


def test_the_cavity_can_be_seen_when_the_mouth_is_open(marked_scene: RigScene) -> None:
    frame = settle(marked_scene, FaceInput(mouth_of(MOUTHS["aa"])))
    assert cavity_pixels(frame) > 60


@pytest.mark.parametrize("press", [0.6, 0.8, 1.0])
@pytest.mark.parametrize("emotion", [Emotion.NEUTRAL, Emotion.HAPPY, Emotion.ANGRY])
def test_pressed_lips_are_shut_whatever_the_jaw_does(
    marked_scene: RigScene, press: float, emotion: Emotion
) -> None:
    mouth = with_param("press", press, jaw=0.5)
    frame = settle(marked_scene, FaceInput(mouth, emotion, Activity.SPEAKING, 0.5))
    assert marked_scene.aperture_px(mouth) == 0.0
    assert cavity_pixels(frame) == 0


def test_the_mouth_opens_with_the_jaw(persona: Persona) -> None:
    scene = RigScene(persona, *SIZE)
    gaps = [scene.aperture_px(with_param("jaw", jaw)) for jaw in (0.0, 0.1, 0.3, 0.6, 1.0)]
    assert gaps[0] == 0.0
    assert all(a < b for a, b in itertools.pairwise(gaps))
    assert scene.aperture_px(with_param("teeth", 1.0)) > 0.0


def test_an_open_mouth_that_shuts_leaves_nothing_behind(marked_scene: RigScene) -> None:
    for n in range(40):
        jaw = max(0.3 - n * 0.01, 0.0)
        frame = marked_scene.draw(at(9e4 + n / 60), FaceInput(with_param("jaw", jaw)))
    assert cavity_pixels(frame) == 0


@pytest.mark.parametrize("name", MOUTH_PARAMS)
@pytest.mark.parametrize("value", [0.5, 1.0])
def test_every_mouth_parameter_can_be_seen(calm_scene: RigScene, name: str, value: float) -> None:
    jaw = 0.0 if name in {"jaw", "teeth"} else 0.25
    box = mouth_box(calm_scene)
    before = to_rgb(settle(calm_scene, FaceInput(with_param("jaw", jaw))).pixels)[box].astype(int)
    after = to_rgb(settle(calm_scene, FaceInput(with_param(name, value, jaw))).pixels)[box].astype(int)
    assert (np.abs(after - before).max(-1) > 40).sum() > 40


def test_emotions_differ_from_each_other(calm_scene: RigScene) -> None:
    frames = {e: settle(calm_scene, FaceInput(emotion=e)).pixels.astype(int) for e in Emotion}
    for a in Emotion:
        for b in Emotion:
            if a < b:
                assert (np.abs(frames[a] - frames[b]) > 30).sum() > 100, (a, b)


def test_the_same_calls_draw_the_same_pictures(persona: Persona) -> None:
    def run(seed: int) -> list[Pixels]:
        scene = RigScene(persona, 320, 180, seed)
        return [scene.draw(at(n / 10), FaceInput()).pixels for n in range(20)]

    first, again, other = run(5), run(5), run(6)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_still_presenter_is_not_drawn_again(calm: Persona) -> None:
    no_draught = RigScene(calm, 320, 180)
    pictures = [no_draught.draw(at(7 + n / 60), FaceInput()).pixels for n in range(60)]
    kept = sum(a is b for a, b in itertools.pairwise(pictures))
    assert kept > 40


def test_partial_drawing_equals_drawing_everything(persona: Persona) -> None:
    """What is left in place from earlier frames looks as if it had been drawn for this one."""
    scene = RigScene(persona, *SIZE)
    face = FaceInput(mouth_of(MOUTHS["ah"]), Emotion.HAPPY, Activity.SPEAKING, 0.6)
    for n in range(60):
        frame = scene.draw(at(20 + n / 30), FaceInput() if n < 30 else face)
    partial = frame.pixels.astype(int)
    scene.forget()
    whole = scene.draw(at(20 + 59 / 30), face).pixels.astype(int)
    # Parts may be left where they are while they are off by a fraction of a pixel.
    assert np.abs(partial - whole).mean() < 0.15


def test_it_draws_only_while_it_must(persona: Persona) -> None:
    """Far fewer pictures than frames while idle, yet never frozen for long."""
    scene = RigScene(persona, 320, 180)
    last: Pixels | None = None
    drawn, frozen, longest = 0, 0, 0
    for n in range(30 * 30):
        pixels = scene.draw(at(60 + n / 30), FaceInput()).pixels
        if pixels is last:
            frozen += 1
        else:
            drawn, frozen = drawn + 1, 0
        longest = max(longest, frozen)
        last = pixels
    assert drawn < 700
    assert longest < 45


def test_time_may_jump(persona: Persona) -> None:
    scene = RigScene(persona, 320, 180)
    for seconds in (5.0, 4.0, 90_000.0, 0.0, 3e7):
        frame = scene.draw(
            at(seconds), FaceInput(mouth_of(MOUTHS["aa"]), Emotion.SAD, Activity.SPEAKING, 1.0)
        )
        assert 40 < frame.pixels[:180].mean() < 220


def test_still_is_a_shut_mouth_with_open_eyes(marked: Persona) -> None:
    scene = RigScene(marked, *SIZE)
    still = scene.still()
    assert cavity_pixels(still) == 0
    scene.draw(at(9), FaceInput(mouth_of(MOUTHS["aa"])))
    assert scene.still() is still
