"""Hair styles: how each is combed, how long it is and how high it lies, as fields over the head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from studio.character import HairSection
from studio.hair.frame import Field, flat, smooth, unit
from studio.hair.guides import Now, Pull, Start
from studio.hair.locks import Wave
from studio.mesh import Points

KNOT: Final = np.array([0.0, 0.98, -0.46])
"""Where a bun sits, head units."""
_CROWN_Z: Final = -0.22
_FORE_Z: Final = 0.12
"""What grows further ahead falls before the shoulders, the rest behind them."""
_EAR: Final = np.array([-0.12, -0.02])
"""Height above the eyes and depth of an ear's upper half."""


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
    pull: Pull = Pull()
    where: Callable[[Points, HairSection], Field] | None = None
    """More or less hair than the scalp has, 0 or more; default: everywhere the same."""
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
    wave: Wave = Wave()
    stray: float = 0.02
    points: int = 18
    count: int = 26_000
    """Strands at density 1."""
    width_dm: float = 0.0055


def part_x(z: Field, hair: HairSection) -> Field:
    """Return where the parting runs at a depth: from the forehead to the crown, a little towards the middle."""
    far = 0.38 * np.sign(hair.parting) * abs(hair.parting) ** 0.75
    return np.asarray(far * (0.30 + 0.70 * smooth(z, -0.4, 0.55)))


def parted(at: Points) -> Field:
    """Return 1 where hair parts, 0 behind the crown, where it falls on its own."""
    return np.asarray(smooth(at[:, 2], -0.20, 0.30) * smooth(at[:, 1], 0.35, 0.7))


def _aside(now: Now, hair: HairSection) -> Field:
    """Return which way hair goes from the parting, -1 .. 1; behind it, from the middle, the less the nearer."""
    x, _, z = now.at.T
    apart = smooth(z, -0.20, 0.30)
    from_middle = np.clip((x - part_x(z, hair)) / 0.45, -1, 1)
    return np.asarray(from_middle + apart * (now.start.side - from_middle))


def _sunken(now: Now, hair: HairSection) -> Field:
    """Return 1 where hair has its full height, less near a parting; it lies flatter where there is less of it."""
    x, _, z = now.at.T
    wide = _wide(now, hair)
    far = smooth(np.abs(x - part_x(z, hair)), -0.05, 0.30 + 0.25 * (1 - wide))
    return np.asarray(1 - parted(now.at) * (1 - far) * (0.75 - 0.45 * wide))


def _flow(x: Field | float, y: Field | float, z: Field | float, now: Now, keep: float) -> Points:
    ways = np.stack(np.broadcast_arrays(x, y, z), 1).astype(np.float64)
    return flat(unit(ways), now.out, keep)


def _wide(now: Now, hair: HairSection) -> Field:
    """Return 1 on the side of the parting that has more hair."""
    return np.asarray(smooth(-now.start.side * np.sign(hair.parting or 1.0), -0.5, 0.5))


# Hair that falls to the chin and lower, over the ears.


def _falling(now: Now, hair: HairSection) -> Points:
    x, y, z = now.at.T
    top = smooth(y, 0.20, 0.95)
    behind = smooth(-z, -_CROWN_Z, 0.75)
    front = smooth(z, 0.40, 0.85)
    side = _aside(now, hair) * (1.0 - 0.5 * behind)
    ahead = (
        0.75
        * smooth(now.start.at[:, 2], 0.10, 0.55)
        * (1 - smooth(z, 0.30, 0.55))
        * smooth(0.45 - y, 0.0, 0.3)
    )
    sweep = 0.10 + front * np.where(_wide(now, hair) > 0.5, 0.10, 0.45) + 1.25 * behind
    lifted = 0.42 * front * smooth(0.12 - now.t, 0.0, 0.12)
    # At the shoulders it falls before or behind them.
    low = 0.8 * smooth(-y, 0.55, 1.1)
    fore = np.where(now.start.at[:, 2] > _FORE_Z, 1.0, -1.0)
    return _flow(
        side * (0.10 + 0.90 * top) - 0.35 * low * np.sign(x),
        -0.22 - 0.85 * (1 - top) + lifted,
        ahead - sweep * (0.15 + 0.85 * top) + low * fore,
        now,
        0.15,
    )


def _to(end: float) -> Callable[[Start, HairSection], Field]:
    def length(start: Start, hair: HairSection) -> Field:
        y, z = start.at[:, 1], start.at[:, 2]
        over = 0.62 * smooth(y, 0.35, 1.0) + 0.18 * smooth(z, 0.4, 0.85) * smooth(y, 0.2, 0.7)
        return np.maximum(0.35, 1.12 * (y + end * hair.length + over) + 0.1)

    return length


