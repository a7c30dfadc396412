"""Hair styles: what each is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from studio.character import HairSection
from studio.fields import Field
from studio.hair.combs import (
    as_far_as_knot,
    at_parting,
    at_temples,
    ball,
    bare,
    cut_at,
    down_to,
    falling,
    forward,
    loose,
    lying,
    outward,
    smooth_back,
    standing,
    swept,
    tapered,
    to_knot,
)
from studio.hair.guides import Now, Pull, Start
from studio.hair.locks import Wave
from studio.mesh import Points


@dataclass(frozen=True, slots=True)
class Style:
    """One coat of hair; a hairdo has one or more. Fields take guides and the character's wishes."""

    flow: Callable[[Now, HairSection], Points]
    """Which way hair is combed, unit."""
    length: Callable[[Start, HairSection], Field]
    height: Callable[[Now, HairSection], Field]
    """How high above the ground a hair wants to lie."""
    cut: Callable[[Start, HairSection], Field] | None = None
    """Height above the eyes that hair is cut at."""
    pull: Pull = field(default_factory=Pull)
    where: Callable[[Points, HairSection], Field] | None = None
    """More or less hair than the scalp has, 0 or more; default: everywhere the same."""
    parted: bool = True
    """Whether hair on the two sides of the parting belongs to different locks."""
    closed: float = 0.0
    """Radius of the ball that does not reach behind the ears; 0: hair lies on them as they are."""
    locks: int = 150
    """Large ones, which make the shape."""
    gather: float = 0.7
    guides: int = 900
    thick: tuple[float, float] = (0.018, 0.018)
    tight: float = 0.75
    uneven: float = 0.06
    """How much the lengths of locks differ."""
    wave: Wave = field(default_factory=Wave)
    stray: float = 0.02
    points: int = 18
    count: int = 26_000
    """Strands at density 1."""
    width_dm: float = 0.0055


_FALLING: Final = Style(
    falling,
    down_to(0.85),
    lying(0.03, 0.115),
    cut_at(0.85),
    pull=Pull(lift=0.55, comb=0.55, gravity=0.42, hug=0.5, hug_above=-0.35, open_face=True),
    where=at_parting,
    closed=0.5,
    locks=110,
    gather=0.65,
    thick=(0.030, 0.022),
    tight=0.5,
    points=20,
)

STYLES: Final[dict[str, tuple[Style, ...]]] = {
    "buzz": (
        Style(
            forward,
            tapered(0.035, 0.055),
            standing(0.02, 0.02, 0.0),
            pull=Pull(lift=0.5, hug=0.2),
            guides=2500,
            locks=0,
            gather=0.0,
            thick=(0.0, 0.0),
            tight=0.0,
            stray=0.0,
            points=4,
            count=34_000,
            width_dm=0.0065,
            parted=False,
        ),
    ),
    "crop": (
        Style(
            forward,
            tapered(0.08, 0.34),
            standing(0.025, 0.11, 0.05),
            pull=Pull(lift=0.7, comb=0.7, gravity=0.02, hug=0.25),
            guides=1100,
            locks=330,
            gather=0.85,
            thick=(0.012, 0.010),
            tight=0.9,
            uneven=0.16,
            points=11,
            parted=False,
        ),
    ),
    "side_part": (
        Style(
            swept(0.25, 1.1),
            tapered(0.12, 0.62),
            standing(0.03, 0.10, 0.12),
            pull=Pull(lift=0.65, comb=0.75, gravity=0.02, hug=0.35),
            where=at_parting,
            guides=1000,
            locks=170,
            gather=0.8,
            thick=(0.016, 0.012),
            tight=0.8,
            uneven=0.10,
            points=15,
        ),
    ),
    "waves_short": (
        replace(
            _FALLING,
            length=down_to(0.32),
            height=lying(0.04, 0.13),
            cut=cut_at(0.32),
            pull=replace(_FALLING.pull, lift=0.7, tuck=0.8, hug_above=-0.6),
            locks=90,
            gather=0.7,
            uneven=0.07,
            wave=Wave(0.065, 0.48, 0.8, 0.10, 0.45, 0.10),
            stray=0.03,
        ),
    ),
    "curls": (
        Style(
            outward,
            ball,
            bare,
            pull=Pull(lift=1.0, comb=1.0, gravity=0.05, hug=0.0),
            guides=1500,
            locks=0,
            gather=0.0,
            thick=(0.014, 0.014),
            tight=0.75,
            uneven=0.10,
            wave=Wave(0.038, 0.17, 1.0, 0.0, 0.25, 1.0),
            points=28,
            count=20_000,
            parted=False,
        ),
    ),
    "bob": (replace(_FALLING, pull=replace(_FALLING.pull, tuck=0.9), uneven=0.03),),
    "lob": (
        replace(
            _FALLING,
            length=down_to(1.28),
            cut=cut_at(1.28),
            pull=replace(_FALLING.pull, tuck=0.35),
            wave=Wave(0.045, 0.95, 0.4, 0.35, 0.8, 0.15),
            points=24,
        ),
    ),
    "long": (
        replace(
            _FALLING,
            length=down_to(2.05),
            cut=cut_at(2.05),
            pull=replace(_FALLING.pull, tuck=0.2),
            wave=Wave(0.075, 1.0, 0.45, 0.25, 0.7, 0.13),
            uneven=0.08,
            points=30,
        ),
    ),
    "bun": (
        Style(
            to_knot,
            as_far_as_knot,
            smooth_back,
            pull=Pull(lift=0.45, comb=1.3, inertia=0.7, gravity=0.0, hug=0.8),
            locks=240,
            gather=0.35,
            thick=(0.010, 0.008),
            tight=0.2,
            uneven=0.0,
            stray=0.012,
            points=20,
            parted=False,
        ),
        Style(
            falling,
            down_to(0.52),
            loose,
            pull=Pull(lift=0.6, comb=0.35, gravity=0.45, hug=0.2, hug_above=0.1, tuck=0.35, open_face=True),
            where=at_temples,
            closed=0.2,
            guides=40,
            locks=6,
            gather=0.9,
            thick=(0.009, 0.009),
            tight=0.8,
            uneven=0.28,
            wave=Wave(0.035, 0.45, 0.7, 0.2, 0.6, 0.2),
            points=22,
            count=130,
        ),
    ),
}
"""By the name that `character.HairSection.style` gives; besides these there is "none"."""
HAIR_STYLES: Final = ("none", *STYLES)
