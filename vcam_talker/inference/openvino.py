"""OpenVINO's own runtime, on the processor."""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vcam_talker.core.errors import EngineError
from vcam_talker.core.extras import how_to_install
from vcam_talker.inference.model import Request
from vcam_talker.inference.onnx_file import OnnxFile
from vcam_talker.inference.session import Array, EngineName, Port, one_line

if TYPE_CHECKING:
    from openvino import CompiledModel, ConstOutput

_TELEMETRY: Final = "openvino_telemetry"
_importing = threading.Lock()


class OpenVinoRunner:
    """One compiled model and one request."""

    def __init__(self, compiled: CompiledModel, file: OnnxFile, label: str) -> None:
        """`compiled` was made of `file`."""
        # A tensor has several names where nodes were merged: only the file tells which one is meant.
        inputs = (_port(port, port.get_names().intersection(file.inputs)) for port in compiled.inputs)
        self.inputs = tuple(sorted(inputs, key=lambda port: file.inputs.index(port.name)))
        self.outputs = tuple(
            _port(port, {name}) for port, name in zip(compiled.outputs, file.outputs, strict=True)
        )
        self._request = compiled.create_infer_request()
        self._label = label

    def run(self, feeds: dict[str, Array]) -> dict[str, Array]:
        """Return every output. Raises EngineError."""
        try:
            # Copied below: copies of its own take longer.
            outputs = self._request.infer(feeds, share_inputs=True, share_outputs=True)
        except (RuntimeError, MemoryError) as e:
            raise EngineError(self._label, f"fails in OpenVINO ({one_line(e)})") from e
        return {
            port.name: np.array(array) for port, array in zip(self.outputs, outputs.values(), strict=True)
        }


def open_runner(request: Request, engine: EngineName) -> OpenVinoRunner:
    """Compile the model. Raises EngineError."""
    openvino = import_library(engine)
    file = request.file("int8" if request.precision == "int8" else "fp32")
    try:
        core = openvino.Core()
        model = core.read_model(str(file.path))
        if request.shapes:
            model.reshape(request.shapes)
        compiled = core.compile_model(model, "CPU", _settings(request))
    except (RuntimeError, TypeError, MemoryError) as e:
        raise EngineError(
            f"model {file.path}", f"can't be loaded with engine '{engine}' ({one_line(e)})"
        ) from e
    return OpenVinoRunner(compiled, file, request.model.label)


def import_library(engine: EngineName) -> ModuleType:
    """Return `openvino`, without the package that reports every import of it over the network.

    It goes on with a stand-in when that package is missing, which is what it is told here. Raises
    EngineError.
    """
    with _importing:
        there = sys.modules.get(_TELEMETRY)
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
        try:
            return import_module("openvino")
        except (ImportError, OSError) as e:
            raise EngineError(
                f"engine '{engine}'",
                f"openvino can't be imported ({one_line(e)})",
                how_to_install("openvino"),
            ) from e
        finally:
            if there is None:
                del sys.modules[_TELEMETRY]
            else:
                sys.modules[_TELEMETRY] = there


def _settings(request: Request) -> dict[str, Any]:
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": request.threads,
        "INFERENCE_PRECISION_HINT": "bf16" if request.precision == "bf16" else "f32",
        # Threads tied to a core stand still when the pacer takes it.
        "ENABLE_CPU_PINNING": False,
    }


def _port(port: ConstOutput, names: set[str]) -> Port:
    shape = port.get_partial_shape()
    sizes = tuple(n.get_length() if n.is_static else None for n in shape) if shape.rank.is_static else ()
    return Port(min(names), sizes, np.dtype(port.get_element_type().to_dtype()))
