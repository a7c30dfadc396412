"""A small network with random weights, two inputs and two outputs, in every form that an engine takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.small_torch_net import HEIGHT, POSE, WIDTH, random_weights
from vcam_talker.inference import torch as torch_engine

Array = np.ndarray[Any, Any]
PLAN = {"format": 1, "net": "small", "channels": 8}
ROW = torch_engine.Net(
    "tests.support.small_torch_net",
    "SmallNet",
    lambda _plan: {"picture": (None, 3, HEIGHT, WIDTH), "pose": (None, POSE)},
    ("drawn", "shares"),
)
"""Its row in the torch engine's table."""


def feeds(batch: int = 1, seed: int = 5) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {
        "picture": rng.random((batch, 3, HEIGHT, WIDTH), np.float32),
        "pose": rng.random((batch, POSE), np.float32),
    }


def make_model(seed: int = 1, *, half: bool = False) -> onnx.ModelProto:
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    weights = {n: w.astype(np.float16 if half else np.float32) for n, w in random_weights(seed).items()}
    nodes = [
        helper.make_node("Conv", ["picture", "first.weight", "first.bias"], ["seen"], pads=[1, 1, 1, 1]),
        helper.make_node("Gemm", ["pose", "pose.weight"], ["moved"], transB=1),
        helper.make_node("Unsqueeze", ["moved", "axes"], ["placed"]),
        helper.make_node("Add", ["seen", "placed"], ["both"]),
        helper.make_node("Relu", ["both"], ["hidden"]),
        helper.make_node("Conv", ["hidden", "last.weight", "last.bias"], ["raw"], pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["raw"], ["squashed"]),
        # OpenVINO merges this node with the one before, and then knows the tensor by both names.
        helper.make_node("Identity", ["squashed"], ["drawn"]),
        helper.make_node("Softmax", ["moved"], ["shares"], axis=1),
    ]
    axes = numpy_helper.from_array(np.array([2, 3]), "axes")
    graph = helper.make_graph(
        nodes,
        "small",
        [
            helper.make_tensor_value_info("picture", kind, ["batch", 3, HEIGHT, WIDTH]),
            helper.make_tensor_value_info("pose", kind, ["batch", POSE]),
        ],
        [
            helper.make_tensor_value_info("drawn", kind, ["batch", 3, HEIGHT, WIDTH]),
            helper.make_tensor_value_info("shares", kind, ["batch", 8]),
        ],
        [axes, *(numpy_helper.from_array(w, n) for n, w in weights.items())],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_onnx(path: Path, seed: int = 1, *, half: bool = False) -> Path:
    onnx.save(make_model(seed, half=half), path)
    return path


def write_int8(path: Path, exact: Path) -> Path:
    """Quantise statically, as an export does."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = [feeds(seed=n) for n in range(4)]

        def get_next(self) -> dict[str, Array] | None:
            return self.left.pop() if self.left else None

    quantize_static(exact, path, Reader(), quant_format=QuantFormat.QDQ)
    return path


def write_folder(path: Path, seed: int = 1) -> Path:
    from safetensors.numpy import save_file

    path.mkdir()
    (path / "plan.json").write_text(json.dumps(PLAN), encoding="utf-8")
    save_file(random_weights(seed), path / "weights.safetensors")
    return path
