"""The engines: what each one needs, and which number formats it computes with.

Nothing heavy is imported to tell: packages are looked up, and imported only when a session opens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Literal

from vcam_talker.core.errors import EngineError
from vcam_talker.core.extras import how_to_install
from vcam_talker.inference.gpu import gpu_name
from vcam_talker.inference.model import Model, Request
from vcam_talker.inference.processor import Processor
from vcam_talker.inference.session import EngineName, Precision, Runner

EngineChoice = EngineName | Literal["auto"]
PrecisionChoice = Precision | Literal["auto"]

EXACTNESS: Final[tuple[Precision, ...]] = ("fp32", "fp16", "bf16", "int8")
"""The most exact first."""
ORT_BUILDS: Final = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")
"""All are the module `onnxruntime`; only one of them can be installed."""


@dataclass(frozen=True, slots=True)
class Engine:
    """One row of the table."""

    name: EngineName
    module: str
    """Holds `open_runner(Request, EngineName) -> Runner` and `import_library(EngineName)`."""
    packages: tuple[str, ...]
    """Distributions, any of which will do."""
    remedy: str
    on_gpu: bool = False

    @property
    def package(self) -> str:
        """Return the installed distribution with its version, `openvino 2026.4.1`; empty without one."""
        found = ((name, installed_version(name)) for name in self.packages)
        return next((f"{name} {number}" for name, number in found if number), "")

    def lacks(self) -> EngineError | None:
        """Return what is missing on this machine, as far as that shows without importing; None: nothing."""
        if not self.package:
            return EngineError(
                f"engine '{self.name}'", f"needs {self.packages[0]}, which is not installed", self.remedy
            )
        if self.on_gpu and not gpu_name():
            return EngineError(f"engine '{self.name}'", "there is no NVIDIA GPU here, or no driver for it")
        return None

    def precisions(self, model: Model, processor: Processor) -> tuple[Precision, ...]:
        """Return the number formats in which it can run this model here, the most exact first."""
        able = _ABLE[self.name](model, processor)
        return tuple(p for p in EXACTNESS if p in able)

    def load(self) -> None:
        """Import its library, which `open` does by itself. Raises EngineError."""
        import_module(self.module).import_library(self.name)

    def open(self, request: Request) -> Runner:
        """Load the model; blocks. Raises EngineError: missing packages, a model or provider that fails."""
        opened: Runner = import_module(self.module).open_runner(request, self.name)
        return opened


_PACKAGE: Final = "vcam_talker.inference"
ENGINES: Final[tuple[Engine, ...]] = (
    Engine("ort", f"{_PACKAGE}.ort", ORT_BUILDS, how_to_install("lips")),
    Engine("openvino", f"{_PACKAGE}.openvino", ("openvino",), how_to_install("openvino")),
    Engine(
        "ort-openvino",
        f"{_PACKAGE}.ort",
        ("onnxruntime-openvino",),
        "Install it in onnxruntime's place: pip uninstall onnxruntime; pip install onnxruntime-openvino",
    ),
    Engine("cuda", f"{_PACKAGE}.ort", ("onnxruntime-gpu",), how_to_install("gpu"), on_gpu=True),
    Engine("tensorrt", f"{_PACKAGE}.ort", ("onnxruntime-gpu",), how_to_install("gpu"), on_gpu=True),
    Engine("torch", f"{_PACKAGE}.torch", ("torch",), how_to_install("prune")),
)
"""In the order in which one is preferred to another that is no slower."""


def find_engine(name: EngineName) -> Engine:
    """Return the row of that name. Raises EngineError."""
    for engine in ENGINES:
        if engine.name == name:
            return engine
    raise EngineError(
        f"engine '{name}'", "there is none of that name", f"There are {', '.join(e.name for e in ENGINES)}"
    )


def installed_version(distribution: str) -> str:
    """Return the version of an installed distribution, without importing it; empty when there is none."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def versions() -> dict[str, str]:
    """Return the installed packages that engines are made of, with their versions."""
    names = sorted({name for engine in ENGINES for name in engine.packages})
    return {name: number for name in names if (number := installed_version(name))}


def _as_stored(model: Model, _processor: Processor) -> set[Precision]:
    return {p for p in model.onnx if p in {"fp32", "int8"}}


def _openvino(model: Model, processor: Processor) -> set[Precision]:
    able = _as_stored(model, processor)
    return able | {"bf16"} if "fp32" in model.onnx and processor.computes_bfloat16 else able


def _cuda(model: Model, _processor: Processor) -> set[Precision]:
    return {p for p in model.onnx if p in {"fp32", "fp16"}}


def _tensorrt(model: Model, _processor: Processor) -> set[Precision]:
    return {"fp32", "fp16"} if "fp32" in model.onnx else set()


def _torch(model: Model, _processor: Processor) -> set[Precision]:
    return {"fp32"} if model.torch else set()


_ABLE: Final[dict[EngineName, Callable[[Model, Processor], set[Precision]]]] = {
    "ort": _as_stored,
    "openvino": _openvino,
    "ort-openvino": _openvino,
    "cuda": _cuda,
    "tensorrt": _tensorrt,
    "torch": _torch,
}
