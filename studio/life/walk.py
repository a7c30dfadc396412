"""A life that never loops: which segment comes next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from studio.life.segments import Segment
from vcam_talker.core.types import Activity

_FRESH: Final = 0.35
"""Of the segments that fit, those shown last are left out up to this share of their number."""


def walk(
    segments: Sequence[Segment], seed: int, activity: Activity = Activity.IDLE, begin: str = "a"
) -> Iterator[Segment]:
    """Yield segments of one activity for ever, each beginning where the one before ended.

    Those that were shown lately are left out, the others drawn the more probably the longer they were not:
    always taking the oldest would be a loop. Raises ValueError when an anchor is a dead end.
    """
    rng = Random(f"walk {seed}")
    ours = [k for k, segment in enumerate(segments) if segment.activity is activity]
    shown = dict.fromkeys(ours, -len(ours))
    at, now = begin, 0
    while True:
        fits = sorted((k for k in ours if segments[k].begins == at), key=shown.__getitem__)
        if not fits:
            raise ValueError(f"no {activity} segment begins at '{at}'")
        fits = fits[: len(fits) - int(_FRESH * len(fits))]
        chosen = rng.choices(fits, [now - shown[k] for k in fits])[0]
        shown[chosen] = now
        now += 1
        at = segments[chosen].ends
        yield segments[chosen]
