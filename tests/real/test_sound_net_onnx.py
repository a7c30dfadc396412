"""The sound network for other runtimes: ONNX says what NumPy says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from studio.lips.sound.export import export_onnx
from vcam_talker.face.neural.sound import SoundNet
from vcam_talker.nets.sound import SoundNet as TorchNet
from vcam_talker.nets.sound import SoundPlan

pytestmark = pytest.mark.real


def test_onnx_is_numpy(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(3)
    net = TorchNet(SoundPlan(channels=32)).eval()
    export_onnx(net, tmp_path / "sound.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "sound.onnx", providers=["CPUExecutionProvider"])
    weights = {name: tensor.numpy() for name, tensor in net.folded().items()}
    ours = SoundNet(tuple(tuple(t) for t in net.plan.taps), weights)
    for count in (90, 400):
        heard = np.random.default_rng(count).normal(0, 1, (count, net.plan.bands)).astype(np.float32)
        (answer,) = session.run(None, {"heard": heard[None]})
        assert np.abs(answer[0, :, :7] - ours(heard).poses).max() <= 1e-4
