"""From a checkpoint to a pruned network and its report: what `vcam-talker prune` does, as functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import torch
from torch import nn

from vcam_talker.core.errors import BadInputError, EngineError
from vcam_talker.core.types import Pixels
from vcam_talker.prune.allot import CutSettings, check_rounds
from vcam_talker.prune.apply import PLAN_FILE, apply_plan, difference, save_pruned
from vcam_talker.prune.cut import choose, whole
from vcam_talker.prune.data import NpzReader, archives_digest
from vcam_talker.prune.files import check_file, check_folder, reading, writing
from vcam_talker.prune.graph import ChannelGraph, trace
from vcam_talker.prune.importance import (
    Importance,
    Loss,
    Random,
    Scores,
    Taylor,
    batch_norm_scale,
    magnitude,
)
from vcam_talker.prune.limits import Limit
from vcam_talker.prune.measure import channel_costs
from vcam_talker.prune.networks import Network, argument_names, find_network, read_network
from vcam_talker.prune.pictures import PictureTask, Training
from vcam_talker.prune.plan import ChannelPlan
from vcam_talker.prune.schedule import RUN_FILE, Schedule, Task, plan_of, run_schedule
from vcam_talker.prune.sensitivity import RATIOS, Scan, check_question, scan

ImportanceName = Literal["magnitude", "bn", "taylor", "random"]
Announce = Callable[[str], None]

ONNX_FILE: Final = "network.onnx"
MODEL_FOLDER: Final = "model"
_TAYLOR_BATCHES: Final = 8
_EXACT: Final = 1e-9
"""Greatest difference that rounding in float64 may leave; wrong indices leave some 0.1."""


class LearningTask(Task[nn.Module], Protocol):
    """What `--task module:Class` names: a `schedule.Task` that can also show and be differentiated.

    Made as `Class(folder, training, announce)` from `--data`, `Training` and what prints a line.
    """

    def losses(self, batches: int) -> Sequence[Loss]:
        """Return losses on so many batches, for Taylor importance."""
        ...

    def pictures(self, student: nn.Module) -> Sequence[Pixels]:
        """Return what the network makes of some held-out samples, for the report: uint8[H, W, 3], R, G, B."""
        ...

    def truth(self) -> Sequence[Pixels]:
        """Return what it should make of them."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked."""

    model: Path
    """A public checkpoint, or a folder with plan and weights."""
    out: Path
    cut: CutSettings
    importance: ImportanceName
    data: Path | None = None
    """To train and judge with; None: channels are removed, and nothing is trained."""
    task: str = ""
    """`module:Class` of a LearningTask; empty: pictures from archives, see `data`."""
    rounds: int = 1
    training: Training = field(default_factory=Training)
    limits: Sequence[Limit] = ()
    seed: int = 1
    export: bool = False


@dataclass(frozen=True, slots=True)
class Pruned:
    """What came of it."""

    dense: nn.Module
    network: Network
    plan: ChannelPlan
    folder: Path
    task: LearningTask | None
    stopped: str = ""
    """Why it ended before the ratio was reached; empty: it was reached."""

    @property
    def nothing(self) -> bool:
        """Whether not even the first round was good, so that there is no pruned network."""
        return not (self.folder / PLAN_FILE).is_file()


def prune(job: Job, announce: Announce = lambda _line: None) -> Pruned:
    """Prune, and train where there is data. Blocks for all of it. Raises VcamTalkerError.

    In `job.out` lie plan.json and weights.safetensors; when asked for, network.onnx and the folder `model`.
    """
    _check(job)
    check_folder(job.out)
    dense, network = read_network(job.model)
    graph = trace(dense, _examples(network, dense), job.cut.ignored)
    if job.data is None:
        plan = _cut_once(job, dense, network, graph)
        task, stopped = None, ""
    else:
        task = make_task(dense, network, graph, job.data, job.task, job.training, announce)
        plan, stopped = _train(job, dense, network, task, announce)
    if job.export and (job.out / PLAN_FILE).is_file():
        announce("exporting to ONNX")
        pruned, _ = read_network(job.out)
        export(pruned, network, job.out / ONNX_FILE)
        _export_folder(pruned, network, job)
    return Pruned(dense, network, plan, job.out, task, stopped)


