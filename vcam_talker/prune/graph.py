"""Which channels go together: the dependency graph, traced by Torch-Pruning (arXiv 2301.12900).

Removing one output channel of a convolution removes an input channel of whatever reads it, the channel of the
normalisation behind it, and, where two paths are added, the same channel of the other path. All that goes
together is one `ChannelGroup`. Its indices are kept here as plain arrays, so importance, cuts and masks know
nothing of Torch-Pruning.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch_pruning as tp
from torch import nn

from vcam_talker.core.errors import BadInputError, EngineError
from vcam_talker.prune.layers import Layers, kind_of, named_layers, widths

Indices = npt.NDArray[np.int64]
Side = Literal["in", "out", "both"]
_INSIDE: Final = "net."
_OUTPUT: Final = "outputs."


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One side of one layer in a group: `indices[k]` is there because of the group's channel `roots[k]`."""

    layer: str
    side: Side
    """`both` for layers that have the same channels before and behind them, as batch norm."""
    indices: Indices
    roots: Indices


@dataclass(frozen=True, slots=True)
class ChannelGroup:
    """Channels that can only be removed together, over all layers they run through."""

    root: str
    """The layer that names the group: the first of the module that makes these channels."""
    channels: int
    members: tuple[Member, ...]

    @property
    def makers(self) -> tuple[str, ...]:
        """The layers whose outputs these channels are."""
        return tuple(m.layer for m in self.members if m.side == "out")


@dataclass(frozen=True, slots=True)
class ChannelGraph:
    """All groups of a network."""

    groups: tuple[ChannelGroup, ...]
    whole: dict[str, str]
    """Layers whose outputs can't be cut, and why."""

    def group(self, layer: str) -> ChannelGroup:
        """Return the group that a layer's outputs belong to. Raises BadInputError."""
        for group in self.groups:
            if layer in group.makers:
                return group
        raise BadInputError(layer, self.whole.get(layer, "there is no such layer"))


