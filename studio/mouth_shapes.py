"""Which mouths a persona has pictures of: few that lie close to all that speech passes through."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import MOUTH_PARAMS
from vcam_talker.face.visemes import SHAPES, Kind

Poses = npt.NDArray[np.float32]
"""float32[N, 7], see `core.types.MOUTH_PARAMS`."""

_WEIGHTS: Final = np.array([2.4, 0.8, 1.2, 0.7, 0.9, 0.45, 1.1])
"""How much a change of each mouth parameter is seen."""
_BLENDS: Final = (0.25, 0.5, 0.75)
_REDUCED: Final = (0.5, 0.75, 1.0)
"""Quick speech stays below its targets."""


def usual_mouths() -> Poses:
    """Return what speech passes through: every target, less of it, and what lies between two."""
    targets = np.array(
        [
            (s.jaw, s.width, s.rounding, s.protrusion, s.teeth, s.tongue, s.press)
            for s in SHAPES.values()
            if s.kind is not Kind.MARK
        ],
        np.float32,
    )
    pairs = [targets]
    for share in _BLENDS:
        between = targets[:, None] * share + targets[None] * (1 - share)
        pairs.append(between.reshape(-1, len(MOUTH_PARAMS)))
    found = np.concatenate(pairs)
    return np.asarray(np.concatenate([found * share for share in _REDUCED]), np.float32)


def choose(poses: Poses, count: int) -> Poses:
    """Return `count` of `poses`, rest first, the others far apart.

    Each new one is the farthest from all before (Gonzalez 1985), so that nothing is far from all of them.
    """
    found = [np.zeros(len(MOUTH_PARAMS), np.float32)]
    away = np.full(len(poses), np.inf)
    while len(found) < count:
        away = np.minimum(away, (((poses - found[-1]) * _WEIGHTS) ** 2).sum(1))
        found.append(poses[int(away.argmax())])
    return np.asarray(found, np.float32)
