"""Fields over the head that styles are made of: which way hair is combed, how long it is, how high it lies.

Places are in head units (`frame.Frame`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from studio.character import HairSection
from studio.fields import Field, ramp
from studio.hair.frame import flat, unit
from studio.hair.guides import Now, Start
from studio.mesh import Points

KNOT: Final = np.array([0.0, 0.98, -0.46])
"""Where a bun sits, head units."""
_CROWN_Z: Final = -0.22
_FORE_Z: Final = 0.12
"""What grows further ahead falls before the shoulders, the rest behind them."""
_EAR: Final = np.array([-0.12, -0.02])
"""Height above the eyes and depth of an ear's upper half."""


def part_x(z: Field, hair: HairSection) -> Field:
    """Return where the parting runs at a depth: forehead to crown, a little to the middle."""
    far = 0.38 * np.sign(hair.parting) * abs(hair.parting) ** 0.75
    return np.asarray(far * (0.30 + 0.70 * ramp(z, -0.4, 0.55)))


def parted(at: Points) -> Field:
    """Return 1 where hair parts, 0 behind the crown, where it falls on its own."""
    return np.asarray(ramp(at[:, 2], -0.20, 0.30) * ramp(at[:, 1], 0.35, 0.7))


def aside(now: Now, hair: HairSection) -> Field:
    """Return which way hair goes from the parting, -1 .. 1; behind it, away from the middle."""
    x, _, z = now.at.T
    apart = ramp(z, -0.20, 0.30)
    from_middle = np.clip((x - part_x(z, hair)) / 0.45, -1, 1)
    return np.asarray(from_middle + apart * (now.start.side - from_middle))


def sunken(now: Now, hair: HairSection) -> Field:
    """Return 1 where hair has its full height, less near a parting, most so on the side with less hair."""
    x, _, z = now.at.T
    wide = fuller(now, hair)
    far = ramp(np.abs(x - part_x(z, hair)), -0.05, 0.30 + 0.25 * (1 - wide))
    return np.asarray(1 - parted(now.at) * (1 - far) * (0.55 - 0.40 * wide))


def directed(x: Field | float, y: Field | float, z: Field | float, now: Now, keep: float) -> Points:
    """Return unit directions along the skin; of what points into or out of it, `keep` stays."""
    ways = np.stack(np.broadcast_arrays(x, y, z), 1).astype(np.float64)
    return flat(unit(ways), now.out, keep)


def fuller(now: Now, hair: HairSection) -> Field:
    """Return 1 on the side of the parting that has more hair."""
    return np.asarray(ramp(-now.start.side * np.sign(hair.parting or 1.0), -0.5, 0.5))


# Hair that falls to the chin and lower, over the ears.


def falling(now: Now, hair: HairSection) -> Points:
    """Comb away from the parting, across the forehead, then down."""
    x, y, z = now.at.T
    top = ramp(y, 0.20, 0.95)
    behind = ramp(-z, -_CROWN_Z, 0.75)
    front = ramp(z, 0.40, 0.85)
    side = aside(now, hair) * (1.0 - 0.5 * behind)
    ahead = 0.75 * ramp(now.start.at[:, 2], 0.10, 0.55) * (1 - ramp(z, 0.30, 0.55)) * ramp(0.45 - y, 0.0, 0.3)
    sweep = 0.10 + front * np.where(fuller(now, hair) > 0.5, 0.10, 0.45) + 1.25 * behind
    lifted = 0.42 * front * ramp(0.12 - now.t, 0.0, 0.12)
    # At the shoulders it falls before or behind them.
    low = 1.7 * ramp(-y, 0.60, 1.25)
    fore = np.where(now.start.at[:, 2] > _FORE_Z, 1.0, -1.0)
    return directed(
        side * (0.10 + 0.90 * top) - 0.6 * low * np.clip(x / 0.5, -1, 1),
        -0.22 - 0.85 * (1 - top) + lifted,
        ahead - sweep * (0.15 + 0.85 * top) + low * fore,
        now,
        0.15,
    )


