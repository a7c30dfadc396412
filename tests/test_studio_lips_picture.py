"""What the picture net learns from, how it learns, and what is measured of it; with faces of ellipses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from studio.command import run
from studio.lips.picture import __main__ as command
from studio.lips.picture.data import MARGIN, Twins, batches, cut, frame, still
from studio.lips.picture.evaluate import at_rest, evaluate, ssim, train_reader, true_opening
from studio.lips.picture.export import export
from studio.lips.picture.scenes import (
    HEADS,
    LIGHTS,
    MOUTHS,
    SIZE,
    draw_mouths,
    draw_sitter,
    path_of,
    people,
    presenters,
)
from studio.lips.picture.shrink import LIMITS, TwinsTask, missed, shrink
from studio.lips.picture.train import Schedule, load, tensors, train
from studio.pack import StudioError
from studio.truth import container
from studio.truth.fake import FakeRenderer
from studio.truth.render import Label
from tests.support.truth_voices import reciting_speaker
from vcam_talker.config import LipsConfig
from vcam_talker.core.errors import BadInputError
from vcam_talker.face.neural.model import open_model
from vcam_talker.face.neural.package import load_package
from vcam_talker.face.neural.region import REGION
from vcam_talker.nets.lips import SIZE as NET_SIZE
from vcam_talker.nets.lips import LipsNet, LipsPlan, composed

pytestmark = pytest.mark.unit

PLAN = LipsPlan({"pose": 8, **{f"{side}{level}.0": 8 for side in "ed" for level in (1, 2, 3, 4)}})
PER_HEAD = 1 + MOUTHS
GREY = np.full((96, 64), 128, np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("lips")
    for sitter in (*people("train", 2), *people("test", 1)):
        container.write(path_of(place, sitter), draw_sitter(sitter, FakeRenderer(SIZE), reciting_speaker()))
    return place


@pytest.fixture(scope="module")
def twins(folder: Path) -> Twins:
    torch.set_num_threads(1)
    return cut(folder, "train", folder / "cut")


def test_a_file_holds_heads_at_rest_and_speaking(folder: Path) -> None:
    found = container.read(path_of(folder, people("train", 1)[0]))
    count = LIGHTS * HEADS * PER_HEAD
    assert found["mouth"].shape == (count, 7)
    assert (found["head"] == np.repeat(np.arange(LIGHTS * HEADS), PER_HEAD)).all()
    rest = np.arange(0, count, PER_HEAD)
    assert (found["mouth"][rest] == 0).all()
    assert (np.abs(np.delete(found["mouth"], rest, 0)).max(1) > 0).all()
    # Twins: what is neither lips nor mouth nor moved by the jaw is the same, pixel for pixel.
    calm, speaking = frame(found, 0)[0], frame(found, 1)[0]
    assert calm.shape == (SIZE, SIZE, 3)
    assert np.abs(calm[:40].astype(int) - speaking[:40]).max() <= 3
    assert (calm != speaking).any()


def test_the_same_sitter_is_drawn_the_same(folder: Path) -> None:
    sitter = people("train", 1)[0]
    again = draw_sitter(sitter, FakeRenderer(SIZE), reciting_speaker())
    found = container.read(path_of(folder, sitter))
    assert all(np.array_equal(found[name], again[name]) for name in again)


def test_presenters_come_in_their_own_light_too() -> None:
    (elena,) = presenters([Path("studio/characters/elena.toml")], 3)
    assert elena.own_light
    assert (elena.name, elena.split, elena.lights) == ("elena", "train", 3)
    found = draw_sitter(replace(elena, lights=1), FakeRenderer(SIZE), reciting_speaker())
    assert len(found["mouth"]) == HEADS * PER_HEAD


def test_splits_share_nobody() -> None:
    names = {split: {sitter.name for sitter in people(split, 600)} for split in ("train", "val", "test")}
    assert not names["train"] & names["val"]
    assert not names["train"] & names["test"]


def test_mouths_are_of_all_kinds_and_in_range() -> None:
    mouths = draw_mouths("train", 400, np.random.default_rng(1), reciting_speaker())
    assert mouths.min() >= -1
    assert mouths.max() <= 1
    assert (mouths[:, 6] > 0.6).any(), "no lips are pressed"
    assert (mouths[:, 0] > 0.6).any(), "no mouth is wide open"
    assert (mouths[:, 2] > 0.5).any(), "none is round"


def test_the_mouth_at_rest_is_where_the_region_says(twins: Twins) -> None:
    assert twins.pictures.shape[1:] == (NET_SIZE[0] + 2 * MARGIN, NET_SIZE[1] + 2 * MARGIN, 3)
    resting = np.flatnonzero(np.asarray(twins.rest) == np.arange(len(twins)))
    for index in resting[::5]:
        lips = np.argwhere(twins.labels[index] == Label.LIPS)[:, ::-1] + 0.5 - MARGIN
        left, right = lips[:, 0].min(), lips[:, 0].max()
        assert (left + right) / 2 == pytest.approx(REGION.mouth_at[0] * NET_SIZE[1], abs=2)
        assert right - left == pytest.approx(NET_SIZE[1] / REGION.width_mouths, abs=3)
        assert np.median(lips[:, 1]) == pytest.approx(REGION.mouth_at[1] * NET_SIZE[0], abs=4)


def test_cuts_are_made_once_for_the_same_files(folder: Path, twins: Twins, tmp_path: Path) -> None:
    stamp = (folder / "cut" / "train" / "pictures.npy").stat().st_mtime_ns
    assert len(cut(folder, "train", folder / "cut")) == len(twins)
    assert (folder / "cut" / "train" / "pictures.npy").stat().st_mtime_ns == stamp
    with pytest.raises(StudioError, match="no files of split val"):
        cut(folder, "val", tmp_path)


def test_what_was_drawn_anew_is_cut_anew(folder: Path, tmp_path: Path) -> None:
    sitter = people("test", 1)[0]
    path = path_of(tmp_path, sitter)
    drawn = container.read(path_of(folder, sitter))
    container.write(path, drawn)
    before = np.array(cut(tmp_path, "test", tmp_path / "cut").mouth)
    container.write(path, drawn | {"mouth": np.asarray(drawn["mouth"]) * np.float32(0.5)})
    assert np.allclose(cut(tmp_path, "test", tmp_path / "cut").mouth, before / 2)


def test_no_sample_is_its_own_other_picture(twins: Twins) -> None:
    speaking = np.flatnonzero(np.asarray(twins.rest) != np.arange(len(twins)))
    batch = still(twins, speaking)
    assert not any((a == b).all() for a, b in zip(batch.other, batch.target, strict=True))


def test_samples_are_varied_together(twins: Twins) -> None:
    batch = next(batches(twins, 24, 3))
    assert batch.rest.shape == batch.other.shape == batch.target.shape == (24, *NET_SIZE, 3)
    assert batch.labels.shape == (24, *NET_SIZE)
    for rest, target, labels in zip(batch.rest, batch.target, batch.labels, strict=True):
        # The brow side of a sample does not depend on the mouth, whatever the jitter did to both.
        away = labels == Label.FACE
        away[20:] = False
        assert np.median(np.abs(rest[away].astype(int) - target[away])) <= 6
    again = next(batches(twins, 24, 3))
    assert np.array_equal(batch.rest, again.rest)
    assert not np.array_equal(batch.rest, next(batches(twins, 24, 4)).rest)


def test_training_learns_goes_on_and_is_exported(twins: Twins, tmp_path: Path) -> None:
    said: list[str] = []
    torch.manual_seed(1)
    net = LipsNet(PLAN)
    schedule = Schedule(steps=100, batch=4, rate=4e-3, warm_up=5)
    samples = tensors(still(twins, np.arange(1, 40, 3)))
    fresh = _error(net.eval(), samples)
    reader = train_reader(twins, 4, said.append, batch=2)
    before = evaluate(at_rest, twins, reader, count=40)
    stopped = train(net, twins, schedule, tmp_path / "run", said.append, minutes=0.0)
    assert not stopped
    assert json.loads((tmp_path / "run" / "schedule.json").read_text())["done"] == 0
    assert train(net, twins, schedule, tmp_path / "run", said.append)
    kept = load(tmp_path / "run")
    assert _error(kept, samples) < 0.75 * fresh
    assert before.samples == 40
    parity = export(kept, tmp_path / "model", "test lips", "ellipses")
    assert max(parity.values()) <= 1e-4
    told = json.loads((tmp_path / "model" / "model.json").read_text())
    assert (told["kind"], told["condition"], told["size"]) == ("pose", "pose", list(NET_SIZE))
    assert set(told["parts"]) == {"face", "mouth"}
    config = LipsConfig(engine="ort", precision="fp32", threads=1)
    model = open_model(load_package(tmp_path / "model"), config, GREY)
    shut, wide = model.draw([GREY, GREY], [0, 0], [np.zeros(7, np.float32), np.full(7, 0.8, np.float32)])
    assert shut.shape == GREY.shape
    assert (shut != wide).any()


def test_another_nets_training_is_not_gone_on_with(twins: Twins, tmp_path: Path) -> None:
    assert train(LipsNet(PLAN), twins, Schedule(1, batch=2), tmp_path, lambda _: None)
    (tmp_path / "plan.json").write_text(json.dumps(LipsNet(PLAN).plan() | {"format": 2}))
    with pytest.raises(StudioError, match="another net"):
        train(LipsNet(PLAN), twins, Schedule(2, batch=2), tmp_path, lambda _: None)
    with pytest.raises(StudioError, match="format 3"):
        load(tmp_path)
    with pytest.raises(BadInputError, match=r"plan\.json"):
        load(tmp_path / "nowhere")


def test_a_student_learns_from_its_teacher_too(twins: Twins, tmp_path: Path) -> None:
    torch.manual_seed(3)
    teacher = LipsNet(PLAN).eval()
    net = LipsNet(PLAN)
    assert train(net, twins, Schedule(2, batch=2), tmp_path, lambda _: None, teacher=teacher)


def test_a_teacher_is_shrunk_in_rounds_that_are_trained_and_judged(
    twins: Twins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.lips.picture.shrink._TAYLOR_BATCHES", 1)
    monkeypatch.setattr("studio.lips.picture.shrink._JUDGED", 32)
    torch.manual_seed(4)
    teacher = LipsNet(LipsPlan({**PLAN.channels, "d2.0": 16, "e2.0": 16})).eval()
    said: list[str] = []
    reader = train_reader(twins, 2, said.append, batch=2)
    task = TwinsTask(twins, twins, reader, Schedule(2, batch=2), said.append)
    assert set(task.evaluate(teacher)) >= {"l1", "psnr_db", "aperture_r"}
    done = shrink(teacher, task, tmp_path / "run", ratio=0.3, rounds=1, round_to=4, say=said.append)
    assert [result.number for result in done.rounds] == [0, 1]
    assert done.rounds[1].parameters < done.rounds[0].parameters
    assert any("of the channels gone" in line for line in said)
    assert bool(done.stopped) == bool(done.rounds[1].broken)
    assert all(limit.split(" ")[0] in LIMITS for limit in missed(done))
    worse = replace(done.rounds[1], metrics={"l1": 1.0, "psnr_db": 60.0, "aperture_r": 0.96}, broken=())
    assert [text.split("<")[0] for text in missed(replace(done, rounds=[done.rounds[0], worse]))] == ["l1"]
    (kept,) = (tmp_path / "run" / "rounds").iterdir()
    again = load(kept)
    assert sum(p.numel() for p in again.parameters()) == done.rounds[1].parameters


def test_a_student_that_misses_its_bars_is_an_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`train-lips.sh` exports who succeeds."""
    for name in ("cut", "reader_of", "load"):
        monkeypatch.setattr(command, name, lambda *_: None)
    monkeypatch.setattr(command, "shrink", lambda *_, **__: SimpleNamespace(stopped=""))
    reader = tmp_path / "reader.pt"
    reader.touch()
    given = ["shrink", "--data", folder, "--teacher", tmp_path, "--out", tmp_path, "--reader", reader]
    monkeypatch.setattr("sys.argv", ["picture", *map(str, given)])
    monkeypatch.setattr(command, "missed", lambda _: ["l1<=1.10*dense (1.2)"])
    assert run(command.cli) == 1
    assert "misses l1<=1.10*dense (1.2)" in capsys.readouterr().err
    monkeypatch.setattr(command, "missed", lambda _: [])
    assert run(command.cli) == 0


