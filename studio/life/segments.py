"""The pieces that a life without a loop is put together from.

A segment of `frames` frames is a motion over `frames / 30` seconds from one anchor to another, at rest at
both ends. Frame k shows it at (k + 1) / 30 s: the last frame shows the anchor `ends` itself, the first one
already the first sample after `begins`. So segments that fit are simply shown one after another: no picture
comes twice, and place and velocity go on. `pose(-1)` is what stands before the first frame: `begins`.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from studio.life.acts import ACTS
from studio.life.anchors import ANCHORS, Channels, pose_of
from studio.life.gaze import FPS, spontaneous
from studio.life.style import Style
from studio.life.take import Take
from studio.pose import Pose
from vcam_talker.core.types import Activity

_PAIRS: Final = tuple(begins + ends for begins in ANCHORS for ends in ANCHORS)
_TURNS: Final = tuple(pair for pair in _PAIRS if pair[0] != pair[1])
_SCORE: Final[tuple[tuple[Activity, tuple[str, ...], float, float], ...]] = (
    (Activity.IDLE, (*_PAIRS, "ab", "ca"), 3.2, 5.6),
    (Activity.LISTENING, _TURNS, 2.8, 3.4),
    (Activity.THINKING, _TURNS, 2.8, 3.4),
    (Activity.SPEAKING, _PAIRS, 1.9, 3.3),
)
"""Activity, the anchors joined, and shortest and longest segment in seconds."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of life; see the module."""

    activity: Activity
    begins: str
    """Anchor's name."""
    ends: str
    track: Channels
    """float64[frames + 1, 15], columns as in `anchors.CHANNELS`; row k + 1 is frame k. Read-only."""

    @property
    def frames(self) -> int:
        """How many pictures are shown."""
        return len(self.track) - 1

    def pose(self, frame: int) -> Pose:
        """Return the pose of frame -1 (the anchor before the first) to `frames - 1`. Raises IndexError."""
        if not -1 <= frame < self.frames:
            raise IndexError(frame)
        return pose_of(self.track[frame + 1])


def plan(seed: int, style: Style | None = None) -> tuple[Segment, ...]:
    """Return all segments, about 105 s: most of them idle, and some of every activity from each anchor.

    The same seed and style give the same motion.
    """
    style = style or Style()
    found: list[Segment] = []
    for activity, pairs, shortest_s, longest_s in _SCORE:
        rng = Random(f"life {seed} {activity.value}")
        # Lengths spread evenly: equal ones would beat like a clock.
        shares = [((5 * k) % len(pairs) + rng.random()) / len(pairs) for k in range(len(pairs))]
        frames = [round(FPS * (shortest_s + share * (longest_s - shortest_s))) for share in shares]
        # Blinks are drawn for all of them at once: one by one, so few would blink by luck.
        blinks_s = spontaneous(sum(frames) / FPS, style.blinks_per_min, rng)
        begin_s = 0.0
        for pair, count in zip(pairs, frames, strict=True):
            end_s = begin_s + count / FPS
            own = [t - begin_s for t in blinks_s if begin_s <= t < end_s]
            take = Take(pair[0], pair[1], count, style, rng, own)
            ACTS[activity](take)
            track = take.finish()
            track.setflags(write=False)
            found.append(Segment(activity, pair[0], pair[1], track))
            begin_s = end_s
    return tuple(found)
