"""The picture net in two parts, as it runs: what is computed once per face, and what once per mouth.

Together they answer as `LipsNet` does. Every stage of its decoder begins with a convolution of what comes
from below beside what the encoder says of the face. A convolution is linear, so the face's share of it is
computed with the face, and only added when there is a mouth. The coarsest stage then starts without any.

What goes in and out of them as maps has its channels last: processors convolve so, and bringing such small
maps into another order took more of the time than any of the convolutions.

A map that is doubled and then convolved by 3 x 3 has every row and column twice: a transposed convolution by
4 x 4 answers the same with less than half of the multiplications.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fuse_conv_bn_weights

from vcam_talker.nets.lips import LEVELS, Layer, LipsNet, squashed

_DOUBLED: Final = ((0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0))
"""Which weights of three meet in each of the four places of a row that was not doubled."""


class FacePart(nn.Module):
    """What a face adds to the first layer of each stage of the decoder."""

    def __init__(self, net: LipsNet) -> None:
        """Take over the weights of `net`, which must be in evaluation mode."""
        super().__init__()
        self.net = net
        self.shares = nn.ModuleList()
        """Finest first."""
        for level in range(1, LEVELS + 1):
            width = _stage(net, f"e{level}")[-1].conv.out_channels
            weight, _ = _folded(_stage(net, f"d{level}")[0])
            self.shares.append(_convolution(weight[:, -width:]))

    def forward(self, rest: Tensor, other: Tensor) -> tuple[Tensor, ...]:
        """Return f1 .. f4, float[N, 48 .. 6, 64 .. 8, channels], of two pictures float[N, 96, 128, 3]."""
        features = self.net.encode(_channels_first(rest), _channels_first(other))
        return tuple(_channels_last(share(x)) for share, x in zip(self.shares, features, strict=True))


class MouthPart(nn.Module):
    """The maps of a mouth on a face that `FacePart` has seen."""

    def __init__(self, net: LipsNet) -> None:
        """Take over the weights of `net`, which must be in evaluation mode."""
        super().__init__()
        self.pose, self.head = net.pose, net.head
        self.stages = nn.ModuleList()
        """Coarsest first. Their convolutions see what comes from below alone; the first ones double it."""
        self.carriers = nn.ModuleList()
        """Of each stage but the coarsest, see `_carrier`."""
        layers = [list(_stage(net, f"d{level}")) for level in range(LEVELS, 0, -1)]
        below = 0
        for stage in layers:
            weights = [_folded(layer)[0] for layer in stage]
            # The rest of the first one's inputs is the face's.
            weights[0] = weights[0][:, :below]
            convolutions: list[nn.Module] = [_convolution(weight) for weight in weights[1:]]
            if below:
                convolutions.insert(0, _doubling(weights[0]))
                self.carriers.append(_carrier(len(weights[0])))
            self.stages.append(nn.ModuleList(convolutions))
            below = stage[-1].conv.out_channels
        flat = [layer for stage in layers for layer in stage]
        self.mouths = _joined([cast("nn.Linear", layer.mouth).weight for layer in flat], flat)
        """The mouth's bias of every layer at once."""
        self.sizes = [layer.conv.out_channels for layer in flat]

    def forward(self, pose: Tensor, *shares: Tensor) -> Tensor:
        """Return the maps, float[N, 48, 64, 27] as in `lips.MAPS`, of float[N, 7] and f1 .. f4."""
        biases = self._biases(pose)
        carriers = iter(self.carriers)
        x: Tensor | None = None
        for stage, share in zip(self.stages, reversed(shares), strict=True):
            convolutions = iter(cast("Sequence[nn.Module]", stage))
            first = _channels_first(share)
            if x is not None:
                first = next(carriers)(first) + next(convolutions)(x)
            x = functional.relu(first + next(biases))
            for convolution in convolutions:
                x = functional.relu(convolution(x) + next(biases))
        return _channels_last(squashed(self.head(x)))

    def _biases(self, pose: Tensor) -> Iterator[Tensor]:
        """Yield float[N, channels, 1, 1] for every layer."""
        return iter(self.mouths(self.pose(pose))[:, :, None, None].split(self.sizes, 1))


def _channels_last(maps: Tensor) -> Tensor:
    return maps.permute(0, 2, 3, 1)


def _channels_first(maps: Tensor) -> Tensor:
    return maps.permute(0, 3, 1, 2)


def _joined(weights: Sequence[Tensor], layers: Sequence[Layer]) -> nn.Linear:
    joined = nn.Linear(weights[0].shape[1], sum(len(weight) for weight in weights))
    with torch.no_grad():
        joined.weight.copy_(torch.cat(list(weights)))
        joined.bias.copy_(torch.cat([_folded(layer)[1] for layer in layers]))
    return joined


def _folded(layer: Layer) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a layer's convolution with its batch norm."""
    norm = layer.norm
    mean, variance = cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)
    return fuse_conv_bn_weights(layer.conv.weight, None, mean, variance, norm.eps, norm.weight, norm.bias)


def _convolution(weight: Tensor) -> nn.Conv2d:
    """Return a convolution without bias that keeps the size."""
    outputs, inputs, size, _ = weight.shape
    made = nn.Conv2d(inputs, outputs, size, 1, size // 2, bias=False)
    with torch.no_grad():
        made.weight.copy_(weight)
    return made


def _doubling(weight: Tensor) -> nn.ConvTranspose2d:
    """Return what a convolution float[outputs, inputs, 3, 3] makes of a map whose pixels were doubled."""
    outputs, inputs, _, _ = weight.shape
    made = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
    rows = torch.tensor(_DOUBLED, dtype=weight.dtype)
    with torch.no_grad():
        made.weight.copy_(torch.einsum("ai,bj,ocij->coab", rows, rows, weight))
    return made


def _carrier(channels: int) -> nn.Conv2d:
    """Return a convolution that changes nothing.

    OpenVINO adds a map while it convolves, but not while it convolves transposed; a pass over the map for the
    sum alone, with its changes of order, takes longer than this (docs/LOG.md).
    """
    return _convolution(torch.eye(channels)[:, :, None, None])


def _stage(net: LipsNet, name: str) -> Sequence[Layer]:
    return cast("Sequence[Layer]", net.get_submodule(name))
