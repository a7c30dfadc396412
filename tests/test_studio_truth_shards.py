"""Shards: what is written is read, damage is named, a full disk is one clear error; the fake face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from studio.character import Character
from studio.pack import StudioError
from studio.pose import Pose
from studio.truth import container
from studio.truth.clips import FPS, Plan, make_clip
from studio.truth.drawn import sweep, workshop
from studio.truth.fake import FakePerson, FakeRenderer
from studio.truth.people import person
from studio.truth.pictures import JpegWriter, pack_mask, unpack_jpeg, unpack_mask
from studio.truth.render import (
    INNER_LIP,
    OUTER_LIP,
    Label,
    TruthFrame,
    checked,
    open_renderer,
)
from studio.truth.report import write_report
from studio.truth.shards import Shard, TruthSet, build_shard, shard_path, shard_paths
from studio.truth.shot import Shot
from tests.support.truth_voices import reciting_speaker

pytestmark = pytest.mark.unit

PLAN = Plan(seed=2, split="train", shard_frames=60, shard_clips=2, shard_people=2)


@pytest.fixture(scope="module")
def made() -> dict[str, container.Array]:
    return build_shard(PLAN, 1, "fake", FakeRenderer(128), reciting_speaker())


@pytest.fixture
def folder(tmp_path: Path, made: dict[str, container.Array]) -> Path:
    container.write(shard_path(tmp_path, "train", 1), made)
    return tmp_path


def test_a_shard_gives_back_what_was_made(folder: Path) -> None:
    shard = Shard(shard_path(folder, "train", 1))
    assert len(shard) == 60
    speaker, renderer = reciting_speaker(), FakeRenderer(128)
    at = 0
    for index, facts in enumerate(shard.clips):
        clip = make_clip(PLAN, 2 + index, speaker)
        assert (facts["number"], facts["frames"]) == (clip.number, len(clip))
        assert (facts["person"], facts["voice"]) == (clip.person.number, clip.voice.key)
        assert (shard.audio(index) == clip.spoken.audio).all()
        drawn = renderer.person(clip.person.character, 1)
        names = clip.phone_at_frames()
        for k, pose in enumerate(clip.poses()):
            sample = shard.sample(at)
            assert sample.frame == k
            assert sample.phone == names[k]
            assert (sample.mouth == pose.mouth).all()
            assert sample.clip["number"] == clip.number
            assert sample.rgb.shape == (128, 128, 3)
            true = drawn.frame(pose, clip.shot)
            # Another seed, another width of the face: the mouth's opening is the same.
            assert sample.aperture_px == pytest.approx(true.aperture_px, abs=1e-4)
            at += 1
    assert at == 60


def test_the_same_shard_is_the_same_bytes(made: dict[str, container.Array]) -> None:
    again = build_shard(PLAN, 1, "fake", FakeRenderer(128), reciting_speaker())
    assert made.keys() == again.keys()
    assert all(np.array_equal(made[name], again[name]) for name in made)


class Failing(FakeRenderer):
    """Builds `people` people and then fails, as a driver does that goes away."""

    def __init__(self, people: int) -> None:
        super().__init__(128)
        self.left = people

    def person(self, character: Character, seed: int) -> FakePerson:
        if self.left == 0:
            raise StudioError("the renderer", "lost its context")
        self.left -= 1
        return super().person(character, seed)


def test_clips_that_are_drawn_are_not_drawn_again(made: dict[str, container.Array], tmp_path: Path) -> None:
    kept = tmp_path / "clips"
    with pytest.raises(StudioError, match="lost its context"):
        build_shard(PLAN, 1, "fake", Failing(1), reciting_speaker(), kept)
    assert [path.name for path in kept.iterdir()] == ["2.safetensors"]
    one_left = Failing(1)
    again = build_shard(PLAN, 1, "fake", one_left, reciting_speaker(), kept)
    assert one_left.left == 0
    assert all(np.array_equal(made[name], again[name]) for name in made)


def test_a_kept_clip_that_is_damaged_is_drawn_again(made: dict[str, container.Array], tmp_path: Path) -> None:
    build_shard(PLAN, 1, "fake", FakeRenderer(128), reciting_speaker(), tmp_path)
    first, second = sorted(tmp_path.iterdir())
    first.write_bytes(first.read_bytes()[:-9])
    whole = bytearray(second.read_bytes())
    whole[len(whole) // 2] ^= 1
    second.write_bytes(whole)
    renderer = Failing(2)
    again = build_shard(PLAN, 1, "fake", renderer, reciting_speaker(), tmp_path)
    assert renderer.left == 0
    assert all(np.array_equal(made[name], again[name]) for name in made)


def test_clips_of_another_plan_or_renderer_are_not_taken(tmp_path: Path) -> None:
    other = replace(PLAN, seed=3)
    places = {workshop(tmp_path, PLAN, "fake", 1), workshop(tmp_path, other, "fake", 1)}
    places |= {workshop(tmp_path, PLAN, "opengl", 1), workshop(tmp_path, PLAN, "fake", 2)}
    assert len(places) == 4
    for place in places:
        place.mkdir()
    mine = workshop(tmp_path, PLAN, "fake", 1)
    sweep(tmp_path, "train", [mine])
    assert list(tmp_path.iterdir()) == [mine]


def test_masks_and_landmarks_belong_to_the_picture(folder: Path) -> None:
    shard = Shard(shard_path(folder, "train", 1))
    wide = int(np.argmax(shard.aperture_px))
    sample = shard.sample(wide)
    inside = np.argwhere(sample.mask >= Label.MOUTH)[:, ::-1] + 0.5
    inner = sample.landmarks[INNER_LIP]
    assert len(inside) > 10
    assert np.abs(inside.mean(axis=0) - inner.mean(axis=0)).max() < 1.5
    assert inside.min() >= inner.min() - 1
    shut = shard.sample(int(np.argmin(shard.aperture_px)))
    assert (shut.mask >= Label.MOUTH).sum() < 10
    assert (shut.mask == Label.LIPS).any()


def test_a_set_is_one_row_of_frames(folder: Path) -> None:
    other = build_shard(PLAN, 0, "fake", FakeRenderer(128), reciting_speaker())
    container.write(shard_path(folder, "train", 0), other)
    truth = TruthSet(folder, "train")
    assert len(truth) == 120
    assert truth.place(59)[0].path.name < truth.place(60)[0].path.name
    assert truth[60].clip["number"] == 2
    assert truth[-1].frame == truth[119].frame
    with pytest.raises(IndexError):
        truth[120]
    with pytest.raises(StudioError, match="holds no shard of 'test'"):
        TruthSet(folder, "test")


def test_a_reader_of_the_format_reads_it(folder: Path) -> None:
    theirs = safetensors.numpy.load_file(shard_path(folder, "train", 1))
    assert np.array_equal(theirs["mouth"], Shard(shard_path(folder, "train", 1)).mouth)


@pytest.mark.parametrize("name", ["jpeg", "landmarks", "audio", "facts"])
def test_a_changed_byte_is_noticed(folder: Path, name: str) -> None:
    path = shard_path(folder, "train", 1)
    container.verify(path)
    raw = bytearray(path.read_bytes())
    target = container.read(path)[name].tobytes()
    raw[raw.index(target) + len(target) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(StudioError, match=rf"train-000001.*'{name}' has changed"):
        container.verify(path)


@pytest.mark.parametrize("keep", [0, 5, 200, 5000, -1])
def test_a_file_cut_off_is_named(folder: Path, keep: int) -> None:
    path = shard_path(folder, "train", 1)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(StudioError, match=r"train-000001.*is damaged"):
        container.read(path)


def test_a_damaged_header_is_named(folder: Path) -> None:
    path = shard_path(folder, "train", 1)
    whole = path.read_bytes()
    for at in range(0, 700, 13):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x15]) + whole[at + 1 :])
        with pytest.raises(StudioError, match="train-000001"):
            container.verify(path)


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(
    tmp_path: Path, made: dict[str, container.Array]
) -> None:
    path = shard_path(tmp_path, "train", 1)
    # Every write to it fails as on a full disk.
    container.part_of(path).symlink_to("/dev/full")
    with pytest.raises(
        StudioError, match=r"train-000001.*the disk is full, \d+\.\d MB are needed. Make room"
    ):
        container.write(path, made)
    assert list(tmp_path.iterdir()) == []


def test_jpegs_are_good_and_repeat() -> None:
    y, x = np.mgrid[:128, :128]
    rgb = np.stack([128 + 90 * np.sin(x / 9), 128 + 90 * np.cos(y / 7), 255 * (x > y)], -1).astype(np.uint8)
    writer = JpegWriter(128)
    packed = [writer.pack(rgb) for _ in range(3)]
    assert packed[0] == packed[1] == packed[2] == JpegWriter(128).pack(rgb)
    error = np.mean((unpack_jpeg(packed[0]).astype(float) - rgb) ** 2)
    assert 10 * np.log10(255**2 / error) > 36
    with pytest.raises(ValueError, match="no picture"):
        unpack_jpeg(b"nothing")


def test_masks_come_back() -> None:
    mask = (np.indices((128, 128)).sum(axis=0) // 40 % 6).astype(np.uint8)
    assert (unpack_mask(pack_mask(mask), 128) == mask).all()
    assert len(pack_mask(mask)) < 1000


def test_the_fake_face_opens_by_its_jaw_and_turns_by_its_head() -> None:
    face = FakeRenderer(128).person(person(1).character, 1)
    shapes = np.zeros((3, 7), np.float32)
    shapes[1, 0], shapes[2, 0], shapes[2, 6] = 0.5, 0.5, 1.0
    rest, opened, pressed = (face.frame(Pose(mouth=m), Shot()) for m in shapes)
    assert rest.aperture_px == 0 == pressed.aperture_px
    assert 4 < opened.aperture_px < 20
    rolled = face.frame(Pose(mouth=shapes[1], roll_deg=15), Shot())
    corners = rolled.landmarks[OUTER_LIP][[0, 10]]
    assert np.degrees(np.arctan2(*(corners[1] - corners[0])[::-1])) == pytest.approx(15, abs=0.5)
    assert rolled.aperture_px == pytest.approx(opened.aperture_px, rel=0.01)


def test_a_renderer_that_breaks_its_promise_is_told() -> None:
    good = FakeRenderer(128).person(person(1).character, 1).frame(Pose(), Shot())
    assert checked(good, 128) is good
    bad = TruthFrame(good.rgb, good.landmarks * np.float32("nan"), 0.0, good.masks)
    with pytest.raises(StudioError, match="landmarks of the wrong kind"):
        checked(bad, 128)
    with pytest.raises(StudioError, match="picture of the wrong kind"):
        checked(good, 96)


def test_an_unknown_renderer_is_told() -> None:
    with pytest.raises(StudioError, match=r"renderer 'oil'.*There are: fake"):
        open_renderer("oil", 128)


def test_the_report_states_what_is_there(folder: Path, tmp_path: Path) -> None:
    text, *pictures = write_report(folder, tmp_path / "report")
    words = text.read_text()
    assert "| train | 1 | 60 | 2 | 2 |" in words
    assert "Shared by two splits: 0 people, 0 voices." in words
    assert f"60 crops of 128 x 128 pixels, {FPS} a second" in words
    assert all(picture.stat().st_size > 3000 for picture in pictures)
    assert [p.name for p in shard_paths(folder)] == ["train-000001.safetensors"]