def apply_again(plan_path: Path, model: Path, out: Path) -> ChannelPlan:
    """Make the cut of a plan in another dense checkpoint, into a new folder. Raises VcamTalkerError."""
    _check_new(out)
    check_folder(out)
    plan = ChannelPlan.read(plan_path)
    network = find_network(plan.dense, str(plan_path))
    dense, found = read_network(model)
    if found.name != network.name:
        raise BadInputError(str(model), f"is a network {found.name!r}, the plan is of {network.name!r}")
    pruned = apply_plan(dense.state_dict(), plan, network.build)
    _verify(dense, pruned, plan, network)
    save_pruned(out, plan, pruned)
    return plan


def reopen(folder: Path, model: Path, data: Path | None, task: str = "") -> Pruned:
    """Return what an earlier `prune` left in a folder, with its dense network, to tell of it there.

    Raises VcamTalkerError.
    """
    plan = ChannelPlan.read(folder / PLAN_FILE)
    check_folder(folder)
    dense, network = read_network(model)
    if dict(plan.dense) != plan_of(dense):
        raise BadInputError(str(model), f"isn't what {folder} was pruned from", "Name the dense network")
    judge = None
    if data is not None:
        graph = trace(dense, _examples(network, dense))
        judge = make_task(dense, network, graph, data, task, Training(), lambda _line: None)
    return Pruned(dense, network, plan, folder, judge)


def scan_layers(
    model: Path,
    out: Path,
    data: Path,
    *,
    task: str = "",
    importance: ImportanceName = "magnitude",
    metric: str = "",
    ratios: Sequence[float] = RATIOS,
    limit_s: float = 1e9,
    announce: Announce = lambda _line: None,
) -> Scan:
    """Scan how much each layer bears, on held-out samples, into the JSON file `out`. Raises VcamTalkerError.

    `metric`: less is better; empty: `mouth_l1` where the samples weigh, else `l1`.
    """
    check_question(metric, ratios)
    check_file(out)
    dense, network = read_network(model)
    graph = trace(dense, _examples(network, dense))
    judge = make_task(dense, network, graph, data, task, Training(), announce)
    with torch.no_grad():
        known = judge.evaluate(dense)
    metric = metric or ("mouth_l1" if "mouth_l1" in known else "l1")
    if metric not in known:
        raise BadInputError(f"metric {metric!r}", "there is no such one", f"There are {', '.join(known)}")
    scores = _importance(importance, 1, judge)(dense, graph)
    return scan(
        dense,
        graph,
        scores,
        lambda student: judge.evaluate(student)[metric],
        out,
        build=network.build,
        metric=metric,
        ratios=ratios,
        made={"importance": importance, **_samples(data, task)},
        limit_s=limit_s,
        announce=announce,
    )


def cut_channels(dense: nn.Module, network: Network, settings: CutSettings) -> dict[str, int]:
    """Return the channels that a cut in one step leaves of each part, as the network's own plan counts them.

    With a uniform ranking weights don't matter, so a network of random ones tells what every other of its
    shape will keep. Blocks for some seconds. Raises VcamTalkerError.
    """
    check_rounds(settings, 1)
    graph = trace(dense, _examples(network, dense), settings.ignored)
    kept = _chosen(dense, network, graph, magnitude(dense, graph), settings, {}).net["channels"]
    return dict(kept)


def layer_groups(model: Path) -> ChannelGraph:
    """Return which channels of a network go together. Raises VcamTalkerError."""
    dense, network = read_network(model)
    return trace(dense, _examples(network, dense))


def make_task(
    dense: nn.Module,
    network: Network,
    graph: ChannelGraph,
    data: Path,
    name: str,
    training: Training,
    announce: Announce,
) -> LearningTask:
    """Return what trains and judges. `name`: `module:Class` or empty. Raises BadInputError."""
    if not name:
        if not network.pictures:
            raise BadInputError(
                f"network {network.name!r}",
                "gives no picture by itself",
                "Name who trains it: --task module:Class",
            )
        names = argument_names(dense)
        reader = NpzReader(data, names, network.shapes(plan_of(dense)))
        return PictureTask(reader, training, [g.root for g in graph.groups], announce)
    module, _, member = name.partition(":")
    try:
        made: LearningTask = getattr(import_module(module), member)(data, training, announce)
    except (ImportError, AttributeError, ValueError) as e:
        raise BadInputError(f"task {name!r}", f"can't be imported ({e})", "Write module:Class") from None
    return made


