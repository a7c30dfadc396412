"""Shelves and what lies on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from studio.sets.chance import chosen
from studio.sets.palette import Rgb, tuned
from studio.sets.props.vessels import bowl, vase
from studio.sets.scene import Material, Place, Scene, fabric, glow, matte
from studio.sets.shapes import box

Item = Callable[[Scene, Place, float, np.random.Generator], None]
"""Puts something on a board: scene, middle of its foot, the height there is, chance."""


def books(
    scene: Scene, at: Place, width: float, tallest: float, colours: Sequence[Rgb], rng: np.random.Generator
) -> None:
    """Stand books side by side from `at` (lower left, spines there) to the right; the last one may lean."""
    x = 0.0
    while True:
        thick = float(rng.uniform(0.022, 0.052))
        if x + thick > width:
            return
        height = float(min(tallest, rng.uniform(0.62, 1.0) * 0.30))
        depth = float(rng.uniform(0.15, 0.2))
        colour = chosen(rng, colours)
        lean = float(rng.uniform(7, 13)) if x + thick + 0.09 > width and rng.random() < 0.6 else 0.0
        place = (at[0] + x + thick / 2, at[1] + depth / 2 + float(rng.uniform(0, 0.025)), at[2])
        scene.add(box(thick, depth, height), matte(colour, 0.6), place, turn_deg=(0, -lean, 0), bevel_m=0.004)
        if rng.random() < 0.55:
            band = tuned(colour, lighter=0.22 if rng.random() < 0.7 else -0.15)
            for level in rng.choice([0.12, 0.2, 0.72, 0.82], 2, replace=False):
                lift = (
                    place[0],
                    at[1] + float(place[1] - at[1] - depth / 2) + depth / 2 - 0.001,
                    at[2] + height * level,
                )
                scene.add(box(thick * 1.01, depth, 0.012), matte(band, 0.5), lift, turn_deg=(0, -lean, 0))
        x += thick + 0.002


def lying_books(
    scene: Scene, at: Place, count: int, colours: Sequence[Rgb], rng: np.random.Generator
) -> float:
    """Pile books and return how high the pile is; `at` is the middle of its foot."""
    z = 0.0
    for k in range(count):
        thick = float(rng.uniform(0.024, 0.042))
        size = (float(rng.uniform(0.21, 0.25)) - 0.012 * k, 0.17, thick)
        colour = chosen(rng, colours)
        place = (at[0], at[1], at[2] + z)
        turn = (0.0, 0.0, float(rng.normal(0, 6)))
        scene.add(box(*size), matte(colour, 0.6), place, turn_deg=turn, bevel_m=0.004)
        pages = (size[0] - 0.008, size[1] - 0.002, thick * 0.72)
        lift = (at[0] + 0.006, at[1], at[2] + z + thick * 0.14)
        scene.add(box(*pages), matte((0.8, 0.74, 0.62)), lift, turn_deg=turn)
        z += thick
    return z


def boxes(scene: Scene, at: Place, room: float, colours: Sequence[Rgb], rng: np.random.Generator) -> None:
    """Pile lidded gift boxes, the largest below; `room` is the height there is."""
    z, width = 0.0, float(rng.uniform(0.2, 0.25))
    for _ in range(3):
        height = float(rng.uniform(0.07, 0.12))
        if z + height + 0.02 > room:
            return
        colour = chosen(rng, colours)
        turn = (0.0, 0.0, float(rng.normal(0, 7)))
        scene.add(
            box(width, 0.2, height), matte(colour), (at[0], at[1], at[2] + z), turn_deg=turn, bevel_m=0.005
        )
        lid = tuned(colour, lighter=0.05)
        top = (at[0], at[1], at[2] + z + height - 0.025)
        scene.add(box(width + 0.012, 0.212, 0.028), matte(lid), top, turn_deg=turn, bevel_m=0.005)
        ribbon = tuned(colour, lighter=-0.22)
        scene.add(
            box(0.018, 0.216, height + 0.006), matte(ribbon, 0.35), (at[0], at[1], at[2] + z), turn_deg=turn
        )
        z += height + 0.004
        width *= float(rng.uniform(0.72, 0.86))


def folded(scene: Scene, at: Place, room: float, colours: Sequence[Rgb], rng: np.random.Generator) -> None:
    """Pile folded cloth."""
    z = 0.0
    for _ in range(int(rng.integers(3, 6))):
        thick = float(rng.uniform(0.032, 0.05))
        if z + thick > room * 0.85:
            return
        colour = chosen(rng, colours)
        place = (at[0] + float(rng.normal(0, 0.004)), at[1], at[2] + z)
        width = 0.25 + float(rng.normal(0, 0.008))
        scene.add(
            box(width, 0.22, thick),
            fabric(colour),
            place,
            turn_deg=(0, 0, float(rng.normal(0, 2))),
            bevel_m=thick * 0.45,
        )
        z += thick * 0.97


def shelf(
    scene: Scene,
    at: Place,
    size: tuple[float, float],
    levels: Sequence[float],
    material: Material,
    back: Material | None,
    *,
    posts: Sequence[float] = (),
    depth: float = 0.28,
    board: float = 0.028,
    light: tuple[Rgb, float] | None = None,
) -> list[tuple[float, float, float]]:
    """Build a case with boards at `levels` (heights) and uprights at `posts` (from its left).

    `at` is its lower left front. `light` puts a strip of that colour and strength below each board. Returns
    each bay between the boards as (left, foot, room above it): where things may stand.
    """
    width, height = size
    x0, y0, z0 = at
    middle, deep = x0 + width / 2, y0 + depth / 2
    if back:
        scene.add(box(width, 0.012, height), back, (middle, y0 + depth, z0))
    walls = [0.0, *posts, width]
    for post in walls:
        scene.add(box(board, depth, height), material, (x0 + post, deep, z0), bevel_m=0.003)
    bays = []
    for k, level in enumerate(levels):
        scene.add(box(width, depth, board), material, (middle, deep, z0 + level), bevel_m=0.003)
        top = (levels[k + 1] if k + 1 < len(levels) else height) - board
        if light:
            for left, right in pairwise(walls):
                strip = (x0 + (left + right) / 2, y0 + 0.05, z0 + top + 0.012)
                scene.add(box(right - left - 0.06, 0.012, 0.006), glow(*light), strip, in_picture=False)
        bays += [(x0 + left + board / 2, z0 + level + board, top - level) for left in walls[:-1]]
    return bays


def dress(
    scene: Scene,
    place: tuple[float, float],
    width: float,
    room: float,
    depth: tuple[float, float],
    colours: Sequence[Rgb],
    rng: np.random.Generator,
    *,
    items: Sequence[Item] = (),
) -> None:
    """Fill one bay of a bookcase: books to one side, a thing or two on the other, air between.

    `place` is the bay's left and foot, `depth` where its front is and how deep it is.
    """
    left, foot = place
    front, deep = depth
    share = float(rng.uniform(0.42, 0.7))
    at_right = rng.random() < 0.5
    start = left + width * (1 - share) - 0.012 if at_right else left + 0.012
    books(scene, (start, front + 0.03, foot), width * share, room * 0.92, colours, rng)
    rest = left + width * (1 - share) / 2 if at_right else left + width * (1 + share) / 2
    spot = (rest, front + deep * 0.5, foot)
    if items:
        chosen(rng, items)(scene, spot, room, rng)
    elif rng.random() < 0.5:
        high = lying_books(scene, spot, int(rng.integers(2, 4)), colours, rng)
        bowl(scene, (rest, spot[1], foot + high), 0.055, chosen(rng, colours), rng)
    else:
        vase(scene, spot, min(room * 0.75, 0.24), chosen(rng, colours), rng)
