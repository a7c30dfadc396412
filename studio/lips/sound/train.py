"""Teach the sound network; stop it at any time, the same call goes on where it was."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from studio.lips.sound.augment import Noises, Shape, crop, plain
from studio.lips.sound.data import TAKE_S, Take, read_takes
from studio.pack import StudioError
from studio.truth.draw import generator, one_of
from vcam_talker.face.motion import JAW, PRESS
from vcam_talker.nets.sound import POSE_COLUMNS, SoundNet, SoundPlan

CHECKPOINT: Final = "sound.pt"
LOG: Final = "train.jsonl"

_SAVE_STEPS: Final = 200
_JUDGE_STEPS: Final = 500
_WEIGHTS: Final = (2.0, 1.0, 1.2, 1.0, 1.0, 0.7, 2.0)
"""Of the columns: what opens and shuts counts most."""
_SHUT: Final = 0.5
_CLOSURE_WEIGHT: Final = 3.0
_BETA: Final = 0.05
_SPEED_WEIGHT: Final = 2.0
_LOGIT_WEIGHT: Final = 0.04


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a training run depends on, beside its data."""

    seed: int = 1
    steps: int = 5000
    batch: int = 8
    length: int = 400
    rate: float = 4e-3
    decay: float = 1e-2
    warm_up: int = 200
    channels: int = 128
    natural: float = 0.35
    """Share of crops from flite: its voices are made of recordings of people, espeak-ng's of formulas."""


def train(
    data: Path,
    out: Path,
    recipe: Recipe,
    say: Callable[[str], None],
    device: str = "cpu",
    workers: int = 0,
) -> SoundNet:
    """Train to the end of the recipe, return the network. Blocks. Raises StudioError without data.

    `workers`: processes that make what is heard; none: this one does. The result is the same.
    """
    takes, held_out = read_takes(data, "train"), read_takes(data, "val")
    if not takes or not held_out:
        raise StudioError(str(data), "holds no speech to learn from", "Run `make` for train and val first")
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    net = SoundNet(SoundPlan(channels=recipe.channels)).to(device)
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    step, worked_s = _resume(out / CHECKPOINT, recipe, net, optimiser)
    facts = {
        "hours": round(len(takes) * TAKE_S / 3600, 2),
        "voices": len({t.voice for t in takes}),
        "languages": sorted({t.language for t in takes}),
    }
    shape = Shape(recipe.length, net.plan.past, net.plan.ahead)
    batches = DataLoader(
        _Batches(takes, recipe, shape),
        batch_size=None,
        sampler=range(step, recipe.steps),
        num_workers=workers,
    )
    began_s, losses = time.process_time(), []
    for batch in batches:
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * _schedule(step, recipe)
        heard, mouth, weight = (part.to(device) for part in batch)
        net.train()
        with torch.autocast(device, dtype=torch.bfloat16):
            found = net(heard)
        loss = loss_of(found.float(), mouth, weight)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        step += 1
        if step % _SAVE_STEPS == 0 or step == recipe.steps:
            spent_s = worked_s + time.process_time() - began_s
            row: dict[str, Any] = {
                "step": step,
                "loss": round(float(np.mean(losses)), 5),
                "cpu_s": round(spent_s),
            }
            losses = []
            if step % _JUDGE_STEPS < _SAVE_STEPS or step == recipe.steps:
                row |= judge(net, held_out[:20], device)
            _note(out / LOG, row)
            _save(out / CHECKPOINT, recipe, net, optimiser, step, spent_s, facts)
            say(" ".join(f"{k} {v}" for k, v in row.items()))
    return net


def loss_of(found: Tensor, mouth: Tensor, weight: Tensor) -> Tensor:
    """Return the loss of answers float[N, 9, T] against poses float[N, 7, T]; `weight` float[N, T]."""
    poses, logits = found[:, :POSE_COLUMNS], found[:, POSE_COLUMNS:]
    shut = (mouth[:, PRESS] >= _SHUT).float()
    rest = (mouth.abs().amax(dim=1) < 1e-3).float()
    columns = torch.tensor(_WEIGHTS, device=found.device)[None, :, None]
    cells = columns * weight[:, None]
    held = cells.new_ones(cells.shape)
    held[:, (JAW, PRESS)] += (_CLOSURE_WEIGHT - 1) * shut[:, None]
    place = torch.nn.functional.smooth_l1_loss(poses, mouth, beta=_BETA, reduction="none")
    speed = torch.nn.functional.smooth_l1_loss(
        poses.diff(dim=2), mouth.diff(dim=2), beta=_BETA / 5, reduction="none"
    )
    sure = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, torch.stack((shut, rest), dim=1), reduction="none"
    )
    return (
        (place * cells * held).mean()
        + _SPEED_WEIGHT * (speed * cells[..., 1:]).mean()
        + _LOGIT_WEIGHT * (sure * weight[:, None]).mean()
    )


