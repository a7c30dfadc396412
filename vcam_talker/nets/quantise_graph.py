"""The graph of an ONNX network, as far as it tells which layers to quantise. Needs the package `onnx`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from vcam_talker.core.errors import ExitCode, VcamTalkerError
from vcam_talker.core.extras import how_to_install

_LAYERS: Final = ("Conv", "ConvTranspose", "Gemm", "MatMul")


class QuantiseError(VcamTalkerError):
    """A network that can't be quantised."""

    exit_code = ExitCode.ENGINE


def layer_names(onnx_path: Path) -> list[str]:
    """Return the names of the layers that have weights, in order. Raises QuantiseError."""
    return [n.name for n in _graph(onnx_path).node if n.op_type in _LAYERS]


def with_neighbours(path: Path, layers: set[str]) -> list[str]:
    """Return those layers and what lies between them, so that activations stay in 8 bits on the way.

    Raises QuantiseError.
    """
    nodes = list(_graph(path).node)
    makers = {out: n for n in nodes for out in n.output}
    joined = set(layers)
    for node in nodes:  # in order: what an activation, sum or concatenation gets is known by then
        if node.op_type in {"Relu", "Add", "Concat", "Slice"}:
            sources = [makers[i] for i in node.input if i in makers]
            if any(s.name in joined for s in sources):
                joined.add(node.name)
    return [n.name for n in nodes if n.name in joined]


def end_layers(path: Path) -> list[str]:
    """Return the layers that see an input of the network, and those behind which no other layer comes.

    Raises QuantiseError.
    """
    graph = _graph(path)
    inputs = {i.name for i in graph.input} - {i.name for i in graph.initializer}
    makers = {out: n for n in graph.node for out in n.output}
    layers = {n.name for n in graph.node if n.op_type in _LAYERS}
    first, followed = set(), set()
    for node in graph.node:
        before = _layers_before(node, makers, layers)
        if node.name in layers:
            followed |= before
            if not before and any(i in inputs for i in node.input):
                first.add(node.name)
    return [n.name for n in graph.node if n.name in first or n.name in layers - followed]


def _layers_before(node: Any, makers: Mapping[str, Any], layers: set[str]) -> set[str]:  # noqa: ANN401 (onnx)
    """Return the nearest layers that a node's inputs come from, through whatever has no weights."""
    found: set[str] = set()
    seen: set[str] = set()
    open_ends = list(node.input)
    while open_ends:
        maker = makers.get(open_ends.pop())
        if maker is None or maker.name in seen:
            continue
        seen.add(maker.name)
        if maker.name in layers:
            found.add(maker.name)
        else:
            open_ends += maker.input
    return found


def _graph(path: Path) -> Any:  # noqa: ANN401 (onnx.GraphProto; onnx is not imported for a type)
    try:
        import onnx
    except ImportError as e:
        raise QuantiseError("quantise", f"needs a package ({e})", how_to_install("prune")) from e
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except OSError as e:
        raise QuantiseError(f"quantise {path}", f"can't be read ({e.strerror or e})") from e
    except (ValueError, TypeError, RuntimeError, onnx.checker.ValidationError, _decode_error()) as e:
        raise QuantiseError(f"quantise {path}", f"is no ONNX file ({' '.join(str(e).split())[:120]})") from e
    return model.graph


def _decode_error() -> type[Exception]:
    """Return what protobuf, which has no type stubs, raises over damaged bytes."""
    found: type[Exception] = import_module("google.protobuf.message").DecodeError
    return found
