"""What a network costs: parameters, multiplications, time, memory.

**MACs** are counted per output of convolutions and linear layers; those of transposed convolutions per
*input*, which is what an implementation has to do. (Counted at output resolution, as some tools do, a
transposed convolution of stride 2 has four times as many: Wav2Lip 6.20 G instead of 3.97 G.)
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import torch
from torch import Tensor, nn

from vcam_talker.core.errors import EngineError
from vcam_talker.prune.graph import ChannelGraph, Member
from vcam_talker.prune.layers import kind_of, widths

K = TypeVar("K", bound=Hashable)

_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d)
_TRANSPOSED: Final = (nn.ConvTranspose1d, nn.ConvTranspose2d)
_MEMORY_TIMEOUT_S: Final = 120.0


def parameters(module: nn.Module) -> int:
    """Return how many numbers are learnt."""
    return sum(p.numel() for p in module.parameters())


def macs(module: nn.Module, inputs: Sequence[Tensor]) -> int:
    """Return multiply-accumulates of a forward pass for one row of the batch (see the module's text).

    Blocks for that pass.
    """
    return sum(_counted(module, inputs).values())


def channel_costs(module: nn.Module, graph: ChannelGraph, inputs: Sequence[Tensor]) -> dict[str, float]:
    """Return the MACs of one channel of each group, in all layers it runs through, by the group's root.

    Blocks for a forward pass.
    """
    names = {layer: name for name, layer in module.named_modules()}
    counted = {names[layer]: count for layer, count in _counted(module, inputs).items()}
    costs = {}
    for group in graph.groups:
        costs[group.root] = sum(
            counted.get(member.layer, 0) * member.indices.size / _width(module, member) / group.channels
            for member in group.members
        )
    return costs


def interleaved_ms(
    runs: Mapping[K, Callable[[], object]], *, rounds: int = 30, warm_up: int = 3, limit_s: float = 30.0
) -> dict[K, float]:
    """Return the median milliseconds of each; they take turns, so what else the machine does hits all alike.

    Blocks for all rounds, or until `limit_s` is over and each has run three times. Ratios hold better than
    the milliseconds.
    """
    for run in runs.values():
        for _ in range(warm_up):
            run()
    taken_ms: dict[K, list[float]] = {name: [] for name in runs}
    deadline_s = time.monotonic() + limit_s
    for number in range(rounds):
        if number >= 3 and time.monotonic() > deadline_s:
            break
        for name, run in runs.items():
            begun_ns = time.perf_counter_ns()
            run()
            taken_ms[name].append((time.perf_counter_ns() - begun_ns) / 1e6)
    return {name: statistics.median(times) for name, times in taken_ms.items()}


def torch_run(module: nn.Module, inputs: Sequence[Tensor]) -> Callable[[], object]:
    """Return what runs a network once in torch, for `interleaved_ms`."""
    module.eval()

    def run() -> object:
        with torch.inference_mode():
            return module(*inputs)

    return run


def resident_bytes(folder: Path, engine: str = "torch", precision: str = "fp32") -> int:
    """Return what running a model adds to the resident memory of a process of its own, at its end.

    `folder`: an ONNX file, or a folder with plan and weights. What the engine's library takes by itself isn't
    counted. Blocks for seconds. Raises EngineError.
    """
    argv = [sys.executable, "-m", "vcam_talker.prune.resident", str(folder), engine, precision]
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=_MEMORY_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"model {folder}", f"took longer than {_MEMORY_TIMEOUT_S:.0f} s to run") from None
    except OSError as e:
        raise EngineError(f"model {folder}", f"its memory can't be measured ({e.strerror or e})") from None
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:] or ["ended without a word"]
        raise EngineError(f"model {folder}", f"its memory can't be measured ({why[0]})")
    return int(done.stdout.strip())


def _counted(module: nn.Module, inputs: Sequence[Tensor]) -> dict[nn.Module, int]:
    """Return the MACs of every layer, for one row."""
    counted: dict[nn.Module, int] = {}

    def count(layer: nn.Module, given: tuple[Any, ...], made: Tensor) -> None:
        weight = cast("Tensor", layer.weight)  # no parameter where it is masked
        places = given[0] if isinstance(layer, _TRANSPOSED) else made
        once = places.numel() // places.shape[0] * (weight.numel() // weight.shape[0])
        counted[layer] = counted.get(layer, 0) + once

    kinds = (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear)
    handles = [m.register_forward_hook(count) for m in module.modules() if isinstance(m, kinds)]
    try:
        with torch.no_grad():
            module.eval()(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return counted


def _width(module: nn.Module, member: Member) -> int:
    layer = module.get_submodule(member.layer)
    kind = kind_of(layer)
    before, behind = widths(layer, kind) if kind else (1, 1)
    return before if member.side == "in" else behind
