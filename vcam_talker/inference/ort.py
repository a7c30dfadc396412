"""ONNX Runtime: on the processor, through OpenVINO, and on NVIDIA GPUs with CUDA or TensorRT."""

from __future__ import annotations

import hashlib
import json
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

import numpy as np

from vcam_talker.core.errors import EngineError
from vcam_talker.core.extras import how_to_install
from vcam_talker.inference.gpu import gpu_name, tensorrt_version
from vcam_talker.inference.model import Request
from vcam_talker.inference.session import Array, EngineName, Port, one_line

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg, SessionOptions

_PROVIDERS: Final[dict[str, str]] = {
    "ort": "CPUExecutionProvider",
    "ort-openvino": "OpenVINOExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_ONLY_FATAL: Final = 4
"""Log level: what fails is raised as well, and must be told once."""
_DTYPES: Final = {
    "float": np.float32,
    "float16": np.float16,
    "double": np.float64,
    "int64": np.int64,
    "int32": np.int32,
    "uint8": np.uint8,
    "int8": np.int8,
    "bool": np.bool_,
}

Provider = tuple[str, dict[str, str]]


class OrtRunner:
    """One `InferenceSession`."""

    def __init__(self, session: InferenceSession, request: Request) -> None:
        """`session`: an `onnxruntime.InferenceSession`. Raises EngineError."""
        label = request.model.label
        inputs = tuple(_port(node, label) for node in session.get_inputs())
        if request.shapes:
            inputs = tuple(port.sized(request.shapes.get(port.name)) for port in inputs)
        self.inputs = inputs
        self.outputs = tuple(_port(node, label) for node in session.get_outputs())
        self._names = [port.name for port in self.outputs]
        self._session = session
        self._label = label

    def run(self, feeds: dict[str, Array]) -> dict[str, Array]:
        """Return every output. Raises EngineError."""
        try:
            outputs = self._session.run(self._names, feeds)
        except Exception as e:  # ONNX Runtime raises bare Exception and RuntimeError
            raise EngineError(self._label, f"fails in ONNX Runtime ({one_line(e)})") from e
        return dict(zip(self._names, outputs, strict=True))


def open_runner(request: Request, engine: EngineName) -> OrtRunner:
    """Load the model with one provider. Raises EngineError, also when the provider can't start."""
    onnxruntime = import_library(engine)
    wanted = _PROVIDERS[engine]
    if wanted not in onnxruntime.get_available_providers():
        raise EngineError(
            f"engine '{engine}'",
            f"this build of ONNX Runtime ({onnxruntime.__version__}) has no {wanted}",
            how_to_install("gpu")
            if engine in {"cuda", "tensorrt"}
            else "Install onnxruntime-openvino in its place",
        )
    stored = request.precision if request.precision in {"int8", "fp16"} and engine != "tensorrt" else "fp32"
    path = request.file(stored).path
    try:
        session = onnxruntime.InferenceSession(
            str(path),
            sess_options=_options(onnxruntime, request),
            providers=_providers(engine, request, onnxruntime.__version__),
        )
    except Exception as e:  # ONNX Runtime raises bare Exception and RuntimeError
        raise EngineError(f"model {path}", f"can't be loaded with engine '{engine}' ({one_line(e)})") from e
    if wanted not in session.get_providers():
        # A provider that can't start is passed over in silence, and the processor would do its work.
        why = f"{wanted} can't start: libraries of its are missing, or made for another version"
        raise EngineError(f"engine '{engine}'", why, "See onnxruntime.ai for the versions that go together")
    return OrtRunner(session, request)


def import_library(engine: EngineName) -> ModuleType:
    """Return `onnxruntime`. Raises EngineError."""
    try:
        onnxruntime = import_module("onnxruntime")
    except (ImportError, OSError) as e:
        raise EngineError(
            f"engine '{engine}'", f"onnxruntime can't be imported ({one_line(e)})", how_to_install("lips")
        ) from e
    if engine in {"cuda", "tensorrt"} and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # CUDA's and cuDNN's, where pip has put them
    return onnxruntime


def _options(onnxruntime: ModuleType, request: Request) -> SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = request.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ONLY_FATAL
    # Threads that wait for work burn no processor: the pacer and the voice live on the same cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def _providers(engine: EngineName, request: Request, version: str) -> list[str | Provider]:
    match engine:
        case "ort-openvino":
            hint = "bf16" if request.precision == "bf16" else "f32"
            settings = {
                "INFERENCE_PRECISION_HINT": hint,
                "INFERENCE_NUM_THREADS": str(request.threads),
                "ENABLE_CPU_PINNING": "NO",
            }
            return [
                (_PROVIDERS[engine], {"device_type": "CPU", "load_config": json.dumps({"CPU": settings})})
            ]
        case "cuda":
            # TF32 would be 10 bits of fraction under the name of fp32.
            return [(_PROVIDERS[engine], {"use_tf32": "0", "arena_extend_strategy": "kSameAsRequested"})]
        case "tensorrt":
            return [(_PROVIDERS[engine], _tensorrt(request, version)), (_PROVIDERS["cuda"], {})]
        case _:
            return [_PROVIDERS[engine]]


def _tensorrt(request: Request, ort_version: str) -> dict[str, str]:
    folder = tensorrt_folder(request, ort_version, tensorrt_version(), gpu_name())
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "trt_fp16_enable": str(request.precision == "fp16"),
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
    }
    if request.shapes:
        profile = ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in request.shapes.items())
        options |= dict.fromkeys(
            ("trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_profile_max_shapes"), profile
        )
    return options


def tensorrt_folder(request: Request, ort_version: str, trt_version: str, gpu: str) -> Path:
    """Return where TensorRT keeps engine and timings: another folder for whatever makes another engine.

    ONNX Runtime names engines by the graph, and has used one again for the same graph with another static
    shape (onnxruntime issue 32254).
    """
    key = [
        request.model.sha256,
        sorted((request.shapes or {}).items()),
        request.precision,
        ort_version,
        trt_version,
        gpu,
    ]
    return request.cache / "tensorrt" / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]


def _port(node: NodeArg, label: str) -> Port:
    kind = str(node.type).removeprefix("tensor(").removesuffix(")")
    if kind not in _DTYPES:
        raise EngineError(label, f"'{node.name}' is a {node.type}, and tensors of numbers are understood")
    shape = tuple(n if isinstance(n, int) else None for n in node.shape)
    return Port(node.name, shape, np.dtype(_DTYPES[kind]))
