"""Rounds of pruning: the stop rule, what is kept, and going on after a kill."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.support.prune_cli import with_wrong_index
from tests.support.prune_nets import Residual, run
from vcam_talker.core.errors import BadInputError, EngineError
from vcam_talker.prune.allot import CutSettings, check_rounds, steps_needed
from vcam_talker.prune.apply import PLAN_FILE, load_pruned
from vcam_talker.prune.cut import choose
from vcam_talker.prune.importance import magnitude
from vcam_talker.prune.limits import Limit, broken
from vcam_talker.prune.plan import ChannelPlan
from vcam_talker.prune.rounds import finished_rounds
from vcam_talker.prune.schedule import Outcome, Round, Schedule, run_schedule

pytestmark = pytest.mark.unit


class Task:
    """Counts what is asked of it; a network is as bad as it has lost channels."""

    def __init__(self, worse: Callable[[float], float] = lambda lost: lost) -> None:
        self.trained: list[int] = []
        self.found: list[bool] = []
        self.judged = 0
        self._worse = worse

    def train(self, student: Residual, teacher: nn.Module, step: Round) -> None:
        self.found.append((step.folder / "notes").exists())
        (step.folder / "notes").write_text("kept while the round runs")
        assert sum(p.numel() for p in teacher.parameters()) > sum(p.numel() for p in student.parameters())
        with torch.no_grad():
            student.out.bias.add_(1.0)
        self.trained.append(step.number)

    def evaluate(self, student: Residual) -> dict[str, float]:
        self.judged += 1
        return {"l1": self._worse(1 - sum(student.channels.values()) / 36), "psnr": 30.0}


def _go(
    folder: Path, task: Task, ratio: float = 0.6, rounds: int = 3, limits: tuple[str, ...] = (), seed: int = 1
) -> Outcome[Residual]:
    net = Residual.seeded(seed)
    schedule = Schedule(CutSettings(ratio, round_to=1), rounds, [Limit.parse(t) for t in limits])
    return run_schedule(net, Residual.inputs(), magnitude, task, schedule, folder, build=Residual.from_plan)


def test_it_prunes_and_trains_in_rounds(tmp_path: Path) -> None:
    task = Task()
    done = _go(tmp_path, task)
    assert task.trained == [1, 2, 3]
    assert [r.number for r in done.rounds] == [0, 1, 2, 3]
    assert not done.stopped
    assert done.plan.channels[0] / 36 == pytest.approx(0.4, abs=0.04)
    before = 36
    for result in done.rounds[1:]:
        assert 10 * result.channels >= 6 * before
        before = result.channels
    saved, plan = load_pruned(tmp_path, Residual.from_plan)
    assert plan == done.plan
    assert torch.equal(run(saved, Residual.inputs())[0], run(done.best, Residual.inputs())[0])
    # What was learnt in one round is there in the next: the bias went up by 1 three times.
    assert torch.allclose(done.best.out.bias, Residual.seeded(1).out.bias + 3.0)


@pytest.mark.parametrize("number", [1, 2])
def test_no_round_is_trained_whose_cut_is_not_what_its_plan_says(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*given: Any) -> ChannelPlan:
        plan = choose(*given)
        return with_wrong_index(plan, "back2.0", "in", given[3]) if plan.made["round"] == number else plan

    monkeypatch.setattr("vcam_talker.prune.schedule.choose", wrong)
    task = Task()
    with pytest.raises(EngineError, match="differs from the masked dense one"):
        _go(tmp_path, task)
    assert task.trained == list(range(1, number))
    assert [result.number for result, _ in finished_rounds(tmp_path)] == list(range(number))


def test_the_last_good_round_is_kept_when_the_bar_breaks(tmp_path: Path) -> None:
    task = Task()
    done = _go(tmp_path, task, limits=("l1<=0.5", "psnr>=dense-0.5"))
    assert task.trained == [1, 2, 3]
    assert done.rounds[-1].broken
    assert "l1<=0.5" in done.stopped
    assert done.plan.channels[0] == done.rounds[-2].channels
    assert load_pruned(tmp_path, Residual.from_plan)[1] == done.plan


def test_nothing_is_left_when_not_even_the_first_round_is_good(tmp_path: Path) -> None:
    done = _go(tmp_path, Task(), limits=("l1<=0.01",))
    assert len(done.rounds) == 2
    assert done.plan.channels == (36, 36)
    assert not (tmp_path / PLAN_FILE).exists()


def test_what_is_no_number_breaks_every_bar(tmp_path: Path) -> None:
    done = _go(tmp_path, Task(lambda lost: math.nan if lost > 0.3 else lost), limits=("l1<=1",))
    assert "nan" in done.stopped
    json.loads((tmp_path / "rounds" / f"{len(done.rounds) - 1:02}" / "round.json").read_text())
    again = finished_rounds(tmp_path)[-1][0]
    assert math.isnan(again.metrics["l1"])


def test_weights_that_are_no_numbers_are_never_kept(tmp_path: Path) -> None:
    class Diverging(Task):
        def train(self, student: Residual, teacher: nn.Module, step: Round) -> None:
            super().train(student, teacher, step)
            if step.number == 2:
                with torch.no_grad():
                    student.out.bias.fill_(math.nan)

    done = _go(tmp_path, Diverging())
    assert done.stopped == "round 2 breaks finite weights (the training diverged)"
    assert done.plan.channels[0] == done.rounds[1].channels
    assert torch.isfinite(load_pruned(tmp_path, Residual.from_plan)[0].out.bias).all()


def test_a_finished_run_is_not_done_again(tmp_path: Path) -> None:
    first = _go(tmp_path, Task())
    task = Task()
    second = _go(tmp_path, task)
    assert task.trained == []
    assert task.judged == 0
    assert second.plan == first.plan
    assert [r.metrics for r in second.rounds] == [r.metrics for r in first.rounds]


@pytest.mark.parametrize("other", [{"ratio": 0.5}, {"rounds": 4}, {"limits": ("l1<=1",)}, {"seed": 2}])
def test_a_folder_of_another_run_is_refused(tmp_path: Path, other: dict[str, object]) -> None:
    _go(tmp_path, Task())
    with pytest.raises(BadInputError, match="another network"):
        _go(tmp_path, Task(), **other)  # type: ignore[arg-type]


_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, os.getcwd())
from tests.test_prune_schedule import Task, _go

class Dying(Task):
    def train(self, student, teacher, step):
        super().train(student, teacher, step)
        if step.number == 2:
            os.kill(os.getpid(), signal.SIGKILL)

_go(Path(sys.argv[1]), Dying())
"""


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    whole, broken_off = tmp_path / "whole", tmp_path / "broken"
    wanted = _go(whole, Task())
    died = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_KILLED), str(broken_off)], check=False, cwd=Path.cwd()
    )
    assert died.returncode == -signal.SIGKILL
    assert [r.number for r, _ in finished_rounds(broken_off)] == [0, 1]
    assert (broken_off / "rounds" / ".02.part").is_dir()

    task = Task()
    done = _go(broken_off, task)
    assert task.trained == [2, 3]
    assert task.found == [True, False]  # what the killed training had kept for itself is still there
    assert done.plan == wanted.plan
    assert not list((broken_off / "rounds").glob(".*"))
    for name, tensor in wanted.best.state_dict().items():
        assert torch.equal(done.best.state_dict()[name], tensor), name


