"""Samples and training: what a pruned network learns by."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.prune_nets import Residual, run
from vcam_talker.core.errors import BadInputError
from vcam_talker.prune.allot import CutSettings
from vcam_talker.prune.apply import apply_plan
from vcam_talker.prune.cut import choose, whole
from vcam_talker.prune.data import Batch, NpzReader, archives_digest
from vcam_talker.prune.distil import Distillation
from vcam_talker.prune.graph import trace
from vcam_talker.prune.importance import Random, magnitude
from vcam_talker.prune.pictures import PictureTask, Training
from vcam_talker.prune.plan import ChannelPlan
from vcam_talker.prune.schedule import Round, Schedule, run_schedule

pytestmark = pytest.mark.unit


def _pruned(seed: int = 1, ratio: float = 0.4) -> tuple[Residual, Residual, ChannelPlan]:
    net = Residual.seeded(seed)
    graph = trace(net, Residual.inputs())
    plan = choose(graph, Random(1)(net, graph), CutSettings(ratio, 1), whole(net, net.plan()), {})
    return net, apply_plan(net.state_dict(), plan, Residual.from_plan), plan


# Sensitivity


# Samples


def _write(folder: Path, name: str, **arrays: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    np.savez(folder / name, **arrays)


def _samples(folder: Path, teacher: nn.Module, count: int = 24, weigh: bool = True) -> NpzReader:
    for split, seed in (("train", 1), ("train", 2), ("test", 3)):
        x = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
        target = run(teacher, (x,))[0].sigmoid()
        weight = {"weight": np.ones((count, 1, 6, 6), np.uint8) * 255} if weigh else {}
        _write(folder, f"{split}-{seed}.npz", x=x.numpy(), target=target.numpy(), **weight)
    return NpzReader(folder, ("x",), ((1, 3, 6, 6),))


def test_samples_come_shuffled_for_training_and_in_order_for_tests(tmp_path: Path) -> None:
    for number in range(3):
        values = np.arange(10, dtype=np.uint8)[:, None] + 10 * number
        for split in ("train", "test"):
            _write(tmp_path, f"{split}-{number}.npz", x=values, target=values.astype(np.float16))
    reader = NpzReader(tmp_path, ("x",), ((1, 1),))

    def seen(batches: Iterator[Batch], count: int) -> list[int]:
        return [int(v) for _, b in zip(range(count), batches, strict=False) for v in b.target.flatten()]

    assert seen(reader.test(4), 99) == list(range(30))
    first = seen(reader.train(4, seed=1), 9)
    assert sorted(first) == list(range(30))
    assert first == seen(reader.train(4, seed=1), 9) != seen(reader.train(4, seed=2), 9)
    assert len(seen(reader.train(4, seed=1), 100)) > 300
    batch = next(reader.test(4))
    assert batch.inputs[0].dtype == torch.float32
    assert torch.allclose(batch.inputs[0] * 255, batch.target)
    assert batch.weight is None


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.zeros((4, 2))}, "lacks an array.*target"),
        ({"target": np.zeros((4, 1))}, "lacks an array.*x"),
        ({"x": np.zeros((4, 3)), "target": np.zeros((4, 1))}, "takes"),
        ({"x": np.zeros((3, 2)), "target": np.zeros((4, 1))}, "not 4 samples"),
        ({"x": np.zeros((0, 2)), "target": np.zeros((0, 1))}, "not 0 samples"),
        ({"x": np.zeros((4, 2)), "target": np.array(["a"] * 4)}, "not 4 samples"),
        ({"x": np.zeros((4, 2)), "target": np.array([{}] * 4)}, "can't be read"),
    ],
)
def test_archives_that_do_not_fit_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], said: str
) -> None:
    for split in ("train", "test"):
        _write(tmp_path, f"{split}-0.npz", **arrays)
    with pytest.raises(BadInputError, match=said):
        next(NpzReader(tmp_path, ("x",), ((1, 2),)).test(4))


def test_a_folder_without_samples_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no train-\*\.npz"):
        NpzReader(tmp_path, ("x",), ((1, 2),))
    (tmp_path / "train-0.npz").write_bytes(b"PK nothing")
    for content in (b"\x80\x04.", b"", b"\x93NUMPY\x01\x00"):
        (tmp_path / "test-0.npz").write_bytes(content)
        with pytest.raises(BadInputError, match="can't be read"):
            next(NpzReader(tmp_path, ("x",), ((1, 2),)).test(4))


def test_archives_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for split in ("train", "test"):
            _write(tmp_path / name, f"{split}-0.npz", x=np.zeros((4, 2)), target=np.zeros((4, 1)))
    first = archives_digest(tmp_path / "a")
    (tmp_path / "b" / "notes.txt").write_text("not looked at")
    assert archives_digest(tmp_path / "b") == first
    _write(tmp_path / "b", "test-0.npz", x=np.zeros((4, 2)), target=np.ones((4, 1)))
    assert archives_digest(tmp_path / "b") != first
    (tmp_path / "a" / "test-0.npz").rename(tmp_path / "a" / "test-1.npz")
    assert archives_digest(tmp_path / "a") != first


@pytest.mark.parametrize("rows", [0, -1])
def test_batches_of_nothing_are_refused(tmp_path: Path, rows: int) -> None:
    reader = _samples(tmp_path, Residual.seeded(1))
    for batches in (reader.train(rows, seed=1), reader.test(rows)):
        with pytest.raises(BadInputError, match=f"rows {rows}: must be 1 or more"):
            next(batches)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0}, {"steps": -5}, {"steps": 10**30}, {"rows": 0}, {"rows": -1}, {"rows": 10**30},
        {"seed": -1}, {"rate": 0.0}, {"rate": -1.0}, {"rate": math.nan}, {"rate": math.inf}, {"rate": 1e30},
    ],
)  # fmt: skip
def test_numbers_that_nobody_can_train_by(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInputError, match=f"{next(iter(wrong))} .*must be"):
        Training(**wrong)


# Distillation


def test_a_student_that_is_its_teacher_has_nothing_to_learn() -> None:
    net = Residual.seeded(1)
    plan = whole(net, net.plan())
    with Distillation(Residual.seeded(1), net, plan, ["stem.0", "inner1.0"]) as distillation:
        x = Residual.inputs()
        assert distillation.loss(x).item() == 0.0
        assert distillation.loss(x, run(net, x)[0]).item() == 0.0
        assert distillation.loss(x, run(net, x)[0] + 1).item() == pytest.approx(1.0)


def test_features_are_compared_channel_by_channel_kept() -> None:
    net, student, plan = _pruned()
    with Distillation(student, net, plan, ["stem.0"], target=0.0, pixels=0.0, features=1.0) as distillation:
        # The first convolution reads the picture itself: its kept channels are the teacher's exactly.
        assert distillation.loss(Residual.inputs()).item() == pytest.approx(0.0, abs=1e-9)
    assert not any(m._forward_hooks for m in (*net.modules(), *student.modules()))


def test_only_the_student_learns_and_the_weighted_place_counts() -> None:
    net, student, plan = _pruned()
    x = Residual.inputs()
    with Distillation(student, net, plan, ["inner2.0"]) as distillation:
        distillation.loss(x).backward()
        assert all(p.grad is None for p in net.parameters())
        assert student.stem[0].weight.grad is not None
        weight = torch.zeros(2, 1, 6, 6)
        far = run(net, x)[0] + 9
        assert distillation.loss(x, far, weight).item() < distillation.loss(x, far).item()
    with pytest.raises(BadInputError, match="channel plan"):
        Distillation(student, net, plan, ["nowhere"])


# Pictures


class _Squashed(Residual):
    """Gives pictures in 0 .. 1."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).sigmoid()


