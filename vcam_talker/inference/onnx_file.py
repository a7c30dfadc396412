"""What an ONNX file is made of, read without any package: it may be damaged, or point out of its folder.

Only the structure is walked (protobuf wire format, field numbers of onnx.proto3); weights are skipped, so
that a file of any size takes milliseconds.
"""

from __future__ import annotations

import hashlib
import mmap
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vcam_talker.core.errors import EngineError
from vcam_talker.inference.session import Precision

_HOW: Final = "Export it again, or fetch it again"
_MAX_DEPTH: Final = 32
_BLOCK_BYTES: Final = 2**20
_QUANTISED: Final = frozenset(
    {b"QuantizeLinear", b"DequantizeLinear", b"QLinearConv", b"ConvInteger", b"MatMulInteger"}
)
_FLOAT16: Final = 10

_MODEL: Final = {7: "graph", 25: "function"}
_FUNCTION: Final = {7: "node"}
_GRAPH: Final = {1: "node", 5: "tensor", 15: "sparse"}
_NODE: Final = {5: "attribute"}
_ATTRIBUTE: Final = {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"}
_SPARSE: Final = {1: "tensor", 2: "tensor"}
_CHILDREN: Final = {
    "model": _MODEL,
    "function": _FUNCTION,
    "graph": _GRAPH,
    "node": _NODE,
    "attribute": _ATTRIBUTE,
    "sparse": _SPARSE,
    "tensor": {},
}
_OP_TYPE: Final = 4
_DATA_TYPE: Final = 2
_EXTERNAL_DATA: Final = 13
_INPUT, _OUTPUT, _NAME = 11, 12, 1


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A file that was looked through."""

    path: Path
    inputs: tuple[str, ...]
    """Names, in their order; weights may be among them."""
    outputs: tuple[str, ...]
    precision: Precision
    """`int8` when anything in it is quantised, `fp16` when it has weights in that, else `fp32`."""
    sha256: str
    """Of its bytes, and of those of the files that its weights lie in."""


def look_through(path: Path) -> OnnxFile:
    """Read the structure and the hash of an ONNX file.

    Raises EngineError when it is missing, no ONNX file or cut short, or keeps weights outside its folder.
    """
    if not path.is_file():
        raise EngineError(f"model {path}", "there is no such file", "Check the path")
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = _Walk(data)
            found.message("model", 0, len(data), 0)
    except (OSError, ValueError) as e:  # an empty file can't be mapped
        raise EngineError(f"model {path}", f"is no ONNX file, or damaged ({e})", _HOW) from None
    if not found.nodes:
        raise EngineError(f"model {path}", "is no ONNX file: there is no network in it", _HOW)
    outside = [_inside(path, location) for location in sorted(found.locations)]
    precision: Precision = "int8" if found.quantised else "fp16" if found.half else "fp32"
    return OnnxFile(
        path,
        tuple(found.inputs),
        tuple(found.outputs),
        precision,
        hash_files([path, *outside]),
    )


def hash_files(paths: list[Path]) -> str:
    """Return the SHA-256 of files one after the other, in hexadecimal. Raises EngineError."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
        except OSError as e:
            raise EngineError(f"model {path}", f"can't be read ({e.strerror or e})") from None
    return digest.hexdigest()


def _inside(path: Path, location: str) -> Path:
    """Return the file that weights lie in. Raises EngineError when that is none of the model's folder."""
    folder = path.resolve().parent
    place = (folder / location).resolve()
    if not place.is_relative_to(folder):
        raise EngineError(
            f"model {path}",
            f"wants weights from outside its folder ('{location[:80]}')",
            "Don't use it unless you know who made it",
        )
    if not place.is_file():
        raise EngineError(f"model {path}", f"lacks the file with its weights, '{location[:80]}'", _HOW)
    return place


class _Walk:
    """Goes through nested messages and keeps what matters."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.nodes = 0
        self.quantised = False
        self.half = False
        self.locations: set[str] = set()
        self.inputs: list[str] = []
        self.outputs: list[str] = []

    def message(self, kind: str, start: int, end: int, depth: int) -> None:
        """Walk one message. Raises ValueError when it is malformed."""
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        children = _CHILDREN[kind]
        self.nodes += kind == "node"
        for number, value, span in self._fields(start, end):
            if span is None:
                self.half |= kind == "tensor" and number == _DATA_TYPE and value == _FLOAT16
            elif number in children:
                self.message(children[number], *span, depth + 1)
            elif depth == 1 and kind == "graph" and number in {_INPUT, _OUTPUT}:
                (self.inputs if number == _INPUT else self.outputs).append(self._strings(*span)[_NAME])
            elif kind == "node" and number == _OP_TYPE:
                self.quantised |= self._data[slice(*span)] in _QUANTISED
            elif kind == "tensor" and number == _EXTERNAL_DATA:
                self._external(*span)

    def _external(self, start: int, end: int) -> None:
        pair = self._strings(start, end)
        if pair[1] == "location":
            self.locations.add(pair[2])

    def _strings(self, start: int, end: int) -> defaultdict[int, str]:
        """Return the fields of bytes as text; empty for what is missing. Raises ValueError."""
        found: defaultdict[int, str] = defaultdict(str)
        for number, _, span in self._fields(start, end):
            if span:
                found[number] = self._data[slice(*span)].decode("utf-8", errors="replace")
        return found

    def _fields(self, start: int, end: int) -> Iterator[tuple[int, int, tuple[int, int] | None]]:
        """Yield number, value and, of bytes and messages, place of each field."""
        at = start
        while at < end:
            tag, at = self._varint(at, end)
            number, wire = tag >> 3, tag & 7
            if not number:
                raise ValueError("a field without a number")
            value, span = 0, None
            match wire:
                case 0:
                    value, at = self._varint(at, end)
                case 1:
                    at += 8
                case 2:
                    value, at = self._varint(at, end)
                    span = (at, at + value)
                    at += value
                case 5:
                    at += 4
                case _:
                    raise ValueError("a field of no known kind")
            if at > end:
                raise ValueError("cut short")
            yield number, value, span

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise ValueError("cut short")
            byte = self._data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
        raise ValueError("a number without an end")
