"""What each speech sound does to the mouth: a small inventory of mouth shapes, shared by all alphabets.

A phone is spelt as one or more shapes (a diphthong glides, an affricate releases); the spelling of each
alphabet is in `visemes_arpabet` and `visemes_espeak`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Kind(Enum):
    """What a sound demands of the mouth beyond its target."""

    REST = auto()
    """A pause: shut."""
    VOWEL = auto()
    """Opens with stress, length and loudness."""
    CONSONANT = auto()
    BILABIAL = auto()
    """m, b, p: the lips must meet."""
    LABIODENTAL = auto()
    """f, v: the lower lip must meet the upper teeth."""
    SIBILANT = auto()
    """s, sh: the teeth must meet."""
    MARK = auto()
    """A stress mark, a tone, a switch of language: no sound at all."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a sound wants the mouth, in the units of `core.types.MOUTH_PARAMS`, and how much it insists.

    The pulls (0 .. 2) are the peak dominance over neighbouring sounds of three groups that move on their
    own: the jaw; the lips (width, rounding, protrusion); tongue and teeth. A sound whose pull on a group is
    small takes that group's pose from its neighbours: /t/ is round in "too" and spread in "tea".
    """

    kind: Kind
    jaw: float
    width: float
    rounding: float
    protrusion: float
    teeth: float
    tongue: float
    jaw_pull: float = 1.0
    lip_pull: float = 1.0
    tongue_pull: float = 1.0
    press: float = 0.0
    length: float = 1.0
    """Share of a phone's time, relative to the other shapes in its spelling."""


def _vowel(
    jaw: float,
    width: float,
    rounding: float,
    protrusion: float,
    teeth: float,
    tongue: float,
    pull: float = 1.0,
    length: float = 1.4,
) -> Shape:
    return Shape(Kind.VOWEL, jaw, width, rounding, protrusion, teeth, tongue, pull, pull, pull, 0.0, length)


def _bilabial(press: float) -> Shape:
    return Shape(Kind.BILABIAL, 0.0, 0.0, 0.05, 0.05, 0.0, 0.2, 1.0, 0.25, 0.3, press)