class _Probed(nn.Module):
    """The network between layers of known width, so that what enters and leaves it has a place in the graph.

    Torch-Pruning walks the autograd graph. A tensor that comes from outside isn't in it, and a concatenation
    with one (features and a pose) would be taken for narrower than it is, with all indices behind it wrong.
    """

    def __init__(
        self, net: nn.Module, inputs: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]
    ) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(map(_probe, inputs))
        self.net = net
        self.outputs = nn.ModuleList(map(_probe, outputs))

    def forward(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        """Return what leaves the network, each tensor behind its probe."""
        made = self.net(*(probe(x) for probe, x in zip(self.inputs, inputs, strict=True)))
        return [probe(y) for probe, y in zip(self.outputs, _flat(made), strict=True)]


def trace(module: nn.Module, inputs: Sequence[torch.Tensor], ignored: Sequence[str] = ()) -> ChannelGraph:
    """Return the groups of `module`, which isn't changed. Blocks for a few forward passes of a copy.

    `inputs`: one example of each argument, batch of 1 or more. Inputs and outputs of the network are never
    cut. `ignored`: names or patterns (`*`) of further layers whose outputs stay whole. Raises BadInputError
    for a pattern that fits no layer and EngineError for a network that can't be traced.
    """
    names = named_layers(module)
    order = list(names)
    check_patterns(ignored, order)
    net = copy.deepcopy(module).cpu().float().eval()
    examples = tuple(x.detach().cpu().float() if x.is_floating_point() else x.cpu() for x in inputs)
    for parameter in net.parameters():
        parameter.requires_grad_(True)
    with torch.no_grad():
        outputs = _flat(net(*examples))
    probed = _Probed(net, examples, outputs).eval()
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")  # of parameters outside layers; they make their groups whole here
        try:
            traced = tp.DependencyGraph().build_dependency(probed, examples, verbose=False)
            found = [_group(traced, probed, group) for group in traced.get_all_groups()]
        except (AssertionError, AttributeError, IndexError, RuntimeError, TypeError, ValueError) as e:
            raise EngineError(type(module).__name__, f"its graph can't be traced ({e})") from e
    groups: list[ChannelGroup] = []
    whole: dict[str, str] = {}
    for members, fault in found:
        makers = [m.layer for m in members if m.side == "out" and m.layer in names]
        reason = fault or _reason(members, makers, ignored, names)
        if reason:
            whole.update(dict.fromkeys(makers, reason))
        elif makers:
            root = min(makers, key=order.index)
            count = widths(*names[root])[1]
            groups.append(ChannelGroup(root, count, tuple(members)))
    _check_disjoint(groups)
    groups.sort(key=lambda g: order.index(g.root))
    return ChannelGraph(tuple(groups), {k: v for k, v in whole.items() if not _has(groups, k)})


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a layer's name fits one of the patterns; a pattern without `*` takes the layers inside, too."""
    return any(fnmatchcase(name, p) or name.startswith(f"{p}.") for p in patterns)


def check_patterns(patterns: Sequence[str], names: Sequence[str]) -> None:
    """Raise BadInputError for a pattern that fits none of the names."""
    for pattern in patterns:
        if not any(matches(name, [pattern]) for name in names):
            near = get_close_matches(pattern, names, n=1, cutoff=0.4)
            raise BadInputError(
                f"layer {pattern!r}",
                "there is none of that name in this network",
                f"Did you mean {near[0]}?" if near else "`vcam-talker prune layers` lists them",
            )


def _probe(tensor: torch.Tensor) -> nn.Module:
    if not tensor.is_floating_point():
        return nn.Identity()  # tokens: an embedding is where their graph begins
    makers: dict[int, Any] = {2: nn.Linear, 3: nn.Conv1d, 4: nn.Conv2d}
    if tensor.ndim not in makers:
        raise EngineError("pruning", f"inputs and outputs with {tensor.ndim} axes aren't known", "Use 2 to 4")
    width = tensor.shape[1]
    probe: nn.Module = makers[tensor.ndim](width, width, *(() if tensor.ndim == 2 else (1,)))
    return probe


def _flat(value: Any) -> list[torch.Tensor]:  # noqa: ANN401 - whatever a network returns
    if isinstance(value, torch.Tensor):
        return [value]
    inner = value.values() if isinstance(value, dict) else value
    return [tensor for item in inner for tensor in _flat(item)]


def _group(traced: Any, probed: nn.Module, group: Any) -> tuple[list[Member], str]:  # noqa: ANN401 - untyped
    """Return a traced group's members, and why it must stay whole (empty: it need not)."""
    modules = {layer: name for name, layer in probed.named_modules()}
    members: list[Member] = []
    fault = ""
    for item in group.items:
        layer = item.dep.target.module
        name = modules.get(layer, "")
        if isinstance(layer, nn.Parameter):
            fault = fault or "a parameter outside of layers depends on it"
        if not name:
            continue  # an operation: concatenation, addition, activation
        if name.startswith(_OUTPUT):
            fault = "the network's output"
        if not name.startswith(_INSIDE):
            continue
        kind = kind_of(layer)
        if kind is None:
            if any(True for _ in layer.parameters(recurse=False)):
                fault = fault or f"{name.removeprefix(_INSIDE)} ({type(layer).__name__}) mixes its channels"
            continue
        side: Side = "out" if traced.is_out_channel_pruning_fn(item.dep.handler) else "in"
        side = side if kind.in_name else "both"
        width = widths(layer, kind)[0 if side == "in" else 1]
        roots = item.root_idxs
        if any(r is None for r in roots) or min(item.idxs) < 0 or max(item.idxs) >= width:
            fault = fault or f"what reaches {name.removeprefix(_INSIDE)} can't be told apart"
            roots = [0] * len(item.idxs)
        order = np.argsort(np.asarray(item.idxs, np.int64), kind="stable")
        members.append(
            Member(
                name.removeprefix(_INSIDE),
                side,
                np.asarray(item.idxs, np.int64)[order],
                np.asarray(roots, np.int64)[order],
            )
        )
    return members, fault


def _reason(members: Sequence[Member], makers: Sequence[str], ignored: Sequence[str], names: Layers) -> str:
    if any(matches(maker, ignored) for maker in makers):
        return "kept as asked for"
    if not any(m.side == "in" for m in members):
        return "nothing reads it"
    if len({widths(*names[maker])[1] for maker in makers}) > 1:
        return "its channels are coupled to others of another number"
    return ""


def _has(groups: Sequence[ChannelGroup], layer: str) -> bool:
    return any(layer in group.makers for group in groups)


def _check_disjoint(groups: Sequence[ChannelGroup]) -> None:
    taken: dict[tuple[str, str], set[int]] = {}
    for group in groups:
        for member in group.members:
            seen = taken.setdefault((member.layer, member.side), set())
            mine = set(member.indices.tolist())
            if seen & mine:
                raise EngineError(member.layer, "the traced graph names some of its channels twice")
            seen |= mine
