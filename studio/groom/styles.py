"""Hair styles, as fields over the head: which way hair is combed, how long it is and how high it lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from studio.character import HairSection
from studio.hairline import Head
from studio.mesh import Points
from studio.skin import Field, ramp


@dataclass(frozen=True, slots=True)
class Style:
    """How a style is grown; all fields take places float64[N, 3] and the head."""

    flow: Callable[[Points, Points, Head, HairSection], Points]
    """Direction that hair is combed in at places with surface normals, about unit length."""
    length: Callable[[Points, Head, HairSection], Field]
    off: Callable[[Points, Head], Field]
    """How high the outermost hair lies above the skin."""
    lift: float = 0.4
    """How steeply hair leaves the skin."""
    inertia: float = 0.85
    comb: float = 0.8
    comb_ends: float = 1.0
    """Share of a strand after which it is no longer combed."""
    gravity: float = 0.1
    hug: float = 0.3
    """How strongly strands are drawn down to their height."""
    hug_above: float = -9.0
    """Only this high above the eyes and more."""
    tuck: float = 0.0
    """How far the tips bend in."""
    clumps: int = 260
    clump: float = 0.5
    wave: float = 0.0
    curl: float = 0.0
    points: int = 18
    width: float = 0.0052
    density: Callable[[Points, Head, HairSection], Field] | None = None
    """More or less hair than everywhere else."""
    extra: tuple[str, ...] = field(default_factory=tuple)


def _along(way: Points, normals: Points, keep: float = 0.25) -> Points:
    """Return directions with most of what points into or out of the surface taken away."""
    inward = (way * normals).sum(1, keepdims=True)
    flat = way - (1 - keep) * inward * normals
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9))


def _parting(at: Points, head: Head, hair: HairSection) -> Field:
    """Return the side of the parting: 1 on the viewer's right, -1 on the left; it closes at the crown."""
    back = ramp(at[:, 2] - head.head_z, -0.5, 0.5)
    return np.where(at[:, 0] > 0.32 * hair.parting * back, 1.0, -1.0)


def _from_parting(at: Points, head: Head, hair: HairSection) -> Field:
    """Return the distance from the parting's line, decimetres."""
    back = ramp(at[:, 2] - head.head_z, -0.5, 0.5)
    return np.asarray(np.abs(at[:, 0] - 0.32 * hair.parting * back))


def _at_parting(at: Points, head: Head, hair: HairSection) -> Field:
    """Return more hair where a parting would show the scalp."""
    top = ramp((at[:, 1] - head.eye_y) / head.unit, 0.4, 0.9)
    return np.asarray(1.0 + 3.0 * top * np.exp(-((_from_parting(at, head, hair) / 0.10) ** 2)))


def _falling(at: Points, normals: Points, head: Head, hair: HairSection) -> Points:
    side = _parting(at, head, hair)
    dy = (at[:, 1] - head.eye_y) / head.unit
    top = ramp(dy, 0.30, 0.95)
    front = ramp(at[:, 2] - head.head_z, 0.35, 0.75)
    # Hair beside the parting stands up before it falls, and so hides the scalp.
    side = side * (0.35 + 0.65 * ramp(_from_parting(at, head, hair), 0.0, 0.28))
    way = np.stack(
        (
            side * (0.95 * top + 0.10),
            -0.30 - 0.70 * (1 - top),
            -0.30 * top - 0.75 * front * (0.35 + 0.65 * top),
        ),
        1,
    )
    return _along(way, normals)


def _falling_length(end: float) -> Callable[[Points, Head, HairSection], Field]:
    def length(at: Points, head: Head, hair: HairSection) -> Field:
        down = at[:, 1] - (head.eye_y - end * hair.length * head.unit)
        over = 0.75 * ramp((at[:, 1] - head.eye_y) / head.unit, 0.3, 1.0)
        front = 0.12 * ramp(at[:, 2] - head.head_z, 0.4, 0.8)
        return np.maximum(0.5, down + over - front)

    return length


def _falling_off(at: Points, head: Head) -> Field:
    dy = (at[:, 1] - head.eye_y) / head.unit
    return 0.06 + 0.13 * ramp(dy, 0.0, 0.9) + 0.05 * ramp(-dy, 0.2, 0.8)


def _side_part(at: Points, normals: Points, head: Head, hair: HairSection) -> Points:
    side = _parting(at, head, hair)
    dy = (at[:, 1] - head.eye_y) / head.unit
    top = ramp(dy, 0.45, 0.85)
    front = ramp(at[:, 2] - head.head_z, 0.4, 0.9)
    way = np.stack(
        (
            side * 0.75 * top,
            -0.95 * (1 - top) + 0.25 * front * top,
            -0.30 * (1 - top) - (0.25 + 0.65 * front) * top,
        ),
        1,
    )
    return _along(way, normals, 0.45)


