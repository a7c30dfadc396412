"""Checks of what networks run with: engines that are there, those taken and left out. Loads none."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Iterator
from typing import Final

from vcam_talker.config import Config
from vcam_talker.core.extras import how_to_install
from vcam_talker.doctor.finding import Finding, Machine
from vcam_talker.doctor.software import installed_version
from vcam_talker.inference.candidates import ranked
from vcam_talker.inference.choice import Answer, inference_cache, recall_all
from vcam_talker.inference.engines import ENGINES, ORT_BUILDS
from vcam_talker.inference.gpu import gpu_name
from vcam_talker.inference.processor import Processor, this_processor

_AREA = "networks"
_SHOWN = 4
"""Models whose engines are told."""
_BY_CHANCE: Final = 3
"""An engine that fails more often in a row does so on a machine at rest, too: nothing is left to be done."""


def check_inference(_config: Config, machine: Machine) -> list[Finding]:
    """Look which engines can run networks, what `auto` would take, what is missing. Measures nothing."""
    processor = this_processor(machine.root)
    usable = [engine for engine in ENGINES if engine.lacks() is None]
    if not usable:
        message = "nothing runs networks here: mouths are made of interpolated shapes"
        return [Finding(_AREA, "warn", message, how_to_install("lips"))]
    shown = ", ".join(f"{engine.name} ({engine.package})" for engine in usable)
    bf16 = ", computes bfloat16" if processor.computes_bfloat16 else ""
    found = [Finding(_AREA, "ok", f"{shown}; {processor.name}: {processor.family}{bf16}")]
    return [*found, *_conflicts(), *_missing(usable={e.name for e in usable}), *_chosen(processor)]


def _conflicts() -> list[Finding]:
    builds = [name for name in ORT_BUILDS if installed_version(name)]
    if len(builds) < 2:
        return []
    message = f"{' and '.join(builds)} overwrite each other's files: which one runs is chance"
    remedy = f"pip uninstall {' '.join(builds)}; then install the one that is wanted"
    return [Finding(_AREA, "warn", message, remedy)]


def _missing(usable: set[str]) -> list[Finding]:
    """Tell of what would be faster, and could be had here."""
    gpu = gpu_name()
    if gpu and "cuda" not in usable:
        message = f"{gpu} is there, and onnxruntime-gpu is not: the processor does its work"
        return [Finding(_AREA, "warn", message, how_to_install("gpu"))]
    if not usable & {"openvino", "ort-openvino", "cuda"}:
        message = f"without OpenVINO, which is often faster. {how_to_install('openvino')}"
        return [Finding(_AREA, "ok", message)]
    return []


def _chosen(processor: Processor) -> list[Finding]:
    """Tell what was measured to be best, of the newest models, and what was left out for a fault."""
    newest: dict[str, Answer] = {}
    for answer in recall_all(inference_cache(), processor):
        if len(newest) < _SHOWN and ranked(answer.measured):
            newest.setdefault(answer.question.name, answer)
    if not newest:
        return [Finding(_AREA, "ok", "which engine is fastest is measured when a network is first opened")]
    shown = []
    for name, answer in newest.items():
        best = ranked(answer.measured)[0]
        run_ms = next(m.run_ms for m in answer.measured if m.candidate == best)
        shown.append(f"{name} with {best}, {run_ms:.1f} ms")
    found = [Finding(_AREA, "ok", f"measured here, taken by auto: {'; '.join(shown)}")]
    return [*found, *(fault for each in newest.items() for fault in _left_out(*each))]


def _left_out(name: str, answer: Answer) -> Iterator[Finding]:
    """Tell of engines that could not be measured, or drew other pictures."""
    for measured in answer.measured:
        if not measured.fault:
            continue
        again = f", {_again(answer)}" if measured.tries else ""
        message = f"{name} without {measured.candidate}{again}: {measured.fault}"
        if measured.passing and measured.tries <= _BY_CHANCE:
            folder = shlex.quote(str(inference_cache()))
            remedy = f"To measure anew at the next start, with the machine at rest: rm {folder}/*.json"
            yield Finding(_AREA, "warn", message, remedy)
        else:
            yield Finding(_AREA, "ok", message)


def _again(answer: Answer) -> str:
    now_s = time.time()
    if answer.again_s is None or answer.is_due(now_s):
        return "which the next start tries again"
    return f"which a start tries again in {math.ceil((answer.again_s - now_s) / 3600)} h"
