"""The published Wav2Lip generator computed step by step from a table of its own and a bare state_dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)
from torch import Tensor


class Step(NamedTuple):
    """One convolution as the published network has it."""

    name: str
    entering: int
    leaving: int
    kernel: int
    stride: tuple[int, int] = (1, 1)
    padding: int = 0
    residual: bool = False
    transposed: bool = False
    output_padding: int = 0


def _same(part: str, index: str, channels: int) -> Step:
    return Step(f"{part}.{index}", channels, channels, 3, padding=1, residual=True)


def _down(index: str, entering: int, leaving: int) -> Step:
    return Step(f"face_encoder_blocks.{index}", entering, leaving, 3, (2, 2), 1)


def _up(index: str, entering: int, leaving: int) -> Step:
    return Step(
        f"face_decoder_blocks.{index}", entering, leaving, 3, (2, 2), 1, transposed=True, output_padding=1
    )


SOUND = [
    Step("audio_encoder.0", 1, 32, 3, padding=1),
    *(_same("audio_encoder", i, 32) for i in "12"),
    Step("audio_encoder.3", 32, 64, 3, (3, 1), 1),
    *(_same("audio_encoder", i, 64) for i in "45"),
    Step("audio_encoder.6", 64, 128, 3, (3, 3), 1),
    *(_same("audio_encoder", i, 128) for i in "78"),
    Step("audio_encoder.9", 128, 256, 3, (3, 2), 1),
    _same("audio_encoder", "10", 256),
    Step("audio_encoder.11", 256, 512, 3),
    Step("audio_encoder.12", 512, 512, 1),
]
_FACE_5 = [
    [Step("face_encoder_blocks.0.0", 6, 16, 7, padding=3)],
    [_down("1.0", 16, 32), *(_same("face_encoder_blocks", f"1.{i}", 32) for i in (1, 2))],
    [_down("2.0", 32, 64), *(_same("face_encoder_blocks", f"2.{i}", 64) for i in (1, 2, 3))],
    [_down("3.0", 64, 128), *(_same("face_encoder_blocks", f"3.{i}", 128) for i in (1, 2))],
    [_down("4.0", 128, 256), *(_same("face_encoder_blocks", f"4.{i}", 256) for i in (1, 2))],
    [_down("5.0", 256, 512), _same("face_encoder_blocks", "5.1", 512)],
]
_FIRST = [Step("face_decoder_blocks.0.0", 512, 512, 1)]
FACE = {
    96: [
        *_FACE_5,
        [Step("face_encoder_blocks.6.0", 512, 512, 3), Step("face_encoder_blocks.6.1", 512, 512, 1)],
    ],
    256: [
        *_FACE_5,
        [_down("6.0", 512, 512), _same("face_encoder_blocks", "6.1", 512)],
        [Step("face_encoder_blocks.7.0", 512, 512, 4), Step("face_encoder_blocks.7.1", 512, 512, 1)],
    ],
}


def _stage(level: int, entering: int, leaving: int, residuals: int) -> list[Step]:
    return [
        _up(f"{level}.0", entering, leaving),
        *(_same("face_decoder_blocks", f"{level}.{i}", leaving) for i in range(1, residuals + 1)),
    ]


DECODER = {
    96: [
        _FIRST,
        [
            Step("face_decoder_blocks.1.0", 1024, 512, 3, transposed=True),
            _same("face_decoder_blocks", "1.1", 512),
        ],
        _stage(2, 1024, 512, 2),
        _stage(3, 768, 384, 2),
        _stage(4, 512, 256, 2),
        _stage(5, 320, 128, 2),
        _stage(6, 160, 64, 2),
    ],
    256: [
        _FIRST,
        [
            Step("face_decoder_blocks.1.0", 1024, 512, 4, transposed=True),
            _same("face_decoder_blocks", "1.1", 512),
        ],
        _stage(2, 1024, 512, 1),
        _stage(3, 1024, 512, 2),
        _stage(4, 768, 384, 2),
        _stage(5, 512, 256, 2),
        _stage(6, 320, 128, 2),
        _stage(7, 160, 64, 2),
    ],
}
OUTPUT = Step("output_block.0", 80, 32, 3, padding=1)


def steps(size: int) -> list[Step]:
    """Return every convolution with a batch norm."""
    return [
        *(s for level in FACE[size] for s in level),
        *SOUND,
        *(s for level in DECODER[size] for s in level),
        OUTPUT,
    ]


def shapes(size: int) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor of a published checkpoint."""
    result: dict[str, tuple[int, ...]] = {}
    for s in steps(size):
        pair = (s.entering, s.leaving) if s.transposed else (s.leaving, s.entering)
        result[f"{s.name}.conv_block.0.weight"] = (*pair, s.kernel, s.kernel)
        result[f"{s.name}.conv_block.0.bias"] = (s.leaving,)
        for n in ("weight", "bias", "running_mean", "running_var"):
            result[f"{s.name}.conv_block.1.{n}"] = (s.leaving,)
        result[f"{s.name}.conv_block.1.num_batches_tracked"] = ()
    result["output_block.1.weight"] = (3, 32, 1, 1)
    result["output_block.1.bias"] = (3,)
    return result


