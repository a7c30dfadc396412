"""The picture net of lip-sync: how a face at rest looks with another mouth.

It answers with small maps rather than a picture: *flows* that say where each place of the new picture is
fetched from in the picture at rest, and in another of the same person with the mouth open (teeth, if there is
one); a *shade* for what is fetched from the one at rest, as a chin that moves turns away from the light; a
*paint* for what no flow can bring (tongue, what nobody has seen yet); and *alphas* that say where the other
picture shows, and where the paint does. All of them are smooth, so they may be applied to pictures far larger
than the net's: skin keeps its pores, and teeth their edges.

Pictures are float32[N, 3, 96, 128], RGB in [0, 1]; poses float32[N, 7], columns as in
`core.types.MOUTH_PARAMS`. The layout is an encoder-decoder with skips (U-Net, arXiv 1505.04597); the mouth is
added to every layer of the decoder as a bias per channel; warping what is there already instead of painting
it follows First Order Motion Model (arXiv 2003.00196).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

NAME: Final = "lips"
_FORMAT: Final = 3
"""Of plans: 2 knew shade, 3 brings the maps into their ranges by `squashed`."""
SIZE: Final = (96, 128)
"""Height and width of the net's pictures."""
POSE: Final = 7
LEVELS: Final = 4
"""How often the encoder halves the picture."""

_REACH: Final = 0.25
"""Greatest flow, in shares of the picture's width and height."""
FLOWS: Final = 4
"""Right and down in the picture at rest, right and down in the other."""
_FAR: Final = 100.0
"""What the head says is taken for no more: its square is still a number in half precision."""
SHADES: Final = 3
"""Of red, green and blue: lamps have colours."""
_DARKEST: Final = 0.5
"""How much of the light may go, or come besides."""
ALPHAS: Final = 2
"""Of the other picture over the one at rest, of the paint over both."""
_COLOURS: Final = 3
MAPS: Final[dict[str, int]] = {
    "flow": FLOWS,
    "shade": SHADES,
    "alpha": 4 * ALPHAS,
    "paint": 4 * _COLOURS,
}
"""What the net answers with: channels of each map. Alphas and paint are as fine as the picture, so 2 x 2
pixels of them lie behind each other (`unfolded`)."""

TEACHER: Final[dict[str, int]] = {
    "pose": 128,
    **dict.fromkeys(("e1.0", "d1.0", "d1.1"), 32),
    **dict.fromkeys(("e2.0", "d2.0", "d2.1"), 64),
    **dict.fromkeys(("e3.0", "d3.0", "d3.1"), 160),
    **dict.fromkeys(("e4.0", "d4.0", "d4.1", "d4.2"), 384),
}
"""Channels of the layers of the teacher."""


