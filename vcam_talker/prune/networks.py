"""The networks that can be pruned by name, and how one is read from a file or folder."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from vcam_talker.core.errors import BadInputError
from vcam_talker.nets.checkpoint import CheckpointError, assign_tensors, load_tensors, load_wav2lip
from vcam_talker.prune.apply import PLAN_FILE, WEIGHTS_FILE, Build
from vcam_talker.prune.files import read_json, reading

Plan = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Network:
    """One class of networks."""

    name: str
    """`net` of its plans."""
    path: str
    """`module:Class`."""
    shapes: Callable[[Plan], tuple[tuple[int, ...], ...]]
    """Of each input, for a batch of one."""
    outputs: tuple[str, ...]
    """Names, in the order of what `forward` returns."""
    pictures: bool = False
    """Whether the first output is the picture that is wanted."""
    exporter: str = ""
    """`module:function` that writes the folder the daemon opens, from network, folder and label."""

    @property
    def build(self) -> Build[nn.Module]:
        """The class's `from_plan`; imports it."""
        module, _, name = self.path.partition(":")
        build: Build[nn.Module] = getattr(import_module(module), name).from_plan
        return build

    def inputs(self, plan: Plan, rows: int = 1, seed: int = 1) -> tuple[Tensor, ...]:
        """Return noise in 0 .. 1 for every input: float32[rows, ...]."""
        generator = torch.Generator().manual_seed(seed)
        return tuple(torch.rand(rows, *shape[1:], generator=generator) for shape in self.shapes(plan))


def _wav2lip(plan: Plan) -> tuple[tuple[int, ...], ...]:
    return (1, 1, 80, 16), (1, 6, plan["size"], plan["size"])


def _lips(plan: Plan) -> tuple[tuple[int, ...], ...]:
    picture = (1, 3, *plan["size"])
    return picture, picture, (1, 7)


NETWORKS: Final = {
    network.name: network
    for network in (
        Network(
            "wav2lip",
            "vcam_talker.nets.wav2lip:Wav2Lip",
            _wav2lip,
            ("picture",),
            True,
            "vcam_talker.nets.wav2lip_export:export_wav2lip",
        ),
        Network("lips", "vcam_talker.nets.lips:LipsNet", _lips, ("flow", "shade", "alpha", "paint")),
    )
}


def find_network(plan: Plan, what: str) -> Network:
    """Return the network that a plan is of. Raises BadInputError naming `what`."""
    name = plan.get("net")
    if isinstance(name, str) and name in NETWORKS:
        return NETWORKS[name]
    raise BadInputError(
        what, f"is of the network {str(name)[:40]!r}", f"Those known are {', '.join(NETWORKS)}"
    )


def read_network(path: Path) -> tuple[nn.Module, Network]:
    """Read a public Wav2Lip checkpoint, or a folder with plan.json and weights.safetensors.

    Returns the network in float32 and evaluation mode. Nothing in the files is executed. Raises
    BadInputError, for weights that aren't finite numbers, too.
    """
    with reading(path):
        folder = path.is_dir()
    if not folder:
        return load_wav2lip(path), NETWORKS["wav2lip"]
    plan = read_json(path / PLAN_FILE)
    network = find_network(plan, str(path / PLAN_FILE))
    try:
        module = network.build(plan)
    except (ValueError, KeyError, TypeError) as e:
        raise BadInputError(str(path / PLAN_FILE), f"describes no network ({e})") from None
    weights = path / WEIGHTS_FILE
    tensors = load_tensors(weights)
    try:
        assign_tensors(module, tensors, weights)
    except CheckpointError as e:
        raise BadInputError(
            e.what, e.why, "Bring the weights that were written together with this plan"
        ) from None
    return module.eval(), network


def argument_names(module: nn.Module) -> tuple[str, ...]:
    """Return how a network's `forward` calls its inputs."""
    return tuple(inspect.signature(module.forward).parameters)