def export(module: nn.Module, network: Network, path: Path) -> float:
    """Write a network as ONNX; returns how far it is from torch. Blocks for seconds. Raises ExportError."""
    from vcam_talker.nets.export import export_module

    return export_module(
        module, _examples(network, module), argument_names(module), list(network.outputs), path
    )


def _export_folder(pruned: nn.Module, network: Network, job: Job) -> None:
    """Write what the daemon opens, where the network has a form for it; a resumed run's is written anew."""
    if network.exporter:
        module, _, name = network.exporter.partition(":")
        label = f"{job.model.stem}, {job.cut.ratio:.0%} of its channels pruned"
        getattr(import_module(module), name)(pruned, job.out / MODEL_FOLDER, label, replace=True)


def _check(job: Job) -> None:
    check_rounds(job.cut, job.rounds)
    if job.data is not None:
        with writing(job.out):
            begun = (job.out / RUN_FILE).is_file()
        if not begun:
            _check_new(job.out)
        return
    _check_new(job.out)
    if job.importance == "taylor":
        raise BadInputError(
            "importance 'taylor'", "needs samples", "Give --data, or take --importance magnitude"
        )
    if job.rounds > 1 or job.limits:
        raise BadInputError("rounds and limits", "need samples to train and judge with", "Give --data")


def _check_new(out: Path) -> None:
    with writing(out):
        taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
    if taken:
        raise BadInputError(str(out), "is there already, and not empty", "Name another folder, or delete it")


def _cut_once(job: Job, dense: nn.Module, network: Network, graph: ChannelGraph) -> ChannelPlan:
    scores = _importance(job.importance, job.seed, None)(dense, graph)
    plan = _chosen(dense, network, graph, scores, job.cut, _made(job))
    pruned = apply_plan(dense.state_dict(), plan, network.build)
    _verify(dense, pruned, plan, network)
    save_pruned(job.out, plan, pruned)
    return plan


def _chosen(
    dense: nn.Module,
    network: Network,
    graph: ChannelGraph,
    scores: Scores,
    settings: CutSettings,
    made: Mapping[str, Any],
) -> ChannelPlan:
    costs = channel_costs(dense, graph, _examples(network, dense))
    return choose(graph, scores, settings, whole(dense, plan_of(dense)), made, costs)


def _train(
    job: Job, dense: nn.Module, network: Network, task: LearningTask, announce: Announce
) -> tuple[ChannelPlan, str]:
    outcome = run_schedule(
        dense,
        _examples(network, dense),
        _importance(job.importance, job.seed, task),
        task,
        Schedule(job.cut, job.rounds, job.limits, _made(job)),
        job.out,
        build=network.build,
        announce=announce,
    )
    return outcome.plan, outcome.stopped


def _made(job: Job) -> dict[str, Any]:
    made: dict[str, Any] = {
        "importance": job.importance,
        "ratio": job.cut.ratio,
        "round_to": job.cut.round_to,
        "ranking": job.cut.ranking,
        "trained": job.data is not None,
    }
    if job.importance == "random":
        made["seed"] = job.seed
    if job.data is not None:
        training = job.training
        made |= {**_samples(job.data, job.task), **asdict(training)}
    return made


def _samples(data: Path, task: str) -> dict[str, Any]:
    """Tell who judges by what, so that a run or scan is not gone on with by others.

    Archives are known by what is in them, wherever they lie; what a task of its own reads, by its path, too.
    """
    with reading(data):
        place = data.resolve()
    told = {"data": str(place) if task else place.name, "samples": archives_digest(data)}
    return {"task": task, **told} if task else told


def _importance(name: ImportanceName, seed: int, task: LearningTask | None) -> Importance:
    match name:
        case "magnitude":
            return magnitude
        case "bn":
            return batch_norm_scale
        case "random":
            return Random(seed)
        case "taylor":
            if task is None:
                raise BadInputError("importance 'taylor'", "needs samples", "Give --data")
            return Taylor(task.losses(_TAYLOR_BATCHES))


def _examples(network: Network, module: nn.Module) -> tuple[torch.Tensor, ...]:
    return network.inputs(plan_of(module))


def _verify(dense: nn.Module, pruned: nn.Module, plan: ChannelPlan, network: Network) -> None:
    """Compare with the masked dense network, whatever the graph said. Raises EngineError."""
    off = difference(dense, pruned, plan, _examples(network, dense))
    if not off <= _EXACT:
        raise EngineError(
            "the pruned network", f"differs from the masked dense one by {off:.1e}", "Nothing was written"
        )
