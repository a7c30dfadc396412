"""Finds the one face of a picture: OpenCV's packaged cascades propose, the landmark net confirms.

The cascades (P. Viola and M. Jones, 2001) look at two sizes of the picture, with and without equalised
light, and each proposal counts its votes. The net looks at each from two starts: on a face both end at the
same points, and those lie as a face's points do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from vcam_talker.core.errors import BadInputError
from vcam_talker.core.types import Pixels
from vcam_talker.persona_new.box import Box, Scale, Size, unusable
from vcam_talker.persona_new.landmarks import (
    EYE_LEFT,
    EYE_RIGHT,
    JAW,
    LIPS,
    NOSE,
    LandmarkNet,
    Points,
    level,
    mouth_width,
)

_FOLDER: Final = Path(cv2.__file__).parent / "data"
_CASCADES: Final = ("haarcascade_frontalface_default.xml", "haarcascade_frontalface_alt2.xml")
_SIDES_PX: Final = (480, 960)
"""Longer sides that the picture is looked at in."""
_LEAST: Final = 0.045
"""Of the longer side: smaller faces are not looked for."""
_SAME: Final = 0.3
_VOTES: Final = 2
_SURE: Final = 0.25
"""How narrow the net's heat maps are at least: 0.3 and more on faces, 0.23 at most on vases and flags."""
_SURE_BY_HAND: Final = 0.18
"""The same, where somebody says that there is a face."""
_AGREED: Final = 0.22
"""Of the mouth's width: how far the two ends may lie apart on average."""
_ALSO: Final = 0.4
"""Of the largest face's side: smaller ones are in the background."""
_LEAST_FACE_PX: Final = 56
"""From brows to chin: a smaller face shows no lips."""
_TILTED_DEG: Final = 35.0
_TURNS: Final = (
    (cv2.ROTATE_90_CLOCKWISE, "lies on its side", "Turn the picture by a quarter, clockwise"),
    (cv2.ROTATE_90_COUNTERCLOCKWISE, "lies on its side", "Turn the picture by a quarter, counter-clockwise"),
    (cv2.ROTATE_180, "is upside down", "Turn the picture upside down"),
)
_BY_HAND: Final = "give its place with --box X,Y,W,H (pixels: left, top, width, height)"


@dataclass(frozen=True, slots=True)
class Proposal:
    """Where the cascades see a face."""

    box: Box
    votes: int