@dataclass(frozen=True, slots=True)
class LipsPlan:
    """What a net of this kind is built from: output channels per layer, `e1.0` .. `d1.n` and `pose`."""

    channels: Mapping[str, int] = field(default_factory=lambda: dict(TEACHER))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` reads."""
        return {"format": _FORMAT, "net": NAME, "size": list(SIZE), "channels": dict(self.channels)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LipsPlan:
        """Return the plan. Raises ValueError that says what is wrong."""
        if (
            data.get("format") != _FORMAT
            or data.get("net") != NAME
            or list(data.get("size", [])) != list(SIZE)
        ):
            raise ValueError(f"is no plan of format {_FORMAT} for a net '{NAME}' of size {SIZE}")
        channels = data.get("channels")
        if not isinstance(channels, dict) or not all(
            isinstance(n, int) and 1 <= n <= 4096 for n in channels.values()
        ):
            raise ValueError("its channels are no whole numbers from 1 to 4096")
        wanted = {"pose", *(f"{side}{level}.0" for side in "ed" for level in range(1, LEVELS + 1))}
        if missing := wanted - set(channels):
            raise ValueError(f"its channels lack {', '.join(sorted(missing))}")
        return cls(channels)

    def depth(self, stage: str) -> int:
        """Return how many layers a stage (`d3`) has."""
        return sum(name.startswith(f"{stage}.") for name in self.channels)


class Layer(nn.Module):
    """Convolution, batch norm, the mouth's bias if there is one, ReLU."""

    def __init__(self, inputs: int, outputs: int, pose: int = 0, stride: int = 1, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.mouth = nn.Linear(pose, outputs, bias=False) if pose else None

    def forward(self, x: Tensor, pose: Tensor | None = None) -> Tensor:
        """float[N, inputs, H, W], float[N, pose] -> float[N, outputs, H / stride, W / stride]."""
        x = self.norm(self.conv(x))
        if self.mouth is not None and pose is not None:
            x = x + self.mouth(pose)[:, :, None, None]
        return functional.relu(x)


class LipsNet(nn.Module):
    """See the module's text. Call it whole, or `encode` once per face and `decode` once per mouth.

    What runs on air is made of it by `nets.lips_parts`.
    """

    def __init__(self, plan: LipsPlan | None = None) -> None:
        super().__init__()
        self._plan = plan = plan or LipsPlan()
        size = plan.channels
        self.pose = nn.Sequential(nn.Linear(POSE, size["pose"]), nn.ReLU())
        widths = [6]
        for level in range(1, LEVELS + 1):
            stage = f"e{level}"
            self.add_module(stage, _stage(plan, stage, widths[-1], stride=2, kernel=5 if level == 1 else 3))
            widths.append(size[f"{stage}.{plan.depth(stage) - 1}"])
        below = 0
        for level in range(LEVELS, 0, -1):
            stage = f"d{level}"
            self.add_module(stage, _stage(plan, stage, widths[level] + below, pose=size["pose"]))
            below = size[f"{stage}.{plan.depth(stage) - 1}"]
        self.head = nn.Conv2d(below, sum(MAPS.values()), 3, 1, 1)
        # At first nothing moves and next to nothing is painted.
        nn.init.normal_(self.head.weight, 0, 1e-3)
        with torch.no_grad():
            bias = cast("Tensor", self.head.bias)
            bias.zero_()
            first = FLOWS + SHADES
            bias[first : first + 4 * ALPHAS] = -2.0

    @classmethod
    def from_plan(cls, plan: Mapping[str, Any]) -> LipsNet:
        """Build a net from a plan's JSON object, weights random. Raises ValueError."""
        return cls(LipsPlan.from_json(plan))

    def plan(self) -> dict[str, Any]:
        """Return what `from_plan` builds the same layout from."""
        return self._plan.to_json()

    def forward(self, rest: Tensor, other: Tensor, pose: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return flow, shade, alpha and paint, float[N, 4 | 3 | 8 | 12, 48, 64] (`MAPS`).

        `other`: the same person with the mouth open, or `rest` again where there is no such picture. Flow is
        right and down, first in `rest`, then in `other`, in shares of width and height: the new picture at p
        shows rest at p + flow(p)[:2], times 1 + shade(p), and, over it, other at p + flow(p)[2:].
        """
        maps = self.decode(pose, *self.encode(rest, other))
        flow, shade, alpha, paint = torch.split(maps, list(MAPS.values()), 1)
        return flow, shade, alpha, paint

    def encode(self, rest: Tensor, other: Tensor) -> tuple[Tensor, ...]:
        """Return the face's features, finest first: they hold as long as the face at rest does."""
        x = torch.cat((rest, other), 1) - 0.5
        features = []
        for level in range(1, LEVELS + 1):
            x = _through(self.get_submodule(f"e{level}"), x)
            features.append(x)
        return tuple(features)

    def decode(self, pose: Tensor, *features: Tensor) -> Tensor:
        """Return the maps of a mouth on the face of these features, float[N, 27, 48, 64] as in MAPS."""
        mouth = self.pose(pose)
        x = _through(self.get_submodule(f"d{LEVELS}"), features[-1], mouth)
        for level in range(LEVELS - 1, 0, -1):
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = torch.cat((x, features[level - 1]), 1)
            x = _through(self.get_submodule(f"d{level}"), x, mouth)
        return squashed(self.head(x))


def squashed(x: Tensor) -> Tensor:
    """Bring what the head says, float[N, 27, H, W], into each map's range.

    By x / sqrt(1 + x^2), which has the shape of a sigmoid and costs processors far less.
    """
    ranges = [(0.0, _REACH)] * FLOWS + [(0.0, _DARKEST)] * SHADES + [(0.5, 0.5)] * (4 * (ALPHAS + _COLOURS))
    # Numbers of half the size would do for the head, not for colours.
    x = x.to(torch.promote_types(x.dtype, torch.float32)).clamp(-_FAR, _FAR)
    of_each = torch.tensor(ranges, dtype=x.dtype, device=x.device)
    middle, reach = of_each[:, :1, None], of_each[:, 1:, None]
    return middle + reach * (x / torch.sqrt(1 + x * x))


def composed(
    rest: Tensor, other: Tensor, flow: Tensor, shade: Tensor, alpha: Tensor, paint: Tensor
) -> Tensor:
    """Return the picture: `rest` warped and shaded, over it `other` warped, over both the paint.

    Both float[N, 3, H, W] in [0, 1], of any size. Differentiable. The maps are brought to the pictures' size
    bilinearly.
    """
    skin, open_mouth = shaded(warped(rest, flow[:, :2]), shade), warped(other, flow[:, 2:])
    return layered(skin, open_mouth, unfolded(alpha), unfolded(paint))


def unfolded(folded: Tensor) -> Tensor:
    """Return float[N, C, 2H, 2W] of float[N, 4C, H, W], by sub-pixel shuffle (arXiv 1609.05158)."""
    return functional.pixel_shuffle(folded, 2)


def shaded(picture: Tensor, shade: Tensor) -> Tensor:
    """Return a picture (float[N, 3, H, W] in [0, 1]) in so much more light, or less where it is negative."""
    return (picture * (1 + _sized(shade, picture))).clamp(0, 1)


def warped(picture: Tensor, flow: Tensor) -> Tensor:
    """Return a picture (float[N, 3, H, W]) whose place p shows the given one at p + flow(p)."""
    height, width = picture.shape[2:]
    y, x = torch.meshgrid(
        (torch.arange(height, device=picture.device, dtype=picture.dtype) + 0.5) * (2 / height) - 1,
        (torch.arange(width, device=picture.device, dtype=picture.dtype) + 0.5) * (2 / width) - 1,
        indexing="ij",
    )
    offsets = 2 * _sized(flow, picture).permute(0, 2, 3, 1).to(picture.dtype)
    grid = torch.stack((x, y), -1) + offsets
    return functional.grid_sample(picture, grid, "bilinear", "border", align_corners=False)


def layered(rest: Tensor, other: Tensor, alpha: Tensor, paint: Tensor) -> Tensor:
    """Return pictures that were warped already, one over the other, and the paint over both.

    `alpha`, `paint`: float[N, 2 and 3, H, W], unfolded, of any size.
    """
    alpha = _sized(alpha, rest)
    return torch.lerp(torch.lerp(rest, other, alpha[:, :1]), _sized(paint, rest), alpha[:, 1:])


def _sized(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[2:] == like.shape[2:]:
        return x
    return functional.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


def _stage(
    plan: LipsPlan, stage: str, inputs: int, pose: int = 0, stride: int = 1, kernel: int = 3
) -> nn.ModuleList:
    layers = nn.ModuleList()
    for n in range(plan.depth(stage)):
        outputs = plan.channels[f"{stage}.{n}"]
        layers.append(Layer(inputs, outputs, pose, stride if n == 0 else 1, kernel if n == 0 else 3))
        inputs = outputs
    return layers


def _through(stage: nn.Module, x: Tensor, mouth: Tensor | None = None) -> Tensor:
    for layer in cast("Sequence[Layer]", stage):
        x = layer(x, mouth)
    return x
