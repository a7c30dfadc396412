"""Put a trained network where the daemon finds it: weights without pickles, and what they came from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from studio.lips.sound.train import Recipe
from vcam_talker.face.neural.sound import FACTS, FORMAT, WEIGHTS
from vcam_talker.nets.sound import SoundNet

SHIPPED: Final = Path(__file__).parents[3] / "vcam_talker" / "models" / "sound"


def export(net: SoundNet, folder: Path, recipe: Recipe, facts: dict[str, Any]) -> None:
    """Write FACTS and WEIGHTS, float16; `facts` tell what it was trained on and how it does."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: tensor.numpy().astype(np.float16) for name, tensor in net.folded().items()}
    part = folder / f".{WEIGHTS}.part"
    with part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    part.replace(folder / WEIGHTS)
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    whole = {
        "format": FORMAT,
        "kind": "sound to mouth",
        "bands": net.plan.bands,
        "taps": [list(taps) for taps in net.plan.taps],
        "parameters": sum(p.numel() for p in net.parameters()),
        "sha256": digest,
        "seed": recipe.seed,
        "steps": recipe.steps,
        **facts,
    }
    text = json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
    (folder / FACTS).write_text(text, "utf-8")


def export_onnx(net: SoundNet, path: Path) -> None:
    """Write the network for other runtimes: `heard` float32[1, T, bands] -> `answer` float32[1, T - span, 9].

    The last two columns are logits.
    """
    example = torch.zeros(1, net.plan.past + net.plan.ahead + 100, net.plan.bands)
    torch.onnx.export(
        _Rows(net).eval(),
        (example,),
        str(path),
        input_names=["heard"],
        output_names=["answer"],
        dynamic_shapes={"heard": {1: torch.export.Dim("frames", min=net.plan.past + net.plan.ahead + 2)}},
        opset_version=18,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


class _Rows(torch.nn.Module):
    """Frames as rows, as everything but a convolution has them."""

    def __init__(self, net: SoundNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, heard: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.net(heard.transpose(1, 2)).transpose(1, 2)
        return found
