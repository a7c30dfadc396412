"""Channels taken out physically: the same numbers as the dense network whose channels are masked."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch_pruning as tp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.support.prune_nets import NETS, Coder, Net, Plain, Residual, run
from vcam_talker.core.errors import BadInputError
from vcam_talker.nets.wav2lip import Wav2Lip
from vcam_talker.prune.allot import CutSettings, Ranking
from vcam_talker.prune.apply import (
    PLAN_FILE,
    WEIGHTS_FILE,
    apply_plan,
    cut_further,
    load_pruned,
    save_pruned,
    slice_state,
)
from vcam_talker.prune.cut import choose, cut_roots, lowest, whole
from vcam_talker.prune.graph import ChannelGraph, trace
from vcam_talker.prune.importance import Importance, Random, Taylor, batch_norm_scale, magnitude
from vcam_talker.prune.layers import named_layers
from vcam_talker.prune.plan import ChannelPlan
from vcam_talker.prune.verify import difference, noise_like, settle

pytestmark = pytest.mark.unit

_EXACT = 1e-12


def _importance(name: str, net: type[Net], seed: int) -> Importance:
    match name:
        case "magnitude":
            return magnitude
        case "bn":
            return batch_norm_scale
        case "random":
            return Random(seed)
        case _:

            def loss(module: nn.Module, batch: int) -> Tensor:
                made = module(*net.inputs(seed + batch))
                return sum(
                    (o.square().mean() for o in ([made] if isinstance(made, Tensor) else made)),
                    start=torch.zeros(()),
                )

            return Taylor([lambda m, b=b: loss(m, b) for b in range(2)])


def _cut(
    net: Net, importance: Importance, ratio: float = 0.3, round_to: int = 1, ranking: Ranking = "uniform"
) -> ChannelPlan:
    graph = trace(net, net.inputs())
    wanted = CutSettings(ratio, round_to, ranking)
    return choose(graph, importance(net, graph), wanted, whole(net, net.plan()), {"importance": "test"})


def _masked(net: Net, plan: ChannelPlan) -> Net:
    """The dense network, whose removed channels are set to 0 wherever they are read."""
    masked = copy.deepcopy(net)
    for name, layer in plan.layers.items():
        gone = sorted(set(range(layer.dense_in)) - set(layer.keep_in))

        def zero(_module: nn.Module, given: tuple[Tensor, ...], gone: list[int] = gone) -> tuple[Tensor, ...]:
            x = given[0].clone()
            x[:, gone] = 0
            return (x, *given[1:])

        masked.get_submodule(name).register_forward_pre_hook(zero)
    return masked


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(NETS),
    seed=st.integers(0, 10_000),
    importance=st.sampled_from(["magnitude", "bn", "taylor", "random"]),
    ratio=st.floats(0.05, 0.4),
    round_to=st.sampled_from([1, 2, 4, 8]),
    ranking=st.sampled_from(["uniform", "global"]),
)
def test_pruned_equals_masked(
    kind: type[Net], seed: int, importance: str, ratio: float, round_to: int, ranking: Ranking
) -> None:
    net = kind.seeded(seed)
    plan = _cut(net, _importance(importance, kind, seed), ratio, round_to, ranking)
    pruned = apply_plan(net.state_dict(), plan, kind.from_plan)
    inputs = tuple(x.double() for x in kind.inputs(seed + 1))
    ours = run(pruned.double(), inputs)
    theirs = run(_masked(net, plan).double(), inputs)
    for a, b in zip(ours, theirs, strict=True):
        assert float((a - b).abs().max()) <= _EXACT
    assert difference(net, pruned, plan, kind.inputs(seed + 2)) <= _EXACT


def _by_torch_pruning(net: Net, graph: ChannelGraph, removed: dict[str, npt.NDArray[np.int64]]) -> Net:
    """The same channels removed by Torch-Pruning itself, in place."""
    theirs = copy.deepcopy(net)
    traced = tp.DependencyGraph().build_dependency(theirs, net.inputs(), verbose=False)
    for group in graph.groups:
        layer = theirs.get_submodule(group.root)
        prune = traced.get_pruner_of_module(layer).prune_out_channels
        traced.get_pruning_group(layer, prune, removed[group.root].tolist()).prune()
    return theirs


def _third(net: Net) -> tuple[ChannelGraph, dict[str, npt.NDArray[np.int64]]]:
    graph = trace(net, net.inputs())
    scores = magnitude(net, graph)
    return graph, {g.root: lowest(scores[g.root], g.channels // 3) for g in graph.groups}


@pytest.mark.parametrize("kind", [net for net in NETS if net is not Coder])
def test_it_cuts_what_torch_pruning_cuts(kind: type[Net]) -> None:
    net = kind.seeded(5)
    graph, removed = _third(net)
    ours = apply_plan(
        net.state_dict(), cut_roots(graph, removed, whole(net, net.plan()), {}), kind.from_plan
    ).state_dict()
    theirs = _by_torch_pruning(net, graph, removed).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_torch_pruning_alone_loses_count_where_an_input_is_concatenated() -> None:
    """Why inputs are probed: the pose stands before the features, and the library doesn't see it."""
    net = Coder.seeded(5)
    graph, removed = _third(net)
    plan = cut_roots(graph, removed, whole(net, net.plan()), {})
    inputs = Coder.inputs(3)
    wanted = run(_masked(net, plan), inputs)

    ours = run(apply_plan(net.state_dict(), plan, Coder.from_plan), inputs)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours, wanted, strict=True))
    theirs = _by_torch_pruning(net, graph, removed)
    try:
        made = run(theirs, inputs)
    except RuntimeError:
        return  # its layers don't even fit each other
    assert not all(torch.allclose(a, b, atol=1e-3) for a, b in zip(made, wanted, strict=True))


