"""Which channels matter: what each importance sees, and what it leaves alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.prune_nets import NETS, Coder, Net, Plain, Residual
from vcam_talker.core.errors import BadInputError, EngineError
from vcam_talker.prune.apply import apply_plan
from vcam_talker.prune.cut import cut_roots, lowest, whole
from vcam_talker.prune.graph import trace
from vcam_talker.prune.importance import Importance, Random, Taylor, batch_norm_scale, magnitude

pytestmark = pytest.mark.unit


def _loss(net: type[Net], seed: int = 1, truth: float = 0.0) -> Taylor:
    def loss(module: nn.Module) -> Tensor:
        made = module(*net.inputs(seed))
        return ((made if isinstance(made, Tensor) else made[0]) - truth).square().mean()

    return Taylor([loss])


@pytest.mark.parametrize("importance", [magnitude, batch_norm_scale, Random(1), "taylor"])
@pytest.mark.parametrize("kind", NETS)
def test_every_group_gets_a_finite_score_per_channel_and_the_network_stays(
    kind: type[Net], importance: Importance | str
) -> None:
    net = kind.seeded(1).train()
    next(iter(net.parameters())).requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    graph = trace(net, kind.inputs())
    scorer = _loss(kind) if isinstance(importance, str) else importance
    scores = scorer(net, graph)
    assert scores.keys() == {g.root for g in graph.groups}
    for group in graph.groups:
        assert scores[group.root].shape == (group.channels,)
        assert np.isfinite(scores[group.root]).all()
        assert (scores[group.root] >= 0).all()
    assert net.training
    assert not next(iter(net.parameters())).requires_grad
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in before.items())


def test_magnitude_finds_the_weak_channel_in_all_layers_that_it_runs_through() -> None:
    net = Residual.seeded(2)
    with torch.no_grad():
        for layer in (net.stem[0], net.back1[0], net.back2[0]):
            layer.weight[5] *= 0.1
        for layer in (net.inner1[0], net.inner2[0], net.out):
            layer.weight[:, 5] *= 0.1
        for name in ("stem", "back1", "back2"):
            net.get_submodule(name)[1].weight[5] = 0.01
    scores = magnitude(net, trace(net, Residual.inputs()))
    assert int(scores["stem.0"].argmin()) == 5
    assert scores["stem.0"].mean() == pytest.approx(1.0)


def test_batch_norm_scale_looks_at_nothing_else() -> None:
    net = Residual.seeded(2)
    with torch.no_grad():
        net.inner1[1].weight.copy_(torch.arange(1.0, 9.0))
        net.inner1[0].weight *= torch.arange(8.0, 0.0, -1.0)[:, None, None, None]
    scores = batch_norm_scale(net, trace(net, Residual.inputs()))
    assert scores["inner1.0"].argsort().tolist() == list(range(8))


def test_batch_norm_scale_falls_back_where_there_is_none() -> None:
    net = Plain.seeded(1)
    graph = trace(net, Plain.inputs())
    assert np.array_equal(batch_norm_scale(net, graph)["c"], magnitude(net, graph)["c"])


def test_taylor_knows_which_channel_the_loss_does_not_feel() -> None:
    """Strong weights that nothing comes of: magnitude keeps them, Taylor doesn't."""
    net = Plain.seeded(3)
    with torch.no_grad():
        net.c.weight[4] = -10.0  # behind a sigmoid, so always below zero, and then cut off by ReLU
        net.c.bias[4] = -10.0
    graph = trace(net, Plain.inputs())
    assert _loss(Plain)(net, graph)["c"][4] == 0
    assert int(magnitude(net, graph)["c"].argmax()) == 4


def test_taylor_ranks_by_what_removal_does_to_the_loss() -> None:
    net = Coder.seeded(4)
    graph = trace(net, Coder.inputs())
    plan = whole(net, net.plan())
    scores = _loss(Coder, truth=0.3)(net, graph)
    inputs = Coder.inputs(1)

    def loss(module: nn.Module) -> float:
        with torch.no_grad():
            return float((module(*inputs)[0] - 0.3).square().mean())

    def rise(importance: dict[str, np.ndarray]) -> float:
        total = 0.0
        for group in graph.groups:
            gone = lowest(importance[group.root], max(1, group.channels // 4))
            total += abs(
                loss(
                    apply_plan(
                        net.state_dict(), cut_roots(graph, {group.root: gone}, plan, {}), Coder.from_plan
                    )
                )
                - loss(net)
            )
        return total

    by_chance = np.mean([rise(dict(Random(seed)(net, graph))) for seed in range(10)])
    assert rise(dict(scores)) < 0.5 * by_chance


def test_squares_of_batches_add_up_where_gradients_cancel() -> None:
    net = Residual.seeded(1)
    graph = trace(net, Residual.inputs())

    def pull(sign: float) -> Tensor:
        return lambda m: sign * m(*Residual.inputs()).mean()

    one = Taylor([pull(1.0)])(net, graph)
    both = Taylor([pull(1.0), pull(-1.0)])(net, graph)
    for root in one:
        assert np.allclose(one[root], both[root])
        assert both[root].max() > 0


def test_chance_is_the_same_again_for_the_same_seed() -> None:
    graph = trace(Residual.seeded(1), Residual.inputs())
    first, again, other = (Random(seed)(Residual(), graph)["stem.0"] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_taylor_says_what_is_wrong() -> None:
    net = Residual.seeded(1)
    graph = trace(net, Residual.inputs())
    with pytest.raises(BadInputError, match="no batch"):
        Taylor([])(net, graph)
    with pytest.raises(EngineError, match="finite"):
        Taylor([lambda m: m(*Residual.inputs()).mean() * math.inf])(net, graph)
    with pytest.raises(EngineError, match="no channel"):
        Taylor([lambda m: m.out.bias.sum()])(net, graph)
