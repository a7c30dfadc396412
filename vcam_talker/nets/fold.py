"""Batch norms folded into the convolutions before them: fewer steps, the same outputs."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)

_CONVS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def fold_batch_norm(module: M) -> M:
    """Return a copy in evaluation mode with batch norms moved into the layers before them.

    A batch norm registered right behind a convolution or linear layer, in the same module and of as many
    channels, is taken to follow it; others are left. Computed in float64, so outputs differ by rounding only.
    The copy shares no memory with `module`.
    """
    folded = copy.deepcopy(module).eval()
    for parent in list(folded.modules()):
        for (_, layer), (name, norm) in pairwise(list(parent.named_children())):
            if isinstance(layer, _CONVS) and isinstance(norm, _NORMS) and _fits(layer, norm):
                _fold(layer, norm)
                setattr(parent, name, nn.Identity())
    return folded


def _fits(layer: nn.Module, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> bool:
    channels = layer.out_features if isinstance(layer, nn.Linear) else cast("nn.Conv2d", layer).out_channels
    return norm.num_features == channels and norm.running_var is not None


@torch.no_grad()
def _fold(layer: nn.Module, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    """Fold y = (w x + b - mean) * scale + beta with scale = gamma / sqrt(var + eps)."""
    mean, variance = cast("Tensor", norm.running_mean).double(), cast("Tensor", norm.running_var).double()
    scale = (variance + norm.eps).rsqrt()
    beta = torch.zeros_like(mean)
    if norm.affine:
        scale, beta = scale * norm.weight.double(), norm.bias.double()
    weight, bias = cast("Tensor", layer.weight), cast("Tensor | None", layer.bias)
    shift = mean if bias is None else mean - bias.double()
    scaled = weight.double() * _per_output(layer, scale)
    layer.weight = nn.Parameter(scaled.to(weight.dtype), requires_grad=False)
    layer.bias = nn.Parameter((beta - shift * scale).to(weight.dtype), requires_grad=False)


def _per_output(layer: nn.Module, scale: Tensor) -> Tensor:
    """Shape float[outputs] so that it multiplies the layer's weight."""
    weight = cast("Tensor", layer.weight)
    kernel = (1,) * (weight.ndim - 2)
    if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d):  # weight: [inputs, outputs / groups, ...]
        grouped = scale.reshape(layer.groups, 1, -1)
        inputs = weight.shape[0] // layer.groups
        return grouped.expand(-1, inputs, -1).reshape(*weight.shape[:2], *kernel)
    return scale.reshape(-1, 1, *kernel)
