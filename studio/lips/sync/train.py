"""Teach the expert; stop it at any time, the same call goes on where it was."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from studio.lips.prefetch import prefetched
from studio.lips.sync.clips import Clip
from studio.lips.sync.data import Batch, batches
from studio.lips.sync.net import Expert
from studio.lips.weights import with_weights
from studio.pack import StudioError

CHECKPOINT: Final = "expert.pt"
EXPERT_FILE: Final = "expert.json"
KEPT_FILE: Final = "expert.safetensors"
"""Weights alone, as `studio.lips.keep` writes them."""
LABEL: Final = "synthetic"
"""What it says in every report: it learnt from drawn people and made voices alone."""
_SAVE_S: Final = 60.0
_SAY_STEPS: Final = 50
_GLOBAL: Final = 0.5
"""Weight of telling a window from all others of the batch, against telling it from its clip's."""
_SOFT: Final = 0.1
"""Share of the target that goes to either neighbour of the right window: they overlap by four fifths."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a training run depends on, beside its data."""

    seed: int = 1
    steps: int = 800
    batch: int = 16
    windows: int = 31
    """Of a clip, one picture apart: shifts of up to 1.2 s compete."""
    rate: float = 3e-3
    decay: float = 2e-2
    warm_up: int = 100
    bf16: bool = False
    """Count in bfloat16: quicker on processors that can."""


def train(
    clips: Sequence[Clip], out: Path, recipe: Recipe, say: Callable[[str], None], minutes: float = math.inf
) -> bool:
    """Train to the end of the recipe, or for `minutes`; return whether it is through. Blocks.

    Raises StudioError when `out` holds a run of another recipe.
    """
    torch.manual_seed(recipe.seed)
    net = Expert().train()
    net.look.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), recipe.rate, (0.9, 0.98), weight_decay=recipe.decay)
    step, spent_s = _resume(out, recipe, net, optimiser)
    # Where a run goes on, it does so with other samples than those it has seen.
    samples = prefetched(batches(clips, recipe.batch, recipe.windows, recipe.seed + 1000 * step))
    began = saved = time.monotonic()
    mean = right = 0.0
    while step < recipe.steps and time.monotonic() - began < 60 * minutes:
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * _rate(step, recipe)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
            loss, share = losses(net, next(samples))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        kept = min(0.98, 1 - 1 / step)
        mean = kept * mean + (1 - kept) * float(loss.detach())
        right = kept * right + (1 - kept) * share
        now = time.monotonic()
        if step % _SAY_STEPS == 0:
            took_s = spent_s + now - began
            say(f"step {step}: loss {mean:.3f}, found within a frame {right:.3f}, {took_s:.0f} s")
        if now - saved > _SAVE_S:
            _save(out, recipe, net, optimiser, step, spent_s + now - began)
            saved = now
    _save(out, recipe, net, optimiser, step, spent_s + time.monotonic() - began)
    return step >= recipe.steps


def losses(net: Expert, batch: Batch) -> tuple[Tensor, float]:
    """Return what is minimised, and the share of windows whose sound is found in their clip within a frame.

    Pictures look for their sound and sounds for their pictures (InfoNCE, van den Oord et al. 2018), among the
    windows of their own clip, and among all of the batch. Windows without a sound look for nothing.
    """
    seen, heard = (side.float() for side in net(batch.pictures, batch.bands))
    scale = net.sharpness.exp().clamp(max=60.0)
    count, windows = batch.audible.shape
    with torch.autocast("cpu", enabled=False):
        own = scale * seen @ heard.transpose(1, 2)
        whole = scale * seen.flatten(0, 1) @ heard.flatten(0, 1).T
    target = _target(windows).expand(count, -1, -1)
    wide = torch.block_diag(*target)  # type: ignore[no-untyped-call]
    weight = batch.audible.float()
    loss = _matched(own, target, weight) + _matched(own.transpose(1, 2), target, weight)
    flat = weight.flatten()
    loss = loss + _GLOBAL * (_matched(whole, wide, flat) + _matched(whole.T, wide, flat))
    away = (own.argmax(2) - torch.arange(windows)).abs() <= 1
    right = float((away & batch.audible).sum() / batch.audible.sum().clamp(min=1))
    return loss / (2 + 2 * _GLOBAL), right


def load(out: Path) -> tuple[Expert, Recipe]:
    """Return the expert of a training folder, or of one that `studio.lips.keep` wrote, in evaluation mode.

    Raises StudioError.
    """
    kept = out / KEPT_FILE
    if kept.is_file():
        recipe = json.loads((out / EXPERT_FILE).read_text("utf-8"))["recipe"]
        return with_weights(Expert(), kept), Recipe(**recipe)
    path = out / CHECKPOINT
    if not path.is_file():
        raise StudioError(str(path), "isn't there", "Run `train` first")
    state = torch.load(path, weights_only=True)
    net = Expert()
    net.load_state_dict(state["net"])
    return net.eval(), Recipe(**state["recipe"])


def _target(windows: int) -> Tensor:
    """Return how much of each window's target lies where, float[windows, windows], rows of sum 1."""
    ones = torch.ones(windows - 1)
    found = torch.eye(windows) * (1 - 2 * _SOFT) + _SOFT * (torch.diag(ones, 1) + torch.diag(ones, -1))
    return found / found.sum(1, keepdim=True)


def _matched(scores: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    loss = -(target * functional.log_softmax(scores, -1)).sum(-1)
    return (loss * weight).sum() / weight.sum().clamp(min=1.0)


def _rate(step: int, recipe: Recipe) -> float:
    if step < recipe.warm_up:
        return (step + 1) / recipe.warm_up
    done = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


def _save(
    out: Path, recipe: Recipe, net: Expert, optimiser: torch.optim.Optimizer, step: int, spent_s: float
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    part = out / f".{CHECKPOINT}.part"
    state = {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "recipe": asdict(recipe)}
    torch.save(state | {"step": step, "spent_s": spent_s}, part)
    part.replace(out / CHECKPOINT)
    facts = {"label": LABEL, "recipe": asdict(recipe), "steps_done": step, "seconds": round(spent_s)}
    (out / EXPERT_FILE).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def _resume(out: Path, recipe: Recipe, net: Expert, optimiser: torch.optim.Optimizer) -> tuple[int, float]:
    path = out / CHECKPOINT
    if not path.is_file():
        return 0, 0.0
    kept = torch.load(path, weights_only=True)
    if kept["recipe"] != asdict(recipe):
        raise StudioError(str(path), "was trained by another recipe", "Name another folder, or remove it")
    net.load_state_dict(kept["net"])
    optimiser.load_state_dict(kept["optimiser"])
    return int(kept["step"]), float(kept["spent_s"])