def down_to(end: float) -> Callable[[Start, HairSection], Field]:
    """Return lengths that reach, and pass, a line `end` below the eyes; `cut_at` cuts them there."""

    def length(start: Start, hair: HairSection) -> Field:
        y, z = start.at[:, 1], start.at[:, 2]
        over = 0.62 * ramp(y, 0.35, 1.0) + 0.18 * ramp(z, 0.4, 0.85) * ramp(y, 0.2, 0.7)
        return np.maximum(0.35, 1.12 * (y + end * hair.length + over) + 0.1)

    return length


def cut_at(end: float) -> Callable[[Start, HairSection], Field]:
    """Return where hair is cut: `end` below the eyes, a little higher beside the face and within."""

    def low(start: Start, hair: HairSection) -> Field:
        z = start.at[:, 2]
        return np.asarray(-end * hair.length + 0.10 * ramp(z, 0.3, 0.8) + 0.05 * (1 - start.layer))

    return low


def lying(low: float, high: float) -> Callable[[Now, HairSection], Field]:
    """Return heights of hair that lies over hair: `low` the innermost, `high` more the outermost."""

    def height(now: Now, hair: HairSection) -> Field:
        _, y, z = now.at.T
        face = ramp(z, 0.02, 0.40) * (1 - ramp(y, 0.15, 0.60))
        crown = 1.0 + 0.25 * ramp(y, 0.3, 0.9) * ramp(-z, -0.6, 0.3)
        return np.asarray(hair.volume) * (
            low
            + high
            * now.start.layer
            * crown
            * (1 - 0.75 * ramp(-y, 0.8, 1.3))
            * (1 - 0.7 * face)
            * sunken(now, hair)
        )

    return height


# Short hair, swept from a parting.


def swept(back: float, ahead: float) -> Callable[[Now, HairSection], Points]:
    """Comb from the parting, up by `ahead` over the forehead and by `back` to the nape."""

    def flow(now: Now, hair: HairSection) -> Points:
        x, y, z = now.at.T
        top = ramp(y, 0.34, 0.80)
        front = ramp(z, 0.30, 0.85)
        behind = ramp(-z, -_CROWN_Z, 0.70)
        wide = fuller(now, hair)
        side = aside(now, hair) * (0.55 + 0.35 * wide) * (1 - 0.5 * behind)
        up = ahead * front * (0.35 + 0.65 * wide) * ramp(0.45 - now.t, 0.0, 0.3)
        from_ear = ramp(0.42 - np.hypot(y - _EAR[0], z - _EAR[1]), 0.0, 0.2) * ramp(np.abs(x), 0.45, 0.6)
        return directed(
            side * top,
            -0.95 * (1 - top) * (1 - 0.5 * from_ear) - 0.30 * top + up * top,
            -(0.32 + 0.5 * from_ear + 0.8 * ramp(z, 0.2, 0.5)) * (1 - top)
            - (back + 0.55 * front + 0.8 * behind) * top,
            now,
            0.35,
        )

    return flow


def tapered(
    short: float, long: float, low: float = 0.22, high: float = 0.76
) -> Callable[[Start, HairSection], Field]:
    """Return lengths that grow from neck and ears to the top."""

    def length(start: Start, hair: HairSection) -> Field:
        y, z = start.at[:, 1], start.at[:, 2]
        nape = 0.5 + 0.5 * ramp(y, -0.6, 0.0)
        behind = 1 - 0.4 * ramp(-z, 0.0, 0.7)
        return np.asarray(hair.length * (short * nape + (long - short) * behind * ramp(y, low, high)))

    return length


