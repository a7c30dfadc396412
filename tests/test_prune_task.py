"""`vcam-talker prune --task`: who else may train and judge."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from tests.support.prune_cli import (
    lips,
    measured_at_once,
    refused,
    typed,
)
from vcam_talker.core.types import Pixels
from vcam_talker.nets.lips import LipsNet
from vcam_talker.prune.importance import Loss
from vcam_talker.prune.pictures import Training
from vcam_talker.prune.schedule import Round

__all__ = ["lips", "measured_at_once"]
pytestmark = pytest.mark.unit


class LipsTask:
    """What `--task` may name; learns nothing."""

    def __init__(self, folder: Path, training: Training, announce: Callable[[str], None]) -> None:
        assert folder.is_dir()
        announce("here")
        self._steps = training.steps

    def train(self, student: LipsNet, teacher: LipsNet, step: Round) -> None:
        assert step.of == 1
        assert self._steps == 3
        assert student.plan() == step.plan.net != teacher.plan()

    def evaluate(self, student: LipsNet) -> dict[str, float]:
        return {"mouth_l1": student.plan()["channels"]["pose"] / 32}

    def losses(self, batches: int) -> Sequence[Loss]:
        x = torch.rand(1, 3, 96, 128)
        return [lambda m: m(x, x, torch.rand(1, 7))[2].mean() for _ in range(batches)]

    def pictures(self, _student: LipsNet) -> Sequence[Pixels]:
        return []

    def truth(self) -> Sequence[Pixels]:
        return []


def test_a_task_of_ones_own(lips: Path, tmp_path: Path) -> None:
    task = f"{__name__}:LipsTask"
    result = typed(
        "lipsync", "--model", lips, "--data", tmp_path, "--task", task, "--steps", 3, "--round-to", 4,
        "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["steps"][1]["metrics"] == {"mouth_l1": 12 / 32}
    for wrong in ("nowhere:Task", f"{__name__}:None_", "no-colon"):
        more = ("--data", tmp_path, "--task", wrong, "--out", tmp_path / "o", "--json")
        refused("can't be imported", 7, "lipsync", "--model", lips, *more)
    refused("--task", 7, "lipsync", "--model", lips, "--data", tmp_path, "--out", tmp_path / "o", "--json")


class DivergingTask(LipsTask):
    """Its second round ends in what is no number."""

    def train(self, student: LipsNet, _teacher: LipsNet, step: Round) -> None:
        if step.number == 2:
            with torch.no_grad():
                next(student.parameters()).fill_(math.nan)

    def evaluate(self, student: LipsNet) -> dict[str, float]:
        return {"l1": float(next(student.parameters()).sum())}


def test_a_round_that_diverged_is_told_in_json_that_all_can_read(lips: Path, tmp_path: Path) -> None:
    result = typed(
        "lipsync", "--model", lips, "--data", tmp_path, "--task", f"{__name__}:DivergingTask", "--rounds", 2,
        "--ratio", 0.5, "--round-to", 1, "--importance", "magnitude", "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout, parse_constant=pytest.fail)
    assert told["kept"] == "round 1"
    assert told["stopped"] == "round 2 breaks finite weights (the training diverged)"
    assert isinstance(told["steps"][1]["metrics"]["l1"], float)
    assert told["steps"][2]["metrics"] == {"l1": None}
