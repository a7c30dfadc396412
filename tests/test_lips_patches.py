"""Mouths drawn by a network, shapes when it is not there, and how one becomes the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.support import clip_persona
from tests.support.tiny_lips import make_pose_model, make_wav2lip_model
from vcam_talker.core.clock import frame_pts
from vcam_talker.core.types import MOUTH_PARAMS, FaceInput, MouthPose, Pixels, Pts, rest_mouth
from vcam_talker.face.clip.compositor import Planes
from vcam_talker.face.clip.patch import Patch, RestPatches
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.neural.drawer import face_id
from vcam_talker.face.neural.package import Package, load_package
from vcam_talker.face.neural.patches import NeuralPatches, neural_mouths
from vcam_talker.persona import Persona, load_persona

pytestmark = pytest.mark.unit

SIZE = (640, 360)
_WHITE = 230


@dataclass
class FakeDrawer:
    """Paints the crop white, when it may."""

    patience_s: float = 0.02
    there: bool = True
    answers: bool = True
    faces: set[int] = field(default_factory=set)
    asked: list[tuple[int, np.ndarray]] = field(default_factory=list)

    def ready(self, face: int) -> bool:
        self.faces.add(face)
        return self.there

    def draw(self, face: int, key: int, crop: Pixels, condition: np.ndarray) -> Pixels | None:
        self.faces.add(face)
        self.asked.append((key, condition))
        if not self.answers:
            return None
        drawn = crop.copy()
        Planes(drawn).luma[...] = _WHITE
        return drawn


def pose(**values: float) -> MouthPose:
    found = rest_mouth()
    for name, value in values.items():
        found[MOUTH_PARAMS.index(name)] = value
    return found


OPEN = pose(jaw=0.8)
SHUT = pose(press=0.9)


@pytest.fixture(scope="module")
def persona() -> Persona:
    return load_persona(str(clip_persona.shared()))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return load_package(make_pose_model(tmp_path_factory.mktemp("pose")))


@pytest.fixture
def drawer() -> FakeDrawer:
    return FakeDrawer()


@pytest.fixture
def scene(persona: Persona, package: Package, drawer: FakeDrawer) -> ClipScene:
    return ClipScene(persona, *SIZE, mouths=neural_mouths(persona, package, SIZE, drawer))


@pytest.fixture
def patch_at(scene: ClipScene) -> Callable[[int, MouthPose], Patch | None]:
    """Returns the patch of a frame number at 30 fps."""

    def found(number: int, mouth: MouthPose) -> Patch | None:
        return scene._patches.patch(scene.moment(frame_pts(number, 30), scene._picture, FaceInput(mouth)))

    return found


PatchAt = Callable[[int, MouthPose], Patch | None]


def luma(patch: Patch | None) -> float:
    """Return the mean of what is seen most."""
    assert patch is not None
    return float(patch.luma[patch.mask > 250].mean())


def test_at_rest_nobody_is_asked_and_the_clip_shows(scene: ClipScene, drawer: FakeDrawer) -> None:
    bare = ClipScene(scene_persona(scene), *SIZE)
    for n in range(5):
        face = FaceInput()
        np.testing.assert_array_equal(
            scene.draw(frame_pts(n, 30), face).pixels, bare.draw(frame_pts(n, 30), face).pixels
        )
    assert not drawer.asked


def scene_persona(_scene: ClipScene) -> Persona:
    return load_persona(str(clip_persona.shared()))


def test_a_network_that_is_there_draws_from_the_first_frame(patch_at: PatchAt, drawer: FakeDrawer) -> None:
    assert patch_at(0, rest_mouth()) is None
    assert luma(patch_at(1, OPEN)) == _WHITE
    np.testing.assert_array_equal(drawer.asked[0][1], OPEN)


def test_it_is_asked_about_the_frame_that_is_shown(
    scene: ClipScene, drawer: FakeDrawer, persona: Persona, package: Package
) -> None:
    for n in range(3):
        scene.draw(frame_pts(n, 30), FaceInput(OPEN))
        assert drawer.asked[-1][0] == scene.shown
    assert drawer.faces == {face_id(persona, package, SIZE)}
    assert face_id(persona, package, (320, 180)) not in drawer.faces


def test_it_takes_over_within_a_tenth_of_a_second_without_a_jump(
    patch_at: PatchAt, drawer: FakeDrawer
) -> None:
    drawer.there = False
    patch_at(0, rest_mouth())
    shapes = luma(patch_at(1, OPEN))
    drawer.there = True
    seen = [luma(patch_at(n, OPEN)) for n in range(2, 8)]
    steps = np.diff([shapes, *seen])
    assert seen[0] < shapes + 0.5 * (_WHITE - shapes)
    assert seen[2] > shapes + 0.9 * (_WHITE - shapes)
    assert seen[-1] == _WHITE
    assert steps.min() >= 0


def test_shapes_take_over_in_the_very_frame_and_its_colours_fade(
    patch_at: PatchAt, drawer: FakeDrawer
) -> None:
    drawer.there = False
    patch_at(0, rest_mouth())
    shapes = luma(patch_at(1, OPEN))
    drawer.there = True
    for n in range(2, 8):
        patch_at(n, OPEN)
    drawer.answers = False
    seen = [luma(patch_at(n, OPEN)) for n in range(8, 14)]
    assert _WHITE > seen[0] > seen[1] > shapes
    assert seen[3] == pytest.approx(shapes, abs=4.0)
    assert seen[-1] == pytest.approx(shapes, abs=4.0)


def test_the_mouth_goes_on_while_the_colours_fade(
    patch_at: PatchAt, drawer: FakeDrawer, scene: ClipScene
) -> None:
    patch_at(0, rest_mouth())
    patch_at(1, OPEN)
    drawer.answers = False
    fading = patch_at(2, pose(jaw=0.2, width=0.5))
    assert isinstance(scene._patches, NeuralPatches)
    plain = scene._patches._plain(scene.moment(Pts(0), scene._picture, FaceInput(pose(jaw=0.2, width=0.5))))
    before = scene._patches._plain(scene.moment(Pts(0), scene._picture, FaceInput(OPEN)))
    share = 1 - 1 / 3
    expected = Planes(plain).luma + share * (_WHITE - Planes(before).luma.astype(float))
    assert fading is not None
    np.testing.assert_allclose(fading.luma, expected.clip(0, 255), atol=1.0)


def test_lips_that_touch_keep_nothing_of_an_open_mouth(patch_at: PatchAt, drawer: FakeDrawer) -> None:
    patch_at(0, rest_mouth())
    patch_at(1, OPEN)
    drawer.answers = False
    shut = patch_at(2, SHUT)
    assert shut is not None
    assert shut.place is None, "the shapes' own patch"


def test_one_late_answer_is_hardly_seen(patch_at: PatchAt, drawer: FakeDrawer) -> None:
    patch_at(0, rest_mouth())
    patch_at(1, OPEN)
    drawer.answers = False
    late = luma(patch_at(2, OPEN))
    drawer.answers = True
    assert luma(patch_at(3, OPEN)) == pytest.approx(_WHITE, abs=1.0)
    assert late > 0.5 * _WHITE


def test_only_a_network_that_is_there_is_waited_for(scene: ClipScene, drawer: FakeDrawer) -> None:
    assert scene.needs.patience_s == drawer.patience_s
    assert scene.needs.sound_s == (0.0, 0.0)
    drawer.there = False
    assert scene.needs.patience_s == 0.0


def test_a_network_that_listens_gets_the_sound(persona: Persona, drawer: FakeDrawer, tmp_path: Path) -> None:
    package = load_package(make_wav2lip_model(tmp_path))
    scene = ClipScene(persona, *SIZE, mouths=neural_mouths(persona, package, SIZE, drawer))
    before_s, after_s = scene.needs.sound_s
    assert after_s > 0.2 > before_s
    sound = np.random.default_rng(1).normal(size=13_440).astype(np.float32)
    first = scene.draw(frame_pts(0, 60), FaceInput(OPEN, sound=sound))
    assert drawer.asked[-1][1] is sound
    assert scene.draw(frame_pts(1, 60), FaceInput(OPEN, sound=sound)).pixels is not first.pixels
    count = len(drawer.asked)
    scene.draw(frame_pts(2, 60), FaceInput(OPEN))
    assert len(drawer.asked) == count, "without a sound shapes draw"


def test_a_presenter_with_one_mouth_rests_or_is_drawn(
    package: Package, drawer: FakeDrawer, tmp_path: Path
) -> None:
    alone = load_persona(str(clip_persona.with_one_mouth(tmp_path / "alone")))
    bare = ClipScene(alone, *SIZE)
    assert isinstance(bare._patches, RestPatches)
    rest = bare.draw(Pts(0), FaceInput()).pixels
    np.testing.assert_array_equal(bare.draw(Pts(0), FaceInput(OPEN)).pixels, rest)
    assert bare.aperture_px(OPEN) == 0.0
    scene = ClipScene(alone, *SIZE, mouths=neural_mouths(alone, package, SIZE, drawer))
    scene.draw(Pts(0), FaceInput())
    drawn = scene.draw(frame_pts(1, 30), FaceInput(OPEN)).pixels
    assert np.abs(drawn.astype(int) - rest).max() > 60
    drawer.answers = False
    later = [scene.draw(frame_pts(n, 30), FaceInput(OPEN)).pixels for n in range(2, 12)]
    brightness = [float(p[: SIZE[1]].mean()) for p in (drawn, *later)]
    assert brightness[0] > brightness[1] > brightness[2]
    assert scene.shown == 11
    np.testing.assert_array_equal(later[-1], bare.draw(frame_pts(11, 30), FaceInput()).pixels)
