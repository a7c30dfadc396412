"""A reader of mouths: says of every pixel of a mouth picture if it shows lips, the inside or neither.

It judges other nets: how far a mouth that was drawn is open, and how wide it is, is read off the picture.
Trained on truth, whose label maps are exact.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES: Final = ("other", "lips", "inside")
_WIDTHS: Final = (16, 24, 32, 48)


class MouthReader(nn.Module):
    """Encoder-decoder with skips (U-Net, arXiv 1505.04597), some 80,000 parameters."""

    def __init__(self) -> None:
        super().__init__()
        down, inputs = [], 3
        for width in _WIDTHS:
            down.append(_layer(inputs, width, 2 if inputs > 3 else 1))
            inputs = width
        self.down = nn.ModuleList(down)
        self.up = nn.ModuleList(
            _layer(below + beside, beside, 1)
            for below, beside in zip(_WIDTHS[:0:-1], _WIDTHS[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(_WIDTHS[0], len(CLASSES), 1)

    def forward(self, picture: Tensor) -> Tensor:
        """Return logits float[N, 3, H, W] of RGB pictures in [0, 1] of that shape; H and W multiples of 8."""
        x = picture - 0.5
        seen = []
        for layer in self.down:
            x = layer(x)
            seen.append(x)
        for layer, beside in zip(self.up, seen[-2::-1], strict=True):
            x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = layer(torch.cat((x, beside), 1))
        logits: Tensor = self.head(x)
        return logits


def opening(logits: Tensor) -> Tensor:
    """Return height and width of the mouth's inside, float[N, 2], in pixels.

    Both are soft, so that they are finer than a pixel: the height is the largest sum of the inside's
    probability over a column, the width the number of columns in which it adds up to half a pixel and more.
    """
    inside = logits.softmax(1)[:, 2]
    columns = inside.sum(1)
    return torch.stack((columns.max(1).values, torch.sigmoid(10 * (columns - 0.7)).sum(1)), 1)


def _layer(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )
