"""Networks whose first output is a picture: how a pruned one learns, and how it is judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from vcam_talker.core.errors import BadInputError
from vcam_talker.core.types import Pixels
from vcam_talker.prune.bounds import MAX_RATE, MAX_ROWS, MAX_STEPS
from vcam_talker.prune.data import Batch, Reader
from vcam_talker.prune.distil import Distillation
from vcam_talker.prune.importance import Loss
from vcam_talker.prune.schedule import Round

_TEST_ROWS: Final = 16
_SHOWN: Final = 4


@dataclass(frozen=True, slots=True)
class Training:
    """How long and how hard a round trains."""

    steps: int = 500
    """Of the optimiser, in every round."""
    rows: int = 16
    """Samples a step."""
    rate: float = 2e-4
    """Of learning, at its highest: it rises over the first tenth and falls to nothing (half a cosine)."""
    seed: int = 1
    """Of the samples' order; 0 or more."""

    def __post_init__(self) -> None:
        """Raise BadInputError for numbers that nobody can train by."""
        for name, value, least, most in (
            ("steps", self.steps, 1, MAX_STEPS),
            ("rows", self.rows, 1, MAX_ROWS),
            ("seed", self.seed, 0, None),
        ):
            if value < least or (most is not None and value > most):
                bounds = f"must be from {least} to {most}" if most else f"must be {least} or more"
                raise BadInputError(f"{name} {value}", bounds)
        if not 0 < self.rate <= MAX_RATE:  # no NaN either
            raise BadInputError(
                f"rate {self.rate:g}", f"must be more than 0 and at most {MAX_RATE:g}", "2e-4 is usual"
            )


class PictureTask:
    """The `schedule.Task` of such a network; metrics `l1`, `psnr` (dB), `mouth_l1` where samples weigh."""

    def __init__(
        self,
        reader: Reader,
        training: Training,
        layers: Sequence[str] = (),
        announce: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """`layers`: whose outputs the student must match, too."""
        self._reader = reader
        self._training = training
        self._layers = layers
        self._announce = announce

    def train(self, student: nn.Module, teacher: nn.Module, step: Round) -> None:
        """Train by distillation, in place. Blocks for all steps.

        Batch norms keep their statistics and learn scale and shift: deep layers have one value a sample, so
        a batch of a dozen would give statistics of a dozen numbers.
        """
        how = self._training
        optimiser = torch.optim.AdamW(student.parameters(), how.rate, weight_decay=0.0)
        batches = self._reader.train(how.rows, how.seed + step.number)
        with Distillation(student, teacher, step.plan, self._layers) as distillation:
            student.train()
            for module in student.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                    module.eval()
            for number, batch in enumerate(islice(batches, how.steps)):
                for group in optimiser.param_groups:
                    group["lr"] = how.rate * _slope(number, how.steps)
                loss = distillation.loss(batch.inputs, batch.target, batch.weight)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(student.parameters(), 1.0)
                optimiser.step()
                if number % 50 == 0:
                    self._announce(
                        f"round {step.number}, step {number} of {how.steps}: loss {loss.item():.5f}"
                    )
        student.eval()

    def evaluate(self, student: nn.Module) -> dict[str, float]:
        """Return the metrics over all held-out samples. Blocks for a pass over them."""
        absolute = square = weighted = weights = 0.0
        count = 0
        with torch.inference_mode():
            for batch in self._reader.test(_TEST_ROWS):
                off = _first(student(*batch.inputs)) - batch.target
                absolute += float(off.abs().sum(dtype=torch.float64))
                square += float(off.square().sum(dtype=torch.float64))
                count += off.numel()
                if batch.weight is not None:
                    weight = batch.weight.expand_as(off)
                    weighted += float((off.abs() * weight).sum(dtype=torch.float64))
                    weights += float(weight.sum(dtype=torch.float64))
        metrics = {"l1": absolute / count, "psnr": -10 * math.log10(max(square / count, 1e-12))}
        return metrics | ({"mouth_l1": weighted / weights} if weights else {})

    def losses(self, batches: int) -> Sequence[Loss]:
        """Return what `importance.Taylor` works with: the mean absolute error on some batches of training."""
        picked = list(islice(self._reader.train(self._training.rows, self._training.seed), batches))
        return [_Error(batch) for batch in picked]

    def pictures(self, student: nn.Module) -> Sequence[Pixels]:
        """Return what the network makes of the first held-out samples: uint8[H, W, 3] each, RGB."""
        with torch.inference_mode():
            return [_pixels(picture) for batch in self._shown() for picture in _first(student(*batch.inputs))]

    def truth(self) -> Sequence[Pixels]:
        """Return what it should make of them."""
        return [_pixels(picture) for batch in self._shown() for picture in batch.target]

    def _shown(self) -> Iterator[Batch]:
        return islice(self._reader.test(_SHOWN), 1)


class _Error:
    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __call__(self, module: nn.Module) -> Tensor:
        off = (_first(module(*self._batch.inputs)) - self._batch.target).abs()
        return (off if self._batch.weight is None else off * self._batch.weight).mean()


def _slope(number: int, steps: int) -> float:
    rising = max(1, steps // 10)
    if number < rising:
        return (number + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (number - rising) / max(1, steps - rising)))


def _first(value: Tensor | Sequence[Tensor]) -> Tensor:
    return value if isinstance(value, Tensor) else value[0]


def _pixels(picture: Tensor) -> Pixels:
    """[3, H, W] in 0 .. 1, B, G, R -> uint8[H, W, 3], R, G, B."""
    values = picture.detach().clamp(0, 1).mul(255).round().to(torch.uint8).numpy()
    return np.ascontiguousarray(values.transpose(1, 2, 0)[:, :, ::-1])