class FaceFinder:
    """Finds faces. One thread."""

    def __init__(self) -> None:
        """Open what it needs. Raises EngineError without the landmark net."""
        self.net = LandmarkNet()
        self._cascades = [cv2.CascadeClassifier(str(_FOLDER / name)) for name in _CASCADES]

    def one(self, picture: Pixels, what: str, box: Box | None = None, size: Size | None = None) -> Points:
        """Return the points of the only face of a picture uint8[H, W, 3], or of the one in `box`.

        `size`: that of the picture before it was made smaller; `box` and all places and lengths that are
        told are in its pixels. The points are in those of `picture`. Blocks for a second or a few. Raises
        BadInputError, which says what is wrong with the picture `what` and what to do.
        """
        points = self.look(picture, what, box, size)
        if points is None:
            raise self.nobody(picture, what, boxed=box is not None)
        return points

    def look(
        self, picture: Pixels, what: str, box: Box | None = None, size: Size | None = None
    ) -> Points | None:
        """Return the same, but None where there is no face at all."""
        scale = Scale.of(picture, size)
        if box is None:
            found = self.only(self.find(picture), picture, what, size=size)
        else:
            found = self._in_box(picture, what, box, scale)
        if found is not None:
            _check_size(found, what, scale)
            self._check_tilt(found, picture, what)
        return found

    def only(
        self, faces: Sequence[Points], picture: Pixels, what: str, when: str = "", size: Size | None = None
    ) -> Points | None:
        """Return the largest of the faces found in a picture, None of none; arguments as in `one`.

        `when`: which picture of a clip this is. Raises BadInputError where another one is almost as large.
        """
        if not faces:
            return None
        largest, scale = _size(faces[0]), Scale.of(picture, size)
        others = [each for each in faces[1:] if _size(each) >= _ALSO * largest]
        if others:
            places = ", ".join(scale.told(each) for each in (faces[0], *others))
            raise BadInputError(
                what,
                f"shows {len(others) + 1} faces{' ' if when else ''}{when}, at {places} (X,Y,W,H)",
                "Choose one of them with --box, or cut the picture to one face",
            )
        return faces[0]

    def nobody(self, picture: Pixels, what: str, *, boxed: bool, where: str = "it") -> BadInputError:
        """Return what to tell of a picture in which `look` saw no face; `where`: `it`, or a part of it."""
        if boxed:
            why = f"no face is to be made out in the box{'' if where == 'it' else f', in {where}'}"
            return BadInputError(what, why, "Draw it closely around the face: brows to chin, ear to ear")
        return self._turned(picture, what) or BadInputError(
            what, f"no face is found in {where}", f"Give one that looks into the camera, or {_BY_HAND}"
        )

    def _turned(self, picture: Pixels, what: str) -> BadInputError | None:
        """Return what to tell of a picture that shows an upright face once it is turned; None: of none."""
        for turn, why, remedy in _TURNS:
            turned = np.asarray(cv2.rotate(picture, turn), np.uint8)
            if any(abs(_tilt_deg(face)) <= _TILTED_DEG for face in self.find(turned, _SIDES_PX[:1])):
                return BadInputError(what, f"the face {why}", remedy)
        return None

    def _check_tilt(self, points: Points, picture: Pixels, what: str) -> None:
        tilt_deg = _tilt_deg(points)
        if abs(tilt_deg) <= _TILTED_DEG:
            return
        # The net makes a leaning face of one that is upside down: what is upright when turned goes first.
        way = "counter-clockwise" if tilt_deg > 0 else "clockwise"
        why = f"the face leans by {abs(tilt_deg):.0f} degrees"
        leans = BadInputError(what, why, f"Turn the picture {way} until it is upright")
        raise self._turned(picture, what) or leans

    def find(self, picture: Pixels, sides: Sequence[int] = _SIDES_PX) -> list[Points]:
        """Return the points of every face, the largest first; `sides`: sizes to look at the picture in."""
        found: list[Points] = []
        for proposal in self.proposals(picture, sides):
            points = self.confirmed(picture, proposal)
            if points is not None and all(_apart(points, other) for other in found):
                found.append(points)
        found.sort(key=_size, reverse=True)
        return found

    def proposals(self, picture: Pixels, sides: Sequence[int] = _SIDES_PX) -> list[Proposal]:
        """Return what the cascades see, most votes first."""
        longer = max(picture.shape[:2])
        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        seen: list[Box] = []
        for side in sides:
            scale = side / longer
            if side != sides[0] and scale > 2:
                continue
            size = (max(round(grey.shape[1] * scale), 1), max(round(grey.shape[0] * scale), 1))
            small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
            least = max(round(_LEAST * side), 24)
            for cascade in self._cascades:
                for view in (small, cv2.equalizeHist(small)):
                    boxes = cascade.detectMultiScale(view, 1.1, 4, minSize=(least, least))
                    seen += [(x / scale, y / scale, w / scale, h / scale) for x, y, w, h in boxes]
        return _merged(seen)

    def confirmed(self, picture: Pixels, proposal: Proposal) -> Points | None:
        """Return the points of a proposal, None when the net sees no face there."""
        left, top, width, height = proposal.box
        first = self.net.find(picture, proposal.box)
        if first.sure < _SURE or not is_face(first.points):
            return None
        side = 1.12 * width
        second_box = (left - 0.02 * width, top - 0.1 * height, side, side)
        second = self.net.find(picture, second_box)
        one, other = first.points, second.points
        if second.sure < _SURE or not is_face(other):
            return None
        apart = float(np.linalg.norm(one - other, axis=1).mean()) / mouth_width(one)
        if apart > _AGREED or (proposal.votes < _VOTES and apart > _AGREED / 2):
            return None
        return np.asarray((one + other) / 2, np.float32)

    def _in_box(self, picture: Pixels, what: str, box: Box, scale: Scale) -> Points | None:
        if why := unusable(box, scale.size, what):
            raise BadInputError("--box", why, "Give X,Y,W,H in pixels of the picture as it is shown, upright")
        found = self.net.find(picture, scale.inwards(box))
        if found.sure < _SURE_BY_HAND or not is_face(found.points):
            return None
        return found.points


