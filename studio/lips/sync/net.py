"""The expert: a mouth in five pictures, and a fifth of a second of sound, as two directions of one space.

After Chung and Zisserman, "Out of time: automated lip sync in the wild" (2016), made small: pictures are
looked at one by one and joined over five of them afterwards, so that a clip's windows share all their work.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from vcam_talker.face.neural.spectrum import BANDS

PICTURES: Final = 5
"""Consecutive ones that a window sees."""
POSES: Final = 20
"""That it hears, 10 ms each, about the middle picture's moment."""
HOP: Final = 4
"""Poses from one picture to the next, at 25 a second."""
SIZE: Final = (48, 64)
"""Height and width of a picture."""
_DEPTH: Final = 128
_LOOKS: Final = ((3, 24, 5, 2), (24, 40, 3, 2), (40, 64, 3, 2), (64, 96, 3, 1), (96, 96, 3, 2))
"""Inputs, outputs, taps and stride of the layers that look at a picture."""
_LISTENS: Final = ((BANDS, 128, 5, 1), (128, 128, 2, 2), (128, 160, 3, 1), (160, 160, 2, 2), (160, 192, 3, 1))
"""The same of those that hear; together they span POSES, and HOP from one answer to the next."""
_DROPPED: Final = 0.15


class Expert(nn.Module):
    """Two towers, some 0.8 M parameters. Windows that belong together have a small angle between them."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(*(_seen(*layer) for layer in _LOOKS), nn.Flatten(), nn.Dropout(_DROPPED))
        self.picture = nn.Linear(_LOOKS[-1][1] * 3 * 4, _DEPTH)
        self.join = nn.Sequential(
            nn.BatchNorm1d(_DEPTH),
            nn.ReLU(inplace=True),
            nn.Conv1d(_DEPTH, 192, PICTURES, bias=False),
            nn.BatchNorm1d(192),
            nn.ReLU(inplace=True),
            nn.Conv1d(192, _DEPTH, 1),
        )
        self.listen = nn.Sequential(
            *(_heard(*layer) for layer in _LISTENS), nn.Dropout(_DROPPED), nn.Conv1d(192, _DEPTH, 1)
        )
        self.sharpness = nn.Parameter(torch.tensor(2.3))
        """Logarithm of what cosines are multiplied with before they compete."""

    def forward(self, pictures: Tensor, bands: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `see` and `hear` do, for clips of equal length."""
        return self.see(pictures), self.hear(bands)

    def see(self, pictures: Tensor) -> Tensor:
        """Return unit vectors float[N, T - 4, 128] of pictures float[N, T, 3, 48, 64] in [0, 1].

        Window k has the pictures k .. k + 4; its moment is that of picture k + 2.
        """
        count, length = pictures.shape[:2]
        # Light and contrast of a clip say nothing; what changes in it does.
        x = pictures - pictures.mean((1, 3, 4), keepdim=True)
        x = x / (x.std((1, 2, 3, 4), keepdim=True) + 0.05)
        features = self.picture(self.look(x.flatten(0, 1))).view(count, length, -1)
        return functional.normalize(self.join(features.transpose(1, 2)).transpose(1, 2), dim=-1)

    def hear(self, bands: Tensor) -> Tensor:
        """Return unit vectors float[N, K, 128] of sounds float[N, HOP * (K - 1) + POSES, BANDS].

        Answer k hears the poses HOP * k .. HOP * k + POSES - 1.
        """
        return functional.normalize(self.listen(bands.transpose(1, 2)).transpose(1, 2), dim=-1)


def _seen(inputs: int, outputs: int, taps: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, taps, stride, taps // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _heard(inputs: int, outputs: int, taps: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, taps, stride, bias=False),
        nn.BatchNorm1d(outputs),
        nn.ReLU(inplace=True),
    )
