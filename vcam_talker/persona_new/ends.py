"""Where a clip begins and ends to show its presenter: titles, black and fades at either end are left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from vcam_talker.core.errors import BadInputError
from vcam_talker.core.types import Pixels
from vcam_talker.persona_new.box import Box
from vcam_talker.persona_new.detect import FaceFinder
from vcam_talker.persona_new.landmarks import Floats, Points
from vcam_talker.persona_new.video import MIN_S, Clip

LOOK_S: Final = 0.25
"""Where no face is: how often one is looked for, which takes a second each time."""
_FIRST_S: Final = 10.0
"""How long a clip may go on without a face before that is told."""
_FADE_S: Final = 3.0
"""A fade at an end is that long at most."""
_FADED: Final = 0.15
"""Of the usual brightness: pictures at an end that are so much darker or brighter belong to a fade."""


def first_face(clip: Clip, finder: FaceFinder, box: Box | None) -> tuple[int, Points]:
    """Return the first picture with a face, by its number, and its points.

    What is wrong with a whole clip shows there, and is told as of a photograph. Blocks for a second or a few
    of each second without one. Raises BadInputError.
    """
    what = str(clip.path)
    stride = max(1, round(LOOK_S * clip.fps))
    last = min(round(_FIRST_S * clip.fps), clip.frames - round(MIN_S * clip.fps))
    clearest: Pixels | None = None
    seen = 0
    for number, picture in enumerate(clip.pictures()):
        if number > max(last, 0):
            break
        seen = number + 1
        if number % stride:
            continue
        points = finder.look(picture, what, box)
        if points is not None:
            return number, points
        if clearest is None or picture.std() > clearest.std():
            clearest = picture
    if clearest is None:
        raise BadInputError(what, "has no pictures", "Give an undamaged copy")
    where = f"its first {max(seen / clip.fps, 0.1):.1f} s"
    raise finder.nobody(clearest, what, boxed=box is not None, where=where)


def without_ends(raw: Sequence[Points | None], small: Floats, fps: int) -> range:
    """Return the pictures between those without a face at either end, and between fades.

    `small`: float32[T, .], what the pictures look like. Empty when no picture shows a face.
    """
    with_face = [number for number, points in enumerate(raw) if points is not None]
    if not with_face:
        return range(0)
    first, end = with_face[0], with_face[-1] + 1
    level = small.mean(1)
    usual = float(np.median(level[first:end]))
    even = np.flatnonzero(np.abs(level - usual) <= _FADED * usual)
    even = even[(even >= first) & (even < end)]
    if len(even):
        lit, dark = int(even[0]), int(even[-1]) + 1
        longest = _FADE_S * fps
        after = lit if lit - first <= longest else first
        before = dark if end - dark <= longest else end
        # Rather a shade too dark than too short.
        if before - after >= MIN_S * fps:
            first, end = after, before
    return range(first, end)