def is_face(points: Points) -> bool:
    """Return whether the points lie as a face's do that is turned by 40 degrees at most, however tilted."""
    eyes = np.stack((points[EYE_LEFT].mean(0), points[EYE_RIGHT].mean(0)))
    across = eyes[1] - eyes[0]
    between = float(np.linalg.norm(across))
    if between < 4:
        return False
    along = across / between
    down = np.array([-along[1], along[0]])

    def seen(place: Points) -> tuple[float, float]:
        offset = (place - eyes.mean(0)) / between
        return float(offset @ along), float(offset @ down)

    mouth, chin, nose = seen(points[LIPS].mean(0)), seen(points[JAW][4]), seen(points[NOSE][3])
    jaw = float(np.linalg.norm(points[JAW][8] - points[JAW][0])) / between
    return (
        0.6 < mouth[1] < 1.9
        and abs(mouth[0]) < 0.75
        and 0.2 < nose[1] < mouth[1]
        and mouth[1] + 0.15 < chin[1] < 3.0
        and 0.35 < mouth_width(points) / between < 1.6
        and 1.2 < jaw < 3.4
    )


def face_height(points: Points) -> float:
    """Return how far it is from the brows to the chin, pixels."""
    return float(np.linalg.norm(points[9:19].mean(0) - points[JAW][4]))


def _check_size(points: Points, what: str, scale: Scale) -> None:
    height = face_height(points)
    if height < _LEAST_FACE_PX:
        shown, least = height * scale.y, _LEAST_FACE_PX * scale.y
        why = f"the face is {shown:.0f} pixels high from brows to chin, less than {least:.0f}"
        remedy = "Give a larger picture, or one taken from nearer"
        if scale.y > 1:
            # It was made smaller as a whole: what is cut out of it first keeps its pixels.
            remedy = "Cut the picture to head and shoulders, or give one taken from nearer"
        raise BadInputError(what, why, remedy)


def _tilt_deg(points: Points) -> float:
    """Return by how many degrees the eyes are off the level, clockwise as seen."""
    return float(np.degrees(level(points)))


def _size(points: Points) -> float:
    return float((points.max(0) - points.min(0)).max())


def _apart(one: Points, other: Points) -> bool:
    away = float(np.linalg.norm(one.mean(0) - other.mean(0)))
    return away > 0.5 * max(_size(one), _size(other))


def _merged(boxes: Sequence[Box]) -> list[Proposal]:
    groups: list[list[Box]] = []
    for box in boxes:
        near = [group for group in groups if _overlap(np.mean(group, 0).tolist(), box) > _SAME]
        if near:
            near[0].append(box)
        else:
            groups.append([box])
    found = []
    for group in groups:
        x, y, w, h = np.median(group, 0).tolist()
        found.append(Proposal((x, y, w, h), len(group)))
    return sorted(found, key=lambda each: -each.votes)


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the area that two boxes share over the area that they cover."""
    shared = 1.0
    for k in range(2):
        low, high = max(one[k], other[k]), min(one[k] + one[k + 2], other[k] + other[k + 2])
        shared *= max(0.0, high - low)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)
