"""Networks written as ONNX: a module, or a folder that the daemon opens.

Nothing is kept that computes otherwise than torch. A folder holds `model.json`, one ONNX file for each part,
and `plan.json` and `weights.safetensors` where the network was built from a plan. Needs the extra `prune`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from vcam_talker.core.disk import sync_file, sync_names
from vcam_talker.core.errors import ExitCode, VcamTalkerError
from vcam_talker.core.extras import how_to_install
from vcam_talker.nets.checkpoint import save_tensors
from vcam_talker.nets.fold import fold_batch_norm
from vcam_talker.nets.plan import plan_hash

OPSET: Final = 18
"""What ONNX Runtime 1.14, OpenVINO 2023 and TensorRT 8.6 know, and later ones."""
TOLERANCE: Final = 1e-4
"""Of the greatest difference between torch and ONNX Runtime, in units of the largest output or 1."""
MODEL_FILE: Final = "model.json"
_FORMAT: Final = 2
_ABANDONED_S: Final = 3600
"""No part takes so long: a half of a folder in which nothing was made since then is a killed process's."""


class ExportError(VcamTalkerError):
    """A network that can't be written as ONNX, or computes otherwise there."""

    exit_code = ExitCode.ENGINE


@dataclass(frozen=True, slots=True)
class Part:
    """One network of a folder."""

    module: nn.Module
    inputs: Mapping[str, Tensor]
    """Names and examples, batch first, in the order of the module's arguments."""
    outputs: Sequence[str]
    """Names, in the order of what the module returns."""


def export_module(
    module: nn.Module,
    example_inputs: Sequence[Tensor],
    input_names: Sequence[str],
    output_names: Sequence[str],
    path: Path,
    dynamic_batch: bool = True,
) -> float:
    """Write `module` as an ONNX file of OPSET with its weights inside and batch norms folded.

    Blocks for some ten seconds. Inputs and outputs are float tensors, batch first; the batch may have any
    size if `dynamic_batch`, else that of the examples. `module` is left as it is. `path` appears only whole
    and checked: returns the greatest difference between torch and ONNX Runtime, as a share of the largest
    output or of 1. Raises ExportError.
    """
    ready = _Positional(fold_batch_norm(module).float().cpu()).eval()
    examples = tuple(x.detach().float().cpu() for x in example_inputs)
    fed = tuple(_three(x) for x in examples) if dynamic_batch else examples
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _write(ready, fed, list(input_names), list(output_names), partial, dynamic_batch)
        difference = _difference(ready, fed, input_names, output_names, partial)
        if dynamic_batch:
            alone = tuple(x[:1] for x in examples)
            difference = max(difference, _difference(ready, alone, input_names, output_names, partial))
        if not difference <= TOLERANCE:
            why = f"differs by {difference:.1e} in ONNX Runtime; {TOLERANCE:.0e} is allowed"
            raise ExportError(f"export {path}", why, "Nothing was written; export another network")
        sync_file(partial)
        partial.replace(path)
    except OSError as e:
        raise ExportError(f"export {path}", f"can't be written ({e.strerror or e})") from e
    finally:
        partial.unlink(missing_ok=True)
    return difference


