"""The networks that `bench lipsync` measures, written as files: random weights, true shapes.

The pruned one has the channels that `vcam-talker prune lipsync` leaves at the same ratio. Needs the extra
`prune`, and is imported in a process of its own: torch takes hundreds of megabytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch

from vcam_talker.bench.lipsync_made import SMALL_FILE, Made
from vcam_talker.inference import Array
from vcam_talker.nets.export import export_module
from vcam_talker.nets.quantise import quantise
from vcam_talker.nets.wav2lip import Wav2Lip
from vcam_talker.nets.wav2lip_layers import dense_channels, macs, make_plan, read_plan
from vcam_talker.prune.allot import CutSettings
from vcam_talker.prune.networks import NETWORKS
from vcam_talker.prune.pipeline import cut_channels
from vcam_talker.prune.verify import settle

SIZE: Final = 96
SHARE: Final = 0.3
"""Of the channels that go."""
_CALIBRATION: Final = 8
_SEED: Final = 1


def pruned_channels(share: float = SHARE) -> dict[str, int]:
    """Return what the prune tool leaves of the published network when that share of its channels goes."""
    return cut_channels(Wav2Lip(SIZE).eval(), NETWORKS["wav2lip"], CutSettings(share))


def make(folder: Path, name: str, channels: Mapping[str, int] | None) -> Made:
    """Write a network in fp32 and in int8. Blocks for some seconds. Raises VcamTalkerError."""
    torch.set_num_threads(1)
    torch.manual_seed(_SEED)
    _, widths = read_plan(make_plan(SIZE, channels or dense_channels(SIZE)))
    net = Wav2Lip(SIZE, channels)
    # So that no layer's output dies or explodes.
    settle(net, [torch.from_numpy(array) for array in example(4, seed=2).values()])
    mel, face = (torch.from_numpy(array) for array in example().values())
    exact, int8 = folder / f"{name}.onnx", folder / f"{name}.int8.onnx"
    off = export_module(net, (mel, face), ("mel", "face"), ("picture",), exact)
    quantise(exact, [example(seed=10 + n) for n in range(_CALIBRATION)], out=int8)
    with torch.inference_mode():
        code, features = net.encode_sound(mel), net.encode_face(face)
        whole = net.decode(code, features)[:, :, SIZE // 2 :]
        lower = net.decode_lower(code, features)
    return Made(
        exact,
        int8,
        example(),
        sum(p.numel() for p in net.parameters()),
        sum(macs(SIZE, widths).values()),
        sum(macs(SIZE, widths, SIZE // 2).values()),
        off,
        float((whole - lower).abs().max()),
        sum(widths.values()),
    )


def make_both(folder: Path) -> dict[str, Made]:
    """Write the dense network and the pruned one, and SMALL_FILE."""
    export_module(
        torch.nn.Conv2d(3, 8, 3), (torch.rand(1, 3, 8, 8),), ("picture",), ("maps",), folder / SMALL_FILE
    )
    return {"dense": make(folder, "dense", None), "pruned": make(folder, "pruned", pruned_channels())}


def example(batch: int = 1, seed: int = _SEED) -> dict[str, Array]:
    """Return a mel window and a face with its lower half hidden, of random numbers in their true ranges."""
    rng = np.random.default_rng(seed)
    face = rng.random((batch, 6, SIZE, SIZE), np.float32)
    face[:, :3, SIZE // 2 :] = 0
    return {"mel": rng.uniform(-4, 4, (batch, 1, 80, 16)).astype(np.float32), "face": face}