def test_a_damaged_round_is_told(tmp_path: Path) -> None:
    _go(tmp_path, Task())
    (tmp_path / "rounds" / "02" / "round.json").write_text('{"number": 2}')
    with pytest.raises(BadInputError, match="damaged"):
        _go(tmp_path, Task())


def test_too_much_for_one_step_names_the_rounds_it_takes() -> None:
    check_rounds(CutSettings(0.4), 1)
    for ratio in (0.41, 0.6, 0.65, 0.9):
        needed = steps_needed(ratio)
        with pytest.raises(BadInputError, match=f"40%.*--rounds {needed}"):
            check_rounds(CutSettings(ratio), needed - 1)
        check_rounds(CutSettings(ratio), needed)
    for rounds in (0, -1, 100):
        with pytest.raises(BadInputError, match=f"rounds {rounds}: must be from 1 to 99"):
            check_rounds(CutSettings(0.3), rounds)
    with pytest.raises(BadInputError, match=r"0\.7 of decoder"):
        check_rounds(CutSettings(0.3, layer_ratios={"decoder": 0.7}), 2)


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("l1<=1.1*dense", 0.109, True),
        ("l1<=1.1*dense", 0.112, False),
        ("l1 >= dense - 0.05", 0.06, True),
        ("l1>=dense-0.05", 0.04, False),
        ("l1<=dense+0.01", 0.105, True),
        ("l1>=0.95", 0.9, False),
        ("l1>=-1", -0.5, True),
        ("l1<=1e-3", 0.0005, True),
        ("l1<=1", math.nan, False),
        ("l1>=1", math.nan, False),
    ],
)
def test_limits(text: str, value: float, holds: bool) -> None:
    limit = Limit.parse(text)
    assert limit.met({"l1": value}, {"l1": 0.1}) is holds
    assert Limit.parse(str(limit)) == limit
    assert bool(broken([limit], {"l1": value}, {"l1": 0.1})) is not holds


@pytest.mark.parametrize(
    "text", ["", "l1", "l1<1", "l1<=x", "l1<=dense*2*3", "<=1", "l1==1", "l1<=1;rm", "l1<=--1"]
)
def test_limits_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="can't be read"):
        Limit.parse(text)


@pytest.mark.parametrize("text", ["l1<=1e999", "l1<=1e999*dense", "l1>=dense-1e999"])
def test_limits_that_nothing_reaches_are_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="too large"):
        Limit.parse(text)


def test_a_limit_on_an_unknown_metric_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    task = Task()
    with pytest.raises(BadInputError, match="There are l1, psnr"):
        _go(tmp_path, task, limits=("ssim>=0.9",))
    assert task.trained == []
