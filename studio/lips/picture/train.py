"""Training of the picture net: from truth, or from a teacher and truth. Goes on where it was stopped."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from studio.lips.picture.data import Batch, Twins, batches
from studio.lips.prefetch import prefetched
from studio.pack import StudioError
from studio.truth.render import Label
from vcam_talker.nets.checkpoint import load_tensors
from vcam_talker.nets.lips import LipsNet, composed, layered, shaded, unfolded, warped
from vcam_talker.prune.apply import PLAN_FILE, WEIGHTS_FILE, loaded
from vcam_talker.prune.files import read_json

_MOUTH_WEIGHT: Final = 4.0
_LIPS_WEIGHT: Final = 2.5
"""Of pixels that show the inside of the mouth, and lips, against 1 elsewhere."""
_ALPHA_COST: Final = 0.004
_COVER: Final = 0.1
"""Of telling right where the inside of the mouth shows, and where teeth do. By a picture's difference alone
blurred is better than sharp and a little off, so everything would be mixed by halves."""
_ALIKE: Final = 0.12
"""Teeth that were fetched are the right ones up to this difference: then they are to show."""
_FETCHED: Final = 0.5
_ROUGH_COST: Final = 0.02
_FAR_COST: Final = 0.05
"""Of fetching from far away in the other picture, which is aligned already."""
_EDGE_WEIGHT: Final = 1.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """How to train."""

    steps: int
    batch: int = 16
    rate: float = 1e-3
    warm_up: int = 200
    seed: int = 0
    presenters: float = 0.2
    """Share of the samples that show a built-in presenter."""
    teacher: float = 0.5
    """Weight of the teacher's picture against truth's, when there is a teacher."""
    bf16: bool = False
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Losses:
    """Means over a batch, of pictures in [0, 1]; costs of alpha, flow and shade with their weights."""

    picture: Tensor
    edges: Tensor
    alpha: Tensor
    flow: Tensor
    fetched: Tensor
    """Of what is fetched where it should be seen: the other picture inside the mouth, rest elsewhere."""

    cover: Tensor
    """Of where inside and teeth show."""

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return self.picture + (
            _EDGE_WEIGHT * self.edges + self.alpha + self.flow + _FETCHED * self.fetched + _COVER * self.cover
        )


def train(
    net: LipsNet,
    twins: Twins,
    schedule: Schedule,
    folder: Path,
    say: Callable[[str], None],
    *,
    teacher: LipsNet | None = None,
    minutes: float = float("inf"),
) -> bool:
    """Train `net` in place; return whether the schedule is through. Blocks.

    `folder` gets a state every few minutes, from which the same call goes on; it stops after `minutes`.
    """
    torch.manual_seed(schedule.seed)
    net.to(schedule.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    if teacher is not None:
        teacher = copy.deepcopy(teacher).to(schedule.device)
    optimiser = torch.optim.AdamW(net.parameters(), schedule.rate, (0.9, 0.99), weight_decay=1e-3)
    average = {name: value.detach().clone() for name, value in net.state_dict().items()}
    step = _resume(folder, net, optimiser, average)
    samples = prefetched(
        batches(twins, schedule.batch, schedule.seed + step, weights=_weights(twins, schedule))
    )
    began = saved = time.monotonic()
    means: dict[str, float] = {}
    while step < schedule.steps and time.monotonic() - began < 60 * minutes:
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate * _rate(step, schedule)
        losses = _step(net, teacher, next(samples), schedule)
        optimiser.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        _follow(average, net, min(0.999, step / (step + 50)))
        for name in ("picture", "edges", "alpha", "flow", "fetched", "cover"):
            value = float(getattr(losses, name).detach())
            means[name] = value if name not in means else 0.98 * means[name] + 0.02 * value
        if step % 100 == 0:
            line = " ".join(f"{name} {value:.4f}" for name, value in means.items())
            say(f"step {step}: {line}, {time.monotonic() - began:.0f} s")
        if time.monotonic() - saved > 120 or step == schedule.steps:
            _save(folder, net, optimiser, average, step, schedule)
            saved = time.monotonic()
    _save(folder, net, optimiser, average, step, schedule)
    net.load_state_dict(average)
    net.to("cpu").eval()
    return step >= schedule.steps


def tensors(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return rest, other, target (float32[B, 3, 96, 128]) and mouths (float32[B, 7])."""

    def picture(x: npt.NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(x)).permute(0, 3, 1, 2).float().div_(255)

    return picture(batch.rest), picture(batch.other), picture(batch.target), torch.from_numpy(batch.mouth)


def importance(labels: npt.NDArray[np.uint8]) -> Tensor:
    """Return how much each pixel counts, float32[B, 1, 96, 128], its mean near 1."""
    weights = np.ones(labels.shape, np.float32)
    weights[labels == Label.LIPS] = _LIPS_WEIGHT
    weights[labels >= Label.MOUTH] = _MOUTH_WEIGHT
    return torch.from_numpy(weights)[:, None]


