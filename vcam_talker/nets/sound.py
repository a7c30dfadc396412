"""From sound to mouth: dilated convolutions that look 0.6 s back and 0.1 s ahead.

No layer pads, so a moment's answer depends on its own stretch of input and on nothing else: pieces with their
context give what the whole gives. At run time the folded weights are applied with NumPy
(`vcam_talker.face.neural.sound`); this module is for training and export.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

POSE_COLUMNS = 7
WIDTH_COLUMN = 1
"""The one pose parameter with two signs."""


@dataclass(frozen=True, slots=True)
class SoundPlan:
    """The network's shape."""

    bands: int = 48
    channels: int = 128
    head: int = 96
    taps: Sequence[Sequence[int]] = (
        (-2, -1, 0, 1, 2),
        (-1, 0, 1),
        (-2, 0, 2),
        (-4, 0, 4),
        (-16, -8, 0),
        (-32, -16, 0),
        (-1, 0, 1),
        (-4, -2, 0),
    )
    """Frames that each convolution looks at, the first from bands to channels, the others within blocks."""

    @property
    def past(self) -> int:
        """Frames of input that an answer needs before its own."""
        return -sum(min(taps) for taps in self.taps)

    @property
    def ahead(self) -> int:
        """Frames of input that an answer needs behind its own."""
        return sum(max(taps) for taps in self.taps)


class Taps(nn.Module):
    """A convolution over evenly spaced frames, without padding: float[N, C, T] -> float[N, D, T - span]."""

    def __init__(self, channels_in: int, channels_out: int, taps: Sequence[int]) -> None:
        super().__init__()
        step = taps[1] - taps[0] if len(taps) > 1 else 1
        self.convolution = nn.Conv1d(channels_in, channels_out, len(taps), dilation=step, bias=False)
        self.norm = nn.BatchNorm1d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised sums."""
        found: Tensor = self.norm(self.convolution(x))
        return found

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return weight float[taps, C, D] and bias float[D] with the statistics in them."""
        norm = self.norm
        if norm.running_var is None or norm.running_mean is None:
            raise ValueError("the normalisation keeps no statistics")
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = self.convolution.weight * scale[:, None, None]
        return weight.permute(2, 1, 0).contiguous(), norm.bias - norm.running_mean * scale


class Block(nn.Module):
    """Look around, mix, add to what came in."""

    def __init__(self, channels: int, taps: Sequence[int]) -> None:
        super().__init__()
        self.before, self.after = -min(taps), max(taps)
        self.look = Taps(channels, channels, taps)
        self.mix = Taps(channels, channels, (0,))

    def forward(self, x: Tensor) -> Tensor:
        """Return float[N, C, T - before - after]."""
        kept = x[..., self.before : x.shape[-1] - self.after]
        return torch.relu(kept + self.mix(torch.relu(self.look(x))))


class SoundNet(nn.Module):
    """float[N, bands, past + T + ahead] -> float[N, 9, T]: poses, and two logits: lips shut, at rest.

    Of the poses `width` is in -1 .. 1, the others in 0 .. 1.
    """

    def __init__(self, plan: SoundPlan | None = None) -> None:
        super().__init__()
        self.plan = plan or SoundPlan()
        first, *others = self.plan.taps
        channels = self.plan.channels
        self.first = Taps(self.plan.bands, channels, first)
        self.blocks = nn.ModuleList(Block(channels, taps) for taps in others)
        self.neck = Taps(channels, self.plan.head, (0,))
        self.last = nn.Conv1d(self.plan.head, POSE_COLUMNS + 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return poses and logits."""
        x = torch.relu(self.first(x))
        for block in self.blocks:
            x = block(x)
        x = self.last(torch.relu(self.neck(x)))
        raw, logits = x[:, :POSE_COLUMNS], x[:, POSE_COLUMNS:]
        signed = torch.tanh(raw[:, WIDTH_COLUMN : WIDTH_COLUMN + 1])
        shaped = torch.sigmoid(raw)
        poses = torch.cat((shaped[:, :WIDTH_COLUMN], signed, shaped[:, WIDTH_COLUMN + 1 :]), dim=1)
        return torch.cat((poses, logits), dim=1)

    def folded(self) -> dict[str, Tensor]:
        """Return weights and biases as the run time has them: `first`, `look.K`, `mix.K`, `neck`, `last`."""
        found: dict[str, Tensor] = {}

        def keep(name: str, weight: Tensor, bias: Tensor) -> None:
            found[f"{name}.weight"], found[f"{name}.bias"] = weight.detach(), bias.detach()

        keep("first", *self.first.folded())
        for index, block in enumerate(self.blocks):
            assert isinstance(block, Block)  # noqa: S101 - ModuleList forgets its type
            keep(f"look.{index}", *block.look.folded())
            keep(f"mix.{index}", *block.mix.folded())
        keep("neck", *self.neck.folded())
        bias = self.last.bias
        if bias is None:
            raise ValueError("the last layer has no bias")
        keep("last", self.last.weight.permute(2, 1, 0).contiguous(), bias)
        return found
