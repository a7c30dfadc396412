"""What the starting article's own pruning calls do. `docs/pruning.md` tells its claims one by one.

Every test makes the article's call as it stands there, and shows what comes of it.
"""

from __future__ import annotations

import copy
import io
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from tests.support.prune_nets import Residual, run
from vcam_talker.prune.allot import CutSettings
from vcam_talker.prune.apply import apply_plan
from vcam_talker.prune.cut import choose, whole
from vcam_talker.prune.graph import trace
from vcam_talker.prune.importance import magnitude
from vcam_talker.prune.measure import interleaved_ms, macs, parameters, torch_run

pytestmark = pytest.mark.unit


def _convolutions(net: nn.Module) -> list[tuple[nn.Module, str]]:
    return [(m, "weight") for m in net.modules() if isinstance(m, nn.Conv2d)]


def _stored_bytes(net: nn.Module) -> int:
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    return file.tell()


def test_global_pruning_by_structure_raises() -> None:
    net = Residual.seeded(1)
    with pytest.raises(TypeError, match='Only "unstructured" PRUNING_TYPE supported'):
        prune.global_unstructured(
            _convolutions(net), pruning_method=prune.LnStructured, amount=0.3, n=2, dim=1
        )


def test_dim_1_zeroes_what_a_convolution_reads_and_not_what_it_makes() -> None:
    conv = nn.Conv2d(10, 20, 3)
    prune.ln_structured(conv, name="weight", amount=0.3, n=2, dim=1)
    zero = conv.weight == 0
    assert int(zero.all(dim=(0, 2, 3)).sum()) == 3  # input channels
    assert int(zero.all(dim=(1, 2, 3)).sum()) == 0  # filters: all 20 still compute
    x = torch.randn(1, 10, 8, 8)
    assert (conv(x).abs().amax(dim=(0, 2, 3)) > 0).all()


def test_a_mask_makes_no_tensor_smaller_and_stores_each_twice() -> None:
    net = Residual.seeded(1)
    before, stored, work = parameters(net), _stored_bytes(net), macs(net, Residual.inputs())
    weights = sum(m.weight.numel() for m, _ in _convolutions(net))
    for module, name in _convolutions(net):
        prune.ln_structured(module, name=name, amount=0.3, n=2, dim=1)
    state = net.state_dict()
    assert "stem.0.weight_orig" in state
    assert "stem.0.weight_mask" in state
    assert sum(t.numel() for n, t in state.items() if n.endswith("_mask")) == weights
    assert _stored_bytes(net) > stored + 4 * weights
    assert parameters(net) == before
    assert macs(net, Residual.inputs()) == work


def test_a_masked_convolution_takes_as_long_as_before() -> None:
    """Timed, in turns: half of what it reads is zero, and is multiplied all the same."""
    torch.manual_seed(1)
    conv, x = nn.Conv2d(96, 96, 3, 1, 1), torch.rand(1, 96, 48, 48)
    masked = copy.deepcopy(conv)
    prune.ln_structured(masked, name="weight", amount=0.5, n=2, dim=1)
    prune.remove(masked, "weight")  # else the mask is multiplied in every time, which is slower still
    cut = nn.Conv2d(48, 96, 3, 1, 1)
    taken = interleaved_ms(
        {
            "whole": torch_run(conv, (x,)),
            "masked": torch_run(masked, (x,)),
            "cut": torch_run(cut, (x[:, :48].contiguous(),)),
        },
        rounds=40,
    )
    assert int((masked.weight == 0).all(dim=(0, 2, 3)).sum()) == 48
    assert 0.6 < taken["masked"] / taken["whole"] < 1.6
    assert taken["cut"] < 0.85 * taken["masked"]  # near half of it on a machine that does nothing else


def test_remove_takes_the_mask_away_and_leaves_the_size() -> None:
    net = Residual.seeded(1)
    shapes = {name: tensor.shape for name, tensor in net.state_dict().items()}
    stored, work = _stored_bytes(net), macs(net, Residual.inputs())
    for module, name in _convolutions(net):
        prune.ln_structured(module, name=name, amount=0.3, n=2, dim=1)
        prune.remove(module, name)
    assert {name: tensor.shape for name, tensor in net.state_dict().items()} == shapes
    assert _stored_bytes(net) >= stored
    assert macs(net, Residual.inputs()) == work


