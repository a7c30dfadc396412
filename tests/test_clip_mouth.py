"""Mouths between pre-rendered ones: exact at the shapes, smooth between them, shut when they must be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.support import clip_persona
from vcam_talker.core.errors import PersonaError
from vcam_talker.core.types import MOUTH_PARAMS, MouthPose, Pts, rest_mouth
from vcam_talker.face.clip.assets import INNER, FaceAssets, load_assets
from vcam_talker.face.clip.mouth_space import MouthSpace, openness
from vcam_talker.face.clip.patch import Moment, View
from vcam_talker.face.clip.shapes import PatchStore, ShapePatches, load_patches
from vcam_talker.face.clip.warp import Warper
from vcam_talker.face.evaluate import closed
from vcam_talker.face.rig.sheet import MOUTHS, mouth_of

pytestmark = pytest.mark.unit

POSES = {name: mouth_of(values) for name, values in MOUTHS.items()}
SHUT = np.array([openness(pose) == 0.0 for pose in POSES.values()])


def mouth(**values: float) -> MouthPose:
    pose = rest_mouth()
    for name, value in values.items():
        pose[MOUTH_PARAMS.index(name)] = value
    return pose


def way(a: MouthPose, b: MouthPose, steps: int = 200) -> Iterator[MouthPose]:
    for share in np.linspace(0, 1, steps, dtype=np.float32):
        yield a + (b - a) * share


@pytest.fixture(scope="module")
def loaded() -> tuple[PatchStore, FaceAssets]:
    folder = clip_persona.shared()
    return load_patches(folder / "mouths.mp4", load_assets(folder / "face.npz"), 1.0)


@pytest.fixture(scope="module")
def patches(loaded: tuple[PatchStore, FaceAssets]) -> ShapePatches:
    return ShapePatches(*loaded)


class TestMouthSpace:
    space = MouthSpace(np.array(list(POSES.values())), SHUT)

    def test_rest_and_pressed_lips_are_the_shut_ones(self) -> None:
        assert [n for n, shut in zip(POSES, SHUT, strict=True) if shut] == ["rest", "m b p"]

    @pytest.mark.parametrize("name", POSES)
    def test_a_shape_is_made_of_itself(self, name: str) -> None:
        weights = self.space.weights(POSES[name])
        assert weights[list(POSES).index(name)] == pytest.approx(1.0, abs=1e-3)

    def test_weights_are_a_mixture_for_any_pose(self) -> None:
        rng = np.random.default_rng(1)
        for _ in range(200):
            weights = self.space.weights(rng.uniform(-1, 1, 7).astype(np.float32))
            assert weights.min() >= 0.0
            assert weights.sum() == pytest.approx(1.0)
            assert (weights > 0).sum() <= 8

    def test_weights_change_without_a_jump(self) -> None:
        rng = np.random.default_rng(2)
        for _ in range(10):
            a, b = rng.uniform(0, 1, (2, 7)).astype(np.float32)
            steps = np.array([self.space.weights(pose) for pose in way(a, b, 500)])
            assert np.abs(np.diff(steps, axis=0)).max() < 0.05

    @pytest.mark.parametrize("press", [0.6, 0.8, 1.0])
    @pytest.mark.parametrize("other", ["aa", "uw", "wide", "iy"])
    def test_no_open_shape_has_a_part_in_pressed_lips(self, press: float, other: str) -> None:
        pose = 0.5 * POSES[other]
        pose[MOUTH_PARAMS.index("press")] = press
        assert self.space.weights(pose)[~SHUT].sum() == 0.0

    def test_what_counts_as_closed_in_speech_is_shut(self) -> None:
        rng = np.random.default_rng(3)
        poses = rng.uniform(0, 1, (5000, 7)).astype(np.float32)
        poses[:, 0] *= 0.08
        poses[:, 4] *= 0.08
        shut = closed(poses)
        assert 500 < shut.sum() < 4500
        assert all(openness(pose) == 0.0 for pose in poses[shut])


def seen(pose: MouthPose, view: View) -> Moment:
    nothing = np.zeros((2, 2), np.uint8)
    return Moment(Pts(0), 0, nothing, np.eye(2, 3, dtype=np.float32), view, pose)


class TestShapePatches:
    def test_at_rest_there_is_no_patch(self, patches: ShapePatches) -> None:
        assert patches.patch(seen(rest_mouth(), (0.0, 0.0))) is None

    def test_the_patch_comes_from_nothing_without_a_jump(self, patches: ShapePatches) -> None:
        found = [patches.patch(seen(pose, (0.0, 0.0))) for pose in way(rest_mouth(), mouth(jaw=0.1), 40)]
        strengths = [0.0 if each is None else each.strength for each in found]
        assert strengths[0] == 0.0
        assert strengths[-1] == 1.0
        assert 0 < np.diff(strengths).max() < 0.12

    @pytest.mark.parametrize("name", POSES)
    def test_a_shape_seen_from_a_view_of_the_grid_is_its_picture(
        self, patches: ShapePatches, loaded: tuple[PatchStore, FaceAssets], name: str
    ) -> None:
        if name == "rest":
            return
        store, assets = loaded
        view = (float(assets.yaws[2]), float(assets.pitches[0]))
        found = patches.patch(seen(POSES[name], view))
        assert found is not None
        expected = store.luma[2 * len(assets.pitches), list(POSES).index(name)]
        assert np.abs(found.luma.astype(int) - expected).mean() < 1.0

    @pytest.mark.parametrize("yaw", [-30.0, -4.0, 3.3, 90.0])
    def test_any_view_has_a_patch(self, patches: ShapePatches, yaw: float) -> None:
        found = patches.patch(seen(POSES["aa"], (yaw, 2.5)))
        assert found is not None
        assert found.luma.std() > 10

    def test_equal_arguments_give_the_same_patch(self, patches: ShapePatches) -> None:
        first = patches.patch(seen(POSES["aa"], (1.0, 1.0)))
        assert patches.patch(seen(POSES["aa"].copy(), (1.0, 1.0))) is first

    @pytest.mark.parametrize("name", ["aa", "wide", "uw", "iy"])
    def test_a_mouth_opens_evenly(self, patches: ShapePatches, name: str) -> None:
        gaps = [patches.aperture_px(pose) for pose in way(rest_mouth(), POSES[name], 100)]
        assert gaps[0] == 0.0
        assert np.diff(gaps).min() > -0.6
        assert np.abs(np.diff(gaps)).max() < 0.08 * gaps[-1] + 0.6

    @pytest.mark.parametrize("name", ["aa", "wide", "uw", "sh ch", "f v"])
    def test_closing_lips_end_exactly_shut(self, patches: ShapePatches, name: str) -> None:
        pressed = POSES["m b p"]
        gaps = [patches.aperture_px(pose) for pose in way(POSES[name], pressed, 100)]
        assert gaps[0] > 3.0
        assert gaps[-1] == 0.0
        assert max(gaps[60:]) == 0.0
        inner = patches.lips(0.5 * POSES[name] + pressed)[INNER]
        np.testing.assert_array_equal(inner[1:6], inner[:6:-1])

    def test_pressed_lips_show_nothing_of_the_inside(self, patches: ShapePatches) -> None:
        # The darkest of a mouth is its cavity; the line between the lips is lighter.
        middle = slice(70, 110), slice(60, 120)
        dark = {}
        for name, pose in {
            "aa": POSES["aa"],
            "m": POSES["m b p"],
            "mu": 0.6 * POSES["uw"] + POSES["m b p"],
        }.items():
            found = patches.patch(seen(pose, (0.0, 0.0)))
            assert found is not None
            dark[name] = int((found.luma[middle] < 62).sum())
        assert dark["aa"] > 300
        assert dark["m"] == 0
        assert dark["mu"] == 0

    def test_a_mouth_between_two_is_as_sharp_as_they_are(self, patches: ShapePatches) -> None:
        def sharpness(pose: MouthPose) -> float:
            found = patches.patch(seen(pose, (0.0, 0.0)))
            assert found is not None
            return float(np.hypot(*np.gradient(found.luma.astype(float))).max())

        ends = min(sharpness(POSES["ah"]), sharpness(POSES["wide"]))
        for share in (0.25, 0.5, 0.75):
            assert sharpness((1 - share) * POSES["ah"] + share * POSES["wide"]) > 0.6 * ends

    @pytest.mark.parametrize("jaw", [0.08, 0.15, 0.4, 0.9])
    def test_the_nose_does_not_follow_the_lips(
        self, patches: ShapePatches, loaded: tuple[PatchStore, FaceAssets], jaw: float
    ) -> None:
        found = patches.patch(seen(mouth(jaw=jaw), (0.0, 0.0)))
        assert found is not None
        rest = loaded[0].luma[4, 0]
        upper = slice(0, 30)
        assert np.abs(found.luma[upper].astype(int) - rest[upper]).mean() < 2.0

    def test_rest_that_is_open_is_refused(self, loaded: tuple[PatchStore, FaceAssets]) -> None:
        store, assets = loaded
        marks = assets.landmarks.copy()
        marks[:, 0, INNER.start + 7 : INNER.stop, 1] += 20
        with pytest.raises(PersonaError, match="at rest is open"):
            ShapePatches(store, replace(assets, landmarks=marks))

    def test_a_pressed_shape_that_is_drawn_open_is_not_used_for_shut_lips(
        self, loaded: tuple[PatchStore, FaceAssets]
    ) -> None:
        store, assets = loaded
        marks = assets.landmarks.copy()
        marks[:, 1, INNER.start + 7 : INNER.stop, 1] += 20
        assert ShapePatches(store, replace(assets, landmarks=marks)).aperture_px(POSES["m b p"]) == 0.0


class TestWarper:
    def test_landmarks_are_fetched_from_where_they_were(self) -> None:
        rng = np.random.default_rng(4)
        target = rng.uniform(40, 160, (20, 2)).astype(np.float32)
        away = np.tile(np.array([6.0, -4.0], np.float32), (1, 20, 1))
        warper = Warper(200, 200, 14.0)
        warper.aim(target)
        (field,) = warper.fields(away)
        assert field is not None
        x, y = np.meshgrid(np.arange(200), np.arange(200))
        ramp = (x * 0.5 + y * 0.25).astype(np.uint8)
        moved = warper.luma(ramp, field)
        for column, row in target.astype(int):
            assert moved[row, column] == pytest.approx(0.5 * (column + 6) + 0.25 * (row - 4), abs=1.5)

    def test_the_border_stays(self) -> None:
        warper = Warper(120, 100, 14.0)
        warper.aim(np.array([[10.0, 10.0], [60.0, 50.0]], np.float32))
        (field,) = warper.fields(np.full((1, 2, 2), 8.0, np.float32))
        picture = np.random.default_rng(5).integers(0, 255, (100, 120)).astype(np.uint8)
        moved = warper.luma(picture, field)
        assert np.abs(moved[:, 0].astype(int) - picture[:, 0]).mean() < 60
        assert np.abs(moved[50, 55:65].astype(int) - picture[50, 55:65]).mean() > 20

    def test_nothing_moves_when_the_lips_are_where_they_shall_be(self) -> None:
        warper = Warper(64, 64, 10.0)
        warper.aim(np.array([[20.0, 20.0], [40.0, 40.0]], np.float32))
        assert warper.fields(np.zeros((2, 2, 2), np.float32)) == [None, None]
