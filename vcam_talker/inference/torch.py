"""torch: the network itself, from its channel plan and weights; for what was not exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vcam_talker.core.errors import EngineError, VcamTalkerError
from vcam_talker.core.extras import how_to_install
from vcam_talker.inference.model import PLAN, WEIGHTS, Request, TorchFolder
from vcam_talker.inference.session import Array, EngineName, Port, one_line

if TYPE_CHECKING:
    from torch import nn

Plan = dict[str, Any]
_FLOAT32: Final = np.dtype(np.float32)


@dataclass(frozen=True, slots=True)
class Net:
    """One network of `vcam_talker.nets`, which is imported when it is built."""

    module: str
    builder: str
    """Class with `from_plan(plan)`, whose `forward` takes the inputs in their order."""
    inputs: Callable[[Plan], dict[str, tuple[int | None, ...]]]
    outputs: tuple[str, ...]


def _wav2lip(plan: Plan) -> dict[str, tuple[int | None, ...]]:
    return {"mel": (None, 1, 80, 16), "face": (None, 6, plan["size"], plan["size"])}


def _lips(plan: Plan) -> dict[str, tuple[int | None, ...]]:
    rows, columns = plan["size"]
    return {"rest": (None, 3, rows, columns), "other": (None, 3, rows, columns), "pose": (None, 7)}


NETS: Final[dict[str, Net]] = {
    "lips": Net("vcam_talker.nets.lips", "LipsNet", _lips, ("flow", "shade", "alpha", "paint")),
    "wav2lip": Net("vcam_talker.nets.wav2lip", "Wav2Lip", _wav2lip, ("picture",)),
}
"""By `net` of the plan."""


class TorchRunner:
    """One module in evaluation mode, in float32 on the processor."""

    def __init__(self, module: nn.Module, net: Net, plan: Plan, request: Request) -> None:
        """Raise EngineError when the module can't make anything."""
        self._module = module
        self._label = request.model.label
        shapes = request.shapes or {}
        ports = (Port(name, shape, _FLOAT32) for name, shape in net.inputs(plan).items())
        self.inputs = tuple(port.sized(shapes.get(port.name)) if shapes else port for port in ports)
        self._names = net.outputs
        self.outputs = self._find_outputs()

    def run(self, feeds: dict[str, Array]) -> dict[str, Array]:
        """Return every output. Raises EngineError."""
        import torch

        try:
            # A copy: torch warns of memory that must not be written to.
            tensors = [torch.tensor(feeds[port.name]) for port in self.inputs]
            with torch.inference_mode():
                made = self._module(*tensors)
        except (RuntimeError, MemoryError) as e:
            raise EngineError(self._label, f"fails in torch ({one_line(e)})") from e
        outputs = made if isinstance(made, tuple) else (made,)
        return {name: output.numpy() for name, output in zip(self._names, outputs, strict=True)}

    def _find_outputs(self) -> tuple[Port, ...]:
        """Run once; what is open in every input is open in the outputs' first size."""
        open_batch = all(port.shape[0] is None for port in self.inputs)
        feeds = {p.name: np.zeros([n or 1 for n in p.shape], p.dtype) for p in self.inputs}
        return tuple(
            Port(name, (None if open_batch else array.shape[0], *array.shape[1:]), array.dtype)
            for name, array in self.run(feeds).items()
        )


def open_runner(request: Request, engine: EngineName) -> TorchRunner:
    """Build the network and load its weights. Raises EngineError.

    The number of threads is torch's own for the whole process, and is set here.
    """
    folder = request.model.torch
    if folder is None:
        raise EngineError(request.model.label, f"engine '{engine}' wants a folder with {PLAN} and {WEIGHTS}")
    torch = import_library(engine)
    torch.set_num_threads(request.threads)
    plan = _read_plan(folder)
    net = NETS.get(str(plan.get("net")))
    if net is None:
        why = f"{PLAN} names the net '{str(plan.get('net'))[:40]}'"
        raise EngineError(f"model {folder.path}", why, f"Those known are {', '.join(NETS)}")
    try:
        module = getattr(import_module(net.module), net.builder).from_plan(plan)
    except VcamTalkerError as e:
        raise EngineError(f"model {folder.path}", f"{PLAN}: {e.what} {e.why}", e.remedy) from e
    except (ValueError, KeyError, TypeError) as e:
        raise EngineError(f"model {folder.path}", f"{PLAN} can't be used ({one_line(e)})") from e
    try:
        module.load_state_dict(import_module("safetensors.torch").load_file(folder.path / WEIGHTS))
    except Exception as e:  # safetensors has an Exception of its own for damaged files
        raise EngineError(f"model {folder.path}", f"{WEIGHTS} can't be loaded ({one_line(e)})") from e
    return TorchRunner(module.eval(), net, plan, request)


def import_library(engine: EngineName) -> ModuleType:
    """Return `torch`; seconds. Raises EngineError."""
    try:
        import_module("safetensors.torch")
        return import_module("torch")
    except (ImportError, OSError) as e:  # a library may be missing or of another system
        what = f"engine '{engine}'"
        why = f"needs torch and safetensors, which can't be imported ({one_line(e)})"
        raise EngineError(what, why, how_to_install("prune")) from e


def _read_plan(folder: TorchFolder) -> Plan:
    try:
        plan = json.loads((folder.path / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise EngineError(f"model {folder.path}", f"{PLAN} is damaged ({one_line(e)})") from e
    if not isinstance(plan, dict):
        raise EngineError(f"model {folder.path}", f"{PLAN} holds no channel plan")
    return plan