def standing(side: float, top: float, front: float) -> Callable[[Now, HairSection], Field]:
    """Return heights of short hair on the sides, how much more on top, and more yet over the forehead."""

    def height(now: Now, hair: HairSection) -> Field:
        _, y, z = now.at.T
        on_top = ramp(y, 0.30, 0.85)
        high = side + on_top * (top + front * ramp(z, 0.25, 0.85)) * sunken(now, hair)
        return np.asarray(hair.volume * high * (0.35 + 0.65 * now.start.layer))

    return height


def forward(now: Now, hair: HairSection) -> Points:
    """Comb from the whorl to the forehead, tousled."""
    x, y, z = now.at.T
    top = ramp(y, 0.38, 0.85)
    whorl = ramp(-z, 0.0, 0.4)
    swirl = 0.45 * np.sin(x * 6.0 + 1.3) + 0.35 * np.sin(z * 7.0 + x * 3.0)
    side = 0.30 * np.sign(hair.parting or 1.0) * -1.0 + swirl
    ahead = 1.0 - 1.8 * whorl
    return directed(
        side * top,
        -0.9 * (1 - top) + 0.18 * top * ramp(z, 0.4, 0.8),
        ahead * top - 0.30 * (1 - top),
        now,
        0.55,
    )


def outward(now: Now, hair: HairSection) -> Points:  # noqa: ARG001 - one of many
    """Let hair stand away from the head, less over the face."""
    _, y, z = now.at.T
    away = unit(now.at - np.array([0.0, 0.18, -0.05]))
    up = ramp(y, -0.6, 0.4)
    ways = 0.6 * away + 0.5 * now.out
    ways[:, 1] += 0.15 * up - 0.1
    ways[:, 2] -= 0.30 * ramp(z, 0.45, 0.8) * (1 - ramp(y, 0.5, 0.9))
    return unit(ways)


def ball(start: Start, hair: HairSection) -> Field:
    """Return lengths of hair that stands about the head."""
    return hair.volume * tapered(0.17, 0.42, -0.3, 0.75)(start, hair)


def bare(now: Now, hair: HairSection) -> Field:  # noqa: ARG001
    """Return hardly any height: what stands need not be lifted."""
    return np.full(len(now.at), 0.02)


# Hair that is tied.


def to_knot(now: Now, hair: HairSection) -> Points:  # noqa: ARG001
    """Comb along the skin to the knot."""
    return flat(unit(KNOT - now.at), now.out, 0.05)


def as_far_as_knot(start: Start, hair: HairSection) -> Field:  # noqa: ARG001
    """Return lengths that end in the knot."""
    # The way about the head against the straight one.
    far = np.linalg.norm(KNOT - start.at, axis=1)
    return np.asarray(2.04 * np.arcsin(np.clip(far / 2.0, 0, 0.99)) + 0.02)


def smooth_back(now: Now, hair: HairSection) -> Field:
    """Return heights of hair that is drawn tight."""
    return np.asarray(hair.volume * (0.025 + 0.055 * now.start.layer * ramp(0.85 - now.t, -0.1, 0.5)))


def at_temples(at: Points, hair: HairSection) -> Field:  # noqa: ARG001
    """Return 1 before and above the ears."""
    x, y, z = at.T
    return np.asarray(
        ramp(np.abs(x), 0.42, 0.5) * ramp(z, 0.36, 0.46) * ramp(y, 0.0, 0.1) * (1 - ramp(y, 0.34, 0.5))
    )


def at_parting(at: Points, hair: HairSection) -> Field:
    """Return more hair along the parting, where the scalp would show."""
    x, y, z = at.T
    line = np.exp(-(((x - part_x(z, hair)) / 0.07) ** 2))
    return np.asarray(1.0 + 3.5 * line * ramp(y, 0.4, 0.8) + 0.6 * ramp(y, 0.3, 0.8))


def loose(now: Now, hair: HairSection) -> Field:
    """Return the height of a few strands that hang by themselves."""
    return np.asarray(hair.volume * (0.03 + 0.05 * now.start.layer))