def _at(end: float) -> Callable[[Start, HairSection], Field]:
    def low(start: Start, hair: HairSection) -> Field:
        z = start.at[:, 2]
        return np.asarray(-end * hair.length + 0.10 * smooth(z, 0.3, 0.8) + 0.05 * (1 - start.layer))

    return low


def _full(low: float, high: float) -> Callable[[Now, HairSection], Field]:
    def height(now: Now, hair: HairSection) -> Field:
        x, y, z = now.at.T
        face = smooth(z, 0.02, 0.40) * (1 - smooth(y, 0.15, 0.60))
        crown = 1.0 + 0.25 * smooth(y, 0.3, 0.9) * smooth(-z, -0.6, 0.3)
        return hair.volume * (
            low
            + high
            * now.start.layer
            * crown
            * (1 - 0.75 * smooth(-y, 0.8, 1.3))
            * (1 - 0.7 * face)
            * _sunken(now, hair)
        )

    return height


# Short hair, swept from a parting.


def _swept(back: float, ahead: float) -> Callable[[Now, HairSection], Points]:
    def flow(now: Now, hair: HairSection) -> Points:
        x, y, z = now.at.T
        top = smooth(y, 0.34, 0.80)
        front = smooth(z, 0.30, 0.85)
        behind = smooth(-z, -_CROWN_Z, 0.70)
        wide = _wide(now, hair)
        side = _aside(now, hair) * (0.55 + 0.35 * wide) * (1 - 0.5 * behind)
        up = ahead * front * (0.35 + 0.65 * wide) * smooth(0.45 - now.t, 0.0, 0.3)
        from_ear = smooth(0.42 - np.hypot(y - _EAR[0], z - _EAR[1]), 0.0, 0.2) * smooth(np.abs(x), 0.45, 0.6)
        return _flow(
            side * top,
            -0.95 * (1 - top) * (1 - 0.5 * from_ear) - 0.30 * top + up * top,
            -(0.32 + 0.5 * from_ear + 0.8 * smooth(z, 0.2, 0.5)) * (1 - top)
            - (back + 0.55 * front + 0.8 * behind) * top,
            now,
            0.35,
        )

    return flow


def _tapered(
    short: float, long: float, low: float = 0.22, high: float = 0.76
) -> Callable[[Start, HairSection], Field]:
    """Return lengths that grow from neck and ears to the top."""

    def length(start: Start, hair: HairSection) -> Field:
        y, z = start.at[:, 1], start.at[:, 2]
        nape = 0.5 + 0.5 * smooth(y, -0.6, 0.0)
        behind = 1 - 0.4 * smooth(-z, 0.0, 0.7)
        return hair.length * (short * nape + (long - short) * behind * smooth(y, low, high))

    return length


def _standing(side: float, top: float, front: float) -> Callable[[Now, HairSection], Field]:
    def height(now: Now, hair: HairSection) -> Field:
        x, y, z = now.at.T
        on_top = smooth(y, 0.30, 0.85)
        high = side + on_top * (top + front * smooth(z, 0.25, 0.85)) * _sunken(now, hair)
        return np.asarray(hair.volume * high * (0.35 + 0.65 * now.start.layer))

    return height


def _forward(now: Now, hair: HairSection) -> Points:
    x, y, z = now.at.T
    top = smooth(y, 0.38, 0.85)
    whorl = smooth(-z, 0.0, 0.4)
    swirl = 0.45 * np.sin(x * 6.0 + 1.3) + 0.35 * np.sin(z * 7.0 + x * 3.0)
    side = 0.30 * np.sign(hair.parting or 1.0) * -1.0 + swirl
    ahead = 1.0 - 1.8 * whorl
    return _flow(
        side * top,
        -0.9 * (1 - top) + 0.18 * top * smooth(z, 0.4, 0.8),
        ahead * top - 0.30 * (1 - top),
        now,
        0.55,
    )


def _outward(now: Now, hair: HairSection) -> Points:  # noqa: ARG001 - one of many
    x, y, z = now.at.T
    away = unit(now.at - np.array([0.0, 0.18, -0.05]))
    up = smooth(y, -0.6, 0.4)
    ways = 0.6 * away + 0.5 * now.out
    ways[:, 1] += 0.15 * up - 0.1
    ways[:, 2] -= 0.30 * smooth(z, 0.45, 0.8) * (1 - smooth(y, 0.5, 0.9))
    return unit(ways)


# Hair that is tied.


def _to_knot(now: Now, hair: HairSection) -> Points:  # noqa: ARG001
    return flat(unit(KNOT - now.at), now.out, 0.05)


