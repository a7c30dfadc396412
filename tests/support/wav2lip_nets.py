"""Wav2Lip generators with weights as if trained, and what to feed them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from tests.support.wav2lip_reference import random_state
from vcam_talker.nets.wav2lip import Wav2Lip


def inputs(size: int, count: int = 1, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(9)
    mel = torch.rand(count, 1, 80, 16, generator=g) * 8 - 4
    face = torch.rand(count, 6, size, size, generator=g)
    face[:, :3, size // 2 :] = 0
    return mel.to(dtype), face.to(dtype)


def net(size: int, channels: dict[str, int] | None = None, seed: int = 1) -> Wav2Lip:
    with torch.device("meta"):
        made = Wav2Lip(size, channels)
    state = random_state({n: tuple(t.shape) for n, t in made.state_dict().items()}, seed)
    made.load_state_dict(state, assign=True)
    return made.eval()


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, without gradients."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield
    torch.set_num_threads(threads)
