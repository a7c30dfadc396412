"""The networks that `bench lipsync` measures, written as files: random weights, true shapes.

Needs torch and onnx, and is imported in a process of its own: torch takes hundreds of megabytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from vcam_talker.inference import Array
from vcam_talker.nets.export import export_module
from vcam_talker.nets.wav2lip import Wav2Lip
from vcam_talker.nets.wav2lip_layers import dense_channels, macs, make_plan, read_plan

SIZE: Final = 96
SHARE: Final = 0.3
_MULTIPLE: Final = 16
_CALIBRATION: Final = 8
_SEED: Final = 1


@dataclass(frozen=True, slots=True)
class Made:
    """One network and what is known of it."""

    exact: Path
    int8: Path
    half: Path
    """In fp16, for GPUs."""
    example: dict[str, Array]
    parameters: int
    macs: int
    macs_lower: int
    """Of the lower half alone, encoders included."""
    onnx_off: float
    """Largest difference between torch and ONNX Runtime."""
    lower_off: float
    """Largest difference between the lower half computed alone, and that of the whole picture."""


def pruned_channels(share: float = SHARE) -> dict[str, int]:
    """Return the published network's channels without that share of each block's, down to multiples of 16."""
    return {
        name: max(_MULTIPLE, int(width * (1 - share)) // _MULTIPLE * _MULTIPLE)
        for name, width in dense_channels(SIZE).items()
    }


def make(folder: Path, name: str, channels: Mapping[str, int] | None) -> Made:
    """Write a network in fp32 and in int8. Blocks for some seconds. Raises VcamTalkerError."""
    torch.set_num_threads(1)
    torch.manual_seed(_SEED)
    _, widths = read_plan(make_plan(SIZE, channels or dense_channels(SIZE)))
    net = Wav2Lip(SIZE, channels)
    _settle(net)
    mel, face = (torch.from_numpy(array) for array in example().values())
    exact, int8 = folder / f"{name}.onnx", folder / f"{name}.int8.onnx"
    off = export_module(net, (mel, face), ("mel", "face"), ("picture",), exact)
    quantise(exact, int8)
    with torch.inference_mode():
        code, features = net.encode_sound(mel), net.encode_face(face)
        whole = net.decode(code, features)[:, :, SIZE // 2 :]
        lower = net.decode_lower(code, features)
    return Made(
        exact,
        int8,
        halve(exact, folder / f"{name}.half.onnx"),
        example(),
        sum(p.numel() for p in net.parameters()),
        sum(macs(SIZE, widths).values()),
        sum(macs(SIZE, widths, SIZE // 2).values()),
        off,
        float((whole - lower).abs().max()),
    )


def make_both(folder: Path) -> dict[str, Made]:
    """Write the dense network and the pruned one."""
    return {"dense": make(folder, "dense", None), "pruned": make(folder, "pruned", pruned_channels())}


def example(batch: int = 1, seed: int = _SEED) -> dict[str, Array]:
    """Return a mel window and a face with its lower half hidden, of random numbers in their true ranges."""
    rng = np.random.default_rng(seed)
    face = rng.random((batch, 6, SIZE, SIZE), np.float32)
    face[:, :3, SIZE // 2 :] = 0
    return {"mel": rng.uniform(-4, 4, (batch, 1, 80, 16)).astype(np.float32), "face": face}


def halve(exact: Path, half: Path) -> Path:
    """Write a network with its weights and arithmetic in fp16, its inputs and outputs as they are."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(exact), keep_io_types=True), half)
    return half


def quantise(exact: Path, int8: Path) -> None:
    """Write a network in int8, weights per channel, activations by their range on a few examples."""
    prepared = int8.with_suffix(".prepared")
    quant_pre_process(exact, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        int8,
        _Examples(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    prepared.unlink()


def _settle(net: Wav2Lip) -> None:
    """Give batch norms mean and variance of what passes, so that no layer's output dies or explodes."""
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    net.train()
    with torch.inference_mode():
        net(*(torch.from_numpy(array) for array in example(4, seed=2).values()))
    net.eval()


class _Examples(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        self._left = [example(seed=10 + n) for n in range(_CALIBRATION)]

    def get_next(self) -> dict[str, Array] | None:
        return self._left.pop() if self._left else None