def _step(net: LipsNet, teacher: LipsNet | None, batch: Batch, schedule: Schedule) -> Losses:
    rest, other, target, mouth = (x.to(schedule.device) for x in tensors(batch))
    weights = importance(batch.labels).to(schedule.device)
    with torch.autocast(schedule.device, torch.bfloat16, enabled=schedule.bf16):
        flow, shade, *folded = net(rest, other, mouth)
    alpha, paint = (unfolded(part) for part in folded)
    calm, opened = shaded(warped(rest, flow[:, :2]), shade), warped(other, flow[:, 2:])
    made = layered(calm, opened, alpha, paint)
    picture = (weights * (made - target).abs()).mean()
    edges = (weights[..., 1:, 1:] * (_edges(made) - _edges(target)).abs()).mean()
    if teacher is not None:
        with torch.no_grad(), torch.autocast(schedule.device, torch.bfloat16, enabled=schedule.bf16):
            taught = composed(rest, other, *teacher(rest, other, mouth))
        picture = picture + schedule.teacher * (weights * (made - taught).abs()).mean()
    inside = torch.from_numpy(batch.labels >= Label.MOUTH).to(schedule.device)[:, None]
    known = inside & (other != rest).flatten(1).any(1)[:, None, None, None]
    off = torch.where(known, (opened - target).abs(), torch.where(inside, 0.0, (calm - target).abs()))
    rough = _ROUGH_COST * (_rough(flow) + _rough(shade)) + _FAR_COST * flow[:, 2:].abs().mean()
    teeth = known & torch.from_numpy(batch.labels == Label.TEETH).to(schedule.device)[:, None]
    teeth &= (opened - target).abs().amax(1, keepdim=True) < _ALIKE
    cover = weights * _unlike(1 - (1 - alpha[:, :1]) * (1 - alpha[:, 1:]), inside)
    cover = cover + weights * torch.where(teeth, _unlike(alpha[:, :1] * (1 - alpha[:, 1:]), teeth), 0.0)
    return Losses(picture, edges, _ALPHA_COST * alpha.mean(), rough, (weights * off).mean(), cover.mean())


def _unlike(share: Tensor, wanted: Tensor) -> Tensor:
    """Return the cross-entropy of shares of 0 to 1 and a mask, place by place."""
    return functional.binary_cross_entropy(share.clamp(1e-4, 1 - 1e-4), wanted.float(), reduction="none")


def _edges(x: Tensor) -> Tensor:
    """Return differences to the left and upper neighbours, float[N, 6, H - 1, W - 1]."""
    here = x[..., 1:, 1:]
    return torch.cat((here - x[..., 1:, :-1], here - x[..., :-1, 1:]), 1)


def _rough(flow: Tensor) -> Tensor:
    return (flow[..., 1:] - flow[..., :-1]).abs().mean() + (flow[..., 1:, :] - flow[..., :-1, :]).abs().mean()


def _weights(twins: Twins, schedule: Schedule) -> npt.NDArray[np.float64]:
    """Return how often each sample comes: mouths at rest a quarter as often as others, they teach little."""
    named = np.array(["person-" not in name for name in twins.names])[twins.sitter]
    weights = np.where(np.asarray(twins.rest) == np.arange(len(twins)), 0.25, 1.0)
    if named.any() and not named.all():
        weights[named] *= schedule.presenters / weights[named].sum()
        weights[~named] *= (1 - schedule.presenters) / weights[~named].sum()
    return weights


def _rate(step: int, schedule: Schedule) -> float:
    if step < schedule.warm_up:
        return (step + 1) / schedule.warm_up
    done = (step - schedule.warm_up) / max(1, schedule.steps - schedule.warm_up)
    return 0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * done)))


def _follow(average: dict[str, Tensor], net: LipsNet, share: float) -> None:
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if value.dtype.is_floating_point:
                average[name].lerp_(value, 1 - share)
            else:
                average[name].copy_(value)


def _save(
    folder: Path,
    net: LipsNet,
    optimiser: torch.optim.Optimizer,
    average: dict[str, Tensor],
    step: int,
    schedule: Schedule,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / ".state.part"
    state = {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "average": average, "step": step}
    torch.save(state, part)
    part.replace(folder / "state.pt")
    (folder / PLAN_FILE).write_text(json.dumps(net.plan(), indent=1))
    (folder / "schedule.json").write_text(json.dumps(asdict(schedule) | {"done": step}, indent=1))


def _resume(folder: Path, net: LipsNet, optimiser: torch.optim.Optimizer, average: dict[str, Tensor]) -> int:
    path = folder / "state.pt"
    if not path.exists():
        return 0
    if read_json(folder / PLAN_FILE) != net.plan():
        raise StudioError(
            str(folder), "holds the training of another net", "Name another folder, or remove it"
        )
    state = torch.load(path, weights_only=True, map_location="cpu")
    net.load_state_dict(state["net"])
    optimiser.load_state_dict(state["optimiser"])
    for name, value in state["average"].items():
        average[name].copy_(value)
    return int(state["step"])


def load(folder: Path) -> LipsNet:
    """Return the net of a training folder (averaged), or of a folder that `shrink` or an export wrote.

    In evaluation mode. Raises VcamTalkerError.
    """
    try:
        net = LipsNet.from_plan(read_json(folder / PLAN_FILE))
    except ValueError as e:
        raise StudioError(str(folder / PLAN_FILE), str(e), "Train it anew") from None
    if (folder / WEIGHTS_FILE).exists():
        return loaded(net, load_tensors(folder / WEIGHTS_FILE), str(folder))
    net.load_state_dict(torch.load(folder / "state.pt", weights_only=True, map_location="cpu")["average"])
    return net.eval()
