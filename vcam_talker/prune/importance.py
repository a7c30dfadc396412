"""How much a channel matters: magnitude, scale of the batch norm, first-order Taylor, and chance.

A score belongs to a channel of a group, so it counts all layers that lose something with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vcam_talker.core.errors import BadInputError, EngineError
from vcam_talker.prune.graph import ChannelGraph, ChannelGroup, Member
from vcam_talker.prune.layers import Kind, Layers, named_layers, widths

Scores = Mapping[str, npt.NDArray[np.float64]]
"""Of every group, by the name of its root: float64[channels], more is more important."""
Loss = Callable[[nn.Module], torch.Tensor]
"""Runs the network on one batch and returns a scalar with a gradient."""

_TINY: Final = 1e-30


class Importance(Protocol):
    """What scores channels."""

    def __call__(self, module: nn.Module, graph: ChannelGraph) -> Scores:
        """Return the scores of all groups. `module` is left as it was."""
        ...


def magnitude(module: nn.Module, graph: ChannelGraph) -> Scores:
    """Score by weight: the mean over a group's layers of the squared L2 norm of the channel's weights there.

    Every group is divided by its mean, so groups can be ranked together.
    """
    layers = named_layers(module)

    def norm(member: Member) -> npt.NDArray[np.float64]:
        layer, kind = layers[member.layer]
        axis = kind.tensors["weight"][1 if member.side == "in" else 0]
        weight = layer.get_parameter("weight").detach().double()
        return _sums(weight.square(), axis)

    return {g.root: _relative(_pooled(g, {m: norm(m) for m in _weighted(g, layers)})) for g in graph.groups}


def batch_norm_scale(module: nn.Module, graph: ChannelGraph) -> Scores:
    """Score by the scale that batch norm gives a channel (Network Slimming, arXiv 1708.06519).

    Groups without a batch norm are scored by `magnitude`. Every group is divided by its mean.
    """
    layers = named_layers(module)
    norms = {
        name: np.abs(layer.weight.detach().double().cpu().numpy())
        for name, (layer, _) in layers.items()
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.affine
    }
    scores = dict(magnitude(module, graph))
    for group in graph.groups:
        found = {m: norms[m.layer] for m in group.members if m.layer in norms}
        if found:
            scores[group.root] = _relative(_pooled(group, found))
    return scores


class Taylor:
    """Score by what the loss would change (first-order Taylor, Molchanov et al., arXiv 1906.10771).

    For every batch, weight times gradient is summed over what the channel has in a layer; the squares of
    these sums are averaged over the batches (at a minimum the gradients cancel, their squares don't) and over
    the group's layers. The scores are in units of the loss, squared, and so can be ranked over all groups.
    """

    def __init__(self, losses: Iterable[Loss]) -> None:
        """`losses`: one for each batch; consumed by the first call."""
        self._losses = losses

    def __call__(self, module: nn.Module, graph: ChannelGraph) -> Scores:
        """Return the scores; blocks for a forward and a backward pass a batch, batch norms as in use.

        Raises BadInputError without a batch, EngineError for a loss without a finite gradient.
        """
        layers = named_layers(module)
        was_training = module.training
        asked = {name: p.requires_grad for name, p in module.named_parameters()}
        module.eval().requires_grad_(requires_grad=True)
        total: dict[str, npt.NDArray[np.float64]] = {g.root: np.zeros(g.channels) for g in graph.groups}
        batches = 0
        try:
            for loss in self._losses:
                module.zero_grad(set_to_none=True)
                with torch.enable_grad():
                    loss(module).backward()  # type: ignore[no-untyped-call]
                for group in graph.groups:
                    sums = {m: _first_order(*layers[m.layer], m) ** 2 for m in _weighted(group, layers)}
                    total[group.root] += _pooled(group, sums)
                batches += 1
        finally:
            module.zero_grad(set_to_none=True)
            module.train(was_training)
            for name, parameter in module.named_parameters():
                parameter.requires_grad_(asked[name])
        if not batches:
            raise BadInputError("Taylor importance", "was given no batch to work with")
        if not all(np.isfinite(score).all() for score in total.values()):
            raise EngineError("Taylor importance", "the loss has no finite gradient")
        if not any(score.any() for score in total.values()):
            raise EngineError("Taylor importance", "the loss depends on no channel")
        return {root: score / batches for root, score in total.items()}


class Random:
    """Score by chance: what any other importance must beat."""

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed

    def __call__(self, module: nn.Module, graph: ChannelGraph) -> Scores:  # noqa: ARG002
        """Return the scores of all groups, the same for the same seed and graph."""
        chance = np.random.default_rng(self._seed)
        return {g.root: chance.random(g.channels) for g in graph.groups}


def _weighted(group: ChannelGroup, layers: Layers) -> list[Member]:
    return [m for m in group.members if isinstance(layers[m.layer][0].weight, nn.Parameter)]


def _first_order(layer: nn.Module, kind: Kind, member: Member) -> npt.NDArray[np.float64]:
    """Return the sum of weight times gradient, per channel of the member's layer; 0 without a gradient."""
    before, behind = widths(layer, kind)
    total = np.zeros(before if member.side == "in" else behind)
    for name, axes in kind.tensors.items():
        axis = axes[1 if member.side == "in" else 0]
        tensor = getattr(layer, name)
        if axis is not None and isinstance(tensor, nn.Parameter) and tensor.grad is not None:
            total += _sums(tensor.detach().double() * tensor.grad.double(), axis)
    return total


def _sums(values: torch.Tensor, axis: int | None) -> npt.NDArray[np.float64]:
    others = [a for a in range(values.ndim) if a != axis]
    summed: npt.NDArray[np.float64] = (values.sum(others) if others else values).cpu().numpy()
    return summed


def _pooled(group: ChannelGroup, values: Mapping[Member, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return the mean over the members; `values`: per channel of the member's layer."""
    pooled = np.zeros(group.channels)
    for member, per_channel in values.items():
        np.add.at(pooled, member.roots, per_channel[member.indices])
    return pooled / max(len(values), 1)


def _relative(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return scores / max(float(scores.mean()), _TINY)