def judge(net: SoundNet, takes: list[Take], device: str = "cpu") -> dict[str, float]:
    """Return a few figures on whole takes as they are."""
    net.eval()
    plan = net.plan
    truth, found = [], []
    with torch.no_grad():
        for take in takes:
            heard = torch.from_numpy(plain(take, plan.past, plan.ahead).T[None].copy()).to(device)
            found.append(net(heard)[0].cpu().numpy().T)
            truth.append(take.values)
    a, b = np.concatenate(truth), np.concatenate(found)
    r = [float(np.corrcoef(a[:, k], b[:, k])[0, 1]) for k in range(POSE_COLUMNS)]
    shut, rest = a[:, PRESS] >= _SHUT, ~a.any(axis=1)
    return {
        "mae": round(float(np.abs(a - b[:, :POSE_COLUMNS]).mean()), 4),
        "r_jaw": round(r[0], 3),
        "r_rounding": round(r[2], 3),
        "r_teeth": round(r[4], 3),
        "r_press": round(r[6], 3),
        "shut_found": round(float((b[shut, POSE_COLUMNS] > 0).mean()), 3),
        "shut_false": round(float((b[~shut, POSE_COLUMNS] > 0).mean()), 4),
        "rest_found": round(float((b[rest, POSE_COLUMNS + 1] > 0).mean()), 3),
        "rest_false": round(float((b[~rest, POSE_COLUMNS + 1] > 0).mean()), 4),
    }


def load(out: Path) -> tuple[SoundNet, Recipe, dict[str, Any]]:
    """Return the network of a training folder, its recipe, and what it was trained on. Raises StudioError."""
    path = out / CHECKPOINT
    if not path.is_file():
        raise StudioError(str(path), "isn't there", "Run `train` first")
    kept = torch.load(path, weights_only=True, map_location="cpu")
    recipe = Recipe(**kept["recipe"])
    net = SoundNet(SoundPlan(channels=recipe.channels))
    net.load_state_dict(kept["net"])
    net.eval()
    return (
        net,
        recipe,
        {"trained_on": kept["facts"], "steps_done": kept["step"], "cpu_s": round(kept["cpu_s"])},
    )


class _Batches(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """The batch of each step; what is in it depends on the recipe and the step alone."""

    def __init__(self, takes: list[Take], recipe: Recipe, shape: Shape) -> None:
        self._takes = takes
        self._natural = [t for t in takes if t.voice.startswith("flite/")] or takes
        self._recipe = recipe
        self._shape = shape
        self._noises = Noises(takes, generator(recipe.seed, "noises"))

    def __len__(self) -> int:
        return self._recipe.steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        recipe = self._recipe
        rng = generator(recipe.seed, "batch", step)
        crops = [
            crop(
                one_of(rng, self._natural if rng.random() < recipe.natural else self._takes),
                self._shape,
                self._noises,
                rng,
            )
            for _ in range(recipe.batch)
        ]
        return (
            torch.from_numpy(np.stack([c.heard.T for c in crops])),
            torch.from_numpy(np.stack([c.mouth.T for c in crops])),
            torch.from_numpy(np.stack([c.weight for c in crops])),
        )


def _schedule(step: int, recipe: Recipe) -> float:
    if step < recipe.warm_up:
        return (step + 1) / recipe.warm_up
    done = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
    return 0.5 * (1 + math.cos(math.pi * done)) + 0.002


def _resume(path: Path, recipe: Recipe, net: SoundNet, optimiser: torch.optim.Optimizer) -> tuple[int, float]:
    if not path.is_file():
        return 0, 0.0
    kept = torch.load(path, weights_only=True, map_location="cpu")
    if kept["recipe"] != asdict(recipe):
        raise StudioError(str(path), "was trained by another recipe", "Name another folder, or remove it")
    net.load_state_dict(kept["net"])
    optimiser.load_state_dict(kept["optimiser"])
    return int(kept["step"]), float(kept["cpu_s"])


def _save(
    path: Path,
    recipe: Recipe,
    net: SoundNet,
    optimiser: torch.optim.Optimizer,
    step: int,
    spent_s: float,
    facts: dict[str, Any],
) -> None:
    part = path.with_suffix(".part")
    torch.save(
        {
            "recipe": asdict(recipe),
            "net": net.state_dict(),
            "optimiser": optimiser.state_dict(),
            "step": step,
            "cpu_s": spent_s,
            "facts": facts,
        },
        part,
    )
    part.replace(path)


def _note(path: Path, row: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), **row}) + "\n")