def export_folder(
    folder: Path,
    description: Mapping[str, Any],
    parts: Mapping[str, Part],
    *,
    net: nn.Module | None = None,
    plan: Mapping[str, Any] | None = None,
    replace: bool = False,
) -> dict[str, float]:
    """Write a model's folder: every part, and `model.json` with `description`, their hashes and the plan's.

    `description` holds what the daemon wants to know: kind, condition, label, size, region, trained_on. With
    `net` and its `plan`, weights and plan are put beside, so that the network can be pruned or run by torch.
    The folder appears only whole; one that is there is an error unless `replace`, and then only a model's
    folder is replaced. Killed at any moment, this leaves the old or the new model, all of it on the disk; for
    a moment under another name, which the next call gives back, as it removes what killed ones have left.
    Returns the difference of each part. Raises ExportError, CheckpointError.
    """
    _put_back(folder)
    if folder.exists() and not (replace and (folder / MODEL_FILE).is_file()):
        raise ExportError(f"model folder {folder}", "is there already", "Name another, or remove it")
    _remove_abandoned(folder)  # first: the disk may be full of it
    partial = _beside(folder, "part")
    try:
        partial.mkdir(parents=True)
        differences = {}
        for name, part in parts.items():
            file = partial / f"{name}.onnx"
            examples = list(part.inputs.values())
            differences[name] = export_module(part.module, examples, list(part.inputs), part.outputs, file)
        if net is not None:
            save_tensors(net, partial / "weights.safetensors")
        if plan is not None:
            write_json(partial / "plan.json", plan)
        hashed = {
            name: {"file": f"{name}.onnx", "sha256": sha256_of(partial / f"{name}.onnx")} for name in parts
        }
        model = {"format": _FORMAT, **description, "parts": hashed, "plan": plan_hash(plan) if plan else ""}
        write_json(partial / MODEL_FILE, model)
        _put_in_place(partial, folder)
    except OSError as e:
        raise ExportError(f"model folder {folder}", f"can't be written ({e.strerror or e})") from e
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return differences


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all, and on the disk before. Raises OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        sync_file(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class _Positional(nn.Module):
    """One signature for all: torch.export wants the dynamic sizes in the shape of the arguments' names."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Any:  # noqa: ANN401 (a tensor or a tuple of them)
        return self.module(*inputs)


def _three(example: Tensor) -> Tensor:
    """Return three unlike items: torch.export builds in a batch of 1, and like ones would hide mixing."""
    first = example[:1]
    return torch.cat([first, first.roll(1, -1), 0.5 * first])


def _write(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    input_names: list[str],
    output_names: list[str],
    path: Path,
    dynamic_batch: bool,
) -> None:
    try:
        import onnxscript  # noqa: F401 (torch's exporter imports it later, and tells less)
        import torch.onnx
    except ImportError as e:
        raise ExportError("export to ONNX", f"needs a package ({e})", how_to_install("prune")) from e
    sizes = (tuple({0: torch.export.Dim("batch")} for _ in inputs),) if dynamic_batch else None
    try:
        with _quiet():
            program = torch.onnx.export(
                module,
                inputs,
                input_names=input_names,
                output_names=output_names,
                opset_version=OPSET,
                dynamic_shapes=sizes,
                dynamo=True,
                verbose=False,
            )
        if program is None:
            raise ExportError("export to ONNX", "torch gave back nothing")
        model = program.model_proto
        _tidy(model)
        path.write_bytes(model.SerializeToString())
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, ValueError, TypeError) as e:
        why = f"the network can't be written ({' '.join(str(e).split())[:200]})"
        raise ExportError("export to ONNX", why) from e


def _tidy(model: Any) -> None:  # noqa: ANN401 (onnx.ModelProto; onnx is not imported for a type)
    """Name nodes that have weights by their layer, as in the state_dict; drop what tells of this machine.

    The exporter notes for every node which lines of which files it came from.
    """
    graph = model.graph
    weights = {i.name for i in graph.initializer}
    taken: set[str] = set()
    for node in graph.node:
        named = [i for i in node.input if i in weights and i.endswith(".weight")]
        layer = named[0].removeprefix("module.").removesuffix(".weight") if named else ""
        if layer and layer not in taken:
            node.name = layer
            taken.add(layer)
    for noted in (
        model,
        graph,
        *graph.node,
        *graph.initializer,
        *graph.value_info,
        *graph.input,
        *graph.output,
    ):
        del noted.metadata_props[:]
        noted.doc_string = ""


def _difference(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    input_names: Sequence[str],
    output_names: Sequence[str],
    path: Path,
) -> float:
    try:
        import onnxruntime
    except ImportError as e:
        raise ExportError("export to ONNX", f"needs a package ({e})", how_to_install("prune")) from e
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
        feeds = {n: x.numpy() for n, x in zip(input_names, inputs, strict=True)}
        found = session.run(list(output_names), feeds)
    except (RuntimeError, ValueError, onnxruntime.capi.onnxruntime_pybind11_state.Fail) as e:
        why = f"ONNX Runtime can't run it ({' '.join(str(e).split())[:200]})"
        raise ExportError(f"export {path}", why) from e
    with torch.inference_mode():
        made = module(*inputs)
    expected = [made] if isinstance(made, Tensor) else list(made)
    worst = 0.0
    for other, one in zip(found, expected, strict=True):
        exact = one.double().numpy()
        scale = max(1.0, float(np.abs(exact).max(initial=0.0)))
        difference = float(np.abs(other - exact).max(initial=0.0)) / scale
        worst = max(worst, difference) if np.isfinite(difference) else float("inf")
    return worst


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what torch's exporter tells about its own inside."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        registration.setLevel(level)


def _put_in_place(made: Path, folder: Path) -> None:
    """Rename `made` to `folder`; one that is there goes only when the new one stands in its place."""
    for file in made.iterdir():
        sync_file(file)
    sync_names(made)
    if not folder.exists():
        made.replace(folder)
        sync_names(folder.parent)
        return
    old = _beside(folder, "old")
    folder.replace(old)
    try:
        made.replace(folder)
    except OSError:
        with suppress(OSError):  # another process has put a model there meanwhile
            old.replace(folder)
        raise
    sync_names(folder.parent)
    _remove(old)


def _put_back(folder: Path) -> None:
    """Give a model back its name, which a process was killed before it could give to the new one."""
    if folder.exists():
        return
    for old in _left_behind(folder, "old"):
        if (old / MODEL_FILE).is_file():
            with suppress(OSError):  # another process was quicker
                old.replace(folder)
            return


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes have left: halves by age, for somebody may be at work on one right now."""
    before_s = time.time() - _ABANDONED_S
    for half in _left_behind(folder, "part"):
        with suppress(OSError):
            if half.stat().st_mtime < before_s:
                _remove(half)
    replaced = (folder / MODEL_FILE).is_file()
    for old in _left_behind(folder, "old"):
        if replaced or not (old / MODEL_FILE).is_file():
            _remove(old)


def _left_behind(folder: Path, what: str) -> list[Path]:
    """Return the folders that this or an earlier version has made beside `folder`, last made first."""
    named = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]+\.{what}")
    found: list[tuple[float, Path]] = []
    with suppress(OSError):
        there = [path for path in folder.parent.iterdir() if named.fullmatch(path.name) and path.is_dir()]
        found.extend((path.stat().st_mtime, path) for path in there)
    return [path for _, path in sorted(found, reverse=True)]


def _remove(folder: Path) -> None:
    """Remove a model, its MODEL_FILE first: half of one is never put back. What refuses stays."""
    with suppress(OSError):  # Windows: the daemon may have it open
        if folder.is_symlink():
            folder.unlink()
        else:
            (folder / MODEL_FILE).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f".{folder.name}.{token_hex(4)}.{what}")
