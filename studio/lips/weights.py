"""Weights that the studio itself wrote, as a torch checkpoint or as safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from torch import nn

from studio.pack import StudioError
from vcam_talker.nets.checkpoint import CheckpointError, assign_tensors, load_tensors

N = TypeVar("N", bound=nn.Module)


def with_weights(net: N, path: Path) -> N:
    """Return `net` with the weights of a file, in float32 and evaluation mode. Raises StudioError."""
    try:
        assign_tensors(net, load_tensors(path), path)
    except CheckpointError as e:
        raise StudioError(e.what, e.why, f"Name the weights of a {type(net).__name__}") from None
    net.eval()
    return net
