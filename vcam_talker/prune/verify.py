"""Does a cut do what its plan says? Compared with the masked dense network, whatever the graph said.

Every layer's output is compared, not the network's alone: a wrong index early in a deep network may be too
faint to be seen at its end, and is plain in the layer that reads it. And it is done twice. The weights
themselves may hide a wrong index, where channels are dead or never change; so a copy of the network is
compared as well, whose batch norms are set such that every channel says something.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from vcam_talker.core.errors import EngineError
from vcam_talker.prune.apply import Build, N, apply_plan, mask_state
from vcam_talker.prune.layers import named_layers
from vcam_talker.prune.plan import ChannelPlan

EXACT: Final = 1e-12
"""Greatest difference that rounding in float64 may leave, in shares of a layer's values, in the copy that is
set to be judged by; some 1e-14 is usual."""
_OWN_EXACT: Final = 1e-9
"""And with the network's own weights, which may multiply rounding as they like (3e-13 was seen). Weights that
aren't the dense ones are off by 6e-8 at least: they are float32."""
_ROWS: Final = 2
"""Of noise. Batch norms of layers with one value a row settle on so many values, and want more than one."""
_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d)
_SEED: Final = 7
_BIT: Final = 0.1


def check_cut(
    dense: N, pruned: nn.Module, plan: ChannelPlan, build: Build[N], inputs: Sequence[Tensor]
) -> float:
    """Return the greatest difference from the masked dense network, by `difference`. Raises EngineError.

    `pruned` has the weights of `dense` still; `inputs`: an example of each argument, of which only shape and
    kind matter. Blocks for five forward passes of some rows, most of them in float64.
    """
    examples = noise_like(inputs)
    alive = enlivened(dense, plan, examples)
    worst = 0.0
    standing_in = apply_plan(alive.state_dict(), plan, build)
    for whole, cut, bar in ((alive, standing_in, EXACT), (dense, pruned, _OWN_EXACT)):
        off = difference(whole, cut, plan, examples)
        if not off <= bar:  # what is no number isn't, either
            raise EngineError(
                "the pruned network",
                f"differs from the masked dense one by {off:.1e}",
                "Nothing was written",
            )
        worst = max(worst, off)
    return worst


def compared(off: float) -> str:
    """Return what is told of a cut that was checked."""
    return f"compared with the masked dense network, layer by layer in float64: off by {off:.1e} at most"


def difference(dense: N, pruned: nn.Module, plan: ChannelPlan, inputs: Sequence[Tensor]) -> float:
    """Return the greatest difference between a pruned and the masked dense network, in float64.

    Of the outputs and of what every layer has kept, each in shares of its root mean square. `pruned` has the
    weights of `dense` still. Rounding leaves some 1e-15; more means that the plan fits neither. Blocks for a
    forward pass of each, and holds what all layers give out of one.
    """
    masked = _masked(dense, plan)
    examples = [x.double() if x.is_floating_point() else x for x in inputs]
    wanted: dict[str, list[Tensor]] = {name: [] for name in plan.layers}
    seen = dict.fromkeys(wanted, 0)
    worst = [0.0]

    def keep(name: str, made: Tensor) -> None:
        kept = torch.tensor(plan.layers[name].keep_out)
        wanted[name].append(made.index_select(_axis(masked.get_submodule(name), made), kept))

    def compare(name: str, made: Tensor) -> None:
        worst.append(_off(made, wanted[name][seen[name]]))
        seen[name] += 1

    with torch.no_grad():
        with _listening(masked, wanted, keep):
            theirs = _outputs(masked.double().eval()(*examples))
        ours_net = copy.deepcopy(pruned)
        with _listening(ours_net, wanted, compare):
            ours = _outputs(ours_net.double().eval()(*examples))
    worst += [_off(a, b) for a, b in zip(ours, theirs, strict=True)]
    # Not by max(): it passes over a NaN that doesn't come first.
    return float(torch.tensor(worst, dtype=torch.float64).max())


