"""The figures and the report of a pruned network, measured beside the dense one."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vcam_talker.core.errors import VcamTalkerError
from vcam_talker.prune.apply import load_pruned, save_pruned
from vcam_talker.prune.cut import whole
from vcam_talker.prune.files import jsonable, writing
from vcam_talker.prune.learning import Announce
from vcam_talker.prune.measure import interleaved_ms, macs, parameters, resident_bytes, torch_run
from vcam_talker.prune.networks import read_network
from vcam_talker.prune.pipeline import ONNX_FILE, Pruned, export
from vcam_talker.prune.report import Report, ReportStep, Strip, write_report
from vcam_talker.prune.rounds import finished_rounds
from vcam_talker.prune.schedule import plan_of
from vcam_talker.prune.sensitivity import Scan

_ROUNDS = 20
_LIMIT_S = 30.0
_WARM = 2


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured."""

    steps: tuple[ReportStep, ...]
    kept: int
    engine: str
    """What ran them for time and memory."""

    @property
    def ratios(self) -> dict[str, float]:
        """What is kept in shares of the dense network, and how many times as fast it is."""
        dense, kept = self.steps[0], self.steps[self.kept]
        found = {
            "parameters": kept.parameters / dense.parameters,
            "macs": kept.macs / dense.macs,
        }
        if dense.ms and kept.ms:
            found["speed"] = dense.ms / kept.ms
        if dense.memory_bytes and kept.memory_bytes:
            found["memory"] = kept.memory_bytes / dense.memory_bytes
        return {name: round(value, 4) for name, value in found.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON data; what is no number, as after a training that diverged, is null."""
        found: dict[str, Any] = jsonable(
            {
                "engine": self.engine,
                "kept": self.steps[self.kept].name,
                "ratios": self.ratios,
                "steps": [asdict(step) for step in self.steps],
            }
        )
        return found


def measure_all(done: Pruned, announce: Announce = lambda _line: None) -> Figures:
    """Measure dense and pruned networks side by side. Blocks for a minute at most, some seconds usually.

    In ONNX Runtime when `done.folder` holds the export, else in torch; float32, a batch of one.
    """
    steps, modules = _steps(done)
    kept = max(i for i, step in enumerate(steps) if not step.note)
    announce("measuring time and memory")
    inputs = done.network.inputs(plan_of(done.dense))
    with _scratch() as name:
        if kept and (done.folder / ONNX_FILE).is_file():
            dense = Path(name) / ONNX_FILE
            export(done.dense, done.network, dense)
            files = {0: dense, kept: done.folder / ONNX_FILE}
            times = _by_session(files)
            memory = {number: _resident(path, "ort") for number, path in files.items()}
            engine = f"ONNX Runtime, fp32, {torch.get_num_threads()} threads"
        else:
            save_pruned(Path(name), whole(done.dense, plan_of(done.dense)), done.dense)
            times = interleaved_ms(
                {i: torch_run(m, inputs) for i, m in enumerate(modules)},
                rounds=_ROUNDS,
                warm_up=_WARM,
                limit_s=_LIMIT_S,
            )
            memory = {0: _resident(Path(name), "torch")}
            if kept:
                memory[kept] = _resident(done.folder, "torch")
            engine = f"torch {torch.__version__}, fp32, {torch.get_num_threads()} threads"
    measured = tuple(
        replace(step, ms=times.get(i), memory_bytes=memory.get(i)) for i, step in enumerate(steps)
    )
    return Figures(measured, kept, engine)


def tell(done: Pruned, figures: Figures, model: str, scan: Scan | None = None) -> list[Path]:
    """Write the report into `done.folder`; return its files. Raises BadInputError."""
    made = {key: str(value) for key, value in done.plan.made.items() if key != "trained"}
    kept, dense = done.plan.channels
    strips = []
    if done.task is not None:
        pruned = read_network(done.folder)[0] if figures.kept else done.dense
        strips = [
            Strip("truth", done.task.truth()),
            Strip("dense", done.task.pictures(done.dense)),
            Strip("pruned", done.task.pictures(pruned)),
        ]
    report = Report(
        f"{done.network.name}: {1 - kept / dense:.0%} of its channels pruned",
        trained=done.trained,
        facts={
            "network": done.network.name,
            "checkpoint": model,
            **made,
            "measured with": f"{figures.engine}; medians, taking turns, batch of one",
            "machine": f"{os.cpu_count()} cores {platform.machine()}",
            "MACs": "of one sample; transposed convolutions counted at their input's resolution",
        },
        steps=figures.steps,
        kept=figures.kept,
        plan=done.plan,
        scan=scan,
        strips=[strip for strip in strips if strip.pictures],
        notes=[f"Stopped: {done.stopped}."] if done.stopped else [],
    )
    return write_report(done.folder, report)


def _steps(done: Pruned) -> tuple[list[ReportStep], list[nn.Module]]:
    """Return all steps without times, and their networks."""
    inputs = done.network.inputs(plan_of(done.dense))
    rounds = finished_rounds(done.folder)
    steps = [_step("dense", done.dense, inputs)]
    modules = [done.dense]
    if not rounds:
        pruned, _ = read_network(done.folder)
        steps.append(_step("pruned", pruned, inputs))
        modules.append(pruned)
        return steps, modules
    steps[0] = replace(steps[0], metrics=dict(rounds[0][0].metrics))
    for result, place in rounds[1:]:
        student, _ = load_pruned(place, done.network.build)  # a round that is told as broken may hold NaN
        modules.append(student)
        note = f"breaks {', '.join(result.broken)}" if result.broken else ""
        step = _step(f"round {result.number}", student, inputs)
        steps.append(replace(step, metrics=dict(result.metrics), untrained=dict(result.untrained), note=note))
    return steps, modules


@contextmanager
def _scratch() -> Iterator[str]:
    """Give a folder that is gone afterwards. Raises BadInputError where there is no room for one."""
    with writing(Path("the folder of temporary files")):
        folder = tempfile.TemporaryDirectory(prefix="vcam-talker-prune-")
    with folder as name:
        yield name


def _step(name: str, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> ReportStep:
    return ReportStep(name, parameters(module), macs(module, inputs))


def _by_session(files: Mapping[int, Path]) -> dict[int, float]:
    from vcam_talker.inference import open_session
    from vcam_talker.inference.session import noise

    runs: dict[int, Callable[[], object]] = {}
    sessions = {i: open_session(path, "ort", "fp32", torch.get_num_threads()) for i, path in files.items()}
    for number, session in sessions.items():
        feeds = noise(session.inputs)
        runs[number] = partial(session.run, feeds)
    try:
        return interleaved_ms(runs, rounds=_ROUNDS, warm_up=_WARM, limit_s=_LIMIT_S)
    finally:
        for session in sessions.values():
            session.close()


def _resident(path: Path, engine: str) -> int | None:
    """Return bytes; None where that can't be measured, which the report shows as a dash."""
    try:
        return resident_bytes(path, engine)
    except VcamTalkerError:
        return None
