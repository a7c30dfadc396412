"""How a mouth moves from pose to pose: smooth, bounded, without a jump between parts of a speech."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import MOUTH_PARAMS, MOUTH_RATE_HZ, MouthPose, Speech, rest_mouth

Poses = npt.NDArray[np.float64]
"""float64[T, 7], columns as in MOUTH_PARAMS."""
Mask = npt.NDArray[np.bool_]

JAW, WIDTH, ROUNDING, PROTRUSION, TEETH, TONGUE, PRESS = range(len(MOUTH_PARAMS))

REACH: Final = 3
"""Poses on either side that smoothing looks at: a full stroke of lips or jaw takes 2 * REACH + 1 poses.

70 ms is a brisk stroke of the lips, and short enough that "maybe" opens between its consonants. A target held
for REACH poses longer on both sides passes through smoothing unharmed, so that closures and silence are
exact, not approximate.
"""
JOIN: Final = np.array([6, 6, 6, 6, 6, 6, 3])
"""Poses over which a new part leaves the pose in which the last one ended, per column.

Lips at rest already touch: pressing them is a tiny motion, and a sentence may begin with a short m.
"""
SETTLE: Final = 5
"""Poses over which the end of a sentence falls to rest."""

# A Hann window: of the kernels of this length it has nearly the least peak acceleration.
_KERNEL: Final = np.hanning(2 * REACH + 3)[1:-1] / (REACH + 1)

_LOW: Final = np.array([-1.0 if name == "width" else 0.0 for name in MOUTH_PARAMS])


def pose_count(speech: Speech) -> int:
    """Return how many poses cover a speech: one per 1/MOUTH_RATE_HZ s, at least one."""
    return max(1, -(-speech.samples.size * MOUTH_RATE_HZ // speech.rate))


def dilate(mask: Mask, by: int) -> Mask:
    """Return `mask` (bool[T]) grown by `by` poses on both sides."""
    wide = mask.copy()
    for shift in range(1, by + 1):
        wide[shift:] |= mask[:-shift]
        wide[:-shift] |= mask[shift:]
    return wide


def runs(mask: Mask) -> Iterator[tuple[int, int]]:
    """Yield the stretches (start, stop) in which `mask` (bool[T]) is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    for start, stop in edges.reshape(-1, 2):
        yield int(start), int(stop)


def shut_through(silent: Mask, at_least: int) -> Mask:
    """Return where targets must be zero (bool[T]) so that the mouth is shut in every silence.

    Of silences of `at_least` (> 2 * REACH) poses, all but the edges become exactly zero after smoothing: from
    40 ms after the sound ends until 50 ms before it returns, and at least one pose.
    """
    shut = np.zeros(len(silent), bool)
    for start, stop in runs(silent):
        if stop - start < at_least:
            continue
        first, beyond = start + 1, stop - 2
        if beyond - first < 2 * REACH + 1:
            first = (start + stop) // 2 - REACH
            beyond = first + 2 * REACH + 1
        first = 0 if start == 0 else max(0, first)
        shut[first : len(silent) if stop == len(silent) else beyond] = True
    return shut


def smooth(targets: Poses, before: Poses, after: Poses) -> Poses:
    """Return `targets` smoothed over 2 * REACH + 1 poses; `before` and `after` (float64[REACH, 7]) adjoin.

    For targets within [0, 1] the second difference stays below 0.2 per pose squared.
    """
    padded = np.concatenate((before, targets, after))
    return np.stack([np.convolve(column, _KERNEL, mode="valid") for column in padded.T], axis=1)


class Flow:
    """Turns the targets of successive parts into one continuous motion. Not thread-safe."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start over from rest."""
        self._pose: MouthPose = rest_mouth()
        self._velocity = np.zeros(len(MOUTH_PARAMS))
        self._tail: Poses = np.zeros((REACH, len(MOUTH_PARAMS)))

    def run(self, targets: Poses, *, last: bool) -> npt.NDArray[np.float32]:
        """Return the motion (float32[T, 7], T >= 1) through `targets` (float64[T, 7]).

        It leaves the pose and speed in which the part before ended; after the last part of a sentence, and
        at the very first, that is rest.
        """
        # What comes next is unknown inside a sentence (so hold) and rest at its end.
        after = np.zeros_like(self._tail) if last else np.repeat(targets[-1:], REACH, axis=0)
        motion = smooth(targets, self._tail, after)
        self._tail = np.concatenate((self._tail, targets))[-REACH:]
        return self.carry(motion, last=last)

    def carry(self, motion: Poses, *, last: bool, joined: bool = False) -> npt.NDArray[np.float32]:
        """Return `motion` (float64[T, 7], T >= 1; changed), smooth already, joined to the part before.

        `joined`: it goes on from there as it is.
        """
        if not joined:
            self._join(motion)
        if last:
            _settle(motion)
        np.clip(motion, _LOW, 1.0, out=motion)
        values = motion.astype(np.float32)
        if last:
            self.reset()
        else:
            self._velocity = motion[-1] - (motion[-2] if len(motion) > 1 else self._pose)
            self._pose = values[-1].copy()
        return values

    def _join(self, motion: Poses) -> None:
        """Fade out, along a cubic Hermite curve, the offset in place and speed from the part before."""
        slope = motion[1] - motion[0] if len(motion) > 1 else np.zeros(len(MOUTH_PARAMS))
        offset = self._pose - (motion[0] - slope)
        if not offset.any():
            return
        span = JOIN + 1
        count = min(int(JOIN.max()), len(motion))
        x = np.minimum(1.0, np.arange(1, count + 1)[:, None] / span)
        place = (1 + 2 * x) * (1 - x) ** 2
        speed = x * (1 - x) ** 2 * span
        motion[:count] += place * offset + speed * (self._velocity - slope)


def _settle(motion: Poses) -> None:
    """End exactly at rest."""
    count = min(SETTLE, len(motion))
    x = np.linspace(1.0 / count, 1.0, count)[:, None]
    motion[-count:] -= motion[-1] * x * x * (3 - 2 * x)