def test_a_plan_survives_json_and_makes_the_same_cut_again(tmp_path: Path) -> None:
    net = Residual.seeded(1)
    plan = _cut(net, magnitude)
    (tmp_path / "plan.json").write_text(plan.to_json())
    again = ChannelPlan.read(tmp_path / "plan.json")
    assert again == plan
    assert again.digest() == plan.digest()
    assert json.loads(plan.to_json())["channels"] == plan.net["channels"]
    one, two = (apply_plan(net.state_dict(), p, Residual.from_plan).state_dict() for p in (plan, again))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_plan_cuts_another_checkpoint_of_the_same_shape() -> None:
    plan = _cut(Residual.seeded(1), magnitude)
    other = Residual.seeded(2)
    pruned = apply_plan(other.state_dict(), plan, Residual.from_plan)
    assert difference(other, pruned, plan, Residual.inputs()) <= _EXACT


def test_the_pruned_networks_own_plan_is_in_the_file() -> None:
    net = Coder.seeded(1)
    plan = _cut(net, magnitude, round_to=2)
    written = json.loads(plan.to_json())
    rebuilt = Coder.from_plan(written)
    pruned = apply_plan(net.state_dict(), plan, Coder.from_plan)
    assert rebuilt.plan() == pruned.plan() == plan.net
    assert {n: t.shape for n, t in rebuilt.state_dict().items()} == {
        n: t.shape for n, t in pruned.state_dict().items()
    }


def test_a_second_cut_of_what_was_trained_counts_dense_channels() -> None:
    net = Residual.seeded(3)
    first = _cut(net, magnitude, 0.25)
    student = apply_plan(net.state_dict(), first, Residual.from_plan)
    graph = trace(student, Residual.inputs())
    second = choose(graph, Random(1)(student, graph), CutSettings(0.5, round_to=1), first, {})
    both = cut_further(student, first, second, Residual.from_plan)
    at_once = apply_plan(net.state_dict(), second, Residual.from_plan)
    assert both.plan() == at_once.plan() == second.net
    assert second.net["channels"]["stem"] == 8
    for name, tensor in at_once.state_dict().items():
        assert torch.equal(both.state_dict()[name], tensor), name
    with pytest.raises(BadInputError, match="earlier round"):
        cut_further(both, second, first, Residual.from_plan)


def test_saved_and_loaded_without_pickles(tmp_path: Path) -> None:
    net = Plain.seeded(1)
    plan = _cut(net, magnitude)
    pruned = apply_plan(net.state_dict(), plan, Plain.from_plan)
    save_pruned(tmp_path, plan, pruned)
    assert sorted(p.name for p in tmp_path.iterdir()) == [PLAN_FILE, WEIGHTS_FILE]
    assert not any(zipfile.is_zipfile(p) or p.read_bytes()[:1] == b"\x80" for p in tmp_path.iterdir())
    loaded, read = load_pruned(tmp_path, Plain.from_plan)
    assert read == plan
    assert torch.equal(run(loaded, Plain.inputs())[0], run(pruned, Plain.inputs())[0])