def test_a_zeroed_filter_speaks_on_through_its_batch_norm() -> None:
    """So masked weights aren't even the removed channel: what reads it still gets a constant."""
    layer = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)).eval()
    nn.init.constant_(layer[1].bias, 0.5)
    prune.ln_structured(layer[0], name="weight", amount=0.5, n=2, dim=0)
    gone = (layer[0].weight == 0).all(dim=(1, 2, 3))
    assert int(gone.sum()) == 4
    assert torch.allclose(layer(torch.randn(1, 3, 8, 8))[:, gone], torch.tensor(0.5))


def test_the_same_share_taken_out_is_really_gone() -> None:
    net = Residual.seeded(1)
    graph = trace(net, Residual.inputs())
    settings = CutSettings(0.3, round_to=1)
    plan = choose(graph, magnitude(net, graph), settings, whole(net, net.plan()), {})
    pruned = apply_plan(net.state_dict(), plan, Residual.from_plan)
    assert parameters(pruned) < 0.6 * parameters(net)
    assert macs(pruned, Residual.inputs()) < 0.6 * macs(net, Residual.inputs())
    assert _stored_bytes(pruned) < _stored_bytes(net)
    assert run(pruned, Residual.inputs())[0].shape == run(net, Residual.inputs())[0].shape


class _Attention(nn.Module):
    """Multi-head attention with four projections, as in every language model."""

    def __init__(self, heads: int = 4, width: int = 8) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.q, self.k, self.v, self.o = (
            nn.Linear(heads * width, heads * width, bias=False) for _ in range(4)
        )

    def split(self, x: torch.Tensor, layer: nn.Linear) -> torch.Tensor:
        return layer(x).unflatten(-1, (-1, self.width)).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (self.split(x, layer) for layer in (self.q, self.k, self.v))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.o(mixed.transpose(1, 2).flatten(2))


def _without_head(layer: nn.Linear, head: int, width: int, axis: int) -> nn.Linear:
    keep = [i for i in range(layer.weight.shape[axis]) if i // width != head]
    weight = layer.weight.detach().index_select(axis, torch.tensor(keep))
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    made.weight = nn.Parameter(weight)
    return made


def test_heads_cut_from_q_and_v_alone_meet_the_wrong_keys() -> None:
    torch.manual_seed(0)
    whole_net, x = _Attention(), torch.randn(1, 5, 32)
    right, wrong = _Attention(), _Attention()
    for net in (right, wrong):
        net.load_state_dict(whole_net.state_dict())
    for name in "qkv":
        setattr(right, name, _without_head(whole_net.get_submodule(name), 1, 8, axis=0))
    right.o = _without_head(whole_net.o, 1, 8, axis=1)
    for name in "qv":
        setattr(wrong, name, _without_head(whole_net.get_submodule(name), 1, 8, axis=0))

    # All four: the same as the whole net whose head 1 gives nothing to the output.
    with torch.no_grad():
        masked = _Attention()
        masked.load_state_dict(whole_net.state_dict())
        masked.o.weight[:, 8:16] = 0
        assert torch.allclose(right(x), masked(x), atol=1e-6)
        # q and v alone: three heads of queries against four of keys, and an output layer for four.
        with pytest.raises(RuntimeError, match=r"size of tensor|must match"):
            wrong(x)
        # Cut the keys to fit by number and not by head, and queries ask strangers: no error, another result.
        wrong.k = _without_head(whole_net.k, 3, 8, axis=0)
        wrong.o = _without_head(whole_net.o, 3, 8, axis=1)
        assert float((wrong(x) - masked(x)).abs().max()) > 1e-2


def test_masking_heads_of_q_and_v_saves_nothing() -> None:
    net = _Attention()
    for layer in (net.q, net.v):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            prune.ln_structured(layer, name="weight", amount=0.25, n=2, dim=0)
    rows = (net.q.weight == 0).all(dim=1).nonzero().flatten()
    assert len(rows) == 8
    # The weakest rows of all heads, not one head: every head goes on, each with holes.
    assert len({int(r) // 8 for r in rows}) > 1
    assert macs(net, (torch.randn(1, 5, 32),)) == 5 * 4 * 32 * 32
