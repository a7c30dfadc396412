"""The Wav2Lip generator (Prajwal et al., arXiv 2008.10010) in torch, dense or pruned, whole or in parts.

Parameters are named and shaped as in the published checkpoints, so these load as they are. A pruned network
is the same class, built from a plan of channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, cast

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)
from torch import Tensor, nn

from vcam_talker.nets.plan import Plan
from vcam_talker.nets.wav2lip_layers import (
    DECODER,
    FACE,
    LAST,
    OUTPUT,
    SOUND,
    Block,
    Rows,
    blocks,
    dense_channels,
    input_channels,
    make_plan,
    read_plan,
    rows,
)


class ConvBlock(nn.Module):
    """Convolution or transposed one, batch norm, ReLU; a residual one adds its input before the ReLU."""

    def __init__(self, block: Block, entering: int, leaving: int) -> None:
        """`entering`, `leaving`: channels."""
        super().__init__()
        self.block = block
        k, s, p = block.kernel, block.stride, block.padding
        conv: nn.Module
        if block.transposed:
            conv = nn.ConvTranspose2d(entering, leaving, k, s, p, block.output_padding)
        else:
            conv = nn.Conv2d(entering, leaving, k, s, p)
        self.conv_block = nn.Sequential(conv, nn.BatchNorm2d(leaving))

    def forward(self, x: Tensor) -> Tensor:
        """[N, entering, H, W] -> [N, leaving, H', W']."""
        made: Tensor = self.conv_block(x)
        return torch.relu(made + x if self.block.residual else made)

    def lower(self, x: Tensor, needed: Rows) -> Tensor:
        """Compute the rows that `needed` writes from those it reads, equal to those of the whole picture."""
        if needed.reads == 0:
            return self.forward(x)[:, :, needed.writes :]
        conv, norm = cast("tuple[nn.Conv2d, nn.Module]", tuple(self.conv_block))
        if self.block.transposed:
            # Row i is stamped at i * stride - padding: the cut picture's first row is this one of the whole.
            begins = needed.reads * self.block.stride[0]
            return torch.relu(norm(conv(x))[:, :, needed.writes - begins :])
        # Above the cut lie real rows, which `x` has; only below the picture's edge there is padding.
        pad = self.block.padding
        made = norm(F.conv2d(F.pad(x, (0, 0, 0, pad)), conv.weight, conv.bias, padding=(0, pad)))
        return torch.relu(made + x[:, :, needed.writes - needed.reads :] if self.block.residual else made)


class AbsentBlock(nn.Module):
    """In the place of a residual block that was pruned away whole."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`."""
        return x

    def lower(self, x: Tensor, needed: Rows) -> Tensor:  # noqa: ARG002 (as ConvBlock's)
        """Return `x`: it writes what it reads."""
        return x