def settle(module: nn.Module, inputs: Sequence[Tensor], *, least: float = 0.0) -> None:
    """Give batch norms mean and variance of what passes, in place, so that no layer dies or explodes.

    A network as it is initialised hardly depends on its inputs: every layer weakens what varies. `inputs`:
    two rows or more. `least`: of a channel's variance, in shares of its layer's mean one; a channel that is
    nearly the same in all rows would else have its rounding multiplied without measure. Blocks for a forward
    pass; the module is in evaluation mode afterwards.
    """

    def take(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        others = [axis for axis in range(given[0].ndim) if axis != 1]
        variance = given[0].var(others, correction=0)
        cast("Tensor", norm.running_mean).copy_(given[0].mean(others))
        cast("Tensor", norm.running_var).copy_(variance.clamp(min=least * float(variance.mean())))

    norms = [m for m in module.eval().modules() if isinstance(m, _NORMS) and m.track_running_stats]
    handles = [norm.register_forward_pre_hook(take) for norm in norms]
    try:
        with torch.no_grad():
            module(*inputs)
    finally:
        for handle in handles:
            handle.remove()


def enlivened(module: N, plan: ChannelPlan, inputs: Sequence[Tensor]) -> N:
    """Return a copy in which no channel that `plan` keeps is dead, and no two of a layer are alike.

    Scales of batch norms are from 0.5 to 1.5, shifts from 0.1 to 0.6, slopes from 0.1 to 0.6, by chance: what
    has mean 0 and is shifted up gives something through every ReLU. For layers without a norm behind them,
    biases are lifted until as much is true. All of it holds where channels are masked as `plan` says, which
    is how the copy is used. Blocks for a forward pass of `inputs`, two rows or more.
    """
    alive = copy.deepcopy(module)
    chance = torch.Generator().manual_seed(_SEED)

    def draw(tensor: Tensor, least: float, most: float) -> None:
        tensor.copy_(least + (most - least) * torch.rand(tensor.shape, generator=chance))

    with torch.no_grad():
        for layer in alive.modules():
            if isinstance(layer, _NORMS) and layer.affine:
                draw(layer.weight, 0.5, 1.5)
                draw(layer.bias, 0.1, 0.6)
            elif isinstance(layer, nn.PReLU):
                draw(layer.weight, 0.1, 0.6)
    masked = _masked(alive, plan)
    lifted = {
        name: layer
        for name, layer in masked.named_modules()
        if isinstance(getattr(layer, "bias", None), Tensor) and not isinstance(layer, _NORMS)
    }
    handles = [layer.register_forward_hook(_lift) for layer in lifted.values()]
    try:
        settle(masked, inputs, least=1.0)
    finally:
        for handle in handles:
            handle.remove()
    found = masked.state_dict()
    names = [name for name in found if name.endswith(("running_mean", "running_var"))]
    biases = [f"{name}.bias" for name in lifted]
    alive.load_state_dict({name: found[name] for name in [*names, *biases]}, strict=False)
    return alive


def _masked(module: N, plan: ChannelPlan) -> N:
    masked = copy.deepcopy(module)
    masked.load_state_dict(mask_state(module.state_dict(), plan, named_layers(module)))
    return masked


def _lift(layer: nn.Module, _given: object, made: Tensor) -> Tensor | None:
    """Shift a layer's bias until the mean of every channel is its deviation and a bit."""
    axis = _axis(layer, made)
    bias = cast("Tensor", layer.bias)
    if bias.shape != made.shape[axis : axis + 1]:
        return None  # it holds something else by that name
    others = [a for a in range(made.ndim) if a != axis]
    up = made.std(others, correction=0) + _BIT - made.mean(others)
    bias.add_(up)
    return made + up.reshape([-1 if a == axis else 1 for a in range(made.ndim)])


def noise_like(inputs: Sequence[Tensor], rows: int = _ROWS, seed: int = _SEED) -> tuple[Tensor, ...]:
    """Return noise of the shapes of `inputs`, so many rows of it: float32[rows, ...], mean 0, deviation 1.

    Whole numbers (tokens) are drawn from those that the example has.
    """
    chance = torch.Generator().manual_seed(seed)

    def noise(example: Tensor) -> Tensor:
        shape = (rows, *example.shape[1:])
        if example.is_floating_point():
            return torch.randn(shape, generator=chance)
        return example.flatten()[torch.randint(example.numel(), shape, generator=chance)]

    return tuple(noise(example) for example in inputs)


@contextmanager
def _listening(
    module: nn.Module, names: Mapping[str, object], heard: Callable[[str, Tensor], None]
) -> Iterator[None]:
    """Tell what the layers of these names give out, while it lasts."""

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda _module, _given, made: heard(name, made)

    handles = [module.get_submodule(name).register_forward_hook(hook(name)) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _axis(layer: nn.Module, made: Tensor) -> int:
    """Return the axis of a layer's channels: a linear one has them last, however many axes come before."""
    return made.ndim - 1 if isinstance(layer, nn.Linear) else 1


def _off(ours: Tensor, theirs: Tensor) -> float:
    """Return the greatest difference in shares of `theirs`' root mean square, of zeros only 0 or infinity."""
    if not ours.numel():
        return 0.0
    off, size = float((ours - theirs).abs().max()), float(theirs.square().mean().sqrt())
    if size:
        return off / size
    return float("inf") if off else 0.0


def _outputs(value: Any) -> list[Tensor]:  # noqa: ANN401 - whatever a network returns
    if isinstance(value, Tensor):
        return [value]
    inner = value.values() if isinstance(value, dict) else value
    return [tensor for item in inner for tensor in _outputs(item)]
