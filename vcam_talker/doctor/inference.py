"""Checks of what networks run with: the engines that are there, and the one that is taken. Loads none."""

from __future__ import annotations

from vcam_talker.config import Config
from vcam_talker.core.extras import how_to_install
from vcam_talker.doctor.finding import Finding, Machine
from vcam_talker.doctor.software import installed_version
from vcam_talker.inference.candidates import ranked
from vcam_talker.inference.choice import inference_cache, recall_all
from vcam_talker.inference.engines import ENGINES, ORT_BUILDS
from vcam_talker.inference.gpu import gpu_name
from vcam_talker.inference.processor import Processor, this_processor

_AREA = "networks"
_SHOWN = 4
"""Models whose engines are told."""


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
    """Tell what was measured to be best, of the newest models."""
    found: dict[str, str] = {}
    for name, measured in recall_all(inference_cache(), processor):
        best = ranked(measured)
        if name not in found and best and len(found) < _SHOWN:
            run_ms = next(m.run_ms for m in measured if m.candidate == best[0])
            found[name] = f"{name} with {best[0]}, {run_ms:.1f} ms"
    if not found:
        return [Finding(_AREA, "ok", "which engine is fastest is measured when a network is first opened")]
    return [Finding(_AREA, "ok", f"measured here, taken by auto: {'; '.join(found.values())}")]
