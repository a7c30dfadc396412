"""When do two things agree best? Late is positive: the picture behind its sound, or behind truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.floating[Any]]

REACH: Final = 15
"""Pictures to either side that an offset is looked for in."""
_LEAST: Final = 5
"""Windows that a distance is the mean of, or it isn't known."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What the expert makes of a clip."""

    offset_frames: float
    """How late the picture is; finer than a frame, by a parabola."""
    distance: float
    """Mean at the best shift, 0 .. 2 (LSE-D, but of unit vectors and of our own synthetic expert)."""
    confidence: float
    """Median over the shifts less the best (LSE-C, likewise)."""
    curve: Curve
    """float[2 * REACH + 1]: mean distances when the picture is REACH early .. REACH late."""


def timing(seen: Curve, heard: Curve, audible: npt.NDArray[np.bool_], reach: int = REACH) -> Timing:
    """Compare windows (float[T, D], unit vectors) at all shifts; only those whose sound is audible count."""
    far = np.sqrt(np.maximum(2 - 2 * seen @ heard.T, 0))
    curve = np.full(2 * reach + 1, np.nan)
    for late in range(-reach, reach + 1):
        found = np.diagonal(far, -late)
        there = audible[max(0, -late) : max(0, -late) + len(found)]
        if int(there.sum()) >= _LEAST:
            curve[late + reach] = float(found[there].mean())
    return _timed(curve)


def joined(curves: Sequence[Curve]) -> Timing:
    """Return what the mean of several clips' curves says."""
    found = np.stack(curves)
    known = np.isfinite(found)
    total = np.where(known, found, 0).sum(0)
    return _timed(np.where(known.any(0), total / np.maximum(known.sum(0), 1), np.nan))


def lag(truth: Curve, got: Curve, reach: int = REACH) -> tuple[float, float]:
    """Return how many samples `got` (float[T]) is late behind `truth`, and Pearson's r there.

    Each lag is judged by the samples that both have. Where one of them never moves: nan and 0.
    """
    if len(truth) != len(got) or len(truth) <= 2 * reach or truth.std() == 0 or got.std() == 0:
        return float("nan"), 0.0
    scores = np.array([_r(*_overlap(truth, got, late)) for late in range(-reach, reach + 1)])
    place, r = vertex(scores, int(np.argmax(scores)))
    return place - reach, r


def vertex(values: Curve, top: int) -> tuple[float, float]:
    """Return place and height of the parabola through a maximum and its neighbours; at an end, of itself."""
    if 0 < top < len(values) - 1 and np.isfinite(values[top - 1 : top + 2]).all():
        before, here, after = (float(v) for v in values[top - 1 : top + 2])
        bend = before - 2 * here + after
        if bend < 0:
            aside = 0.5 * (before - after) / bend
            return top + aside, here - 0.25 * (before - after) * aside
    return float(top), float(values[top])


def correlation(a: Curve, b: Curve) -> float:
    """Return Pearson's r; 0 where one of them never moves, or there is nothing."""
    return _r(a, b) if len(a) > 1 else 0.0


def _timed(curve: Curve) -> Timing:
    if np.isnan(curve).all():
        return Timing(float("nan"), float("nan"), float("nan"), curve)
    best = int(np.nanargmin(curve))
    offset, least = vertex(-curve, best)
    return Timing(offset - len(curve) // 2, -least, float(np.nanmedian(curve) - np.nanmin(curve)), curve)


def _overlap(truth: Curve, got: Curve, late: int) -> tuple[Curve, Curve]:
    size = len(truth) - abs(late)
    first = max(0, late)
    return truth[first - late : first - late + size], got[first : first + size]


def _r(a: Curve, b: Curve) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0
