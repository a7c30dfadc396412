"""Makes tiny models that draw lips, out of a few operators: what they draw is told by the eye.

The `pose` kind paints the mouth green, the more the further the jaw is open, and moves nothing.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

SIZE = (96, 128)
GREEN = (0.1, 0.9, 0.2)
_FLOAT = TensorProto.FLOAT


def _save(
    path: Path, nodes: list[Any], inputs: dict[str, list[Any]], outputs: list[str], **arrays: Any
) -> None:
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(name, _FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, _FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def blob(size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return a soft ellipse where the mouth is, float32[1, 1, h, w]."""
    rows, columns = size
    y, x = np.mgrid[0:rows, 0:columns]
    far = np.hypot((x + 0.5 - columns * 0.5) / (columns * 0.2), (y + 0.5 - rows * 0.36) / (rows * 0.15))
    return np.clip(2.0 - 2.0 * far, 0.0, 1.0)[None, None].astype(np.float32)


def folded(maps: np.ndarray) -> np.ndarray:
    """Return float32[n, 4c, h / 2, w / 2] of float32[n, c, h, w]: 2 x 2 pixels behind each other."""
    n, c, h, w = maps.shape
    return (
        maps.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 3, 5, 2, 4).reshape(n, 4 * c, h // 2, w // 2)
    )


def make_pose_model(folder: Path, gain: float = 1.0, **spec: Any) -> Path:
    """Write a model of kind `pose` into `folder`; returns it. The green covers all at a jaw of 1 / `gain`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = SIZE
    node = helper.make_node
    _save(
        folder / "face.onnx",
        [
            node("Concat", ["rest", "other"], ["last"], axis=3),
            node("Transpose", ["last"], ["both"], perm=[0, 3, 1, 2]),
            node("AveragePool", ["both"], ["f0"], kernel_shape=[4, 4], strides=[4, 4]),
        ],
        {name: ["N", rows, columns, 3] for name in ("rest", "other")},
        ["f0"],
    )
    _save(
        folder / "mouth.onnx",
        [
            node("Slice", ["pose", "zero", "one", "one"], ["jaw2"]),
            node("Reshape", ["jaw2", "shape"], ["jaw"]),
            node("Mul", ["jaw", "blob"], ["cover"]),
            node("Clip", ["cover", "low", "high"], ["alpha"]),
            node("ReduceMean", ["f0"], ["mean"], axes=[1, 2, 3], keepdims=1),
            node("Mul", ["mean", "nothing"], ["none"]),
            node("Add", ["none", "colour"], ["paint"]),
            node("Add", ["none", "still"], ["flow"]),
            node("Add", ["none", "even"], ["shade"]),
            node("Concat", ["flow", "shade", "alpha", "paint"], ["all"], axis=1),
            node("Transpose", ["all"], ["maps"], perm=[0, 2, 3, 1]),
        ],
        {"f0": ["N", 6, rows // 4, columns // 4], "pose": ["N", 7]},
        ["maps"],
        zero=np.array([0]),
        one=np.array([1]),
        shape=np.array([-1, 1, 1, 1]),
        blob=folded(np.concatenate((0 * blob(), blob() * np.float32(gain)), 1)),
        low=np.array(0.0, np.float32),
        high=np.array(1.0, np.float32),
        nothing=np.zeros((1, 1, 1, 1), np.float32),
        colour=np.repeat(np.array(GREEN, np.float32), 4)[None, :, None, None]
        * np.ones((1, 1, rows // 2, columns // 2), np.float32),
        still=np.zeros((1, 4, rows // 2, columns // 2), np.float32),
        even=np.zeros((1, 3, rows // 2, columns // 2), np.float32),
    )
    region = {"mouth_at": [0.5, 0.34], "width_mouths": 2.5}
    return write_spec(folder, "pose", "pose", ("face", "mouth"), size=SIZE, region=region, **spec)


def write_spec(folder: Path, kind: str, condition: str, parts: tuple[str, ...], **spec: Any) -> Path:
    """Write `model.json` about the files that lie there."""
    found = {}
    for part in parts:
        file = folder / f"{part}.onnx"
        found[part] = {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    data = {
        "format": 2,
        "kind": kind,
        "condition": condition,
        "label": f"tiny {kind}",
        "parts": found,
        **spec,
    }
    (folder / "model.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


def make_wav2lip_model(folder: Path, **spec: Any) -> Path:
    """Write a model of kind `wav2lip` into `folder`; returns it. It draws green, the brighter the louder."""
    folder.mkdir(parents=True, exist_ok=True)
    node = helper.make_node
    _save(
        folder / "sound.onnx",
        [
            node("Add", ["mel", "four"], ["above"]),
            node("ReduceMean", ["above"], ["code"], axes=[1, 2, 3], keepdims=1),
        ],
        {"mel": ["N", 1, 80, 16]},
        ["code"],
        four=np.full((1, 1, 1, 1), 4.0, np.float32),
    )
    _save(
        folder / "face.onnx",
        [node("AveragePool", ["face"], ["feature_0"], kernel_shape=[8, 8], strides=[8, 8])],
        {"face": ["N", 6, 96, 96]},
        ["feature_0"],
    )
    _save(
        folder / "mouth.onnx",
        [
            node("ReduceMean", ["feature_0"], ["mean"], axes=[1, 2, 3], keepdims=1),
            node("Mul", ["mean", "nothing"], ["none"]),
            node("Mul", ["code", "green"], ["bright"]),
            node("Add", ["none", "bright"], ["sum"]),
            node("Clip", ["sum", "low", "high"], ["lower"]),
        ],
        {"code": ["N", 1, 1, 1], "feature_0": ["N", 6, 12, 12]},
        ["lower"],
        nothing=np.zeros((1, 1, 1, 1), np.float32),
        green=np.broadcast_to(np.array([0, 0.4, 0], np.float32)[None, :, None, None], (1, 3, 48, 96)),
        low=np.array(0.0, np.float32),
        high=np.array(1.0, np.float32),
    )
    region = {"mouth_at": [0.5, 0.76], "width_mouths": 3.1}
    return write_spec(
        folder, "wav2lip", "mel", ("sound", "face", "mouth"), size=(96, 96), region=region, **spec
    )
