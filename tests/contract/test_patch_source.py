"""What everything that draws mouths promises: nothing at rest, one size, no memory of its own making."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support import clip_persona
from tests.support.tiny_lips import make_pose_model, make_wav2lip_model
from vcam_talker.config import LipsConfig
from vcam_talker.core.clock import frame_pts
from vcam_talker.core.types import MOUTH_PARAMS, FaceInput, MouthPose, rest_mouth
from vcam_talker.face.clip.compositor import compose
from vcam_talker.face.clip.patch import Moment, PatchSource
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.neural.current import current_mouths
from vcam_talker.face.neural.drawer import LocalDrawer
from vcam_talker.face.neural.package import load_package
from vcam_talker.face.neural.patches import neural_mouths
from vcam_talker.persona import load_persona

pytestmark = pytest.mark.contract

_SIZE = (640, 360)
_CONFIG = LipsConfig(engine="ort", precision="fp32", threads=1)


def _shapes(_folder: Path) -> ClipScene:
    return ClipScene(load_persona(str(clip_persona.shared())), *_SIZE)


def _one_mouth(folder: Path) -> ClipScene:
    return ClipScene(load_persona(str(clip_persona.with_one_mouth(folder))), *_SIZE)


def _network(make: Callable[[Path], Path]) -> Callable[[Path], ClipScene]:
    def scene(folder: Path) -> ClipScene:
        persona, package = load_persona(str(clip_persona.shared())), load_package(make(folder))
        drawer = LocalDrawer(persona, package, _SIZE, _CONFIG)
        return ClipScene(persona, *_SIZE, mouths=neural_mouths(persona, package, _SIZE, drawer))

    return scene


def _current(folder: Path) -> ClipScene:
    persona, package = load_persona(str(clip_persona.shared())), load_package(make_pose_model(folder))
    drawer = LocalDrawer(persona, package, _SIZE, _CONFIG)
    return ClipScene(persona, *_SIZE, mouths=current_mouths(persona, _SIZE, drawer, lambda: package))


_MAKERS: dict[str, Callable[[Path], ClipScene]] = {
    "shapes": _shapes,
    "rest": _one_mouth,
    "pose": _network(make_pose_model),
    "wav2lip": _network(make_wav2lip_model),
    "current": _current,
}


@pytest.fixture(params=_MAKERS, scope="module")
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ClipScene:
    return _MAKERS[request.param](tmp_path_factory.mktemp("mouths") / "made")


@pytest.fixture
def source(scene: ClipScene) -> PatchSource:
    return scene._patches


def _moment(scene: ClipScene, number: int, mouth: MouthPose) -> Moment:
    before_s, after_s = scene.needs.sound_s
    sound = np.zeros(round((before_s + after_s) * 48_000), np.float32) if after_s else None
    return scene.moment(frame_pts(number, 30), scene._picture, FaceInput(mouth, sound=sound))


def _jaw(value: float) -> MouthPose:
    pose = rest_mouth()
    pose[MOUTH_PARAMS.index("jaw")] = value
    return pose


def test_there_is_nothing_at_rest(scene: ClipScene, source: PatchSource) -> None:
    assert source.patch(_moment(scene, 0, rest_mouth())) is None


def test_a_patch_is_whole(scene: ClipScene, source: PatchSource) -> None:
    source.patch(_moment(scene, 0, rest_mouth()))
    for n, jaw in enumerate((0.02, 0.3, 1.0), 1):
        patch = source.patch(_moment(scene, n, _jaw(jaw)))
        if patch is None:
            continue
        rows, columns = patch.luma.shape
        assert rows % 2 == columns % 2 == 0
        assert patch.chroma.shape == (rows // 2, columns // 2, 2)
        assert patch.mask.shape == patch.luma.shape
        assert patch.luma.dtype == patch.chroma.dtype == patch.mask.dtype == np.uint8
        assert 0.0 < patch.strength <= 1.0
        assert max(patch.mask[0].max(), patch.mask[-1].max()) == 0
        assert max(patch.mask[:, 0].max(), patch.mask[:, -1].max()) == 0


def test_it_comes_softly(scene: ClipScene, source: PatchSource) -> None:
    source.patch(_moment(scene, 0, rest_mouth()))
    found = [source.patch(_moment(scene, n, _jaw(0.002 * n))) for n in range(1, 40)]
    strengths = [0.0 if patch is None else patch.strength for patch in found]
    assert np.diff(strengths).min() >= 0
    assert np.diff(strengths).max() < 0.15


def test_what_it_is_given_stays_as_it_is(scene: ClipScene, source: PatchSource) -> None:
    moment = _moment(scene, 1, _jaw(0.7))
    before = moment.picture.copy(), moment.affine.copy(), moment.mouth.copy()
    source.patch(moment)
    for kept, now in zip(before, (moment.picture, moment.affine, moment.mouth), strict=True):
        np.testing.assert_array_equal(kept, now)


def test_only_the_mask_of_the_persona_is_touched(scene: ClipScene, source: PatchSource) -> None:
    source.patch(_moment(scene, 0, rest_mouth()))
    moment = _moment(scene, 1, _jaw(0.9))
    patch = source.patch(moment)
    after = moment.picture.copy()
    if patch is not None:
        compose(after, patch, patch.affine(moment.affine))
    changed = np.argwhere(after[: _SIZE[1]].astype(int) != moment.picture[: _SIZE[1]])
    places = (changed[:, ::-1] + 0.5) @ moment.affine[:, :2].T + moment.affine[:, 2]
    columns, rows = source.size
    if len(places):
        assert places.min() > -2
        assert (places < np.array([columns, rows]) + 2).all()


def test_lips_that_touch_have_no_gap(source: PatchSource) -> None:
    pressed = rest_mouth()
    pressed[MOUTH_PARAMS.index("press")] = 1.0
    assert source.aperture_px(pressed) == 0.0
    assert source.aperture_px(rest_mouth()) == 0.0
