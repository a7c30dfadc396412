"""The network that is to be run, in every form that there is of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vcam_talker.core.errors import EngineError
from vcam_talker.inference.onnx_file import OnnxFile, hash_files, look_through
from vcam_talker.inference.session import Precision, Shape

PLAN: Final = "plan.json"
WEIGHTS: Final = "weights.safetensors"


@dataclass(frozen=True, slots=True)
class TorchFolder:
    """A channel plan and weights, for `vcam_talker.nets`."""

    path: Path
    sha256: str
    """Of both files."""


@dataclass(frozen=True, slots=True)
class Model:
    """One network; its forms hold the same function and differ in number format."""

    path: Path
    """As it was asked for."""
    onnx: dict[Precision, OnnxFile]
    """By what their weights are stored in."""
    torch: TorchFolder | None

    @property
    def label(self) -> str:
        """Return how errors and logs name it."""
        return f"model {self.path}"

    @property
    def forms(self) -> list[str]:
        """Return in words what there is of it."""
        return [f"ONNX in {p}" for p in self.onnx] + (["plan and weights"] if self.torch else [])

    @property
    def sha256(self) -> str:
        """Return the hash of all forms, in hexadecimal."""
        parts = [f"{precision} {file.sha256}" for precision, file in sorted(self.onnx.items())]
        parts += [f"torch {self.torch.sha256}"] if self.torch else []
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Request:
    """What an engine is asked to open."""

    model: Model
    precision: Precision
    threads: int
    shapes: dict[str, Shape] | None
    """The only shapes that will be fed; None: any that the network takes."""
    cache: Path
    """Folder for what an engine compiles."""

    def file(self, *stored: Precision) -> OnnxFile:
        """Return the first form that is stored in one of these. Raises EngineError."""
        for precision in stored:
            if precision in self.model.onnx:
                return self.model.onnx[precision]
        raise EngineError(self.model.label, f"there is no ONNX file of it in {' or '.join(stored)}")


def find_model(path: Path, variants: Sequence[Path] = ()) -> Model:
    """Look through an ONNX file, or a folder with plan and weights, and other forms of the same network.

    Reads every file once. Raises EngineError: a form that is missing, damaged, or wants weights from outside
    its folder.
    """
    onnx: dict[Precision, OnnxFile] = {}
    torch = None
    for form in (path, *variants):
        if form.is_dir():
            files = [form / PLAN, form / WEIGHTS]
            if lacking := [file.name for file in files if not file.is_file()]:
                raise EngineError(
                    f"model {form}", f"lacks {' and '.join(lacking)}", "Name an ONNX file, or a whole folder"
                )
            torch = torch or TorchFolder(form, hash_files(files))
        else:
            file = look_through(form)
            onnx.setdefault(file.precision, file)
    return Model(path, onnx, torch)
