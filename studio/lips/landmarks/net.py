"""The landmark net: a picture of a face to 72 heat maps, small enough for numpy.

An hourglass of one level (A. Newell, K. Yang, J. Deng, 2016, much reduced): down to a sixteenth to see the
whole face, back up to a quarter to say where things are. What runs it later is `persona_new.landmarks`, which
knows this order of layers.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vcam_talker.persona_new.landmarks import INPUT, LAYERS, POINTS, Layer


class Conv(nn.Module):
    """Convolution, batch norm, and a rectifier where the layer has one."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            layer.inputs, layer.outputs, layer.size, layer.stride, layer.size // 2, bias=not layer.rectified
        )
        self.norm = nn.BatchNorm2d(layer.outputs) if layer.rectified else nn.Identity()
        self.rectified = layer.rectified

    def forward(self, x: Tensor) -> Tensor:
        """Return float[B, outputs, H / stride, W / stride]."""
        found: Tensor = self.norm(self.conv(x))
        return functional.relu(found) if self.rectified else found

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return weight and bias with the batch norm's scale and shift in them."""
        weight = self.conv.weight.detach()
        if not isinstance(self.norm, nn.BatchNorm2d):
            return weight, cast("Tensor", self.conv.bias).detach()
        norm = self.norm
        mean, variance = cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)
        gain = norm.weight.detach() / torch.sqrt(variance + norm.eps)
        return weight * gain[:, None, None, None], norm.bias.detach() - mean * gain


class LandmarkNet(nn.Module):
    """float[B, 3, 96, 96] in -1 to 1, to heat maps float[B, 72, 24, 24]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({layer.name: Conv(layer) for layer in LAYERS})

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of where each point is."""
        layers = self.layers
        quarter: Tensor = layers["quarter"](layers["stem"](x))
        fine: Tensor = quarter + layers["fine"](quarter)
        eighth: Tensor = layers["eighth"](fine)
        eighth = eighth + layers["eighth_more"](eighth)
        low: Tensor = layers["low"](eighth)
        low = low + layers["low_more"](low)
        low = low + layers["low_last"](low)
        eighth = eighth + _twice(layers["low_up"](low))
        eighth = layers["eighth_last"](eighth)
        fine = fine + _twice(layers["eighth_up"](eighth))
        out: Tensor = layers["heat"](layers["fine_last"](fine))
        return out

    def weights(self) -> dict[str, Any]:
        """Return what ships: weights and biases, float16, batch norms folded in."""
        found: dict[str, Any] = {}
        for name, layer in self.layers.items():
            weight, bias = cast("Conv", layer).folded()
            found[f"{name}.weight"] = weight.numpy().astype(np.float16)
            found[f"{name}.bias"] = bias.numpy().astype(np.float16)
        return found


def places(heat: Tensor) -> Tensor:
    """Return the mean places of heat maps in pixels of the net's picture, float[B, 72, 2]: x, y."""
    batch, _, rows, columns = heat.shape
    share = functional.softmax(heat.reshape(batch, POINTS, -1), 2).reshape(heat.shape)
    cell = INPUT / columns
    across = (torch.arange(columns, device=heat.device) + 0.5) * cell
    down = (torch.arange(rows, device=heat.device) + 0.5) * cell
    return torch.stack(((share.sum(2) * across).sum(2), (share.sum(3) * down).sum(2)), -1)


def _twice(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")
