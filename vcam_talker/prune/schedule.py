"""Prune, train, judge, and again, until the quality bar breaks. Goes on where a killed run stopped.

All that is known lies in the run's folder: `run.json` (what was asked, and how the dense network does) and
one folder per finished round under `rounds/`, which appears whole or not at all. No optimiser is kept: a
round that was cut off is trained anew.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

import torch
from torch import nn

from vcam_talker.core.errors import BadInputError
from vcam_talker.prune.allot import CutSettings, check_rounds
from vcam_talker.prune.apply import Build, N, State, cut_further, further, load_pruned, save_pruned
from vcam_talker.prune.cut import choose, whole
from vcam_talker.prune.files import differing, read_json, reading, write_json, writing
from vcam_talker.prune.graph import trace
from vcam_talker.prune.importance import Importance
from vcam_talker.prune.limits import Limit, Metrics, broken
from vcam_talker.prune.measure import channel_costs
from vcam_talker.prune.plan import ChannelPlan
from vcam_talker.prune.rounds import ROUND_FILE, RUN_FILE, RoundResult, read_result
from vcam_talker.prune.verify import check_cut, compared

VERSION: Final = 1
_WORK: Final = "work"

M_contra = TypeVar("M_contra", bound=nn.Module, contravariant=True)


@dataclass(frozen=True, slots=True)
class Round:
    """What a round is told."""

    number: int
    """From 1."""
    of: int
    plan: ChannelPlan
    folder: Path
    """The training's own, to keep what it needs to go on after a kill; gone once the round is done."""


