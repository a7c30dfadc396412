"""Networks that draw lips: crops and back, features that are kept, batches, both kinds of model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support import clip_persona
from tests.support.tiny_lips import folded, make_pose_model, make_wav2lip_model
from vcam_talker.config import LipsConfig
from vcam_talker.core.errors import EngineError
from vcam_talker.core.types import MOUTH_PARAMS, SAMPLE_RATE, FaceInput, Pixels, Pts, rest_mouth
from vcam_talker.face.clip.compositor import compose
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.neural.crops import Crops, to_rgb, to_yuv
from vcam_talker.face.neural.features import FeatureCache
from vcam_talker.face.neural.model import Floats, LipsModel, condition_length, open_model, warm_up
from vcam_talker.face.neural.package import load_package
from vcam_talker.face.neural.region import Region
from vcam_talker.persona import load_persona

pytestmark = pytest.mark.unit

SIZE = (640, 360)
CONFIG = LipsConfig(engine="ort", precision="fp32", threads=1)
GREY = np.full((96, 64), 128, np.uint8)


@pytest.fixture(scope="module")
def scene() -> ClipScene:
    return ClipScene(load_persona(str(clip_persona.shared())), *SIZE)


@pytest.fixture(scope="module")
def crops(scene: ClipScene) -> Crops:
    return Crops(scene.assets, Region(), (96, 128))


@pytest.fixture(scope="module")
def pose_model(tmp_path_factory: pytest.TempPathFactory) -> LipsModel:
    return open_model(load_package(make_pose_model(tmp_path_factory.mktemp("pose"))), CONFIG, GREY)


def jaw(value: float) -> np.ndarray:
    pose = rest_mouth()
    pose[MOUTH_PARAMS.index("jaw")] = value
    return pose


def crop_of(scene: ClipScene, crops: Crops) -> Pixels:
    return crops.cut(scene.still().pixels, scene.to_patch(0))


def greenness(crop: Pixels) -> float:
    rgb = to_rgb(crop).astype(float)
    return float((rgb[..., 1] - rgb[..., 0]).max())


class TestCrops:
    def test_a_crop_has_the_shape_of_the_networks_pictures(self, crops: Crops) -> None:
        width, height = crops.size
        assert width % 2 == height % 2 == 0
        assert abs(width * 96 / 128 - height) <= 2

    def test_the_mouth_lies_where_the_region_says(self, scene: ClipScene, crops: Crops) -> None:
        rest = scene.assets.landmarks[:, 0].mean(0)
        middle = np.append((rest[0] + rest[10]) / 2, 1.0)
        at = crops._place @ middle / np.array(crops.size)
        np.testing.assert_allclose(at, (0.5, 0.34), atol=0.01)

    def test_what_is_laid_back_undrawn_is_not_seen(self, scene: ClipScene, crops: Crops) -> None:
        picture = scene.still().pixels
        crop = crop_of(scene, crops)
        for drawn in (crop, to_yuv(to_rgb(crop))):
            after = picture.copy()
            patch = crops.patch(drawn, 1.0)
            compose(after, patch, patch.affine(scene.to_patch(0)))
            assert np.abs(after.astype(int) - picture).mean() < 0.02

    @pytest.mark.parametrize("size", [(102, 76), (98, 90), (128, 96)])
    def test_colours_survive_the_way_there_and_back(self, size: tuple[int, int]) -> None:
        rng = np.random.default_rng(1)
        width, height = size
        crop = rng.integers(112, 144, (height * 3 // 2, width)).astype(np.uint8)
        np.testing.assert_array_equal(to_yuv(to_rgb(crop)), crop)

    def test_the_mask_ends_within_the_crop(self, scene: ClipScene) -> None:
        small = Crops(scene.assets, Region(width_mouths=1.3), (96, 128))
        mask = small.patch(np.zeros((small.size[1] * 3 // 2, small.size[0]), np.uint8), 1.0).mask
        assert mask.max() > 200
        assert max(mask[0].max(), mask[-1].max(), mask[:, 0].max(), mask[:, -1].max()) == 0

    def test_a_large_region_is_seen_smaller(self, scene: ClipScene) -> None:
        assert max(Crops(scene.assets, Region(width_mouths=12.0), (96, 96)).size) <= 512

    def test_a_patch_is_seen_where_it_is(self, scene: ClipScene, crops: Crops) -> None:
        patch = scene._patches.patch(scene.moment(Pts(0), scene._picture, FaceInput(jaw(0.9))))
        assert patch is not None
        seen = crops.seen(patch)
        direct = scene.still().pixels.copy()
        compose(direct, patch, scene.to_patch(0))
        there = crops.cut(direct, scene.to_patch(0))
        mask = crops.patch(seen, 1.0).mask > 250
        rows = crops.size[1]
        assert np.abs(seen[:rows].astype(int) - there[:rows])[mask].mean() < 4.0


class TestFeatureCache:
    def test_a_clip_longer_than_the_cache_is_partly_kept(self) -> None:
        computed: list[int] = []

        def of(key: int) -> float:
            def compute() -> dict[str, np.ndarray]:
                computed.append(key)
                return {"f": np.full(100, key, np.float32)}

            return float(cache.of(key, compute)["f"][0])

        cache = FeatureCache(3 * 400)
        assert [of(key) for key in (0, 1, 2, 3, 4)] == [0, 1, 2, 3, 4]
        assert [of(key) for key in (0, 1, 2, 3, 4)] == [0, 1, 2, 3, 4]
        assert computed == [0, 1, 2, 3, 4, 3, 4]
        assert (len(cache), cache.bytes) == (3, 1200)
        assert [of(4), of(4), of(0)] == [4, 4, 0]
        assert computed == [0, 1, 2, 3, 4, 3, 4], "the latest is kept besides"
        cache.clear()
        assert (len(cache), cache.bytes) == (0, 0)
        assert of(4) == 4
        assert computed[-1] == 4
        assert len(computed) == 8

    def test_what_is_too_large_is_not_kept(self) -> None:
        cache = FeatureCache(100)
        cache.of(1, lambda: {"f": np.zeros(100, np.float32)})
        assert (len(cache), cache.bytes) == (0, 0)


class TestPoseModel:
    def test_it_draws_what_the_network_says(
        self, scene: ClipScene, crops: Crops, pose_model: LipsModel
    ) -> None:
        crop = crop_of(scene, crops)
        pose_model.begin([])
        shut, wide = pose_model.draw([crop, crop], [0, 0], [jaw(0.0), jaw(1.0)])
        np.testing.assert_array_equal(shut, to_yuv(to_rgb(crop)))
        assert greenness(wide) > 150
        drawn = to_rgb(wide)[round(0.36 * crops.size[1]), crops.size[0] // 2]
        np.testing.assert_allclose(drawn, (25, 229, 51), atol=8)

    def test_flow_shade_paint_and_alpha_do_what_they_are_for(self, pose_model: LipsModel) -> None:
        rng = np.random.default_rng(2)
        soft = cv2.resize(rng.integers(40, 200, (16, 20, 3)).astype(np.uint8), (200, 160))
        flow = np.zeros((4, 48, 64), np.float32)
        shade = np.zeros((3, 48, 64), np.float32)
        alpha = np.zeros((2, 96, 128), np.float32)
        colour = np.broadcast_to(np.array([0.9, 0.1, 0.5], np.float32)[:, None, None], (3, 96, 128))

        def compose_(rgb: Pixels, flow: Floats, shade: Floats, alpha: Floats) -> Pixels:
            maps = np.concatenate((flow, shade, folded(alpha[None])[0], folded(colour[None])[0]))
            made: Pixels = pose_model._composed(rgb, maps.transpose(1, 2, 0))  # type: ignore[attr-defined]
            return made

        np.testing.assert_array_equal(compose_(soft, flow, shade, alpha), soft)
        flow[0], flow[1] = 0.1, -0.05
        moved = compose_(soft, flow, shade, alpha)
        np.testing.assert_allclose(moved[8:, :-20], soft[:-8, 20:], atol=1)
        shade[0], shade[2] = -0.5, 0.5
        coloured = compose_(soft, np.zeros_like(flow), shade, alpha)
        expected = np.minimum(soft * np.array([0.5, 1.0, 1.5]), 255)
        np.testing.assert_allclose(coloured, expected, atol=0.51)
        shade[...] = 0
        alpha[1, 48:] = 0.25
        mixed = compose_(soft, np.zeros_like(flow), shade, alpha)
        np.testing.assert_array_equal(mixed[:78], soft[:78])
        expected = 0.75 * soft[82:] + 0.25 * 255 * np.array([0.9, 0.1, 0.5])
        np.testing.assert_allclose(mixed[82:], expected, atol=1.0)

    def test_a_face_is_looked_at_once(
        self, scene: ClipScene, crops: Crops, pose_model: LipsModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looked: list[object] = []
        session = pose_model._face  # type: ignore[attr-defined]
        run = session.run
        monkeypatch.setattr(session, "run", lambda feeds: looked.append(feeds) or run(feeds))
        crop = crop_of(scene, crops)
        pose_model.begin([])
        before = pose_model.faces_computed
        for key in (1, 2, 1, 2, 1):
            pose_model.draw([crop], [key], [jaw(0.5)])
        assert len(looked) == 1, "what looks alike is one face"
        pose_model.draw([255 - crop], [3], [jaw(0.5)])
        assert len(looked) == pose_model.faces_computed - before == 2
        pose_model.begin([crop])
        pose_model.draw([crop], [1], [jaw(0.5)])
        assert len(looked) == 3, "another face"

    def test_batches_draw_the_same(self, scene: ClipScene, crops: Crops, tmp_path: Path) -> None:
        package = load_package(make_pose_model(tmp_path))
        alone, together = open_model(package, CONFIG, GREY), open_model(package, CONFIG, GREY, batch=4)
        pictures = [crop_of(scene, crops)] * 6
        poses = [jaw(n / 5) for n in range(6)]
        one = [alone.draw([p], [0], [c])[0] for p, c in zip(pictures, poses, strict=True)]
        many = together.draw(pictures, [0] * 6, poses)
        for a, b in zip(one, many, strict=True):
            np.testing.assert_array_equal(a, b)
        alone.close()
        together.close()

    def test_a_network_of_another_kind_is_refused(self, tmp_path: Path) -> None:
        folder = make_pose_model(tmp_path)
        path = folder / "model.json"
        data = json.loads(path.read_text())
        file = make_wav2lip_model(tmp_path / "other") / "face.onnx"
        (folder / "face.onnx").write_bytes(file.read_bytes())
        data["parts"]["face"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        path.write_text(json.dumps(data))
        with pytest.raises(EngineError, match=r"face\.onnx"):
            open_model(load_package(folder), CONFIG, GREY)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LipsModel:
    package = load_package(make_wav2lip_model(tmp_path_factory.mktemp("wav2lip")))
    made = open_model(package, CONFIG, GREY)
    warm_up(made, package, (64, 64))
    assert condition_length(package) == 13_440
    return made


class TestWav2Lip:
    def test_it_draws_the_lower_half_by_the_sound(self, scene: ClipScene, model: LipsModel) -> None:
        crops = Crops(scene.assets, Region((0.5, 0.76), 3.1), (96, 96))
        crop = crop_of(scene, crops)
        model.begin([])
        loud = np.random.default_rng(1).normal(0, 0.1, 13_440).astype(np.float32)
        drawn = model.draw([crop, crop], [0, 0], [np.zeros_like(loud), loud])
        rows = crops.size[1]
        for each in drawn:
            top = slice(0, rows // 2 - 2)
            np.testing.assert_array_equal(each[:rows][top], to_yuv(to_rgb(crop))[:rows][top])
        below = [to_rgb(each)[3 * rows // 4 :, :, 1].mean() for each in drawn]
        assert below[1] > below[0] + 40

    def test_only_the_window_of_the_moment_counts(self, scene: ClipScene, model: LipsModel) -> None:
        crops = Crops(scene.assets, Region((0.5, 0.76), 3.1), (96, 96))
        crop = crop_of(scene, crops)
        late = np.zeros(13_440, np.float32)
        noise = np.random.default_rng(1).normal(0, 0.3, 13_440).astype(np.float32)
        late[round(0.27 * SAMPLE_RATE) :] = noise[round(0.27 * SAMPLE_RATE) :]
        inside = noise - late
        quiet, after, within = model.draw([crop] * 3, [0] * 3, [np.zeros_like(late), late, inside])
        np.testing.assert_array_equal(quiet, after)
        green = [to_rgb(each)[3 * crops.size[1] // 4 :, :, 1].mean() for each in (quiet, within)]
        assert green[1] > green[0] + 40
