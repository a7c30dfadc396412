"""Whether a face detector takes random people for people: OpenCV's cascade for frontal faces, as it comes.

Each person is shown a few times, head and shoulders, facing the camera or nearly so, lips and face at rest,
in shots drawn like those of the set: its light, exposure, lens, background and sensor. A picture is accepted
when the detector (P. Viola and M. Jones, 2001, with its library's own model and settings) finds a box that
overlaps the true one by half of what both cover. The true box goes from ear to ear and from chin to hairline.
A person is accepted when every one of their pictures is; nobody is left out, or drawn anew for having been
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from studio.landmarks import FACE
from studio.pose import Pose
from studio.truth.draw import digest, generator
from studio.truth.people import POPULATION, Person, person
from studio.truth.raster import RasterRenderer
from studio.truth.shot import Shot, developed, draw_shot
from vcam_talker.core.types import Pixels

SIZE: Final = 256
YAWS_DEG: Final = (0.0, -7.0, 7.0)
"""Of each person's pictures."""
OVERLAP: Final = 0.5
_CASCADE: Final = "haarcascade_frontalface_default.xml"
_SCALE: Final = 0.5
"""Of faces in the picture, against those in crops of the set."""
_FOREHEAD: Final = 0.5
"""From hairline to brows against from brows to chin: a face is three thirds high."""
_SHEET_COLUMNS: Final = 6

Box = tuple[float, float, float, float]
"""Left, top, width, height, pixels."""
Detector = Callable[[Pixels], Sequence[Box]]


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture, and what the detector makes of it."""

    person: int
    yaw_deg: float
    rgb: Pixels
    """uint8[SIZE, SIZE, 3]."""
    box: Box
    """The true one."""
    found: tuple[Box, ...]

    @property
    def accepted(self) -> bool:
        """Whether one of the found boxes is the face."""
        return any(overlap(self.box, each) >= OVERLAP for each in self.found)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What a detector says of random people."""

    people: int
    accepted: int
    """In all of their pictures."""
    accepted_frontal: int
    """In the picture that looks straight ahead."""
    pictures: int
    pictures_accepted: int
    refused: tuple[int, ...]
    """Numbers of the people who are not accepted."""

    @property
    def share(self) -> float:
        """Of the people, 0 .. 1."""
        return self.accepted / max(1, self.people)


def cascade() -> Detector:
    """Return OpenCV's detector of frontal faces with OpenCV's own settings."""
    model = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / _CASCADE))

    def detect(rgb: Pixels) -> Sequence[Box]:
        found = model.detectMultiScale(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
        return [(float(x), float(y), float(w), float(h)) for x, y, w, h in found]

    return detect


def overlap(one: Box, other: Box) -> float:
    """Return the area that two boxes share over the area that they cover."""
    shared = 1.0
    for k in range(2):
        low, high = max(one[k], other[k]), min(one[k] + one[k + 2], other[k] + other[k + 2])
        shared *= max(0.0, high - low)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def sample_people(count: int, seed: int) -> list[int]:
    """Return the numbers of `count` different people, of all splits."""
    ranked = sorted(range(POPULATION), key=lambda number: digest("faces", seed, number))
    return ranked[:count]


def look(renderer: RasterRenderer, somebody: Person, seed: int, detect: Detector) -> list[Seen]:
    """Return the pictures of one person, one for each of YAWS_DEG. Blocks for a second."""
    shown = renderer.person(somebody.character, digest("strands", somebody.number) & 0x7FFF_FFFF)
    shot = _shot(somebody.number, seed)
    found = []
    for yaw in YAWS_DEG:
        rng = generator("faces", seed, somebody.number, "sensor", int(yaw))
        pose = Pose(yaw_deg=yaw)
        rgb = developed(shown.frame(pose, shot).rgb, shot, rng)
        taken = shown.taken(pose, shot)
        box = _box(taken.camera.project(taken.posed.body[FACE]))
        found.append(Seen(somebody.number, yaw, rgb, box, tuple(detect(rgb))))
    return found


def judge(count: int, seed: int, sheet: Path | None, say: Callable[[str], None]) -> Acceptance:
    """Show `count` people to the detector. Blocks for a second each. Raises StudioError.

    `sheet`: where to put a picture of the refused ones, if any. `say` gets a line for each of them.
    """
    renderer = RasterRenderer(SIZE, wide=True)
    detect = cascade()
    all_seen: list[list[Seen]] = []
    for number in sample_people(count, seed):
        seen = look(renderer, person(number), seed, detect)
        all_seen.append(seen)
        missed = [each.yaw_deg for each in seen if not each.accepted]
        if missed:
            say(f"person {number} is refused, turned by {', '.join(f'{yaw:g}' for yaw in missed)} degrees")
    refused = [seen for seen in all_seen if not all(each.accepted for each in seen)]
    if sheet is not None and refused:
        write_sheet([each for seen in refused for each in seen], sheet)
    pictures = [each.accepted for seen in all_seen for each in seen]
    return Acceptance(
        len(all_seen),
        len(all_seen) - len(refused),
        sum(seen[0].accepted for seen in all_seen),
        len(pictures),
        sum(pictures),
        tuple(seen[0].person for seen in refused),
    )


def write_sheet(pictures: Sequence[Seen], path: Path) -> None:
    """Write pictures side by side: the true box green, found ones red. Raises OSError."""
    tiles = [_marked(each) for each in pictures]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _SHEET_COLUMNS)
    rows = [np.hstack(tiles[k : k + _SHEET_COLUMNS]) for k in range(0, len(tiles), _SHEET_COLUMNS)]
    if not cv2.imwrite(str(path), np.vstack(rows)[..., ::-1]):
        raise OSError(f"{path} can't be written")


def _shot(number: int, seed: int) -> Shot:
    shot = draw_shot(generator("faces", seed, number, "shot"))
    return replace(shot, scale=_SCALE, offset=(0.0, 0.0))


def _box(landmarks: npt.NDArray[np.float64]) -> Box:
    low, high = landmarks.min(0), landmarks.max(0)
    low[1] -= _FOREHEAD * (high[1] - low[1])
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def _marked(seen: Seen) -> Pixels:
    picture = seen.rgb.copy()
    for box, colour in ((seen.box, (0, 220, 0)), *((each, (255, 0, 0)) for each in seen.found)):
        x, y, w, h = (round(value) for value in box)
        cv2.rectangle(picture, (x, y), (x + w, y + h), colour, 1)
    cv2.putText(picture, str(seen.person), (4, 14), cv2.FONT_HERSHEY_PLAIN, 1.0, (255, 255, 255))
    return picture
