"""How much goes where: ratios, rounding, ranking, the graph, and what may not be cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.support.prune_nets import Coder, Plain, Residual, Voice
from vcam_talker.core.errors import BadInputError, EngineError
from vcam_talker.nets.lips import LipsNet
from vcam_talker.nets.wav2lip_layers import blocks, dense_channels, macs
from vcam_talker.prune.allot import MAX_LAYER_STEP, CutSettings, allot, steps_needed
from vcam_talker.prune.cut import choose, whole
from vcam_talker.prune.graph import ChannelGroup, Member, trace
from vcam_talker.prune.importance import Random, magnitude
from vcam_talker.prune.plan import ChannelPlan

pytestmark = pytest.mark.unit

_NONE = np.zeros(0, np.int64)


def _groups(widths: dict[str, int]) -> list[ChannelGroup]:
    return [ChannelGroup(name, width, (Member(name, "out", _NONE, _NONE),)) for name, width in widths.items()]


def _keeps(
    widths: dict[str, int], settings: CutSettings, costs: dict[str, float] | None = None
) -> dict[str, int]:
    scores = {name: np.arange(width, dtype=np.float64) for name, width in widths.items()}
    return allot(_groups(widths), scores, settings, widths, costs)


@settings(max_examples=200, deadline=None)
@given(
    widths=st.lists(st.sampled_from([8, 16, 24, 32, 48, 64, 128, 256, 384, 512]), min_size=1, max_size=20),
    ratio=st.floats(0.05, 0.4),
    unit=st.sampled_from([1, 8, 16]),
    ranking=st.sampled_from(["uniform", "global"]),
    costly=st.booleans(),
)
def test_multiples_within_bounds_that_add_up(
    widths: list[int], ratio: float, unit: int, ranking: str, costly: bool
) -> None:
    named = {f"l{i}": width for i, width in enumerate(widths)}
    costs = {name: 1.0 / width for name, width in named.items()} if costly else None
    keeps = _keeps(named, CutSettings(ratio, unit, ranking), costs)  # type: ignore[arg-type]
    for name, kept in keeps.items():
        assert kept % unit == 0 or kept == named[name]
        assert math.ceil(named[name] * (1 - MAX_LAYER_STEP)) <= kept <= named[name]
    total = sum(widths)
    assert 10 * sum(keeps.values()) >= 6 * total
    if ranking == "uniform" and all(
        width % unit == 0 and width * (1 - ratio) >= width / 2 + unit for width in widths
    ):
        # At the most that a step may remove, all is rounded the other way.
        slack = 2 * unit if ratio * total + unit > 0.4 * total else unit
        assert sum(keeps.values()) == pytest.approx(total * (1 - ratio), abs=slack + 1e-6)


@settings(max_examples=200, deadline=None)
@given(
    widths=st.lists(st.integers(1, 600), min_size=1, max_size=20),
    ratio=st.floats(0.05, 0.9),
    unit=st.sampled_from([1, 2, 8, 16, 32]),
    ranking=st.sampled_from(["uniform", "global"]),
    costly=st.booleans(),
)
def test_no_round_removes_more_than_four_tenths_of_what_is_there(
    widths: list[int], ratio: float, unit: int, ranking: str, costly: bool
) -> None:
    dense = {f"l{i}": width for i, width in enumerate(widths)}
    costs = {name: 1.0 / width for name, width in dense.items()} if costly else None
    present = dense
    rounds = steps_needed(ratio)
    for number in range(1, rounds + 1):
        wanted = CutSettings(ratio, unit, ranking).after(number, rounds)  # type: ignore[arg-type]
        scores = {name: np.arange(width, dtype=np.float64) for name, width in present.items()}
        keeps = allot(_groups(present), scores, wanted, dense, costs)
        assert 10 * sum(keeps.values()) >= 6 * sum(present.values())
        for name, kept in keeps.items():
            assert math.ceil(present[name] * (1 - MAX_LAYER_STEP)) <= kept <= present[name]
        present = keeps


@pytest.mark.parametrize(("ratio", "rounds", "unit"), [(0.4, 1, 16), (0.64, 2, 16), (0.4, 1, 32)])
def test_wav2lip_loses_four_tenths_at_most_in_every_round(ratio: float, rounds: int, unit: int) -> None:
    """Of its true widths and costs: rounded to multiples only, 40.08 to 40.28 % of its channels would go."""
    makers: dict[str, list[str]] = {}
    for block in blocks(96)[:-1]:  # the last one makes the picture
        added = [root for root, names in makers.items() if block.residual and block.source in names]
        makers.setdefault(added[0] if added else block.name, []).append(block.name)
    dense, work = dense_channels(96), macs(96, dense_channels(96))
    costs = {root: sum(work[n] / dense[n] for n in names) for root, names in makers.items()}
    present = {root: dense[root] for root in makers}
    for number in range(1, rounds + 1):
        groups = [
            ChannelGroup(root, present[root], tuple(Member(n, "out", _NONE, _NONE) for n in names))
            for root, names in makers.items()
        ]
        scores = {root: np.zeros(width) for root, width in present.items()}
        keeps = allot(groups, scores, CutSettings(ratio, unit).after(number, rounds), dense, costs)
        kept, before = (sum(c[r] * len(n) for r, n in makers.items()) for c in (keeps, present))
        assert 10 * kept >= 6 * before
        assert kept < 0.63 * before
        present = keeps


def test_what_costs_most_is_rounded_down() -> None:
    widths = {"coarse": 512, "fine": 64}
    assert _keeps(widths, CutSettings(0.3, 16), {"coarse": 1.0, "fine": 9.0}) == {"coarse": 368, "fine": 32}
    assert _keeps(widths, CutSettings(0.3, 16), {"coarse": 9.0, "fine": 1.0}) == {"coarse": 352, "fine": 48}
    assert _keeps(widths, CutSettings(0.3, 16)) == {"coarse": 352, "fine": 48}


def test_a_layer_of_its_own_ratio() -> None:
    widths = {"enc.0": 64, "dec.0": 64, "dec.1": 64}
    named = CutSettings(0.25, 16, layer_ratios={"dec.*": 0.5, "dec.1": 0.0})
    assert _keeps(widths, named) == {"enc.0": 48, "dec.0": 32, "dec.1": 64}


def test_global_ranking_takes_the_lowest_of_all() -> None:
    scores = {"a": np.full(64, 2.0), "b": np.arange(64) / 100.0}
    keeps = allot(_groups({"a": 64, "b": 64}), scores, CutSettings(0.25, 16, "global"), {"a": 64, "b": 64})
    assert keeps == {"a": 64, "b": 32}


def test_rounds_remove_the_same_share_each() -> None:
    wanted = CutSettings(0.64, layer_ratios={"x": 0.36, "y": 0.0})
    half = wanted.after(1, 2)
    assert half.ratio == pytest.approx(0.4)
    assert half.layer_ratios == {"x": pytest.approx(0.2), "y": 0.0}
    assert wanted.after(2, 2).ratio == pytest.approx(0.64)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (CutSettings(0.0), "ratio 0"),
        (CutSettings(-0.1), "ratio -0.1"),
        (CutSettings(1.0), "ratio 1"),
        (CutSettings(math.nan), "ratio nan"),
        (CutSettings(0.3, 0), "round-to 0"),
        (CutSettings(0.3, 5000), "round-to 5000"),
        (CutSettings(0.3, layer_ratios={"stem": 1.5}), "of stem"),
        (CutSettings(0.3, layer_ratios={"stem": math.nan}), "of stem"),
        (CutSettings(0.3, layer_ratios={"stam.0": 0.2}), "Did you mean stem.0"),
        (CutSettings(0.3, ignored=["nothing.like.it"]), "none of that name"),
    ],
)
def test_settings_that_can_not_be(wrong: CutSettings, said: str) -> None:
    net = Residual.seeded(1)
    graph = trace(net, Residual.inputs())
    with pytest.raises(BadInputError, match=said):
        choose(graph, magnitude(net, graph), wrong, whole(net, net.plan()), {})


def test_layers_that_go_together() -> None:
    graph = trace(Residual.seeded(1), Residual.inputs())
    stem = graph.group("back2.0")
    assert stem.root == "stem.0"
    assert set(stem.makers) == {"stem.0", "back1.0", "back2.0"}
    assert [g.root for g in graph.groups] == ["stem.0", "inner1.0", "inner2.0"]
    assert graph.whole == {"out": "the network's output"}
    with pytest.raises(BadInputError, match="output"):
        graph.group("out")


def test_every_output_stays_whole_even_one_that_is_read_on() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            inner = torch.relu(self.a(x))
            return {"inner": inner, "last": self.b(inner)}

    graph = trace(Two(), (torch.rand(1, 3, 4, 4),))
    assert not graph.groups
    assert set(graph.whole) == {"a", "b"}


def test_what_mixes_channels_stays_whole() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.norm, self.b = nn.Conv2d(3, 8, 1), nn.GroupNorm(2, 8), nn.Conv2d(8, 8, 1)
            self.grouped, self.c = nn.Conv2d(8, 8, 1, groups=2), nn.Conv2d(8, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.c(self.grouped(torch.relu(self.b(self.norm(self.a(x))))))

    graph = trace(Mixed(), (torch.rand(1, 3, 4, 4),))
    assert "GroupNorm" in graph.whole["a"]
    assert "grouped" in graph.whole["b"]
    assert not graph.groups


def test_asked_for_layers_stay_whole() -> None:
    graph = trace(Coder.seeded(1), Coder.inputs(), ignored=["pose", "d*.0"])
    assert {g.root for g in graph.groups} == {"e1.0", "e2.0"}
    assert graph.whole["pose"] == "kept as asked for"


def test_the_network_is_not_touched_by_tracing() -> None:
    net = Voice.seeded(1).train().double()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    hooks = [len(m._forward_hooks) for m in net.modules()]
    trace(net, Voice.inputs())
    assert net.training
    assert [len(m._forward_hooks) for m in net.modules()] == hooks
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in before.items())


def test_inputs_that_can_not_be_traced_are_told() -> None:
    with pytest.raises(EngineError, match="5 axes"):
        trace(nn.Conv3d(1, 1, 1), (torch.rand(1, 1, 2, 2, 2),))


def test_the_lips_own_net_can_be_cut() -> None:
    channels = {"pose": 16, **{f"{side}{n}.0": 16 for side in "ed" for n in (1, 2, 3, 4)}}
    net = LipsNet.from_plan({"format": 3, "net": "lips", "size": [96, 128], "channels": channels}).eval()
    inputs = torch.rand(1, 3, 96, 128), torch.rand(1, 3, 96, 128), torch.rand(1, 7)
    graph = trace(net, inputs)
    assert graph.whole == {"head": "the network's output"}
    assert len(graph.groups) == 9
    plan = choose(graph, Random(1)(net, graph), CutSettings(0.4, 4), whole(net, net.plan()), {})
    assert LipsNet.from_plan(plan.net).plan() == plan.net
    assert plan.channels[0] < 0.65 * plan.channels[1]
    assert ChannelPlan.from_json(plan.to_json()) == plan


def test_an_unused_layer_stays_whole() -> None:
    class Idle(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.idle = nn.Conv2d(3, 8, 1)

    graph = trace(Idle(), Plain.inputs())
    assert "idle" not in {g.root for g in graph.groups}