def random_state(wanted: Mapping[str, tuple[int, ...]], seed: int = 1) -> dict[str, Tensor]:
    """Return weights as a trained network might have them: no activation dies, none runs away."""
    g = torch.Generator().manual_seed(seed)

    def normal(shape: tuple[int, ...], scale: float) -> Tensor:
        return torch.randn(shape, generator=g) * scale

    state: dict[str, Tensor] = {}
    for name, shape in wanted.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(777)
        elif name == "output_block.1.weight":
            state[name] = normal(shape, 0.2)
        elif len(shape) == 4:
            # Trained biases and statistics stay in proportion to what comes in.
            state[name] = normal(shape, (2.0 / (min(shape[0], shape[1]) * shape[2] * shape[3])) ** 0.5)
        elif name.endswith("running_var"):
            state[name] = torch.rand(shape, generator=g) * 1.5 + 0.5
        elif name.endswith("1.weight"):
            state[name] = torch.rand(shape, generator=g) * 0.8 + 0.4
        else:
            state[name] = normal(shape, 0.2)
    return state


def generator(state: Mapping[str, Tensor], size: int, mel: Tensor, face: Tensor) -> Tensor:
    """Return the picture float64[N, 3, S, S] of a published network."""
    state = {n: t.double() for n, t in state.items()}
    code = mel.double()
    for step in SOUND:
        code = _apply(state, step, code)
    features = []
    x = face.double()
    for level in FACE[size]:
        for step in level:
            x = _apply(state, step, x)
        features.append(x)
    x = code
    for level in DECODER[size]:
        for step in level:
            x = _apply(state, step, x)
        x = torch.cat([x, features.pop()], 1)
    x = _apply(state, OUTPUT, x)
    return torch.sigmoid(F.conv2d(x, state["output_block.1.weight"], state["output_block.1.bias"]))


def _apply(state: Mapping[str, Tensor], s: Step, x: Tensor) -> Tensor:
    weight, bias = (state[f"{s.name}.conv_block.0.{n}"] for n in ("weight", "bias"))
    if s.transposed:
        y = F.conv_transpose2d(x, weight, bias, s.stride, s.padding, s.output_padding)
    else:
        y = F.conv2d(x, weight, bias, s.stride, s.padding)
    gamma, beta, mean, variance = (
        state[f"{s.name}.conv_block.1.{n}"][None, :, None, None]
        for n in ("weight", "bias", "running_mean", "running_var")
    )
    y = (y - mean) / (variance + 1e-5).sqrt() * gamma + beta
    return (y + x if s.residual else y).clamp(min=0)