SHAPES: Final[dict[str, Shape]] = {
    "rest": Shape(Kind.REST, 0, 0, 0, 0, 0, 0, 0.8, 0.5, 0.8),
    "mark": Shape(Kind.MARK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    # Vowels by height and rounding; jaws are those of lively conversation, not of a dentist's chair.
    "i": _vowel(0.19, 0.75, 0.0, 0.0, 0.50, 0.45),
    "ih": _vowel(0.30, 0.45, 0.0, 0.0, 0.42, 0.35),
    "e": _vowel(0.36, 0.52, 0.0, 0.0, 0.42, 0.35),
    "eh": _vowel(0.50, 0.36, 0.0, 0.0, 0.42, 0.20),
    "ae": _vowel(0.64, 0.40, 0.0, 0.0, 0.45, 0.10),
    "a": _vowel(0.70, 0.16, 0.0, 0.0, 0.38, 0.05),
    "ah": _vowel(0.52, 0.05, 0.0, 0.05, 0.32, 0.05),
    "aa": _vowel(0.70, -0.05, 0.05, 0.05, 0.28, 0.0),
    "ao": _vowel(0.56, -0.35, 0.45, 0.30, 0.12, 0.0),
    "o": _vowel(0.40, -0.55, 0.72, 0.50, 0.05, 0.0),
    "uh": _vowel(0.30, -0.35, 0.50, 0.40, 0.12, 0.10),
    "u": _vowel(0.18, -0.75, 0.92, 0.80, 0.0, 0.05),
    "y": _vowel(0.18, -0.62, 0.88, 0.80, 0.10, 0.40),
    "oe": _vowel(0.38, -0.42, 0.65, 0.55, 0.15, 0.25),
    "er": _vowel(0.32, -0.18, 0.35, 0.35, 0.28, 0.30),
    "schwa": _vowel(0.32, 0.02, 0.03, 0.05, 0.28, 0.15, pull=0.55, length=1.0),
    # High and unrounded, far from the lips: Mandarin "shi", "zi", Russian yeru, Turkish dotless i.
    "barred": _vowel(0.20, 0.28, 0.0, 0.0, 0.50, 0.40),
    # Consonants.
    "m": _bilabial(0.97),
    "b": _bilabial(0.98),
    "p": _bilabial(1.0),
    "beta": Shape(Kind.CONSONANT, 0.05, -0.05, 0.1, 0.05, 0.0, 0.1, 1.3, 0.35, 0.6),
    "f": Shape(Kind.LABIODENTAL, 0.04, 0.08, 0.0, 0.0, 0.85, 0.0, 1.3, 0.45, 1.3),
    "th": Shape(Kind.CONSONANT, 0.17, 0.12, 0.0, 0.0, 0.55, 1.0, 1.0, 0.25, 1.3),
    "t": Shape(Kind.CONSONANT, 0.16, 0.18, 0.0, 0.0, 0.48, 0.85, 0.75, 0.15, 0.9),
    "l": Shape(Kind.CONSONANT, 0.25, 0.12, 0.0, 0.0, 0.40, 1.0, 0.6, 0.12, 1.0),
    "s": Shape(Kind.SIBILANT, 0.06, 0.35, 0.0, 0.0, 0.90, 0.60, 1.3, 0.35, 1.4),
    "sh": Shape(Kind.SIBILANT, 0.09, -0.30, 0.55, 0.65, 0.82, 0.50, 1.2, 1.0, 1.3),
    "xi": Shape(Kind.SIBILANT, 0.08, 0.40, 0.0, 0.0, 0.85, 0.65, 1.2, 0.4, 1.3),
    "retro": Shape(Kind.SIBILANT, 0.10, -0.12, 0.28, 0.32, 0.75, 0.60, 1.2, 0.5, 1.2),
    "k": Shape(Kind.CONSONANT, 0.22, 0.05, 0.0, 0.0, 0.28, 0.10, 0.4, 0.10, 0.35),
    "r": Shape(Kind.CONSONANT, 0.18, -0.28, 0.42, 0.42, 0.28, 0.45, 0.8, 0.65, 0.8),
    "rolled": Shape(Kind.CONSONANT, 0.20, -0.05, 0.15, 0.15, 0.38, 0.75, 0.7, 0.25, 0.8),
    "w": Shape(Kind.CONSONANT, 0.10, -0.80, 1.0, 0.85, 0.0, 0.05, 1.2, 1.3, 0.9),
    "j": Shape(Kind.CONSONANT, 0.17, 0.50, 0.0, 0.0, 0.45, 0.60, 0.7, 0.45, 0.7),
    "wy": Shape(Kind.CONSONANT, 0.12, -0.62, 0.9, 0.80, 0.10, 0.40, 1.1, 1.2, 0.8),
    # Made behind the mouth: the lips do whatever comes next.
    "h": Shape(Kind.CONSONANT, 0.25, 0.0, 0.0, 0.0, 0.25, 0.05, 0.12, 0.05, 0.1, length=0.6),
}


@dataclass(frozen=True, slots=True)
class Segment:
    """One shape on the time line of a speech, in seconds."""

    shape: Shape
    start_s: float
    end_s: float


def spread(spelling: tuple[str, ...], start_s: float, end_s: float) -> list[Segment]:
    """Return a phone's shapes side by side over its time, each with its share. Marks vanish."""
    shapes = [SHAPES[name] for name in spelling if SHAPES[name].kind is not Kind.MARK]
    whole = sum(shape.length for shape in shapes)
    segments = []
    done = 0.0
    for shape in shapes:
        begin = start_s + (end_s - start_s) * done / whole
        done += shape.length
        segments.append(Segment(shape, begin, start_s + (end_s - start_s) * done / whole))
    return segments
