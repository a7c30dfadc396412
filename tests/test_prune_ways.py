"""Importances against each other and against chance, on a net whose useless channels are known."""

from __future__ import annotations

import pytest
import torch

from studio.lips.picture.importances import cli, compare
from vcam_talker.nets.lips import LipsNet, LipsPlan
from vcam_talker.prune.importance import Random, magnitude

pytestmark = pytest.mark.unit

_CHANNELS = {"pose": 16, **{f"{side}{level}.0": 16 for side in "ed" for level in (1, 2, 3, 4)}}


def test_each_way_loses_as_many_channels_and_of_several_the_median_is_told() -> None:
    torch.manual_seed(1)
    net = LipsNet(LipsPlan(_CHANNELS)).eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    judged: list[LipsNet] = []

    def judge(cut: LipsNet) -> dict[str, float]:
        judged.append(cut)
        return {"l1": float(len(judged))}

    ways = {"magnitude": [magnitude], "random": [Random(seed) for seed in (1, 2, 3)]}
    assert compare(net, ways, 0.25, 4, judge) == {"magnitude": {"l1": 1.0}, "random": {"l1": 3.0}}
    assert {str(cut.plan()) for cut in judged} == {str(judged[0].plan())}
    assert set(judged[0].plan()["channels"].values()) == {12}
    weights = [cut.get_parameter("e1.0.conv.weight") for cut in judged]
    assert not any(torch.equal(weights[0], other) for other in weights[1:])
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in before.items())


def test_its_command_names_what_it_needs() -> None:
    assert {p.name for p in cli.params if p.required} == {"data", "weights", "net"}
