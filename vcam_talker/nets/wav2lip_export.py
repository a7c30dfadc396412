"""A Wav2Lip generator as a model's folder: sound, face and mouth apart, each run only when it must."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from vcam_talker.nets.export import Part, export_folder
from vcam_talker.nets.wav2lip import Wav2Lip
from vcam_talker.nets.wav2lip_layers import FACE_CHANNELS, MEL_BANDS, MEL_FRAMES

PartName = Literal["sound", "face", "mouth", "whole"]
PARTS: Final[tuple[PartName, ...]] = ("sound", "face", "mouth")
"""What the daemon wants. `sound`: mel -> code. `face`: face -> feature_0 .. (rows that the lower half needs).
`mouth`: code, feature_0 .. -> lower. And for comparisons, `whole`: mel, face -> picture."""
REGION: Final[Mapping[str, Any]] = {"mouth_at": [0.5, 0.76], "width_mouths": 3.1}
"""Where the mouth lies in what the published network was trained on: boxes of a face detector from the brows
to a little below the chin, which show a mouth of a third of their width in the middle of the lower half."""


class _Sound(nn.Module):
    def __init__(self, net: Wav2Lip) -> None:
        super().__init__()
        self.net = net

    def forward(self, mel: Tensor) -> Tensor:
        return self.net.encode_sound(mel)


class _Face(nn.Module):
    def __init__(self, net: Wav2Lip) -> None:
        super().__init__()
        self.net = net

    def forward(self, face: Tensor) -> tuple[Tensor, ...]:
        return self.net.lower_rows(self.net.encode_face(face))


class _Mouth(nn.Module):
    def __init__(self, net: Wav2Lip) -> None:
        super().__init__()
        self.net = net

    def forward(self, code: Tensor, *features: Tensor) -> Tensor:
        return self.net.decode_lower_rows(code, features)


def wav2lip_part(net: Wav2Lip, name: PartName) -> Part:
    """Return one part, with examples of its inputs. `net` is shared, not copied, and stays as it is."""
    generator = torch.Generator().manual_seed(0)
    mel = torch.rand(1, 1, MEL_BANDS, MEL_FRAMES, generator=generator) * 8 - 4
    face = torch.rand(1, FACE_CHANNELS, net.size, net.size, generator=generator)
    names = [f"feature_{i}" for i in range(len(net.face_encoder_blocks))]
    match name:
        case "sound":
            return Part(_Sound(net), {"mel": mel}, ["code"])
        case "face":
            return Part(_Face(net), {"face": face}, names)
        case "whole":
            return Part(net, {"mel": mel, "face": face}, ["picture"])
    training = net.training
    with torch.inference_mode():
        code, features = _Sound(net).eval()(mel), _Face(net).eval()(face)
    net.train(training)
    # Plain copies: what is made in inference mode can't be exported.
    inputs = dict(zip(["code", *names], (x.clone() for x in (code, *features)), strict=True))
    return Part(_Mouth(net), inputs, ["lower"])


def export_wav2lip(
    net: Wav2Lip,
    folder: Path,
    label: str,
    *,
    trained_on: str = "",
    region: Mapping[str, Any] = REGION,
    parts: Sequence[PartName] = PARTS,
    replace: bool = False,
) -> dict[str, float]:
    """Write the folder of a generator, dense or pruned, as `export_folder` does. Blocks for a minute.

    Returns each part's greatest difference from torch. Raises ExportError, CheckpointError.
    """
    description = {
        "kind": "wav2lip",
        "condition": "mel",
        "label": label,
        "size": [net.size, net.size],
        "region": dict(region),
        "trained_on": trained_on,
    }
    made: dict[str, Part] = {name: wav2lip_part(net, name) for name in parts}
    return export_folder(folder, description, made, net=net, plan=net.plan(), replace=replace)
