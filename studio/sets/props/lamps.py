"""Lamps that are in the picture."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from studio.sets.palette import Rgb, mixed, tuned
from studio.sets.props.vessels import VASES
from studio.sets.scene import Light, Material, Place, Scene, ceramic, glow, matte
from studio.sets.shapes import ball, cone, curve, lathe, tube

WARM: Rgb = (1.0, 0.62, 0.30)
"""About 2,700 K."""
_BRASS = Material("metal", (0.75, 0.5, 0.22), roughness=0.3)


def table_lamp(scene: Scene, at: Place, base: Rgb, power_w: float, *, shade: Rgb = (0.5, 0.34, 0.2)) -> None:
    """Stand a lamp with a ceramic base and a linen shade, 0.52 m tall."""
    outline = [(r * 0.24, z * 0.24) for r, z in VASES[1][:-1]]
    scene.add(lathe(outline), ceramic(base, 0.3), at)
    scene.add(tube(np.array([[0, 0, 0.18], [0, 0, 0.24], [0, 0, 0.33]]) + at, 0.008, 10), _BRASS)
    linen = Material("shade", shade, WARM, strength=0.35)
    scene.add(cone(0.165, 0.115, 0.23), linen, (at[0], at[1], at[2] + 0.28))
    scene.lights.append(Light("point", (at[0], at[1], at[2] + 0.38), power_w, WARM, (0.04, 0.04)))


def pendant(
    scene: Scene, at: Place, radius: float, colour: Rgb, power_w: float, *, cord: float = 1.2
) -> None:
    """Hang an enamelled dome with a bulb in it; `at` is the middle of its rim."""
    x, y, z = at
    dome = [(1.0, 0.0), (0.97, 0.2), (0.78, 0.55), (0.45, 0.78), (0.16, 0.86), (0.12, 1.05), (0.0, 1.06)]
    scene.add(lathe([(r * radius, h * radius) for r, h in dome]), ceramic(colour, 0.3), at)
    scene.add(ball(radius * 0.36), glow(WARM, 9.0), (x, y, z + radius * 0.12))
    top = z + radius * 1.05
    scene.add(tube(np.array([[x, y, top], [x, y, top + cord / 2], [x, y, top + cord]]), 0.004, 6), _BRASS)
    scene.lights.append(Light("point", (x, y, z - radius * 0.3), power_w, WARM, (radius * 0.3, 0.0)))


def candle(scene: Scene, at: Place, height: float, colour: Rgb) -> None:
    """Stand a burning candle in a glass."""
    x, y, z = at
    scene.add(
        cone(0.03, 0.03, height, 24), Material("shade", mixed(colour, WARM, 0.5), WARM, strength=1.6), at
    )
    scene.add(ball(0.009), glow(WARM, 60.0), (x, y, z + height * 1.05), scale=(1, 1, 1.7))


def fairy_lights(
    scene: Scene,
    along: list[Place],
    count: int,
    colour: Rgb,
    strength: float,
    rng: np.random.Generator,
    *,
    sag: float = 0.0,
) -> None:
    """Hang a string of small lights on hooks; between them it sags."""
    pieces: list[tuple[float, float, float]] = []
    for first, second in pairwise(along):
        low = (np.array(first) + second) / 2 - (0, 0, sag * float(rng.uniform(0.7, 1.3)))
        pieces += [first, tuple(low)]
    path = curve(np.array([*pieces, along[-1]], np.float64), count * 4)
    scene.add(tube(path, 0.0015, 4), matte((0.02, 0.02, 0.02)))
    for k in range(count):
        tint = tuned(colour, turn_deg=float(rng.normal(0, 5)))
        place = path[4 * k + 2] + rng.normal(0, 0.006, 3)
        scene.add(ball(0.0065, 8, 10), glow(tint, strength * float(rng.uniform(0.6, 1.3))), place)


def strip(scene: Scene, path: list[Place], colour: Rgb, strength: float, thick: float = 0.006) -> None:
    """Lay a light tube through points, with sharp corners."""
    for first, second in pairwise(path):
        line = np.linspace(first, second, 4)
        scene.add(tube(line, thick, 10), glow(colour, strength))
        scene.add(ball(thick, 8, 10), glow(colour, strength), second)