def _as_far_as_knot(start: Start, hair: HairSection) -> Field:  # noqa: ARG001
    # The way about the head against the straight one.
    far = np.linalg.norm(KNOT - start.at, axis=1)
    return np.asarray(2 * 1.0 * np.arcsin(np.clip(far / 2.0, 0, 0.99)) * 1.02 + 0.02)


def _smooth_back(now: Now, hair: HairSection) -> Field:
    return np.asarray(hair.volume * (0.025 + 0.055 * now.start.layer * smooth(0.85 - now.t, -0.1, 0.5)))


def _temples(at: Points, hair: HairSection) -> Field:  # noqa: ARG001
    x, y, z = at.T
    return np.asarray(
        smooth(np.abs(x), 0.42, 0.5)
        * smooth(z, 0.36, 0.46)
        * smooth(y, 0.0, 0.1)
        * (1 - smooth(y, 0.34, 0.5))
    )


def _at_parting(at: Points, hair: HairSection) -> Field:
    """Return more hair along the parting, where the scalp would show."""
    x, y, z = at.T
    line = np.exp(-(((x - part_x(z, hair)) / 0.07) ** 2))
    return np.asarray(1.0 + 2.2 * line * smooth(y, 0.4, 0.8) + 0.6 * smooth(y, 0.3, 0.8))


_FALLING: Final = Style(
    _falling,
    _to(0.85),
    _full(0.03, 0.115),
    _at(0.85),
    pull=Pull(lift=0.55, comb=0.55, gravity=0.42, hug=0.5, hug_above=-0.35, open_face=True),
    where=_at_parting,
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
            _forward,
            _tapered(0.035, 0.055),
            _standing(0.02, 0.02, 0.0),
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
        ),
    ),
    "crop": (
        Style(
            _forward,
            _tapered(0.08, 0.34),
            _standing(0.025, 0.11, 0.05),
            pull=Pull(lift=0.7, comb=0.7, gravity=0.02, hug=0.25),
            where=_at_parting,
            guides=1100,
            locks=330,
            gather=0.85,
            thick=(0.012, 0.010),
            tight=0.9,
            uneven=0.16,
            points=11,
        ),
    ),
    "side_part": (
        Style(
            _swept(0.25, 1.1),
            _tapered(0.12, 0.62),
            _standing(0.03, 0.10, 0.12),
            pull=Pull(lift=0.65, comb=0.75, gravity=0.02, hug=0.35),
            where=_at_parting,
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
            length=_to(0.32),
            height=_full(0.04, 0.13),
            cut=_at(0.32),
            pull=replace(_FALLING.pull, lift=0.7, tuck=0.8, hug_above=-0.6),
            locks=90,
            gather=0.7,
            uneven=0.07,
            wave=Wave(0.05, 0.50, 0.5, 0.12, 0.5, 0.15),
            stray=0.03,
        ),
    ),
    "curls": (
        Style(
            _outward,
            _tapered(0.17, 0.42, -0.3, 0.75),
            lambda now, hair: 0.02 + 0.0 * now.at[:, 1] * hair.volume,
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
        ),
    ),
    "bob": (replace(_FALLING, pull=replace(_FALLING.pull, tuck=0.9), uneven=0.03),),
    "lob": (
        replace(
            _FALLING,
            length=_to(1.28),
            cut=_at(1.28),
            pull=replace(_FALLING.pull, tuck=0.35),
            wave=Wave(0.045, 0.95, 0.4, 0.35, 0.8, 0.15),
            points=24,
        ),
    ),
    "long": (
        replace(
            _FALLING,
            length=_to(2.05),
            cut=_at(2.05),
            pull=replace(_FALLING.pull, tuck=0.2),
            wave=Wave(0.075, 1.0, 0.45, 0.25, 0.7, 0.13),
            uneven=0.08,
            points=30,
        ),
    ),
    "bun": (
        Style(
            _to_knot,
            _as_far_as_knot,
            _smooth_back,
            pull=Pull(lift=0.45, comb=1.3, inertia=0.7, gravity=0.0, hug=0.8),
            locks=240,
            gather=0.35,
            thick=(0.010, 0.008),
            tight=0.2,
            uneven=0.0,
            stray=0.012,
            points=20,
        ),
        Style(
            _falling,
            _to(0.72),
            lambda now, hair: hair.volume * (0.03 + 0.05 * now.start.layer),
            pull=Pull(lift=0.6, comb=0.35, gravity=0.45, hug=0.2, hug_above=0.1, tuck=0.35, open_face=True),
            where=_temples,
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