def test_a_checkpoint_of_another_network_is_refused() -> None:
    plan = _cut(Residual.seeded(1), magnitude)
    with pytest.raises(BadInputError, match="another network"):
        apply_plan(Plain.seeded(1).state_dict(), plan, Residual.from_plan)
    wider = Residual({"stem": 20, "inner1": 8, "inner2": 12})
    with pytest.raises(BadInputError, match="another network"):
        apply_plan(wider.state_dict(), plan, Residual.from_plan)
    with pytest.raises(BadInputError, match="doesn't have"):
        slice_state({}, plan, named_layers(Plain()))


def test_weights_of_another_cut_are_refused(tmp_path: Path) -> None:
    net = Residual.seeded(1)
    for name, ratio in (("a", 0.2), ("b", 0.4)):
        plan = _cut(net, magnitude, ratio)
        save_pruned(tmp_path / name, plan, apply_plan(net.state_dict(), plan, Residual.from_plan))
    (tmp_path / "b" / WEIGHTS_FILE).replace(tmp_path / "a" / WEIGHTS_FILE)
    with pytest.raises(BadInputError, match="another network"):
        load_pruned(tmp_path / "a", Residual.from_plan)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda raw: raw["cut"]["layers"]["stem.0"].update(keep_out=[0, 1]), "digest"),
        (lambda raw: raw["cut"]["layers"]["stem.0"].update(keep_out=[3, 1]), "ascend"),
        (lambda raw: raw["cut"]["layers"]["stem.0"].update(keep_out=[0, 99]), "ascend"),
        (lambda raw: raw["cut"]["layers"]["stem.0"].update(keep_out=[True]), "ascend"),
        (lambda raw: raw["cut"]["layers"]["stem.0"].update(out=-1), "number of channels"),
        (lambda raw: raw["cut"]["layers"].update({"stem.0": 3}), "no table"),
        (lambda raw: raw["channels"].update(stem=3), "digest"),
        (lambda raw: raw["cut"].update(version=9), "version 9"),
        (lambda raw: raw.pop("cut"), "what was cut"),
        (lambda raw: raw["cut"].update(dense={"net": "residual"}), "channels"),
        (lambda raw: raw["cut"].pop("made"), "lacks"),
    ],
)
def test_a_damaged_plan_is_refused(edit: Callable[[dict[str, Any]], object], said: str) -> None:
    raw = json.loads(_cut(Residual.seeded(1), magnitude).to_json())
    edit(raw)
    with pytest.raises(BadInputError, match=said):
        ChannelPlan.from_json(json.dumps(raw))


def test_a_plan_that_is_no_json_is_refused(tmp_path: Path) -> None:
    for text in ("", "[" * 100_000, "[]", "{"):
        with pytest.raises(BadInputError):
            ChannelPlan.from_json(text)
    with pytest.raises(BadInputError, match="No such file"):
        ChannelPlan.read(tmp_path / "none.json")
    (tmp_path / "latin.json").write_bytes(b'{"cut": "\xff"}')
    with pytest.raises(BadInputError, match="UTF-8"):
        ChannelPlan.read(tmp_path / "latin.json")


def test_wav2lip_loses_thirty_percent_of_its_channels_and_no_more() -> None:
    torch.manual_seed(0)
    net = Wav2Lip().eval()
    inputs = noise_like((torch.rand(1, 1, 80, 16), torch.rand(1, 6, 96, 96)))
    # As initialised it hardly depends on its inputs, and would be equal to whatever is cut out of it.
    settle(net, inputs)
    graph = trace(net, inputs)
    plan = choose(graph, magnitude(net, graph), CutSettings(0.3), whole(net, net.plan()), {})
    pruned = apply_plan(net.state_dict(), plan, Wav2Lip.from_plan)
    assert difference(net, pruned, plan, inputs) <= _EXACT
    one, two = (run(pruned, (mel, inputs[1][:1]))[0] for mel in inputs[0][:, None])
    assert float((one - two).abs().max()) > 0.02 * float(one.std())
    assert pruned.plan() == plan.net
    assert all(width % 16 == 0 for width in plan.net["channels"].values())
    left = sum(p.numel() for p in pruned.parameters()) / sum(p.numel() for p in net.parameters())
    assert 0.45 < left < 0.52


def test_numbers_of_another_kind_are_refused() -> None:
    net = Residual.seeded(1)
    state = dict(net.state_dict())
    state["out.weight"] = state["out.weight"].to(torch.int8)
    with pytest.raises(BadInputError, match=r"out\.weight holds torch\.int8"):
        apply_plan(state, whole(net, net.plan()), Residual.from_plan)
    state["out.weight"] = net.out.weight.detach().half()
    assert apply_plan(state, whole(net, net.plan()), Residual.from_plan).out.weight.dtype == torch.float32
