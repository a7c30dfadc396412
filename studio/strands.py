"""Hairs: many short curves with a width and a colour; what grows them and what draws them agree on this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from studio.presenter import Posed


@dataclass(frozen=True, slots=True)
class Strands:
    """N hairs of K points each, roots first; decimetres."""

    points: npt.NDArray[np.float32]
    """float32[N, K, 3]: on the presenter at rest, head not turned."""
    widths: npt.NDArray[np.float32]
    """float32[N, K]: across, decimetres."""
    albedo: npt.NDArray[np.float32]
    """float32[N, K, 3]: linear."""
    with_head: npt.NDArray[np.float32]
    """float32[N, K]: 1 moves with the skull, 0 lies on the shoulders."""
    shine: float = 1.0
    """0 matt (brows, lashes) .. 1 healthy hair."""
    placed: Callable[[Posed], npt.NDArray[np.float32]] | None = None
    """Where they are in a pose, float32[N, K, 3], when they follow the skin (brows, lashes, beard)."""

    def coarser(self, points: int) -> Strands:
        """Return the same hairs of `points` points each, of those that there are; roots and tips stay."""
        have = self.widths.shape[1]
        if points >= have:
            return self
        at = np.rint(np.linspace(0, have - 1, points)).astype(np.intp)
        follow = self.placed
        return replace(
            self,
            points=self.points[:, at],
            widths=self.widths[:, at],
            albedo=self.albedo[:, at],
            with_head=self.with_head[:, at],
            placed=(lambda posed: follow(posed)[:, at]) if follow else None,
        )
