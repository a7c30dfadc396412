"""A net with more channels that answers as a narrower one did: for it to learn on from there.

What is new in a layer is as random as at any beginning, and nothing listens to it yet (after Net2Net, arXiv
1511.05641, whose new channels are copies of old ones).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from vcam_talker.nets.lips import LEVELS, Layer, LipsNet, LipsPlan

_Span = tuple[int, int]
"""Channels that were there, and those that there are now, of one source of a layer's inputs."""


def widened(net: LipsNet, plan: LipsPlan) -> LipsNet:
    """Return a net of `plan` with the weights of `net`, as deep; both in evaluation mode.

    Raises ValueError when a layer has fewer channels in `plan`, or when one of both has other layers.
    """
    old, new = net.plan()["channels"], plan.channels
    if set(old) != set(new):
        raise ValueError("the plans have different layers")
    if less := [name for name in old if new[name] < old[name]]:
        raise ValueError(f"the plan has fewer channels in {', '.join(sorted(less))}")
    wide = LipsNet(plan).eval()
    pose = (old["pose"], new["pose"])
    with torch.no_grad():
        for ours, theirs in zip(_linear(wide.pose), _linear(net.pose), strict=True):
            ours.weight[: len(theirs.weight)] = theirs.weight
            ours.bias[: len(theirs.weight)] = theirs.bias
        spans = {
            f"{side}{level}": _last(old, new, f"{side}{level}", plan)
            for side in "ed"
            for level in range(1, LEVELS + 1)
        }
        for level in range(1, LEVELS + 1):
            above = [(6, 6)] if level == 1 else [spans[f"e{level - 1}"]]
            _copy_stage(wide, net, f"e{level}", above, pose)
            below = [] if level == LEVELS else [spans[f"d{level + 1}"]]
            _copy_stage(wide, net, f"d{level}", [*below, spans[f"e{level}"]], pose)
        wide.head.weight.copy_(_spread(net.head.weight, torch.zeros_like(wide.head.weight), [spans["d1"]]))
        cast("Tensor", wide.head.bias).copy_(cast("Tensor", net.head.bias))
    return wide


def _last(old: Mapping[str, int], new: Mapping[str, int], stage: str, plan: LipsPlan) -> _Span:
    name = f"{stage}.{plan.depth(stage) - 1}"
    return old[name], new[name]


def _copy_stage(wide: LipsNet, net: LipsNet, name: str, inputs: Sequence[_Span], pose: _Span) -> None:
    for ours, theirs in zip(_layers(wide, name), _layers(net, name), strict=True):
        kept = theirs.conv.out_channels
        weight = ours.conv.weight
        weight[:kept] = _spread(theirs.conv.weight, torch.zeros_like(weight[:kept]), inputs)
        for key, value in theirs.norm.state_dict().items():
            there = ours.norm.state_dict()[key]
            (there[:kept] if value.ndim else there).copy_(value)
        if theirs.mouth is not None:
            mouth = cast("nn.Linear", ours.mouth).weight
            mouth[:kept] = _spread(theirs.mouth.weight, torch.zeros_like(mouth[:kept]), [pose])
        inputs = [(kept, ours.conv.out_channels)]


def _spread(weight: Tensor, into: Tensor, inputs: Sequence[_Span]) -> Tensor:
    """Copy a weight's input channels (axis 1) to where they are now."""
    old_at = new_at = 0
    for old, new in inputs:
        into[:, new_at : new_at + old] = weight[:, old_at : old_at + old]
        old_at, new_at = old_at + old, new_at + new
    return into


def _linear(module: nn.Module) -> list[nn.Linear]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


def _layers(net: LipsNet, stage: str) -> Sequence[Layer]:
    return cast("Sequence[Layer]", net.get_submodule(stage))
