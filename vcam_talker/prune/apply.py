"""Take the channels out: from a dense network and a plan to a smaller network, weight by weight.

Nothing is masked and nothing is zero: the tensors are smaller. That this changes nothing but what the removed
channels did is checked by `verify`, which compares with the dense network whose channels are masked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, Self, TypeVar

import torch
from safetensors.torch import save
from torch import nn

from vcam_talker.core.errors import BadInputError
from vcam_talker.nets.checkpoint import load_tensors
from vcam_talker.prune.files import write_atomically, write_text
from vcam_talker.prune.layers import Layers, named_layers, sliced
from vcam_talker.prune.plan import ChannelPlan, LayerCut

PLAN_FILE: Final = "plan.json"
WEIGHTS_FILE: Final = "weights.safetensors"

State = Mapping[str, torch.Tensor]


class Prunable(Protocol):
    """What a network's class offers so that it can be pruned; any torch module that does."""

    @classmethod
    def from_plan(cls, plan: Mapping[str, Any]) -> Self:
        """Build the network with the plan's channels, whatever its weights."""
        ...

    def plan(self) -> dict[str, Any]:
        """Return JSON data that `from_plan` takes.

        `channels` maps parts of the network to their output channels. A key is the name of a layer, or of a
        module all of whose layers have that many.
        """
        ...


N = TypeVar("N", bound=nn.Module)
Build = Callable[[Mapping[str, Any]], N]
"""A class's `from_plan`."""


def slice_state(state: State, plan: ChannelPlan, layers: Layers) -> dict[str, torch.Tensor]:
    """Return a dense state without the channels that `plan` removes. `layers`: of the dense network.

    Raises BadInputError for a state of another network.
    """
    result = {name: tensor.detach().clone() for name, tensor in state.items()}
    for name, cut in plan.layers.items():
        if name not in layers:
            raise BadInputError("channel plan", f"names a layer {name!r} that the network doesn't have")
        keep_in, keep_out = _kept(cut)
        for key, axes in layers[name][1].tensors.items():
            full = f"{name}.{key}"
            if full in result:
                _check_shape(full, result[full], axes, cut)
                result[full] = sliced(result[full], axes, keep_in, keep_out)
    return result


def apply_plan(dense: State, plan: ChannelPlan, build: Build[N]) -> N:
    """Return the pruned network with the weights of the dense one, in evaluation mode.

    `dense`: state_dict of the dense network, or of one of its shape. `build`: the class's `from_plan`.
    Raises BadInputError when plan, state and class aren't of one network.
    """
    layers = named_layers(build(plan.dense))
    state = slice_state(dense, plan, layers)
    return loaded(build(plan.net), state, "the checkpoint")


def cut_further(student: N, last: ChannelPlan, plan: ChannelPlan, build: Build[N]) -> N:
    """Return a student that was cut by `last` cut on, to `plan`, with the weights it has learnt.

    Raises BadInputError when `plan` keeps what `last` has removed.
    """
    return apply_plan(student.state_dict(), further(last, plan), build)


def further(last: ChannelPlan, plan: ChannelPlan) -> ChannelPlan:
    """Return `plan` as a plan for what was cut by `last` already: its indices count what `last` keeps.

    Raises BadInputError when `plan` keeps what `last` has removed.
    """
    layers = {}
    for name, cut in plan.layers.items():
        before = last.layers[name]
        layers[name] = LayerCut(
            len(before.keep_in),
            len(before.keep_out),
            _places(cut.keep_in, before.keep_in),
            _places(cut.keep_out, before.keep_out),
        )
    return ChannelPlan(last.net, layers)


def mask_state(state: State, plan: ChannelPlan, layers: Layers) -> dict[str, torch.Tensor]:
    """Return a dense state of full size in which the removed channels do nothing: their weights are zero.

    This is what masking prunes: no tensor gets smaller, no multiplication is saved.
    """
    result = {name: tensor.detach().clone() for name, tensor in state.items()}
    for name, cut in plan.layers.items():
        for key, axes in layers[name][1].tensors.items():
            full = f"{name}.{key}"
            if full not in result or key.startswith("running_"):
                continue
            for axis, keep, dense in zip(
                axes, (cut.keep_out, cut.keep_in), (cut.dense_out, cut.dense_in), strict=True
            ):
                if axis is not None:
                    gone = torch.tensor(sorted(set(range(dense)) - set(keep)), dtype=torch.int64)
                    result[full].index_fill_(axis, gone, 0.0)
    return result


def save_pruned(folder: Path, plan: ChannelPlan, module: nn.Module) -> None:
    """Write plan.json and weights.safetensors; a reader never sees half of one. Raises BadInputError."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    weights = save(state, metadata={"digest": plan.digest()})
    write_atomically(folder / WEIGHTS_FILE, lambda path: path.write_bytes(weights))
    write_text(folder / PLAN_FILE, plan.to_json())


def load_pruned(folder: Path, build: Build[N]) -> tuple[N, ChannelPlan]:
    """Read what `save_pruned` wrote: the network, in evaluation mode, and its plan. Raises BadInputError."""
    plan = ChannelPlan.read(folder / PLAN_FILE)
    return loaded(build(plan.net), load_tensors(folder / WEIGHTS_FILE), str(folder)), plan


def loaded(module: N, state: State, what: str) -> N:
    """Return `module` with the weights of `state`, in evaluation mode. Raises BadInputError naming `what`.

    Names and shapes must fit, and numbers must be decimal where the module's are; that they are finite isn't
    looked at, for a training that has diverged is told otherwise.
    """
    inside = module.state_dict()
    own = {name: tensor.shape for name, tensor in inside.items()}
    for name in [*own, *state]:
        if name not in own or name not in state or own[name] != state[name].shape:
            have = tuple(state[name].shape) if name in state else "none"
            raise BadInputError(
                what,
                f"is of another network: {name} is {have} there, {tuple(own.get(name, ())) or 'none'} here",
                "Bring the checkpoint that the plan was made for",
            )
        if inside[name].is_floating_point() and not state[name].is_floating_point():
            raise BadInputError(what, f"{name} holds {state[name].dtype}, no plain decimal numbers")
    module.load_state_dict(dict(state))
    return module.eval()


def _places(keep: Sequence[int], before: Sequence[int]) -> tuple[int, ...]:
    place = {channel: i for i, channel in enumerate(before)}
    try:
        return tuple(place[channel] for channel in keep)
    except KeyError as e:
        raise BadInputError("channel plan", f"keeps channel {e}, which an earlier round removed") from None


def _kept(cut: LayerCut) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(cut.keep_in, dtype=torch.int64), torch.tensor(cut.keep_out, dtype=torch.int64)


def _check_shape(name: str, tensor: torch.Tensor, axes: tuple[int | None, int | None], cut: LayerCut) -> None:
    for axis, dense in zip(axes, (cut.dense_out, cut.dense_in), strict=True):
        if axis is not None and (axis >= tensor.ndim or tensor.shape[axis] != dense):
            raise BadInputError(
                "the checkpoint",
                f"is of another network: {name} is {tuple(tensor.shape)}, the plan has {dense} channels",
                "Bring the checkpoint that the plan was made for",
            )
