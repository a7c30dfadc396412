"""From teacher to student: channels go in rounds (`vcam_talker.prune`), and after each the net learns again.

A round learns from truth and from the teacher alike. What is left must stay near the teacher, else the rounds
end with the last net that did. The last round learns longest, and is held to what a student may lose at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, cast

import torch
from torch import Tensor, nn

from studio.lips.picture.data import Batch, Twins, batches
from studio.lips.picture.evaluate import by_net, evaluate
from studio.lips.picture.train import Schedule, importance, tensors, train
from vcam_talker.nets.lips import POSE, SIZE, LipsNet, composed
from vcam_talker.nets.reader import MouthReader
from vcam_talker.prune.allot import CutSettings
from vcam_talker.prune.importance import Importance, Loss, Taylor
from vcam_talker.prune.limits import Limit, broken
from vcam_talker.prune.schedule import Outcome, Round, run_schedule
from vcam_talker.prune.schedule import Schedule as Rounds

LIMITS: Final = ("l1<=1.10*dense", "psnr_db>=dense-0.5", "aperture_r>=0.95")
"""What a student may lose against its teacher."""
ON_THE_WAY: Final = ("l1<=1.25*dense", "psnr_db>=dense-1.2", "aperture_r>=0.9")
"""And after a round that is not the last one: the last one learns thrice as long."""
SHARES: Final[dict[str, float]] = {
    "pose*": 0.75,
    "e1*": 0.5,
    "d1*": 0.5,
    "e2*": 0.62,
    "d2*": 0.5,
    "e3*": 0.7,
    "d3*": 0.65,
    "e4*": 0.81,
    "d4*": 0.81,
}
"""Of each stage's channels, how many go. Most numbers are in the coarsest stage, which only has to tell
what mouth it is and where; what is seen is made in the finest."""
_TAYLOR_BATCHES: Final = 16
_JUDGED: Final = 600


@dataclass(frozen=True, slots=True)
class TwinsTask:
    """How a picture net learns and is judged (`prune.schedule.Task`)."""

    learnt: Twins
    judged: Twins
    reader: MouthReader
    schedule: Schedule
    """Of one round."""
    say: Callable[[str], None]

    def train(self, student: LipsNet, teacher: nn.Module, step: Round) -> None:
        """Train for one round; the last one thrice as long."""
        last = step.number == step.of
        schedule = replace(
            self.schedule,
            seed=self.schedule.seed + step.number,
            steps=self.schedule.steps * (3 if last else 1),
        )
        train(student, self.learnt, schedule, step.folder, self.say, teacher=cast("LipsNet", teacher))

    def evaluate(self, student: LipsNet) -> dict[str, float]:
        """Return the figures of `evaluate.Figures` but the number of samples."""
        figures = asdict(evaluate(by_net(student), self.judged, self.reader, count=_JUDGED))
        del figures["samples"]
        return figures


def shrink(
    teacher: LipsNet,
    task: TwinsTask,
    folder: Path,
    *,
    rounds: int,
    round_to: int,
    ratio: float | None = None,
    say: Callable[[str], None],
) -> Outcome[LipsNet]:
    """Prune `teacher` by SHARES, or by `ratio` of all its channels. Blocks; goes on where it was stopped.

    plan.json and weights.safetensors of the last net that holds ON_THE_WAY lie in `folder` then; `missed`
    tells if it holds LIMITS. Raises BadInputError.
    """
    inputs = (torch.rand(1, 3, *SIZE), torch.rand(1, 3, *SIZE), torch.rand(1, POSE))
    schedule = Rounds(
        CutSettings(0.75, round_to, layer_ratios=SHARES) if ratio is None else CutSettings(ratio, round_to),
        rounds,
        [Limit.parse(text) for text in ON_THE_WAY],
        {"importance": "taylor", "batches": _TAYLOR_BATCHES},
    )
    return run_schedule(
        teacher, inputs, taylor(task.learnt), task, schedule, folder, build=LipsNet.from_plan, announce=say
    )


def missed(done: Outcome[LipsNet]) -> list[str]:
    """Return the LIMITS that the student does not hold, with what was measured."""
    dense, *rounds = done.rounds
    kept = [result for result in rounds if not result.broken]
    return broken([Limit.parse(text) for text in LIMITS], kept[-1].metrics if kept else {}, dense.metrics)


def taylor(twins: Twins, seed: int = 11) -> Importance:
    """Return the importance of channels for what the net is to draw."""
    samples = batches(twins, 16, seed)
    return Taylor([_loss(*_prepared(next(samples))) for _ in range(_TAYLOR_BATCHES)])


def _prepared(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return *tensors(batch), importance(batch.labels)


def _loss(rest: Tensor, other: Tensor, target: Tensor, mouth: Tensor, weights: Tensor) -> Loss:
    def loss(net: nn.Module) -> Tensor:
        return (weights * (composed(rest, other, *net(rest, other, mouth)) - target).abs()).mean()

    return loss