def _short_length(base: float) -> Callable[[Points, Head, HairSection], Field]:
    def length(at: Points, head: Head, hair: HairSection) -> Field:
        dy = (at[:, 1] - head.eye_y) / head.unit
        return base * hair.length * (0.22 + 0.95 * ramp(dy, 0.2, 0.9))

    return length


def _short_off(at: Points, head: Head) -> Field:
    dy = (at[:, 1] - head.eye_y) / head.unit
    return 0.03 + 0.15 * ramp(dy, 0.3, 1.0)


def _crop(at: Points, normals: Points, head: Head, hair: HairSection) -> Points:
    dy = (at[:, 1] - head.eye_y) / head.unit
    top = ramp(dy, 0.45, 0.9)
    swirl = 0.5 * np.sin(at[:, 0] * 5 + at[:, 2] * 3)
    way = np.stack(
        (swirl * top + 0.25 * np.sign(hair.parting) * top, -0.8 * (1 - top) + 0.1 * top, 0.75 * top - 0.25), 1
    )
    return _along(way, normals, 0.7)


def _out(at: Points, normals: Points, head: Head, hair: HairSection) -> Points:  # noqa: ARG001
    return normals


def _back(at: Points, normals: Points, head: Head, hair: HairSection) -> Points:  # noqa: ARG001
    knot = np.array([0.0, head.eye_y + 0.62 * head.unit, head.head_z - 1.05])
    way = knot - at
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    return _along(way, normals, 0.1)


def _to_knot(at: Points, head: Head, hair: HairSection) -> Field:  # noqa: ARG001
    knot = np.array([0.0, head.eye_y + 0.62 * head.unit, head.head_z - 1.05])
    return np.asarray(1.12 * np.linalg.norm(knot - at, axis=1))


def _even(high: float) -> Callable[[Points, Head], Field]:
    def off(at: Points, head: Head) -> Field:  # noqa: ARG001 - one of many
        return np.full(len(at), high)

    return off


STYLES: Final[dict[str, Style]] = {
    "buzz": Style(
        _crop,
        _short_length(0.09),
        _even(0.03),
        lift=1.2,
        comb=0.3,
        points=4,
        clumps=0,
        clump=0.0,
        width=0.006,
    ),
    "crop": Style(
        _crop,
        _short_length(0.42),
        _short_off,
        lift=0.75,
        gravity=0.03,
        hug=0.15,
        points=10,
        clumps=420,
        clump=0.7,
    ),
    "side_part": Style(
        _side_part,
        _short_length(0.66),
        _short_off,
        lift=0.65,
        gravity=0.04,
        hug=0.3,
        points=14,
        clumps=300,
        clump=0.6,
        density=_at_parting,
    ),
    "waves_short": Style(
        _side_part,
        _short_length(0.85),
        _short_off,
        lift=0.7,
        gravity=0.12,
        hug=0.25,
        points=18,
        clumps=200,
        clump=0.7,
        wave=0.05,
        density=_at_parting,
    ),
    "curls": Style(
        _out,
        _short_length(0.75),
        lambda at, head: 0.10 + 0.5 * _short_off(at, head),
        lift=1.0,
        comb=1.0,
        gravity=0.0,
        hug=0.0,
        points=22,
        clumps=700,
        clump=0.75,
        curl=0.05,
    ),
    "bob": Style(
        _falling,
        _falling_length(0.75),
        _falling_off,
        gravity=0.45,
        comb_ends=0.5,
        hug=0.45,
        hug_above=-0.4,
        tuck=0.75,
        clumps=170,
        clump=0.6,
        points=18,
        density=_at_parting,
    ),
    "lob": Style(
        _falling,
        _falling_length(1.35),
        _falling_off,
        gravity=0.45,
        comb_ends=0.45,
        hug=0.45,
        hug_above=-0.1,
        tuck=0.5,
        clumps=150,
        clump=0.62,
        wave=0.035,
        points=20,
        density=_at_parting,
    ),
    "long": Style(
        _falling,
        _falling_length(2.0),
        _falling_off,
        gravity=0.42,
        comb_ends=0.4,
        hug=0.42,
        hug_above=-0.1,
        tuck=0.25,
        clumps=130,
        clump=0.66,
        wave=0.07,
        points=24,
        density=_at_parting,
    ),
    "bun": Style(
        _back,
        _to_knot,
        _even(0.045),
        lift=0.35,
        comb=1.2,
        gravity=0.0,
        hug=0.7,
        clumps=260,
        clump=0.4,
        points=20,
        extra=("knot",),
    ),
}
"""By the name that `character.HairSection.style` gives; besides these there is "none"."""
HAIR_STYLES: Final = ("none", *STYLES)
