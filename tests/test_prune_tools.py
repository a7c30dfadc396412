"""Scans and figures: the tools around the cut."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.support.prune_nets import Coder, Plain, Residual, Voice
from vcam_talker.core.errors import BadInputError, EngineError
from vcam_talker.nets.wav2lip import Wav2Lip
from vcam_talker.prune import measure
from vcam_talker.prune.allot import CutSettings
from vcam_talker.prune.apply import apply_plan
from vcam_talker.prune.cut import choose, whole
from vcam_talker.prune.graph import trace
from vcam_talker.prune.importance import magnitude
from vcam_talker.prune.sensitivity import Scan, read_scan, scan

pytestmark = pytest.mark.unit


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


def test_rows_of_other_ratios_make_no_scan_complete(tmp_path: Path) -> None:
    path = tmp_path / "scan.json"
    first = _scan(path, _lost, ratios=(0.25,))
    assert first.complete
    second = _scan(path, _lost, ratios=(0.4,), max_evaluations=1)
    assert len(second.rows) == 4
    assert not second.complete
    assert not read_scan(path).complete
    assert not _scan(path, _lost, ratios=(0.4,), limit_s=-1).complete
    assert _scan(path, _lost, ratios=(0.4,)).complete


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
