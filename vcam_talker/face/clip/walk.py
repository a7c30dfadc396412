"""A life that never loops: which segment of the clip comes next."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from vcam_talker.core.types import Activity
from vcam_talker.face.clip.assets import Segment

_FRESH: Final = 0.35
"""Of the segments that fit, those shown last are left out up to this share of their number."""


@dataclass(frozen=True, slots=True)
class Step:
    """A segment at its place in the presenter's life."""

    begin: int
    """Number of its first frame, counted from PTS 0."""
    segment: Segment

    @property
    def end(self) -> int:
        """Number of the frame after its last."""
        return self.begin + self.segment.frames

    def clip_frame(self, number: int) -> int:
        """Return which frame of the clip is shown as frame `number`."""
        return self.segment.first + number - self.begin


class Walk:
    """A random walk over segments, each beginning at the anchor where the one before ended. One thread.

    The same seed and the same sequence of calls give the same life.
    """

    def __init__(self, segments: Sequence[Segment], seed: int, ahead: int) -> None:
        """`ahead`: how many frames are planned beyond the one asked for; >= 0."""
        self._segments = segments
        self._seed = seed
        self._ahead = ahead
        self._leaving: dict[str, list[int]] = {}
        for index, segment in enumerate(segments):
            self._leaving.setdefault(segment.begins, []).append(index)
        self._steps: deque[Step] = deque()
        self._rng = Random()
        self._shown: dict[int, int] = {}
        self._count = 0

    def at(self, number: int, activity: Activity) -> tuple[Step, ...]:
        """Return the step that frame `number` belongs to and those planned after it.

        The activity decides for the segments that are chosen now. A number before the current segment, or
        far behind the plan, begins another life there.
        """
        steps = self._steps
        if not steps or number < steps[0].begin or number - steps[-1].end > self._patience:
            self._begin(number, activity)
        while steps[-1].end <= number + self._ahead:
            self._append(steps[-1].end, self._next(steps[-1].segment.ends, activity))
        while steps[0].end <= number:
            steps.popleft()
        return tuple(steps)

    @property
    def _patience(self) -> int:
        return 2 * max(segment.frames for segment in self._segments)

    def _begin(self, number: int, activity: Activity) -> None:
        self._rng = Random(f"{self._seed} {number}")
        self._steps.clear()
        # Before anything was shown: ties fall to chance, not to the order in the file.
        many = len(self._segments)
        self._shown = {index: -1 - self._rng.randrange(many) for index in range(many)}
        self._count = 0
        everything = [i for indices in self._leaving.values() for i in indices]
        self._append(number, self._choose(self._of(everything, activity)))

    def _append(self, begin: int, index: int) -> None:
        self._shown[index] = self._count
        self._count += 1
        self._steps.append(Step(begin, self._segments[index]))

    def _next(self, anchor: str, activity: Activity) -> int:
        return self._choose(self._of(self._leaving[anchor], activity))

    def _of(self, indices: Sequence[int], activity: Activity) -> Sequence[int]:
        """Return those of the activity; else idle ones, above all those that lead there; else all."""
        wanted = [i for i in indices if self._segments[i].activity is activity]
        if wanted:
            return wanted
        idle = [i for i in indices if self._segments[i].activity is Activity.IDLE]
        leading = [i for i in idle if self._starts(self._segments[i].ends, activity)]
        return leading or idle or indices

    def _starts(self, anchor: str, activity: Activity) -> bool:
        return any(self._segments[i].activity is activity for i in self._leaving[anchor])

    def _choose(self, fits: Sequence[int]) -> int:
        """Draw one, the more probably the longer it was not shown: always the oldest would be a loop."""
        oldest = sorted(fits, key=self._shown.__getitem__)
        kept = oldest[: len(oldest) - int(_FRESH * len(oldest))]
        # Never the same twice running; but of two, leaving out the other one too would be a loop.
        if len(kept) > 1 and self._shown[kept[-1]] == self._count - 1:
            kept.pop()
        return self._rng.choices(kept, [self._count - self._shown[i] for i in kept])[0]
