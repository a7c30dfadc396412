"""The trained net as a model folder, as the daemon takes it (docs/faces.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vcam_talker.face.neural.region import REGION
from vcam_talker.nets.export import Part, export_folder
from vcam_talker.nets.lips import POSE, SIZE, LipsNet
from vcam_talker.nets.lips_parts import FacePart, MouthPart


def export(
    net: LipsNet, folder: Path, label: str, trained_on: str, *, replace: bool = False
) -> dict[str, float]:
    """Write the folder; return how far ONNX is from torch, part by part. Raises ExportError.

    Two parts: `face` (rest, other -> f1 .. f4), once per face, and `mouth` (pose, f1 .. f4 -> maps,
    `nets.lips.MAPS` behind each other); channels last, the pictures' too. Plan and weights lie beside
    them, for pruning.
    """
    net = net.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    rng = torch.Generator().manual_seed(1)
    picture = torch.rand((1, *SIZE, 3), generator=rng)
    other = torch.rand((1, *SIZE, 3), generator=rng)
    face = FacePart(net)
    with torch.inference_mode():
        features = [feature.clone() for feature in face(picture, other)]
    names = [f"f{level}" for level in range(1, len(features) + 1)]
    pose = torch.rand((1, POSE), generator=rng)
    mouth: dict[str, Tensor] = {"pose": pose} | dict(zip(names, features, strict=True))
    parts = {
        "face": Part(face, {"rest": picture, "other": other}, names),
        "mouth": Part(MouthPart(net), mouth, ["maps"]),
    }
    description: dict[str, Any] = {
        "kind": "pose",
        "condition": "pose",
        "label": label,
        "size": list(SIZE),
        "region": {"mouth_at": list(REGION.mouth_at), "width_mouths": REGION.width_mouths},
        "trained_on": trained_on,
    }
    return export_folder(folder, description, parts, net=net, plan=net.plan(), replace=replace)
