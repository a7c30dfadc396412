"""Trains the landmark net, and says how far off it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from studio.lips.landmarks.data import Faces, batches
from studio.lips.landmarks.net import LandmarkNet, places
from vcam_talker.persona_new import landmarks as runtime
from vcam_talker.persona_new.landmarks import (
    EYE_LEFT,
    EYE_RIGHT,
    INPUT,
    JAW,
    LIPS,
    POINTS,
    levelled,
    mouth_width,
)

_SPOT_CELLS: Final = 0.8
"""Deviation of the heat maps that are aimed at."""
_HEAT_SHARE: Final = 0.15
_PX: Final = INPUT / 24
_WEIGHTS: Final = np.ones(POINTS, np.float32)
"""Of the points: lips and lids are drawn by, the jaw only fades out."""
_WEIGHTS[JAW] = 0.4
_WEIGHTS[EYE_LEFT] = _WEIGHTS[EYE_RIGHT] = _WEIGHTS[LIPS] = 1.5


@dataclass(frozen=True, slots=True)
class Errors:
    """Mean distances from the truth as shares of the mouth's width."""

    all: float
    lips: float
    jaw: float
    eyes: float
    lips_p95: float
    gap: float
    """Of how far the inner lips are apart: mean absolute error."""
    faces: int


def train(faces: Faces, steps: int, batch: int, rate: float, say: Callable[[str], None]) -> LandmarkNet:
    """Return a trained net. Blocks for minutes."""
    torch.manual_seed(1)
    net = LandmarkNet()
    optimiser = torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.15)
    began, shown = time.process_time(), 0.0
    for step, (pictures, points) in enumerate(batches(faces, batch, 1), 1):
        x = torch.from_numpy(levelled(pictures)).permute(0, 3, 1, 2)
        target = torch.from_numpy(points)
        with torch.autocast("cpu", torch.bfloat16):
            heat = net(x.contiguous(memory_format=torch.channels_last))
        loss = _loss(heat.float(), target)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        shown += 0.01 * (float(loss.detach()) - shown) if step > 1 else float(loss.detach())
        if step % 100 == 0 or step == steps:
            say(f"{step} of {steps}: loss {shown:.3f}, {time.process_time() - began:.0f} s of processor time")
        if step == steps:
            break
    net.eval()
    return net


def _loss(heat: Tensor, target: Tensor) -> Tensor:
    away = (places(heat) - target) / _PX
    each = functional.smooth_l1_loss(away, torch.zeros_like(away), beta=0.25, reduction="none")
    distance = (each.mean((0, 2)) * torch.from_numpy(_WEIGHTS)).mean()
    rows, columns = heat.shape[2:]
    cell = (torch.arange(columns) + 0.5) * _PX
    across = torch.exp(-(((cell - target[..., :1]) / (_SPOT_CELLS * _PX)) ** 2) / 2)
    down = torch.exp(-(((cell[:rows] - target[..., 1:]) / (_SPOT_CELLS * _PX)) ** 2) / 2)
    spot = (down[..., :, None] * across[..., None, :]).flatten(2)
    spot = spot / (spot.sum(2, keepdim=True) + 1e-6)
    return distance - _HEAT_SHARE * (spot * functional.log_softmax(heat.flatten(2), 2)).sum(2).mean()


def evaluate(model: Path, faces: Faces, count: int) -> Errors:
    """Return how far off the shipped net is on whole pictures, from a box as a detector gives it."""
    net = runtime.LandmarkNet(model)
    rng = np.random.default_rng(7)
    rows: list[tuple[float, ...]] = []
    lip_errors: list[npt.NDArray[np.float32]] = []
    for index in rng.permutation(len(faces))[:count]:
        truth = faces.points[index]
        low, high = truth.min(0), truth.max(0)
        side = float((high - low).max()) * float(rng.uniform(0.95, 1.25))
        corner = (low + high) / 2 - side / 2 + rng.normal(0, 0.05, 2) * side
        found = net.find(faces.pictures[index], (corner[0], corner[1], side, side)).points
        off = np.linalg.norm(found - truth, axis=1) / mouth_width(truth)
        eyes = np.concatenate((off[EYE_LEFT], off[EYE_RIGHT]))
        gap = abs(runtime.gap(found) - runtime.gap(truth))
        rows.append((off.mean(), off[LIPS].mean(), off[JAW].mean(), eyes.mean(), gap))
        lip_errors.append(off[LIPS])
    means = np.array(rows).mean(0)
    p95 = float(np.percentile(np.concatenate(lip_errors), 95))
    every, lips, jaw, eye, apart = (round(float(v), 4) for v in means)
    return Errors(every, lips, jaw, eye, round(p95, 4), apart, len(rows))
