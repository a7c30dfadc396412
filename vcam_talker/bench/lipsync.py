"""How fast networks draw mouths: dense and pruned on every engine that is here, and the shipped one.

The Wav2Lip network with random weights (time does not depend on them), whole and with 30 % of its channels
removed. All take turns, so that a busy machine slows all alike; ratios are medians of each round's own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vcam_talker.bench import lipsync_gpu, lipsync_memory, lipsync_student
from vcam_talker.bench.lipsync_made import SMALL_FILE
from vcam_talker.bench.lipsync_race import Entry, Race
from vcam_talker.bench.options import Options
from vcam_talker.bench.report import Report
from vcam_talker.core.errors import EngineError
from vcam_talker.core.extras import how_to_install
from vcam_talker.inference import open_session
from vcam_talker.inference.candidates import Candidate, candidates
from vcam_talker.inference.engines import find_engine
from vcam_talker.inference.model import find_model
from vcam_talker.inference.processor import this_processor
from vcam_talker.inference.session import noise

if TYPE_CHECKING:
    from vcam_talker.bench.lipsync_made import Made

_DEFAULT_S: Final = 30.0
_EXACT: Final = Candidate("ort", "fp32")
_SMALL: Final = Candidate("ort", "int8")
_NEEDED: Final = ("torch", "torch_pruning", "safetensors", "onnx", "onnxscript", "onnxruntime")
_STUDENT: Final = "student"
_UNCACHED: Final = "student, every face anew"
_WIDEST: Final = "AMX"
"""Instruction set that the bar of engine and pruning together is for."""


def run(options: Options) -> Report:
    """Measure on the processor, or with `options.gpu` on the GPU. Raises EngineError."""
    if lacking := [name for name in _NEEDED if find_spec(name) is None]:
        raise EngineError("bench lipsync", f"needs {', '.join(lacking)}", how_to_install("prune"))
    report = Report("lipsync")
    looks = 1.0
    if options.gpu:
        lipsync_gpu.check()
    else:
        looks = lipsync_student.add_composed(report, options)
    with tempfile.TemporaryDirectory(prefix="vcam-talker-bench-") as name:
        # A process of its own: torch's memory and threads are not the engines'.
        with ProcessPoolExecutor(1, get_context("spawn")) as processes:
            made = processes.submit(_make, Path(name)).result()
        if options.gpu:
            lipsync_gpu.add(report, made, Path(name))
        else:
            _add_exactness(report, made)
            _add_speed(report, made, options, looks)
            _add_memory(report, made, Path(name) / SMALL_FILE)
    report.notes += [f"{kind}: {net.told(made['dense'])}" for kind, net in made.items()]
    return report


def _make(folder: Path) -> dict[str, Made]:
    from vcam_talker.bench.lipsync_nets import make_both

    return make_both(folder)


def _add_exactness(report: Report, made: Mapping[str, Made]) -> None:
    for name, net in made.items():
        report.add(f"{name}: ONNX against torch, largest", 1e6 * net.onnx_off, "1e-6", 100)
        report.add(f"{name}: lower half against the whole, largest", 1e6 * net.lower_off, "1e-6", 100)


def _add_speed(report: Report, made: Mapping[str, Made], options: Options, looks: float) -> None:
    """Let all race; `looks`: how often the student's part for the face runs, of all frames."""
    processor = this_processor()
    race = Race()
    with ExitStack() as open_ones:
        for name, net in made.items():
            model = find_model(net.exact, [net.int8])
            for candidate in candidates(model, "auto", "auto", processor)[0]:
                if find_engine(candidate.engine).on_gpu:
                    continue
                session = open_session(
                    net.exact,
                    candidate.engine,
                    candidate.precision,
                    processor.cores,
                    variants=[net.int8],
                    example=net.example,
                )
                open_ones.enter_context(closing(session))
                race.enter(name, session, net.example)
        for name, session in lipsync_student.open_parts(options, processor.cores):
            open_ones.enter_context(closing(session))
            race.enter(name, session, noise(session.inputs))
        race.run(options.seconds or _DEFAULT_S)
        _add_deviation(report, race)
    race.combine(_STUDENT, {lipsync_student.MOUTH: 1.0, lipsync_student.FACE: looks})
    race.combine(_UNCACHED, {lipsync_student.MOUTH: 1.0, lipsync_student.FACE: 1.0})
    _add_race(report, race, amx=processor.family == _WIDEST)
    shown = f"{processor.name}, {processor.family}, {processor.cores} threads, {race.rounds} rounds"
    report.notes.append(f"{shown}; batch 1, the whole face")


def _add_race(report: Report, race: Race, *, amx: bool) -> None:
    for name, candidate in race.times_ms:
        report.add(f"{name}, {candidate}, p50", race.p50_ms(name, candidate), "ms")
    for c in (c for n, c in race.times_ms if n == "pruned" and ("dense", c) in race.times_ms):
        _add_ratio(report, race, ("dense", c), ("pruned", c), 2.0 if c == _EXACT else None)
    _add_ratio(report, race, ("dense", _EXACT), ("pruned", race.best("pruned")), 12.0 if amx else None)
    if not amx:
        report.notes.append(
            f"the bar of 12x for engine and pruning together is for {_WIDEST}, not for this one"
        )
    for student, bar in ((_STUDENT, 40.0), (_UNCACHED, None)):
        if race.has(student):
            _add_ratio(report, race, ("dense", _EXACT), (student, race.best(student)), bar)


def _add_ratio(report: Report, race: Race, slow: Entry, fast: Entry, bar: float | None) -> None:
    told = f"{fast[0]} against {slow[0]}, {fast[1]}"
    if fast[1] != slow[1]:
        told = f"{fast[0]}, {fast[1]}, against {slow[0]}, {slow[1]}"
    report.add(told, race.ratio(slow, fast), "x", bar, at_least=True)
    report.add(f"{told}: processor time", race.processor_ratio(slow, fast), "x")


def _add_deviation(report: Report, race: Race) -> None:
    for name, candidate in race.times_ms:
        if candidate.precision != "fp32":
            off = race.deviation(name, candidate, _EXACT)
            report.add(f"{name}, {candidate}: off {_EXACT}, root mean square", 100 * off, "%")


def _add_memory(report: Report, made: Mapping[str, Made], small: Path) -> None:
    cores = this_processor().cores
    dense = lipsync_memory.measure(made["dense"].exact, small, _EXACT, cores)
    pruned = lipsync_memory.measure(made["pruned"].int8, small, _SMALL, cores)
    for name, memory in ((f"dense, {_EXACT}", dense), (f"pruned, {_SMALL}", pruned)):
        report.add(f"{name}: memory of the process, at its highest", memory.peak, "MB")
        report.add(f"{name}: the network's part, at its highest", memory.added_peak, "MB")
        report.add(f"{name}: the network's part, running", memory.added, "MB")
    told = "pruned int8 against dense fp32"
    report.add(
        f"{told}, the network's part at its highest", pruned.added_peak / dense.added_peak, "of it", 0.2
    )
    report.add(f"{told}, the network's part running", pruned.added / dense.added, "of it")
    report.add(f"{told}, the whole process running", pruned.running / dense.running, "of it")
