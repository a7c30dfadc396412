"""Ease the mouth where speech begins, breaks off or starves, so that it never jumps and always shuts."""

from __future__ import annotations

import numpy as np

from vcam_talker.air.timeline import FaceSample
from vcam_talker.core.types import NO_TURN, MouthPose, Pts, rest_mouth

_CLOSE_NS = 100_000_000
_OPEN_NS = 50_000_000


def smoothstep(x: float) -> float:
    """Return the cubic ease from 0 to 1 over x in [0, 1]."""
    x = min(1.0, max(0.0, x))
    return x * x * (3 - 2 * x)


class MouthEasing:
    """Follows the timeline's mouth; at every change of turn it blends from where the mouth is.

    Into speech within 50 ms, into silence within 100 ms. One thread; PTS must not step back by much.
    """

    def __init__(self) -> None:
        self._turn = NO_TURN
        self._from = rest_mouth()
        self._since = Pts(0)
        self._last = rest_mouth()

    def shape(self, pts: Pts, sample: FaceSample) -> MouthPose:
        """Return the mouth to draw at `pts`, float32[7]; exactly zero once at rest."""
        if sample.turn != self._turn:
            self._turn = sample.turn
            self._from = self._last
            self._since = pts
        span_ns = _CLOSE_NS if sample.turn == NO_TURN else _OPEN_NS
        share = np.float32(smoothstep((pts - self._since) / span_ns))
        self._last = self._from * (1 - share) + sample.mouth * share if share < 1 else sample.mouth
        return self._last