def test_training_brings_back_what_the_cut_took(tmp_path: Path) -> None:
    net = _Squashed.seeded(1)
    reader = _samples(tmp_path / "data", Residual.seeded(1))
    told: list[str] = []
    task = PictureTask(reader, Training(steps=60, rows=12, rate=3e-3), ["stem.0"], told.append)
    assert task.evaluate(net) == pytest.approx({"l1": 0.0, "psnr": 120.0, "mouth_l1": 0.0}, abs=1e-6)
    done = run_schedule(
        net,
        Residual.inputs(),
        magnitude,
        task,
        Schedule(CutSettings(0.4, 1)),
        tmp_path / "out",
        build=_Squashed.from_plan,
    )
    after = done.rounds[1]
    assert after.metrics["l1"] < 0.5 * after.untrained["l1"]
    assert after.metrics["psnr"] > after.untrained["psnr"] + 3
    assert after.metrics["mouth_l1"] == pytest.approx(after.metrics["l1"])
    assert any("step 50 of 60" in line for line in told)


def test_pictures_for_the_report_are_rgb(tmp_path: Path) -> None:
    net = _Squashed.seeded(1)
    task = PictureTask(_samples(tmp_path, Residual.seeded(1), weigh=False), Training())
    made, truth = task.pictures(net), task.truth()
    assert [p.shape for p in made] == [(6, 6, 3)] * 4
    assert all(np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(made, truth, strict=True))
    first = next(task._reader.test(1)).target[0]
    assert truth[0][0, 0].tolist() == [round(float(v) * 255) for v in first[[2, 1, 0], 0, 0]]
    assert len(task.losses(3)) == 3
    assert task.losses(1)[0](net).item() == pytest.approx(0.0, abs=1e-6)
    assert "mouth_l1" not in task.evaluate(net)


def test_the_same_training_twice_is_the_same(tmp_path: Path) -> None:
    reader = _samples(tmp_path, Residual.seeded(1))

    def trained() -> dict[str, Tensor]:
        net, student, plan = _pruned()
        PictureTask(reader, Training(steps=3, rows=4)).train(student, net, Round(1, 1, plan, tmp_path))
        return student.state_dict()

    one, two = trained(), trained()
    assert all(torch.equal(one[name], two[name]) for name in one)
