"""Distillation: the pruned student learns from what the dense teacher gives out and feels inside.

A student's channel is a teacher's channel that was kept, so features can be compared channel by channel, with
no adapter to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vcam_talker.core.errors import BadInputError
from vcam_talker.prune.plan import ChannelPlan

_TINY: Final = 1e-6


class Distillation:
    """The loss of a student beside its teacher. Context manager; watches the layers until it is closed.

    The sum of: `target` times the mean absolute difference to the truth, `pixels` times that to the teacher's
    output, `features` times the mean squared difference of the layers' outputs in units of the teacher's
    variance, averaged over layers.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        plan: ChannelPlan,
        layers: Sequence[str] = (),
        *,
        target: float = 1.0,
        pixels: float = 0.5,
        features: float = 0.1,
    ) -> None:
        """`layers`: names whose outputs are compared, convolutions best. Raises BadInputError for others."""
        self._student = student
        self._teacher = teacher.eval()
        self._weights = (target, pixels, features)
        self._keep: dict[str, Tensor] = {}
        self._felt: dict[tuple[bool, str], Tensor] = {}
        self._handles: list[RemovableHandle] = []
        for name in layers:
            if name not in plan.layers:
                raise BadInputError(f"layer {name!r}", "isn't in the channel plan, so it can't be compared")
            self._keep[name] = torch.tensor(plan.layers[name].keep_out, dtype=torch.int64)
            for module in (student, teacher):
                self._watch(module, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop watching. Idempotent."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._felt.clear()

    def loss(
        self, inputs: Sequence[Tensor], target: Tensor | None = None, weight: Tensor | None = None
    ) -> Tensor:
        """Run both on a batch and return the loss, with gradients for the student only.

        `target`: what the first output should be. `weight` (broadcast to the outputs' shape) counts some
        places more, the mouth for instance; its mean should be 1.
        """
        with torch.no_grad():
            wanted = _outputs(self._teacher(*inputs))
        made = _outputs(self._student(*inputs))
        by_target, by_pixels, by_features = self._weights
        loss = by_pixels * sum(
            (_absolute(a, b, weight) for a, b in zip(made, wanted, strict=True)), start=made[0].new_zeros(())
        )
        if target is not None:
            loss = loss + by_target * _absolute(made[0], target, weight)
        if self._keep:
            loss = loss + by_features * sum(self._unlike(name) for name in self._keep) / len(self._keep)
        return loss

    def _watch(self, module: nn.Module, name: str) -> None:
        own = module is self._student

        def felt(_module: nn.Module, _inputs: Any, output: Tensor) -> None:  # noqa: ANN401
            self._felt[own, name] = output

        self._handles.append(module.get_submodule(name).register_forward_hook(felt))

    def _unlike(self, name: str) -> Tensor:
        mine = self._felt[True, name]
        teacher = self._felt[False, name].detach().index_select(1, self._keep[name].to(mine.device))
        return (mine - teacher).square().mean() / (teacher.var() + _TINY)


def _absolute(made: Tensor, wanted: Tensor, weight: Tensor | None) -> Tensor:
    off = (made - wanted).abs()
    return (off if weight is None or made.ndim != weight.ndim else off * weight).mean()


def _outputs(value: Any) -> list[Tensor]:  # noqa: ANN401 - whatever a network returns
    return [value] if isinstance(value, Tensor) else [tensor for item in value for tensor in _outputs(item)]
