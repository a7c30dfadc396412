"""The small network of `small_net` as a torch module; torch is imported only when one is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

HEIGHT, WIDTH, POSE, CHANNELS = 12, 20, 7, 8


def random_weights(seed: int) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    shapes = {
        "first.weight": (CHANNELS, 3, 3, 3),
        "first.bias": (CHANNELS,),
        "pose.weight": (CHANNELS, POSE),
        "last.weight": (3, CHANNELS, 3, 3),
        "last.bias": (3,),
    }
    return {name: (0.3 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}


class SmallNet:
    """Builds it."""

    @staticmethod
    def from_plan(plan: Mapping[str, Any]) -> nn.Module:
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self, channels: int) -> None:
                super().__init__()
                self.first = nn.Conv2d(3, channels, 3, padding=1)
                self.pose = nn.Linear(POSE, channels, bias=False)
                self.last = nn.Conv2d(channels, 3, 3, padding=1)

            def forward(self, picture: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
                moved = self.pose(pose)
                hidden = torch.relu(self.first(picture) + moved[:, :, None, None])
                return torch.sigmoid(self.last(hidden)), torch.softmax(moved, 1)

        return Net(plan["channels"])
