"""Follows the face of a clip: points for every picture, calmed; where there is none, or the mouth is open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vcam_talker.core.errors import BadInputError
from vcam_talker.core.types import Pixels
from vcam_talker.persona_new.box import Box
from vcam_talker.persona_new.detect import FaceFinder, is_face
from vcam_talker.persona_new.ends import LOOK_S, first_face, without_ends
from vcam_talker.persona_new.landmarks import LIPS, POINTS, STEADY, Floats, Points, gap, mouth_width
from vcam_talker.persona_new.video import MIN_S, Clip

OPEN: Final = 0.12
"""Of the mouth's width: a gap between the inner lips from which on the mouth counts as open."""
_CALM_FRAMES: Final = 2.0
"""Deviation of the Gaussian that calms points."""
_JUMP: Final = 0.6
"""Of the mouth's width: points that go so far in one picture have lost the face."""
_SURE: Final = 0.2
"""How narrow the net's heat maps are at least, on a face that was there a moment ago."""
_MAX_LOST: Final = 12
"""A face that is lost and found more often can't be followed; to try would take minutes."""
_LOOKS: Final = ((4.0, LOOK_S), (12.0, 4 * LOOK_S), (math.inf, 20 * LOOK_S))
"""Until how many seconds a lost face is looked for how often, s: it comes back soon, or not at all."""
_SMALL: Final = (64, 36)
_MAX_TOLD: Final = 4


@dataclass(frozen=True, slots=True)
class Track:
    """Of each picture of a clip, but for those at its ends that are left out."""

    points: npt.NDArray[np.float32]
    """float32[T, 72, 2], pixels of the picture, calmed."""
    gaps: npt.NDArray[np.float32]
    """float32[T]: how far the lips are apart, in widths of the mouth."""
    small: npt.NDArray[np.float32]
    """float32[T, 36 * 64]: what the pictures look like, to be compared."""
    size: tuple[int, int]
    """Width and height of the pictures."""
    first: int = 0
    """How many pictures of the clip come before."""
    after: int = 0
    """How many come after."""

    def told(self, frames: Sequence[int], clip: Clip) -> str:
        """Return which seconds of the clip these pictures are."""
        return told([self.first + frame for frame in frames], clip.fps)


def follow(clip: Clip, finder: FaceFinder, box: Box | None) -> Track:
    """Return the face in every picture, without those at the ends that show none, or fade.

    Blocks for about as long as the clip lasts; for half a minute more where the face is lost. Raises
    BadInputError.
    """
    raw: list[Points | None] = []
    small: list[Floats] = []
    size = (0, 0)
    begin, last = first_face(clip, finder, box)
    follower = _Follower(clip, finder, last, chosen=box is not None)
    for number, picture in enumerate(clip.pictures()):
        if number < begin:
            continue
        if number == begin:
            size = (picture.shape[1], picture.shape[0])
        elif (picture.shape[1], picture.shape[0]) != size:
            why = f"changes its size, at {number / clip.fps:.1f} s"
            raise BadInputError(str(clip.path), why, "Give a clip of one size")
        else:
            follower.see(picture, number)
        raw.append(follower.points)
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        small.append(cv2.resize(grey, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float32).ravel())
    looks = np.stack(small)
    shown = without_ends(raw, looks, clip.fps)
    missing = [begin + number for number in shown if raw[number] is None]
    if missing:
        remedy = "Cut that part out, or give a clip that shows the face throughout"
        raise BadInputError(str(clip.path), f"shows no face at {told(missing, clip.fps)}", remedy)
    if len(shown) < MIN_S * clip.fps:
        why = f"shows a face for {len(shown) / clip.fps:.1f} s; a loop needs {MIN_S:.0f} s or more"
        raise BadInputError(str(clip.path), why, "Give a clip that shows the face throughout")
    points = np.stack([points for number in shown if (points := raw[number]) is not None])
    calmed = _calmed(points)
    gaps = _calmed(np.array([gap(face) for face in points], np.float32)[:, None, None])[:, 0, 0]
    ends = begin + shown.start, len(raw) - shown.stop
    return Track(calmed, gaps, looks[shown.start : shown.stop], size, *ends)


def shut_part(track: Track, clip: Clip) -> tuple[range, list[int]]:
    """Return the longest run of pictures whose mouth is shut, and the pictures whose mouth is open.

    Raises BadInputError when no run is long enough for a loop.
    """
    opened = np.flatnonzero(track.gaps > OPEN).tolist()
    bounds = [-1, *opened, len(track.gaps)]
    first, last = max(pairwise(bounds), key=lambda pair: pair[1] - pair[0])
    run = range(first + 1, last)
    if len(run) < MIN_S * clip.fps:
        raise BadInputError(
            str(clip.path),
            f"the mouth is open at {track.told(opened, clip)}",
            f"Give a clip with at least {MIN_S:.0f} s in a row of a shut mouth, as one listens",
        )
    return run, opened


