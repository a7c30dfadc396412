"""The guard over every cut: it sees one wrong index, wherever that is, and nothing but rounding otherwise."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.prune_cli import lips, measured_at_once, refused, with_wrong_index
from tests.support.prune_nets import NETS, Net, Residual, Voice
from vcam_talker.core.errors import EngineError
from vcam_talker.nets.wav2lip import Wav2Lip
from vcam_talker.nets.wav2lip_layers import make_plan, scaled_channels
from vcam_talker.prune.allot import CutSettings
from vcam_talker.prune.apply import apply_plan
from vcam_talker.prune.cut import choose, whole
from vcam_talker.prune.graph import ChannelGraph, trace
from vcam_talker.prune.importance import magnitude
from vcam_talker.prune.plan import ChannelPlan
from vcam_talker.prune.verify import EXACT, check_cut, difference, enlivened, noise_like, settle

__all__ = ["lips", "measured_at_once"]
pytestmark = pytest.mark.unit

_FACE = (torch.rand(1, 1, 80, 16), torch.rand(1, 6, 96, 96))


def _wav2lip() -> Wav2Lip:
    """As it is initialised: deep layers hardly vary, and half of their channels are dead."""
    torch.manual_seed(0)
    return Wav2Lip.from_plan(make_plan(96, scaled_channels(96, 0.05))).eval()


def _cut(net: Any, inputs: tuple[Tensor, ...], unit: int) -> tuple[ChannelGraph, ChannelPlan]:
    graph = trace(net, inputs)
    plan = choose(graph, magnitude(net, graph), CutSettings(0.3, unit), whole(net, net.plan()), {})
    return graph, plan


def test_one_wrong_index_in_any_group_of_a_wav2lip_as_it_is_initialised() -> None:
    net = _wav2lip()
    graph, plan = _cut(net, _FACE, 2)
    assert len(graph.groups) == 22
    right = apply_plan(net.state_dict(), plan, Wav2Lip.from_plan)
    assert check_cut(net, right, plan, Wav2Lip.from_plan, _FACE) <= EXACT
    examples = noise_like(_FACE)
    for group in graph.groups:
        reader = [member.layer for member in group.members if member.side == "in"][-1]
        wrong = with_wrong_index(plan, reader, "in")
        alive = enlivened(net, wrong, examples)
        pruned = apply_plan(alive.state_dict(), wrong, Wav2Lip.from_plan)
        assert difference(alive, pruned, wrong, examples) > 0.01, reader


def test_an_index_that_the_weights_hide_is_found() -> None:
    """What a dead network gives out is the same whatever is cut; so the guard doesn't judge by it alone."""
    net = _wav2lip()
    _, plan = _cut(net, _FACE, 2)
    with torch.no_grad():
        norm = net.audio_encoder[6].conv_block[1]
        norm.weight.zero_()
        norm.bias.fill_(-1.0)
    wrong = with_wrong_index(plan, "audio_encoder.7.conv_block.0", "in")
    pruned = apply_plan(net.state_dict(), wrong, Wav2Lip.from_plan)
    assert difference(net, pruned, wrong, noise_like(_FACE)) <= EXACT
    with pytest.raises(EngineError, match="differs from the masked dense one"):
        check_cut(net, pruned, wrong, Wav2Lip.from_plan, _FACE)


@pytest.mark.parametrize("kind", NETS)
def test_every_wrong_index_of_small_networks_is_found(kind: type[Net]) -> None:
    net = kind.seeded(4)
    graph, plan = _cut(net, kind.inputs(), 1)
    right = apply_plan(net.state_dict(), plan, kind.from_plan)
    assert check_cut(net, right, plan, kind.from_plan, kind.inputs()) <= EXACT
    for group in graph.groups:
        for member in group.members:
            wrong = with_wrong_index(plan, member.layer, "in" if member.side == "in" else "out")
            pruned = apply_plan(net.state_dict(), wrong, kind.from_plan)
            with pytest.raises(EngineError, match="differs from the masked dense one"):
                check_cut(net, pruned, wrong, kind.from_plan, kind.inputs())


def test_weights_that_are_not_the_dense_ones_are_found() -> None:
    net = Voice.seeded(1)
    _, plan = _cut(net, Voice.inputs(), 1)
    pruned = apply_plan(net.state_dict(), plan, Voice.from_plan)
    with torch.no_grad():
        pruned.post.bias.add_(1e-6)
    with pytest.raises(EngineError, match="differs from the masked dense one"):
        check_cut(net, pruned, plan, Voice.from_plan, Voice.inputs())
    with torch.no_grad():
        pruned.post.bias.fill_(math.nan)
    with pytest.raises(EngineError, match="by nan"):
        check_cut(net, pruned, plan, Voice.from_plan, Voice.inputs())


def test_the_network_is_not_touched() -> None:
    net = Residual.seeded(1)
    _, plan = _cut(net, Residual.inputs(), 1)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    pruned = apply_plan(net.state_dict(), plan, Residual.from_plan)
    check_cut(net, pruned, plan, Residual.from_plan, Residual.inputs())
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in before.items())
    assert not any(m._forward_hooks for n in (net, pruned) for m in n.modules())
    assert pruned.out.weight.dtype == torch.float32


def test_settled_norms_let_noise_through() -> None:
    """As initialised, the mouth drawn hardly depends on the sound."""
    net = _wav2lip()
    mel, face = noise_like(_FACE, rows=4)

    def heard() -> float:
        with torch.no_grad():
            one, two = (net(mel[n : n + 1], face[:1]) for n in (0, 1))
        return float((one - two).std() / one.std())

    dead = heard()
    settle(net, (mel, face))
    assert not any(m.training for m in net.modules())
    assert {m.momentum for m in net.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}
    assert heard() > 100 * dead
    assert heard() > 0.01


def test_noise_is_of_the_examples_kind() -> None:
    tokens = torch.tensor([[5, 9, 9, 5]])
    pictures, words = noise_like((torch.zeros(1, 3, 8, 8), tokens), rows=4)
    assert pictures.shape == (4, 3, 8, 8)
    assert 0.8 < float(pictures.std()) < 1.2
    assert words.shape == (4, 4)
    assert set(words.flatten().tolist()) <= {5, 9}


def test_a_wrong_cut_is_never_written(lips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*given: Any) -> ChannelPlan:
        return with_wrong_index(choose(*given), "d1.0.conv", "in")

    monkeypatch.setattr("vcam_talker.prune.pipeline.choose", wrong)
    out = tmp_path / "out"
    refused("differs from the masked", 8, "lipsync", "--model", lips, "--round-to", 4, "--out", out)
    assert not out.exists()
