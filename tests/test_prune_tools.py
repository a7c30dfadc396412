"""Scans, figures, samples and training: the tools around the cut."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.prune_nets import Coder, Plain, Residual, Voice, run
from vcam_talker.core.errors import BadInputError, EngineError
from vcam_talker.nets.wav2lip import Wav2Lip
from vcam_talker.prune import measure
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
from vcam_talker.prune.sensitivity import Scan, read_scan, scan

pytestmark = pytest.mark.unit


def _pruned(seed: int = 1, ratio: float = 0.4) -> tuple[Residual, Residual, ChannelPlan]:
    net = Residual.seeded(seed)
    graph = trace(net, Residual.inputs())
    plan = choose(graph, Random(1)(net, graph), CutSettings(ratio, 1), whole(net, net.plan()), {})
    return net, apply_plan(net.state_dict(), plan, Residual.from_plan), plan


# Sensitivity


def _scan(path: Path, loss: Callable[[Residual], float], seed: int = 1, **more: Any) -> Scan:
    net = Residual.seeded(seed)
    graph = trace(net, Residual.inputs())
    return scan(net, graph, magnitude(net, graph), loss, path, build=Residual.from_plan, **more)


def _lost(net: Residual) -> float:
    """Bears everything but the stem's channels."""
    return 1.0 + (16 - net.channels["stem"]) + 0.001 * (8 - net.channels["inner1"])


def test_a_scan_cuts_each_layer_alone(tmp_path: Path) -> None:
    found = _scan(tmp_path / "scan.json", _lost, ratios=(0.25, 0.4))
    assert found.complete
    assert {(r.layer, r.removed): r.loss for r in found.rows} == pytest.approx(
        {
            ("stem.0", 4): 5.0, ("stem.0", 6): 7.0,
            ("inner1.0", 2): 1.002, ("inner1.0", 3): 1.003,
            ("inner2.0", 3): 1.0, ("inner2.0", 4): 1.0,
        }
    )  # fmt: skip
    assert found.bearable(0.0025) == {"stem.0": 0.0, "inner1.0": 0.25, "inner2.0": 0.4}
    assert read_scan(tmp_path / "scan.json") == found


def test_a_scan_is_bounded_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "scan.json"
    first = _scan(path, _lost, max_evaluations=2)
    assert len(first.rows) == 2
    assert not first.complete
    assert len(_scan(path, _lost, limit_s=-1).rows) == 2
    seen: list[int] = []

    def counted(net: Residual) -> float:
        seen.append(1)
        return _lost(net)

    rest = _scan(path, counted)
    assert rest.complete
    assert len(seen) == len(rest.rows) - 2  # neither the dense network nor what was known
    assert _scan(path, lambda _net: pytest.fail("done already")) == rest


def test_a_scan_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scan.json"
    _scan(path, _lost, max_evaluations=1)
    for other in ({"seed": 2}, {"metric": "other"}, {"made": {"data": "other"}}):
        with pytest.raises(BadInputError, match="another network"):
            _scan(path, _lost, **other)
    with pytest.raises(BadInputError, match=r"0\.5"):
        _scan(tmp_path / "new.json", _lost, ratios=(0.5,))
    with pytest.raises(BadInputError, match="nothing can be compared"):
        _scan(tmp_path / "new.json", lambda _net: math.nan)
    with pytest.raises(BadInputError, match="'aperture_r': is better the more it is"):
        _scan(tmp_path / "new.json", _lost, metric="aperture_r")
    upside_down = path.read_text().replace('"metric": "loss"', '"metric": "psnr"')
    (tmp_path / "old.json").write_text(upside_down)
    with pytest.raises(BadInputError, match="'psnr': is better the more it is"):
        read_scan(tmp_path / "old.json")
    path.write_text('{"format": "vcam-talker sensitivity scan", "version": 1, "rows": [{}]}')
    with pytest.raises(BadInputError, match="damaged"):
        read_scan(path)
    path.write_text("{}")
    with pytest.raises(BadInputError, match="no sensitivity scan"):
        read_scan(path)


def test_a_loss_that_is_no_number_is_a_row_like_others(tmp_path: Path) -> None:
    path = tmp_path / "scan.json"
    found = _scan(path, lambda net: math.nan if net.channels["stem"] < 16 else 1.0)
    json.loads(path.read_text(), parse_constant=pytest.fail)
    assert found.bearable(10.0)["stem.0"] == 0.0
    assert any(math.isnan(r.loss) for r in read_scan(path).rows)


# Figures


def test_multiplications_by_hand() -> None:
    conv, up = nn.Conv2d(3, 8, 3, padding=1), nn.ConvTranspose2d(3, 8, 4, 2, 1)
    x = torch.rand(5, 3, 10, 12)
    assert measure.macs(conv, (x,)) == 3 * 8 * 9 * 120
    assert measure.macs(up, (x,)) == 3 * 8 * 16 * 120  # at the input's resolution, not the four times larger
    assert measure.macs(nn.Conv2d(8, 8, 3, groups=8), (torch.rand(1, 8, 5, 5),)) == 8 * 9 * 9
    assert measure.macs(nn.Linear(7, 9), (torch.rand(3, 7),)) == 63


def test_wav2lip_counts_as_published() -> None:
    net = Wav2Lip().eval()
    inputs = torch.rand(1, 1, 80, 16), torch.rand(1, 6, 96, 96)
    assert measure.parameters(net) == pytest.approx(36.30e6, rel=1e-3)
    assert measure.macs(net, inputs) == pytest.approx(3.97e9, rel=1e-2)


@pytest.mark.parametrize("kind", [Plain, Residual, Coder, Voice])
def test_what_channels_cost_is_what_removing_them_saves(kind: type[Any]) -> None:
    net = kind.seeded(1)
    graph = trace(net, kind.inputs())
    costs = measure.channel_costs(net, graph, kind.inputs())
    for group in graph.groups:
        plan = choose(
            graph,
            magnitude(net, graph),
            CutSettings(0.4, 1, layer_ratios={g.root: 0.25 if g is group else 0.0 for g in graph.groups}),
            whole(net, net.plan()),
            {},
        )
        pruned = apply_plan(net.state_dict(), plan, kind.from_plan)
        saved = measure.macs(net, kind.inputs()) - measure.macs(pruned, kind.inputs())
        lost = len(plan.layers[group.root].keep_out)
        assert saved == pytest.approx(costs[group.root] * (group.channels - lost), rel=0.01)


def test_those_measured_take_turns() -> None:
    order: list[str] = []
    medians = measure.interleaved_ms(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=4, warm_up=1
    )
    assert order == ["a", "b"] + ["a", "b"] * 4
    assert medians.keys() == {"a", "b"}
    order.clear()
    measure.interleaved_ms({"a": lambda: order.append("a")}, rounds=100, warm_up=0, limit_s=-1.0)
    assert len(order) == 3


def test_memory_that_can_not_be_measured_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="memory can't be measured"):
        measure.resident_bytes(tmp_path / "none.onnx", "ort")


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