def test_figures_tell_a_right_picture_from_a_wrong_one(twins: Twins) -> None:
    reader = train_reader(twins, 4, lambda _: None, batch=2)
    perfect = evaluate(lambda batch: batch.target.astype(np.float32) / 255, twins, reader, count=30)
    resting = evaluate(at_rest, twins, reader, count=30)
    assert perfect.l1 < 1e-6
    assert perfect.ssim > 0.999
    assert perfect.sharpness == pytest.approx(1)
    assert perfect.aperture_r > 0.999
    assert resting.l1 > 0.01
    assert resting.psnr_db < perfect.psnr_db


def test_likeness_of_structure() -> None:
    rng = np.random.default_rng(1)
    picture = rng.random((40, 60, 3)).astype(np.float32)
    assert float(ssim(picture, picture).mean()) == pytest.approx(1)
    assert float(ssim(picture, rng.random((40, 60, 3)).astype(np.float32)).mean()) < 0.2


def test_openings_are_read_off_labels() -> None:
    labels = np.zeros((1, 30, 40), np.uint8)
    labels[0, 5:15, 10:30] = Label.MOUTH
    labels[0, 5:8, 12:28] = Label.TEETH
    assert true_opening(labels).tolist() == [[10, 20]]


def _error(net: LipsNet, samples: tuple[torch.Tensor, ...]) -> float:
    rest, other, target, mouth = samples
    with torch.inference_mode():
        return float((composed(rest, other, *net(rest, other, mouth)) - target).abs().mean())
