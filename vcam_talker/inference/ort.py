"""ONNX Runtime: on the processor, through OpenVINO, and on NVIDIA GPUs with CUDA or TensorRT."""

from __future__ import annotations

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
from vcam_talker.inference.session import Array, EngineName, Port, one_line, zeros
from vcam_talker.inference.tensorrt_cache import ProviderError, open_built, tensorrt_folder

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
    if engine != "tensorrt":
        return _open(onnxruntime, request, engine, None)
    built = tensorrt_folder(request, onnxruntime.__version__, tensorrt_version(), gpu_name())
    return open_built(built, lambda folder: _run_once(_open(onnxruntime, request, engine, folder)))


def _open(onnxruntime: ModuleType, request: Request, engine: EngineName, built: Path | None) -> OrtRunner:
    """Load the model; `built`: the folder of TensorRT's engine. Raises EngineError."""
    stored = request.precision if request.precision in {"int8", "fp16"} and engine != "tensorrt" else "fp32"
    path = request.file(stored).path
    try:
        session = onnxruntime.InferenceSession(
            str(path),
            sess_options=_options(onnxruntime, request),
            providers=_providers(engine, request, built),
            # Another provider in the place of one that fails, and a print of it, is not what was asked for.
            enable_fallback=0,
        )
    except Exception as e:  # ONNX Runtime raises bare Exception and RuntimeError
        raise EngineError(f"model {path}", f"can't be loaded with engine '{engine}' ({one_line(e)})") from e
    wanted = _PROVIDERS[engine]
    if wanted not in session.get_providers():
        # A provider that can't start is passed over in silence, and the processor would do its work.
        why = f"{wanted} can't start: libraries of its are missing, or made for another version"
        raise ProviderError(f"engine '{engine}'", why, "See onnxruntime.ai for the versions that go together")
    return OrtRunner(session, request)


def _run_once(runner: OrtRunner) -> OrtRunner:
    """Return the runner when it has run: engines for sizes left open are built, or read, by then only."""
    runner.run(zeros(runner.inputs))
    return runner


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
    # The processor's arena keeps what loading took, 30 MB of a large network, and is no quicker than malloc.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    return options


def _providers(engine: EngineName, request: Request, built: Path | None) -> list[str | Provider]:
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
        case "tensorrt" if built is not None:
            return [(_PROVIDERS[engine], _tensorrt(request, built)), (_PROVIDERS["cuda"], {})]
        case _:
            return [_PROVIDERS[engine]]


def _tensorrt(request: Request, built: Path) -> dict[str, str]:
    options = {
        "trt_fp16_enable": str(request.precision == "fp16"),
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(built),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(built),
    }
    if request.shapes:
        profile = ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in request.shapes.items())
        options |= dict.fromkeys(
            ("trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_profile_max_shapes"), profile
        )
    return options


def _port(node: NodeArg, label: str) -> Port:
    kind = str(node.type).removeprefix("tensor(").removesuffix(")")
    if kind not in _DTYPES:
        raise EngineError(label, f"'{node.name}' is a {node.type}, and tensors of numbers are understood")
    shape = tuple(n if isinstance(n, int) else None for n in node.shape)
    return Port(node.name, shape, np.dtype(_DTYPES[kind]))