class Wav2Lip(nn.Module):
    """The generator: 16 mel frames and a face with its mouth hidden -> the face with the mouth of the sound.

    Inputs: mel float[N, 1, 80, 16] in [-4, 4] as `dsp.mel` makes it; face float[N, 6, S, S] in [0, 1]: B,
    G, R with the lower half 0, then B, G, R of the reference. Output: float[N, 3, S, S] in (0, 1), B, G, R.
    A mouth can be had in three steps, of which a loop of pictures needs the second once for each picture:
    `encode_sound`, `encode_face`, then `decode`, or `decode_lower` for the half that replaces something.
    """

    def __init__(self, size: int = 96, channels: Mapping[str, int] | None = None) -> None:
        """`size`: 96 or 256. `channels`: of every block, as in a plan; None is the published network.

        Raises PlanError.
        """
        super().__init__()
        self.size = size
        _, self.channels = read_plan(make_plan(size, dense_channels(size) if channels is None else channels))
        entering = input_channels(size, self.channels)
        modules: dict[str, nn.Module] = {}
        for block in blocks(size):
            if block.name == LAST:
                modules[block.name] = nn.Conv2d(entering[block.name], 3, kernel_size=1)
            elif width := self.channels[block.name]:
                modules[block.name] = ConvBlock(block, entering[block.name], width)
            else:
                modules[block.name] = AbsentBlock()
        self.face_encoder_blocks = _levels(modules, FACE)
        self.audio_encoder = nn.Sequential(*(m for n, m in modules.items() if n.startswith(SOUND)))
        self.face_decoder_blocks = _levels(modules, DECODER)
        self.output_block = nn.Sequential(
            *(m for n, m in modules.items() if n.startswith(OUTPUT)), nn.Sigmoid()
        )

    @classmethod
    def from_plan(cls, plan: Mapping[str, Any]) -> Self:
        """Build the network that a plan describes, with random weights. Raises PlanError."""
        return cls(*read_plan(plan))

    def plan(self) -> Plan:
        """Return the plan that `from_plan` builds this network from."""
        return make_plan(self.size, self.channels)

    def forward(self, mel: Tensor, face: Tensor) -> Tensor:
        """Return the whole face: float[N, 3, S, S] in (0, 1), B, G, R."""
        return self.decode(self.encode_sound(mel), self.encode_face(face))

    def encode_sound(self, mel: Tensor) -> Tensor:
        """Mel float[N, 1, 80, 16] -> code float[N, C, 1, 1]."""
        return cast("Tensor", self.audio_encoder(mel))

    def encode_face(self, face: Tensor) -> tuple[Tensor, ...]:
        """Face float[N, 6, S, S] -> features of every level, from float[N, C, S, S] to float[N, C, 1, 1]."""
        features: list[Tensor] = []
        for level in self.face_encoder_blocks:
            face = level(face)
            features.append(face)
        return tuple(features)

    def decode(self, code: Tensor, features: tuple[Tensor, ...]) -> Tensor:
        """Code and features -> float[N, 3, S, S]. A code of one row serves features of one row only."""
        x = code
        for level, feature in zip(self.face_decoder_blocks, reversed(features), strict=True):
            x = torch.cat((level(x), feature), dim=1)
        return cast("Tensor", self.output_block(x))

    def decode_lower(self, code: Tensor, features: tuple[Tensor, ...]) -> Tensor:
        """Return the lower half of `decode`, float[N, 3, S / 2, S], computing only the rows that it needs."""
        return self.decode_lower_rows(code, self.lower_rows(features))

    def lower_rows(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Cut from `encode_face`'s features the rows that the lower half needs: what is worth caching."""
        needed = rows(self.size, self.channels, self.size // 2)
        readers = [*(f"{DECODER}.{level}.0" for level in range(1, len(features))), f"{OUTPUT}.0"]
        return tuple(f[:, :, needed[n].reads :] for f, n in zip(features, reversed(readers), strict=True))

    def decode_lower_rows(self, code: Tensor, cut: tuple[Tensor, ...]) -> Tensor:
        """`decode_lower` for features that `lower_rows` has cut."""
        needed = rows(self.size, self.channels, self.size // 2)
        x = code
        for index, (level, feature) in enumerate(zip(self.face_decoder_blocks, reversed(cut), strict=True)):
            for i, block in enumerate(cast("nn.Sequential", level)):
                x = cast("ConvBlock", block).lower(x, needed[f"{DECODER}.{index}.{i}"])
            x = torch.cat((x, feature), dim=1)
        first, last, squash = self.output_block
        x = cast("ConvBlock", first).lower(x, needed[f"{OUTPUT}.0"])
        return cast("Tensor", squash(last(x)))


def _levels(modules: Mapping[str, nn.Module], part: str) -> nn.ModuleList:
    levels: dict[str, list[nn.Module]] = {}
    for name, module in modules.items():
        if name.startswith(part):
            levels.setdefault(name.split(".")[1], []).append(module)
    return nn.ModuleList(nn.Sequential(*level) for level in levels.values())
