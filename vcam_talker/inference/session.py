"""What a session promises, whatever runs it, and the checks that hold every engine to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from vcam_talker.core.errors import EngineError
from vcam_talker.inference.memory import give_back_freed

Array = npt.NDArray[Any]
EngineName = Literal["ort", "openvino", "ort-openvino", "cuda", "tensorrt", "torch"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]
Shape = tuple[int, ...]

_WARM_RUNS: Final = 2
"""The first run allocates, the second finds what the first left."""


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a network."""

    name: str
    shape: tuple[int | None, ...]
    """None: any size. Of an output `()` may also mean that the file does not tell."""
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"'{self.name}' {self.dtype}{_shown(self.shape)}"

    def takes(self, shape: Shape) -> bool:
        """Tell whether an array of that shape fits."""
        return len(shape) == len(self.shape) and all(
            wanted in {None, given} for wanted, given in zip(self.shape, shape, strict=True)
        )

    def sized(self, shape: Shape | None = None) -> Port:
        """Return this port with sizes where it leaves them open: those of `shape`, else 1."""
        sizes = tuple(1 if n is None else n for n in self.shape) if shape is None else shape
        if not self.takes(sizes):
            raise EngineError(f"input {self}", f"can't have the shape {_shown(sizes)}")
        return replace(self, shape=sizes)


class Session(Protocol):
    """A network, ready to run.

    Used from one thread at a time; which one does not matter. Different sessions run beside each other.
    """

    @property
    def engine(self) -> EngineName:
        """What runs it."""
        ...

    @property
    def precision(self) -> Precision:
        """What it computes with, wherever the engine can."""
        ...

    @property
    def inputs(self) -> tuple[Port, ...]:
        """What `run` wants."""
        ...

    @property
    def outputs(self) -> tuple[Port, ...]:
        """What `run` returns."""
        ...

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return every output, as arrays of the caller's own. Blocks; changes no feed.

        Feeds need the dtype of their port, and its shape; they may be read-only or not contiguous. Raises
        EngineError: feeds that don't fit, an engine that fails, an output that is not finite.
        """
        ...

    def warm_up(self, shapes: Mapping[str, Shape] | None = None) -> None:
        """Run on zeros, so that the next run takes no longer than any other; sizes left open are 1.

        Blocks, with TensorRT for minutes when no engine is kept for these shapes. Raises EngineError.
        """
        ...

    def close(self) -> None:
        """Free memory; `run` raises EngineError from now on. Idempotent."""
        ...


class Runner(Protocol):
    """What one engine offers, freed when dropped: feeds were checked, and outputs will be."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def run(self, feeds: dict[str, Array]) -> dict[str, Array]:
        """Return every output. Feeds are contiguous. Raises EngineError."""
        ...


class CheckedSession:
    """The `Session` around any engine's runner."""

    def __init__(self, runner: Runner, engine: EngineName, precision: Precision, model: str) -> None:
        """`model` names the network in errors."""
        self.engine: EngineName = engine
        self.precision: Precision = precision
        self.inputs = runner.inputs
        self.outputs = runner.outputs
        self._runner: Runner | None = runner
        self._model = model

    def __repr__(self) -> str:
        return f"<{self._model} with {self.engine}, {self.precision}>"

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return every output. See `Session.run`."""
        if self._runner is None:
            raise EngineError(self._model, "its session is closed")
        outputs = self._runner.run(self._checked(feeds))
        for name, array in outputs.items():
            if array.dtype.kind == "f" and not _finite(array):
                raise EngineError(
                    self._model,
                    f"output '{name}' holds NaN or infinity ({self.engine}, {self.precision})",
                    "Its weights are damaged, or this number format is too small for it: try fp32",
                )
        return outputs

    def warm_up(self, shapes: Mapping[str, Shape] | None = None) -> None:
        """Run on zeros. See `Session.warm_up`."""
        feeds = zeros(self.inputs, shapes)
        for _ in range(_WARM_RUNS):
            made = self.run(feeds)
        give_back_freed()  # what the first run no longer needs of loading
        if all(None not in port.shape for port in self.inputs):
            self.outputs = tuple(replace(port, shape=made[port.name].shape) for port in self.outputs)

    def close(self) -> None:
        """Free memory. Idempotent."""
        self._runner = None

    def _checked(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        checked = {}
        for port in self.inputs:
            array = feeds.get(port.name)
            if array is None:
                raise self._misfed(f"input {port} is missing")
            if array.dtype != port.dtype or not port.takes(array.shape):
                raise self._misfed(f"input {port} was given {array.dtype}{_shown(array.shape)}")
            checked[port.name] = np.ascontiguousarray(array)
        if len(feeds) > len(checked):
            unknown = ", ".join(f"'{name}'" for name in feeds if name not in checked)
            raise self._misfed(f"it has no input {unknown}")
        return checked

    def _misfed(self, why: str) -> EngineError:
        return EngineError(self._model, why, f"It takes {', '.join(map(str, self.inputs))}")


def _finite(array: Array) -> bool:
    """Tell whether it holds neither NaN nor infinity."""
    return bool(np.isfinite(array).all())


def zeros(ports: tuple[Port, ...], shapes: Mapping[str, Shape] | None = None) -> dict[str, Array]:
    """Return zeros for every port; sizes left open are those of `shapes`, else 1. Raises EngineError."""
    sizes = shapes or {}
    feeds = {}
    for port in ports:
        sized = port.sized(sizes.get(port.name))
        feeds[port.name] = np.zeros([n or 0 for n in sized.shape], port.dtype)
    return feeds


def noise(ports: tuple[Port, ...], seed: int = 1) -> dict[str, Array]:
    """Return numbers in 0 .. 1 for every port (zeros where it takes no fractions); sizes left open are 1."""
    rng = np.random.default_rng(seed)
    feeds = zeros(ports)
    for array in feeds.values():
        if array.dtype.kind == "f":
            array[...] = rng.random(array.shape)
    return feeds


def _shown(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join('?' if n is None else str(n) for n in shape)}]"


def one_line(error: BaseException, limit: int = 160) -> str:
    """Return an error's text on one short line."""
    return " ".join(str(error).split())[:limit] or type(error).__name__
