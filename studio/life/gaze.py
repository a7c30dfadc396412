"""Eyes: where they rest, how they jump, when they blink."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np

from studio.life.curves import Curve, min_jerk, saccade_s, sway, window

FPS: Final = 30
"""All life is made for this frame rate."""

DOWN_S: Final = 2 / FPS
"""Of a blink: the upper lid falls, ..."""
SHUT_S: Final = 1.5 / FPS
"""...stays (with the fall 100 to 120 ms), ..."""
UP_S: Final = (4 / FPS, 6 / FPS)
"""...and rises more slowly."""
BLINK_S: Final = DOWN_S + SHUT_S + UP_S[1]

_EDGE_S: Final = 0.12
"""Eyes are at rest this long before and after an anchor."""
_SIGMA: Final = 0.55
"""Of the log-normal gaps between blinks."""
_MIN_GAP_S: Final = 0.7
_DOUBLE: Final = 0.09
"""Share of blinks that come as two."""
_PAIRED_S: Final = 0.9
"""A blink by itself that is nearer than this to one that goes with a gaze shift is left out."""


@dataclass(frozen=True, slots=True)
class Fixation:
    """From `start_s` the eyes jump to, and then rest at, so many degrees right and up of the viewer."""

    start_s: float
    right_deg: float
    up_deg: float


@dataclass(frozen=True, slots=True)
class Blink:
    """One closing of both lids; `depth` 1 shuts them."""

    start_s: float
    up_s: float
    depth: float = 1.0


def watch(
    begin_s: float, end_s: float, rng: Random, centre: tuple[float, float] = (0.0, 0.0)
) -> list[Fixation]:
    """Return fixations on a face: its eyes, its mouth, each for a while; from `centre` and back to it."""
    found = [Fixation(begin_s, *centre)]
    t = begin_s + rng.lognormvariate(math.log(0.75), 0.5)
    while t < end_s - 0.45:
        # A viewer's eyes and mouth, seen from across a desk, are about two degrees apart.
        right, up = rng.choice(((-1.1, 0.25), (1.1, 0.25), (0.0, -1.3), (0.0, 0.0)))
        found.append(Fixation(t, centre[0] + right + rng.gauss(0, 0.25), centre[1] + up + rng.gauss(0, 0.25)))
        t += max(0.18, rng.lognormvariate(math.log(0.55), 0.5))
    found.append(Fixation(min(t, end_s - 0.25), *centre))
    return found


def follow(t: Curve, fixations: list[Fixation], rng: Random) -> tuple[Curve, Curve]:
    """Return the gaze, degrees right and up: jumps by the main sequence, drift between them.

    Begins and ends wherever the first and the last fixation say, which both must be the viewer.
    """
    right, up = np.zeros_like(t), np.zeros_like(t)
    at = (0.0, 0.0)
    for fixation in sorted(fixations, key=lambda f: f.start_s):
        step = (fixation.right_deg - at[0], fixation.up_deg - at[1])
        size = math.hypot(*step)
        if size < 1e-9:
            continue
        done = min_jerk((t - fixation.start_s) / saccade_s(size))
        right += step[0] * done
        up += step[1] * done
        at = (fixation.right_deg, fixation.up_deg)
    still = window(t, float(t[-1]), 0.4)
    return right + 0.07 * still * sway(t, rng, 0.6), up + 0.07 * still * sway(t, rng, 0.6)


def spontaneous(total_s: float, per_min: float, rng: Random) -> list[float]:
    """Return when lids fall by themselves within `total_s`: log-normal gaps, now and then two at once."""
    if per_min <= 0:
        return []
    mu = math.log(60.0 / per_min * (1 + _DOUBLE)) - _SIGMA**2 / 2
    found: list[float] = []
    # A random moment falls into a gap of length-biased size, somewhere.
    t = rng.lognormvariate(mu + _SIGMA**2, _SIGMA) * rng.random()
    while t < total_s:
        found.append(t)
        if rng.random() < _DOUBLE:
            found.append(t + BLINK_S + 0.05)
        t += max(_MIN_GAP_S, rng.lognormvariate(mu, _SIGMA))
    return found


def blinks(end_s: float, wanted_s: list[float], fixations: list[Fixation], rng: Random) -> list[Blink]:
    """Return the blinks of a piece of life: with large gaze shifts, and the `wanted_s` that don't meet those.

    Lids are open near both ends, so a wanted one may come a little early or late.
    """
    low, high = _EDGE_S, end_s - BLINK_S - _EDGE_S
    paired = [
        shift_s - 0.04
        for shift_s, size in _shifts(fixations)
        if size > 4.5 and rng.random() < 0.45 and low < shift_s - 0.04 < high
    ]
    found: list[Blink] = []
    last = -BLINK_S
    for drawn_s in sorted(paired + [t for t in wanted_s if all(abs(t - p) > _PAIRED_S for p in paired)]):
        start_s = min(max(drawn_s, low, last + BLINK_S), high)
        if start_s > last + BLINK_S - 1e-9:
            found.append(_blink(start_s, rng))
            last = start_s
    return found


def lids(t: Curve, found: list[Blink], lag_s: float) -> tuple[Curve, Curve]:
    """Return how far blinks shut the viewer's left and right eye, 0 to 1; the right one `lag_s` later."""
    both = []
    for late in (0.0, lag_s):
        shut = np.zeros_like(t)
        for blink in found:
            down = min_jerk((t - blink.start_s - late) / DOWN_S)
            # The lid leaves fast and arrives slowly.
            opened = np.clip((t - blink.start_s - late - DOWN_S - SHUT_S) / blink.up_s, 0.0, 1.0)
            shut = np.maximum(shut, blink.depth * (down - min_jerk(opened**0.8)))
        both.append(shut)
    return both[0], both[1]


def _blink(start_s: float, rng: Random) -> Blink:
    # On the frame grid, or no frame might show the lids shut.
    start_s = round(start_s * FPS) / FPS
    return Blink(start_s, rng.uniform(*UP_S), 0.7 if rng.random() < 0.08 else 1.0)


def _shifts(fixations: list[Fixation]) -> list[tuple[float, float]]:
    """Return when the gaze jumps, and by how many degrees."""
    ordered = [Fixation(0.0, 0.0, 0.0), *sorted(fixations, key=lambda f: f.start_s)]
    return [
        (b.start_s, math.hypot(b.right_deg - a.right_deg, b.up_deg - a.up_deg))
        for a, b in itertools.pairwise(ordered)
    ]
