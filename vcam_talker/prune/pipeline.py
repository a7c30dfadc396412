"""From a checkpoint to a pruned network and its report: what `vcam-talker prune` does, as functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from vcam_talker.core.errors import BadInputError
from vcam_talker.prune.allot import CutSettings, check_rounds
from vcam_talker.prune.apply import PLAN_FILE, apply_plan, save_pruned
from vcam_talker.prune.bounds import ImportanceName
from vcam_talker.prune.cut import choose, whole
from vcam_talker.prune.files import check_file, check_folder
from vcam_talker.prune.graph import ChannelGraph, trace
from vcam_talker.prune.importance import Scores, magnitude
from vcam_talker.prune.job import Job, check_new, samples_asked, samples_told
from vcam_talker.prune.learning import JUDGES, Announce, LearningTask, importance_named, make_task
from vcam_talker.prune.measure import channel_costs
from vcam_talker.prune.networks import Network, argument_names, find_network, read_network
from vcam_talker.prune.pictures import Training
from vcam_talker.prune.plan import ChannelPlan
from vcam_talker.prune.rounds import RUN_FILE
from vcam_talker.prune.schedule import Schedule, plan_of, run_schedule
from vcam_talker.prune.sensitivity import RATIOS, Scan, check_question, scan
from vcam_talker.prune.verify import check_cut, compared

ONNX_FILE: Final = "network.onnx"
MODEL_FOLDER: Final = "model"


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
    def trained(self) -> bool:
        """Whether what is left was trained; a report that was given no samples tells it all the same."""
        return (self.folder / RUN_FILE).is_file()

    @property
    def nothing(self) -> bool:
        """Whether not even the first round was good, so that there is no pruned network."""
        return not (self.folder / PLAN_FILE).is_file()


def prune(job: Job, announce: Announce = lambda _line: None) -> Pruned:
    """Prune, and train where there is data. Blocks for all of it. Raises VcamTalkerError.

    In `job.out` lie plan.json and weights.safetensors; when asked for, network.onnx and the folder `model`.
    """
    job.check()
    check_folder(job.out)
    dense, network = read_network(job.model)
    graph = trace(dense, network.inputs(plan_of(dense)), job.cut.ignored)
    if not graph.groups:
        raise BadInputError(str(job.model), "has no layer left that may be cut", "Keep fewer with --keep")
    if job.data is None:
        plan = _cut_once(job, dense, network, graph, announce)
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
    check_new(out)
    check_folder(out)
    plan = ChannelPlan.read(plan_path)
    network = find_network(plan.dense, str(plan_path))
    dense, found = read_network(model)
    if found.name != network.name:
        raise BadInputError(str(model), f"is a network {found.name!r}, the plan is of {network.name!r}")
    pruned = apply_plan(dense.state_dict(), plan, network.build)
    check_cut(dense, pruned, plan, network.build, network.inputs(plan_of(dense)))
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
        graph = trace(dense, network.inputs(plan_of(dense)))
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
    graph = trace(dense, network.inputs(plan_of(dense)))
    judge = make_task(dense, network, graph, data, task, Training(), announce, JUDGES)
    with torch.no_grad():
        known = judge.evaluate(dense)
    metric = metric or ("mouth_l1" if "mouth_l1" in known else "l1")
    if metric not in known:
        raise BadInputError(f"metric {metric!r}", "there is no such one", f"There are {', '.join(known)}")
    scores = importance_named(importance, 1, judge)(dense, graph)
    return scan(
        dense,
        graph,
        scores,
        lambda student: judge.evaluate(student)[metric],
        out,
        build=network.build,
        metric=metric,
        ratios=ratios,
        made={"importance": importance, **samples_asked(data, task)},
        told=samples_told(data),
        limit_s=limit_s,
        announce=announce,
    )


def cut_channels(dense: nn.Module, network: Network, settings: CutSettings) -> dict[str, int]:
    """Return the channels that a cut in one step leaves of each part, as the network's own plan counts them.

    With a uniform ranking weights don't matter, so a network of random ones tells what every other of its
    shape will keep. Blocks for some seconds. Raises VcamTalkerError.
    """
    check_rounds(settings, 1)
    graph = trace(dense, network.inputs(plan_of(dense)), settings.ignored)
    kept = _chosen(dense, network, graph, magnitude(dense, graph), settings, {}).net["channels"]
    return dict(kept)


def layer_groups(model: Path) -> ChannelGraph:
    """Return which channels of a network go together. Raises VcamTalkerError."""
    dense, network = read_network(model)
    return trace(dense, network.inputs(plan_of(dense)))


def export(module: nn.Module, network: Network, path: Path) -> float:
    """Write a network as ONNX; returns how far it is from torch. Blocks for seconds. Raises ExportError."""
    from vcam_talker.nets.export import export_module

    return export_module(
        module, network.inputs(plan_of(module)), argument_names(module), list(network.outputs), path
    )


def _export_folder(pruned: nn.Module, network: Network, job: Job) -> None:
    """Write what the daemon opens, where the network has a form for it; a resumed run's is written anew."""
    if network.exporter:
        module, _, name = network.exporter.partition(":")
        label = f"{job.model.stem}, {job.cut.ratio:.0%} of its channels pruned"
        getattr(import_module(module), name)(pruned, job.out / MODEL_FOLDER, label, replace=True)


def _cut_once(
    job: Job, dense: nn.Module, network: Network, graph: ChannelGraph, announce: Announce
) -> ChannelPlan:
    scores = importance_named(job.importance, job.seed, None)(dense, graph)
    plan = _chosen(dense, network, graph, scores, job.cut, job.made())
    if plan.net == plan.dense:
        why = f"removes no channel at all in multiples of {job.cut.round_to}"
        raise BadInputError(f"ratio {job.cut.ratio:g}", why, "Give a larger --ratio, or a smaller --round-to")
    pruned = apply_plan(dense.state_dict(), plan, network.build)
    off = check_cut(dense, pruned, plan, network.build, network.inputs(plan_of(dense)))
    save_pruned(job.out, plan, pruned)
    announce(compared(off))
    return plan


def _chosen(
    dense: nn.Module,
    network: Network,
    graph: ChannelGraph,
    scores: Scores,
    settings: CutSettings,
    made: Mapping[str, Any],
) -> ChannelPlan:
    costs = channel_costs(dense, graph, network.inputs(plan_of(dense)))
    return choose(graph, scores, settings, whole(dense, plan_of(dense)), made, costs)


def _train(
    job: Job, dense: nn.Module, network: Network, task: LearningTask, announce: Announce
) -> tuple[ChannelPlan, str]:
    outcome = run_schedule(
        dense,
        network.inputs(plan_of(dense)),
        importance_named(job.importance, job.seed, task),
        task,
        Schedule(job.cut, job.rounds, job.limits, job.made(), job.told()),
        job.out,
        build=network.build,
        announce=announce,
    )
    return outcome.plan, outcome.stopped
