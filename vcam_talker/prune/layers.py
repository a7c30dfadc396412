"""Which axes of a layer's tensors are channels, for every kind of layer that can lose some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

Axes = tuple[int | None, int | None]
"""(axis of output channels, axis of input channels) of one tensor."""

_VECTOR: Final[Axes] = (0, None)


@dataclass(frozen=True, slots=True)
class Kind:
    """How layers of one class hold their channels."""

    tensors: Mapping[str, Axes]
    """Parameters and buffers that have channels, by name; those that a layer doesn't have are None there."""
    out_name: str
    """Attribute that holds how many channels come out."""
    in_name: str = ""
    """Attribute that holds how many go in; empty: the same ones go in and out."""


Layers = Mapping[str, tuple[nn.Module, Kind]]
"""Layers that can lose channels, by name, in their module's own order."""

_CONV: Final = Kind({"weight": (0, 1), "bias": _VECTOR}, "out_channels", "in_channels")
_TRANSPOSED: Final = Kind({"weight": (1, 0), "bias": _VECTOR}, "out_channels", "in_channels")
_DEPTHWISE: Final = Kind({"weight": _VECTOR, "bias": _VECTOR}, "out_channels")
_LINEAR: Final = Kind({"weight": (0, 1), "bias": _VECTOR}, "out_features", "in_features")
_NORM: Final = Kind(
    {"weight": _VECTOR, "bias": _VECTOR, "running_mean": _VECTOR, "running_var": _VECTOR}, "num_features"
)
_PRELU: Final = Kind({"weight": _VECTOR}, "num_parameters")


def kind_of(layer: nn.Module) -> Kind | None:
    """Return how `layer` holds its channels; None when it has none or can't lose any.

    Layers that mix channels by their number (group and layer normalisation, grouped convolutions) are among
    the latter: a net without some of their channels is no longer the net with these channels masked.
    """
    match layer:
        case nn.Conv1d() | nn.Conv2d():
            if layer.groups == 1:
                return _CONV
            depthwise = layer.groups == layer.in_channels == layer.out_channels
            return _DEPTHWISE if depthwise else None
        case nn.ConvTranspose1d() | nn.ConvTranspose2d():
            return _TRANSPOSED if layer.groups == 1 else None
        case nn.Linear():
            return _LINEAR
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return _NORM
        case nn.PReLU():
            return _PRELU if layer.num_parameters > 1 else None
        case _:
            return None


def widths(layer: nn.Module, kind: Kind) -> tuple[int, int]:
    """Return (channels in, channels out)."""
    out = int(getattr(layer, kind.out_name))
    return (int(getattr(layer, kind.in_name)) if kind.in_name else out), out


def named_layers(module: nn.Module) -> Layers:
    """Return all layers of `module` that can lose channels."""
    found = ((name, layer, kind_of(layer)) for name, layer in module.named_modules())
    return {name: (layer, kind) for name, layer, kind in found if kind is not None}


def sliced(tensor: torch.Tensor, axes: Axes, keep_in: torch.Tensor, keep_out: torch.Tensor) -> torch.Tensor:
    """Return a copy of `tensor` that has the kept channels only. `keep_*`: int64[K] indices."""
    for axis, keep in zip(axes, (keep_out, keep_in), strict=True):
        if axis is not None:
            tensor = tensor.index_select(axis, keep)
    return tensor.contiguous()
