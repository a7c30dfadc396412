"""Small networks with everything that makes pruning hard, buildable from a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

torch.set_num_threads(1)  # such small networks only wait for a second one


class Net(nn.Module):
    """Base: a plan of channels, and reproducible weights with batch norms that are in use."""

    name = ""
    dense: ClassVar[Mapping[str, int]]

    def __init__(self, channels: Mapping[str, int] | None = None) -> None:
        super().__init__()
        self.channels = dict(channels or self.dense)

    @classmethod
    def from_plan(cls, plan: Mapping[str, Any]) -> Self:
        assert plan["net"] == cls.name
        return cls(plan["channels"])

    @classmethod
    def seeded(cls, seed: int) -> Self:
        torch.manual_seed(seed)
        net = cls()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                for tensor in (module.weight, module.bias, module.running_mean):
                    nn.init.normal_(tensor)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
        return net.eval()

    def plan(self) -> dict[str, Any]:
        return {"format": 1, "net": self.name, "channels": dict(self.channels)}

    @staticmethod
    def inputs(seed: int = 0) -> tuple[Tensor, ...]:
        raise NotImplementedError


class Plain(Net):
    """Convolutions with and without bias and batch norm, a depthwise one, a flatten into linear layers."""

    name = "plain"
    dense: ClassVar = {"a": 16, "b": 24, "c": 12}

    def __init__(self, channels: Mapping[str, int] | None = None) -> None:
        super().__init__(channels)
        a, b, c = (self.channels[k] for k in "abc")
        self.a = nn.Sequential(nn.Conv2d(3, a, 3, 2, 1, bias=False), nn.BatchNorm2d(a))
        self.depth = nn.Conv2d(a, a, 3, 1, 1, groups=a)
        self.slope = nn.PReLU(a)
        self.b = nn.Conv2d(a, b, 3, 2, 1)
        self.c = nn.Linear(b * 4, c)
        self.out = nn.Linear(c, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.slope(self.depth(F.relu(self.a(x))))
        x = torch.sigmoid(self.b(x))  # not 0 at 0: what is masked still speaks
        return self.out(F.relu(self.c(x.flatten(1))))

    @staticmethod
    def inputs(seed: int = 0) -> tuple[Tensor, ...]:
        return (torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed)),)


class Residual(Net):
    """Two paths that are added: their channels go together."""

    name = "residual"
    dense: ClassVar = {"stem": 16, "inner1": 8, "inner2": 12}

    def __init__(self, channels: Mapping[str, int] | None = None) -> None:
        super().__init__(channels)
        stem = self.channels["stem"]
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, 1, 1), nn.BatchNorm2d(stem))
        for name in ("inner1", "inner2"):
            inner = self.channels[name]
            back = f"back{name[-1]}"
            conv = nn.Conv2d(stem, inner, 3, 1, 1)
            self.add_module(name, nn.Sequential(conv, nn.BatchNorm2d(inner)))
            self.add_module(back, nn.Sequential(nn.Conv2d(inner, stem, 1), nn.BatchNorm2d(stem)))
        self.out = nn.Conv2d(stem, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        for n in "12":
            x = F.relu(x + self.get_submodule(f"back{n}")(F.relu(self.get_submodule(f"inner{n}")(x))))
        return self.out(x)

    @staticmethod
    def inputs(seed: int = 0) -> tuple[Tensor, ...]:
        return (torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(seed)),)


class Coder(Net):
    """Encoder and decoder with skips, transposed convolutions, a pose before the features, two outputs."""

    name = "coder"
    dense: ClassVar = {"e1": 8, "e2": 16, "pose": 6, "d2": 16, "d1": 8}

    def __init__(self, channels: Mapping[str, int] | None = None) -> None:
        super().__init__(channels)
        e1, e2, pose, d2, d1 = (self.channels[k] for k in ("e1", "e2", "pose", "d2", "d1"))
        self.e1 = nn.Sequential(nn.Conv2d(3, e1, 3, 2, 1), nn.BatchNorm2d(e1))
        self.e2 = nn.Sequential(nn.Conv2d(e1, e2, 3, 2, 1), nn.BatchNorm2d(e2))
        self.pose = nn.Linear(7, pose)
        self.d2 = nn.Sequential(nn.ConvTranspose2d(7 + pose + e2, d2, 4, 2, 1), nn.BatchNorm2d(d2))
        self.d1 = nn.Sequential(nn.ConvTranspose2d(d2 + e1, d1, 3, 2, 1, 1), nn.BatchNorm2d(d1))
        self.tilt = nn.Linear(7, d1)
        self.flow = nn.Conv2d(d1, 2, 1)
        self.paint = nn.Conv2d(d1 + 3, 4, 3, 1, 1)

    def forward(self, x: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        e1 = F.relu(self.e1(x))
        e2 = F.relu(self.e2(e1))
        # The pose stands before the features: a graph that doesn't know it gets every index wrong.
        codes = [c[:, :, None, None].expand(-1, -1, *e2.shape[2:]) for c in (pose, F.relu(self.pose(pose)))]
        d2 = F.relu(self.d2(torch.cat([*codes, e2], 1)))
        d1 = F.relu(self.d1(torch.cat([e1, d2], 1)) + self.tilt(pose)[:, :, None, None])
        return torch.tanh(self.flow(d1)), torch.sigmoid(self.paint(torch.cat([x, d1], 1)))

    @staticmethod
    def inputs(seed: int = 0) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(2, 3, 8, 8, generator=generator), torch.randn(2, 7, generator=generator)


class Voice(Net):
    """One-dimensional: convolutions over time, upsampled, with a residual block, as vocoders have them."""

    name = "voice"
    dense: ClassVar = {"pre": 16, "up": 8, "res": 8}

    def __init__(self, channels: Mapping[str, int] | None = None) -> None:
        super().__init__(channels)
        pre, up, res = (self.channels[k] for k in ("pre", "up", "res"))
        self.pre = nn.Conv1d(10, pre, 7, 1, 3)
        self.up = nn.ConvTranspose1d(pre, up, 4, 2, 1)
        self.res = nn.Conv1d(up, res, 3, 1, 1)
        self.back = nn.Conv1d(res, up, 3, 1, 1)
        self.post = nn.Conv1d(up, 1, 7, 1, 3)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.up(F.leaky_relu(self.pre(mel), 0.1))
        x = x + self.back(F.leaky_relu(self.res(F.leaky_relu(x, 0.1)), 0.1))
        return torch.tanh(self.post(F.leaky_relu(x)))

    @staticmethod
    def inputs(seed: int = 0) -> tuple[Tensor, ...]:
        return (torch.randn(2, 10, 9, generator=torch.Generator().manual_seed(seed)),)


NETS: tuple[type[Net], ...] = (Plain, Residual, Coder, Voice)


def run(net: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """All outputs of a network, in a list."""
    with torch.no_grad():
        made = net(*inputs)
    return [made] if isinstance(made, Tensor) else list(made)
