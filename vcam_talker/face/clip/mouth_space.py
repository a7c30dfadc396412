"""Which pre-rendered mouths make up a mouth pose, and in what parts.

The parts are local barycentric coordinates: of all mixtures of shapes, the one that comes nearest to the pose
and is made of near shapes. They are non-negative, change without a jump, and half-way between two shapes
both count half, so that lips move as evenly as the pose does. As a non-negative least squares problem it is
solved by the active-set method of Lawson and Hanson (1974) on the normal equations (Bro and de Jong 1997).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import MOUTH_PARAMS, MouthPose
from vcam_talker.face.clip.archive import Floats

Weights = npt.NDArray[np.float64]
"""float64[N], one per shape, summing to 1."""
_JAW, _TEETH, _PRESS = (MOUTH_PARAMS.index(name) for name in ("jaw", "teeth", "press"))
_METRIC: Final = np.array([1.6, 0.8, 1.0, 0.6, 0.6, 0.4, 1.0])
"""How much a difference of 1 in each mouth parameter shows."""
_LOCALITY: Final = 0.1
"""What a far shape costs, against missing the pose by as much."""
_SUM: Final = 10.0
"""Weight of the condition that all parts sum to 1."""
_PRUNE: Final = 0.02
_PRESS_SHUT: Final = (0.15, 0.6)
"""Press from which the lips begin to close whatever the jaw does, and at which they touch."""
_PARTED: Final = (0.03, 0.10)
"""Jaw or bared teeth at which the lips still touch, and at which they are as open as the shapes say."""


def smooth(x: float, low: float, high: float) -> float:
    """Ease from 0 at `low` to 1 at `high` with flat ends."""
    x = min(max((x - low) / (high - low), 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


def openness(mouth: MouthPose) -> float:
    """Return 0 when the pose has the lips touch, 1 when they are apart, between them on the way."""
    apart = max(float(mouth[_JAW]), float(mouth[_TEETH]))
    return smooth(apart, *_PARTED) * (1.0 - smooth(float(mouth[_PRESS]), *_PRESS_SHUT))


class MouthSpace:
    """The shapes as points in a space of mouth poses. Immutable; any thread."""

    def __init__(self, shapes: Floats, shut: npt.NDArray[np.bool_]) -> None:
        """Take float32[N, 7], the first at rest, and which of them have lips that touch, bool[N]."""
        self._places = shapes.astype(np.float64) * _METRIC
        self._gram = self._places @ self._places.T + _SUM**2
        self._all = np.arange(len(shapes))
        self._closed = np.flatnonzero(shut)

    def weights(self, mouth: MouthPose) -> Weights:
        """Return the parts of all shapes; those of open ones are exactly 0 where the pose is shut."""
        place = np.clip(mouth.astype(np.float64), -1.0, 1.0) * _METRIC
        apart = openness(mouth)
        found = np.zeros(len(self._all))
        if apart > 0.0:
            found += apart * self._mix(place, self._all)
        if apart < 1.0:
            found += (1.0 - apart) * self._mix(place, self._closed)
        found = np.maximum(found - _PRUNE, 0.0)
        return np.asarray(found / found.sum())

    def _mix(self, place: npt.NDArray[np.float64], among: npt.NDArray[np.intp]) -> Weights:
        places = self._places[among]
        away = ((places - place) ** 2).sum(1)
        gram = self._gram[np.ix_(among, among)].copy()
        gram[np.diag_indices(len(among))] += _LOCALITY * away + 1e-9
        part = _nonnegative(gram, places @ place + _SUM**2)
        found = np.zeros(len(self._all))
        found[among] = part / part.sum()
        return found


def _nonnegative(gram: npt.NDArray[np.float64], target: npt.NDArray[np.float64]) -> Weights:
    """Return the x >= 0 that minimises x'Gx / 2 - t'x, G positive definite."""
    count = len(target)
    x = np.zeros(count)
    passive = np.zeros(count, np.bool_)
    for _ in range(3 * count):
        gain = np.where(passive, -np.inf, target - gram @ x)
        best = int(gain.argmax())
        if gain[best] <= 1e-9:
            break
        passive[best] = True
        while True:
            chosen = np.flatnonzero(passive)
            aim = np.linalg.solve(gram[np.ix_(chosen, chosen)], target[chosen])
            if (aim > 0.0).all():
                x[:] = 0.0
                x[chosen] = aim
                break
            # Go towards it until the first part vanishes; that one is left out from here on.
            now, out = x[chosen], aim <= 0.0
            step = (now[out] / (now[out] - aim[out] + 1e-300)).min()
            x[chosen] = np.maximum(now + step * (aim - now), 0.0)
            passive[chosen[out & (x[chosen] <= 1e-12)]] = False
            if not passive.any():
                break
    return x
