"""What a persona's files are made of: films with closed groups, masks, maps, mouths far apart."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from studio.export import face_mask, fitted, mask
from studio.film import to_yuv
from studio.mouth_shapes import choose, usual_mouths
from studio.sitting import Crop
from vcam_talker.face.clip.film import write_film

pytestmark = pytest.mark.unit


def test_grey_and_primaries_in_yuv() -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    assert set(to_yuv(picture)[:4].ravel()) == {16}
    picture[:] = 255
    planes = to_yuv(picture)
    assert planes.shape == (6, 6)
    assert set(planes[:4].ravel()) == {235}
    assert set(planes[4:].ravel()) == {128}
    picture[:] = (255, 0, 0)
    y, u, v = (int(to_yuv(picture).ravel()[k]) for k in (0, 24, 30))
    assert (y, u, v) == pytest.approx((81, 90, 240), abs=1)


def test_a_film_has_its_frames_keys_and_colours(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frames = [
        np.full((96, 64), 40 + 3 * k, np.uint8) + rng.integers(0, 3, (96, 64), np.uint8) for k in range(20)
    ]
    file = tmp_path / "life.mp4"
    assert write_film(file, iter(frames), 30, frozenset({0, 7, 13}), 18) == 20
    assert not list(tmp_path.glob("*.part"))
    with av.open(str(file), "r") as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 30
        shown = list(container.decode(stream))
    assert [k for k, frame in enumerate(shown) if frame.key_frame] == [0, 7, 13]
    assert len(shown) == 20
    for before, after in zip(frames, shown, strict=True):
        assert np.abs(after.to_ndarray(format="yuv420p").astype(int).mean() - before.mean()) < 1.5
    assert int(shown[0].colorspace) in {5, 6}, "BT.601"
    assert int(shown[0].color_range) == 1, "limited range"


def test_every_segment_can_be_sought(tmp_path: Path) -> None:
    frames = [np.full((96, 64), 20 + 10 * k, np.uint8) for k in range(15)]
    file = tmp_path / "life.mp4"
    write_film(file, iter(frames), 30, frozenset({0, 5, 10}), 12)
    with av.open(str(file), "r") as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        container.seek(round(10 / 30 / stream.time_base), stream=stream)
        first = next(container.decode(stream))
        assert round(float(first.pts * stream.time_base) * 30) == 10
        assert first.to_ndarray(format="gray").mean() == pytest.approx(frames[10].mean(), abs=3)


def test_a_mask_is_whole_inside_and_nothing_at_its_border() -> None:
    alpha = mask(Crop(0, 0, 200, 160))
    assert alpha.shape == (160, 200)
    assert alpha[80, 100] == 255
    assert not alpha[0].any()
    assert not alpha[-1].any()
    assert not alpha[:, 0].any()
    assert not alpha[:, -1].any()
    assert np.abs(np.diff(alpha.astype(int), axis=1)).max() < 20
    assert (alpha == alpha[:, ::-1]).all()


def test_a_map_is_found_again() -> None:
    rng = np.random.default_rng(1)
    places = rng.uniform(0, 300, (40, 2))
    truth = np.array([[1.1, 0.2, -30.0], [-0.15, 0.9, 12.0]])
    assert fitted(places, places @ truth[:, :2].T + truth[:, 2]) == pytest.approx(truth, abs=1e-3)


def test_mouths_begin_with_rest_and_cover_speech() -> None:
    all_ = usual_mouths()
    assert all_.min() >= -1
    assert all_.max() <= 1
    few, many = choose(all_, 12), choose(all_, 60)
    assert not few[0].any()
    assert len(np.unique(many, axis=0)) == 60
    assert (few == many[:12]).all()
    reach = [np.linalg.norm(all_[:, None] - chosen[None], axis=2).min(1).max() for chosen in (few, many)]
    assert reach[1] < 0.6 * reach[0]


def test_a_patch_shows_the_face_to_the_lowest_chin_and_no_neck() -> None:
    crop = Crop(0, 0, 200, 160)
    jaw = np.array(
        [[-20, -10], [20, 60], [60, 100], [100, 110], [140, 100], [180, 60], [220, -10]], np.float32
    )
    found = face_mask(crop, np.stack((jaw, jaw + np.array([0, 12], np.float32))))
    border = np.concatenate((found[0], found[-1], found[:, 0], found[:, -1]))
    assert not border.any()
    assert found[60, 100] == 255
    assert found[114, 100] > 128, "the chin when the jaw is open"
    assert found[145, 100] == 0
    assert found[110, 20] == 0, "beside the chin"
    assert np.abs(found.astype(int) - found[:, ::-1]).mean() < 2