class Task(Protocol[M_contra]):
    """What the caller knows of the network: how it learns, and how well it does."""

    def train(self, student: M_contra, teacher: nn.Module, step: Round) -> None:
        """Train the student in place. `teacher` is the dense network; leave it as it is."""
        ...

    def evaluate(self, student: M_contra) -> dict[str, float]:
        """Return metrics by name, the same names each time."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome(Generic[N]):
    """How a run ended."""

    rounds: Sequence[RoundResult]
    """The dense network first."""
    best: N
    """Of the last round that holds the bar; the dense network when none does."""
    plan: ChannelPlan
    stopped: str = ""
    """Why it ended early; empty: it did all rounds."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is asked of a run."""

    cut: CutSettings
    rounds: int = 1
    limits: Sequence[Limit] = ()
    made: Mapping[str, Any] = field(default_factory=dict)
    """Told in the plan: the importance's name, the data. A run with other values is another run."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """Told in the plan as well, and may be otherwise when a run goes on: what a folder is called."""


def run_schedule(
    dense: N,
    inputs: Sequence[torch.Tensor],
    importance: Importance,
    task: Task[N],
    schedule: Schedule,
    folder: Path,
    *,
    build: Build[N],
    announce: Callable[[str], None] = lambda _line: None,
) -> Outcome[N]:
    """Prune `dense` in rounds. Blocks for all training; `announce` gets a line now and then.

    `folder` is made, or holds the same run unfinished, which then goes on. At the end plan.json and
    weights.safetensors of the last good round lie in it (none when no round was good). Raises BadInputError
    for settings that can't be, for a folder of another run and for one that can't be written, and EngineError
    for a cut that isn't what its plan says (`verify`).
    """
    return _Run(dense, inputs, importance, task, schedule, folder, build, announce).go()


class _Run(Generic[N]):
    def __init__(
        self,
        dense: N,
        inputs: Sequence[torch.Tensor],
        importance: Importance,
        task: Task[N],
        schedule: Schedule,
        folder: Path,
        build: Build[N],
        announce: Callable[[str], None],
    ) -> None:
        check_rounds(schedule.cut, schedule.rounds)
        self._dense = dense.eval()
        self._inputs = inputs
        self._importance = importance
        self._task = task
        self._schedule = schedule
        self._folder = folder
        self._build = build
        self._announce = announce
        self._whole = whole(dense, plan_of(dense))

    def go(self) -> Outcome[N]:
        """Do, or finish, all rounds."""
        first = self._prepare()
        done = [first]
        best, best_plan, stopped = self._dense, self._whole, ""
        for number in range(1, self._schedule.rounds + 1):
            place = self._place(number)
            with reading(place):
                finished = (place / ROUND_FILE).is_file()
            if not finished:
                self._do(number, best, best_plan, first.metrics)
            result = read_result(place / ROUND_FILE)
            done.append(result)
            self._announce(result.line(self._schedule.rounds))
            if result.broken:
                stopped = f"round {number} breaks {', '.join(result.broken)}"
                break
            best, best_plan = load_pruned(place, self._build)
        if len(done) > 1 + bool(stopped):
            save_pruned(self._folder, best_plan, best)
        return Outcome(done, best, best_plan, stopped)

    def _prepare(self) -> RoundResult:
        """Make or check the folder; return how the dense network does."""
        asked = {
            "version": VERSION,
            "cut": self._schedule.cut.as_dict(),
            "rounds": self._schedule.rounds,
            "limits": [str(limit) for limit in self._schedule.limits],
            "made": dict(self._schedule.made),
            "dense": state_digest(self._dense.state_dict()),
        }
        run = self._folder / RUN_FILE
        with reading(run):
            begun = run.exists()
        if begun:
            if other := differing(read_json(run).get("asked"), asked):
                raise BadInputError(
                    str(self._folder),
                    f"holds a run with other settings or another network; not the same: {', '.join(other)}",
                    "Name another folder, or delete this one",
                )
            return read_result(run)
        metrics = self._judge(self._dense)
        for limit in self._schedule.limits:
            limit.bar(metrics)
        dense = RoundResult(0, 0.0, self._whole.channels[0], _parameters(self._dense), metrics, metrics)
        write_json(run, {"asked": asked, **dense.as_dict()})
        return dense

    def _do(self, number: int, student: N, plan: ChannelPlan, dense: Metrics) -> None:
        """Cut, train, judge, and put the round's folder in its place."""
        begun_s = time.monotonic()
        settings = self._schedule.cut.after(number, self._schedule.rounds)
        graph = trace(student, self._inputs, settings.ignored)
        made = {**self._schedule.told, **self._schedule.made, "ratio": settings.ratio, "round": number}
        scores = self._importance(student, graph)
        costs = channel_costs(student, graph, self._inputs)
        last, plan = plan, choose(graph, scores, settings, plan, made, costs)
        # Cut out of the last student, not of the dense network: what is kept keeps what it has learnt.
        before, student = student, cut_further(student, last, plan, self._build)
        off = check_cut(before, student, further(last, plan), self._build, self._inputs)
        self._announce(f"round {number} of {self._schedule.rounds}: {compared(off)}")
        untrained = self._judge(student)
        place = self._place(number)
        partial = place.with_name(f".{place.name}.part")
        with writing(partial):
            (partial / _WORK).mkdir(parents=True, exist_ok=True)
        self._task.train(student, self._dense, Round(number, self._schedule.rounds, plan, partial / _WORK))
        metrics = self._judge(student.eval())
        faults = broken(self._schedule.limits, metrics, dense)
        if not _finite(student):
            faults.append("finite weights (the training diverged)")
        result = RoundResult(
            number,
            settings.ratio,
            plan.channels[0],
            _parameters(student),
            untrained,
            metrics,
            faults,
            round(time.monotonic() - begun_s, 1),
        )
        save_pruned(partial, plan, student)
        with writing(place):
            shutil.rmtree(partial / _WORK)
        write_json(partial / ROUND_FILE, result.as_dict())
        with writing(place):
            partial.replace(place)

    def _judge(self, student: N) -> dict[str, float]:
        """Return the metrics of a network, which is left in the mode it was in."""
        was_training = student.training
        with torch.no_grad():
            metrics = self._task.evaluate(student.eval())
        student.train(was_training)
        return {name: float(value) for name, value in metrics.items()}

    def _place(self, number: int) -> Path:
        return self._folder / "rounds" / f"{number:02}"


def plan_of(module: nn.Module) -> dict[str, Any]:
    """Return a network's own plan. Raises BadInputError when its class has none."""
    plan = getattr(module, "plan", None)
    if not callable(plan):
        raise BadInputError(type(module).__name__, "has no channel plan, so it can't be rebuilt once pruned")
    found: dict[str, Any] = plan()
    return found


def state_digest(state: State) -> str:
    """Return the SHA-256 of a checkpoint's names, shapes and numbers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _finite(module: nn.Module) -> bool:
    return all(bool(t.isfinite().all()) for t in module.state_dict().values() if t.is_floating_point())


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