def told(frames: Sequence[int], fps: int) -> str:
    """Return which seconds these pictures are: `0.0-1.2 s, 3.4-3.9 s`."""
    spans: list[list[int]] = []
    for frame in frames:
        if spans and frame - spans[-1][1] <= fps // 4:
            spans[-1][1] = frame
        else:
            spans.append([frame, frame])
    text = [f"{a / fps:.1f}-{(b + 1) / fps:.1f} s" for a, b in spans[:_MAX_TOLD]]
    return ", ".join(text) + (" and more" if len(spans) > _MAX_TOLD else "")


def to_rest(points: npt.NDArray[np.float32], rest: Points) -> Floats:
    """Return the affines float32[T, 2, 3] that bring the faces of `points` onto `rest`.

    Similarities, by least squares (S. Umeyama, 1991), of what does not move by itself, and of the lips.
    """
    rows = np.concatenate((STEADY, np.arange(POINTS)[LIPS]))
    goal = rest[rows].astype(np.float64)
    middle = goal.mean(0)
    found = np.empty((len(points), 2, 3), np.float32)
    for number, face in enumerate(points):
        here = face[rows].astype(np.float64)
        centre = here.mean(0)
        a, b = here - centre, goal - middle
        size = float((a * a).sum())
        cos, sin = float((a * b).sum()) / size, float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / size
        matrix = np.array([[cos, -sin], [sin, cos]])
        found[number] = np.column_stack((matrix, middle - matrix @ centre))
    return found


class _Follower:
    """Goes with one face from picture to picture. To look for a lost one takes a second or more."""

    def __init__(self, clip: Clip, finder: FaceFinder, points: Points, *, chosen: bool) -> None:
        self.points: Points | None = points
        """Of the face in the picture that was seen last; None: lost."""
        self._clip = clip
        self._finder = finder
        self._known = points
        self._chosen = chosen
        self._lost = 0
        self._times: list[int] = []

    def see(self, picture: Pixels, number: int) -> None:
        """Follow it into the next picture. Raises BadInputError where nobody can."""
        if self.points is None:
            self._lost += 1
            self.points = self._looked_for(picture, number) if self._due() else None
        else:
            self._lost = 0
            self.points = self._tracked(picture, self.points)
            if self.points is None:
                self._times.append(number)
                if len(self._times) > _MAX_LOST:
                    raise self._unsteady()
                self.points = self._looked_for(picture, number)
        if self.points is not None:
            self._known = self.points

    def _due(self) -> bool:
        """Tell whether a face that is lost for so long is to be looked for again."""
        lost_s = self._lost / self._clip.fps
        every_s = next(every_s for until_s, every_s in _LOOKS if lost_s < until_s)
        return self._lost % max(1, round(every_s * self._clip.fps)) == 0

    def _tracked(self, picture: Pixels, last: Points) -> Points | None:
        found = self._finder.net.track(picture, last)
        went = float(np.linalg.norm(found.points - last, axis=1).mean()) / mouth_width(last)
        return found.points if found.sure > _SURE and is_face(found.points) and went < _JUMP else None

    def _looked_for(self, picture: Pixels, number: int) -> Points | None:
        faces = self._finder.find(picture)
        if self._chosen:
            # It was chosen among others: it is where it was.
            middle = self._known.mean(0)
            return min(faces, key=lambda face: float(np.linalg.norm(face.mean(0) - middle)), default=None)
        return self._finder.only(faces, picture, str(self._clip.path), f"at {number / self._clip.fps:.1f} s")

    def _unsteady(self) -> BadInputError:
        first, last = (f"{number / self._clip.fps:.1f}" for number in (self._times[0], self._times[-1]))
        return BadInputError(
            str(self._clip.path),
            f"the face is lost {len(self._times)} times from {first} to {last} s",
            "Give a clip that shows it sharp, from the front, and as wide as it is",
        )


def _calmed(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    reach = int(3 * _CALM_FRAMES)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _CALM_FRAMES) ** 2)
    taps /= taps.sum()
    wide = np.pad(values, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    found = sum(tap * wide[k : k + len(values)] for k, tap in enumerate(taps))
    return np.asarray(found, np.float32)
