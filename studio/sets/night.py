"""A streaming room late at night: tinted light on dark walls, hexagon lights, toys, a city in the window."""

from __future__ import annotations

from typing import Final

import numpy as np

from studio.character import SetSection
from studio.sets.palette import Rgb, family, from_lightness, hexed, lightness_chroma_hue, mixed, tuned
from studio.sets.props.lamps import fairy_lights, strip
from studio.sets.props.shelves import books
from studio.sets.props.toys import bear, bunny, figure, ghost, slime, star
from studio.sets.props.windows import city, curtain, opening, sky, window
from studio.sets.scene import Light, Material, Place, Scene, fabric, glow, matte
from studio.sets.shapes import ball, box, polygon, prism
from studio.sets.shell import HEIGHT_M, enclose

_BACK: Final = 2.6
_HEX: Final = 0.118
"""Radius of a hexagon light."""


def build(section: SetSection) -> Scene:
    """Return the room."""
    rng = np.random.default_rng(section.seed)
    wall, accent = hexed(section.wall), hexed(section.accent)
    _, _, hue = lightness_chroma_hue(wall)
    cool = from_lightness(0.72, 0.16, hue - 75)
    deep = from_lightness(0.55, 0.22, hue)
    scene = Scene(exposure=0.2, look="AgX - Punchy")
    paint = Material("plaster", tuned(wall, lighter=0.13, vivid=1.1))
    enclose(scene, 2.3, _BACK, paint, matte(tuned(wall, lighter=-0.06)), matte(tuned(wall, lighter=0.1)))
    _window(scene, paint, accent, cool, wall, rng)
    _hexagons(scene, accent, cool, deep, rng)
    _toys(scene, wall, accent, cool, deep, rng)
    _lights(scene, accent, cool, deep)
    return scene


def _window(
    scene: Scene, paint: Material, accent: Rgb, cool: Rgb, wall: Rgb, rng: np.random.Generator
) -> None:
    hole: tuple[Place, float, float] = ((1.16, _BACK, 0.84), 0.92, 1.36)
    opening(scene, _BACK, HEIGHT_M, (-2.3, 2.3), hole, paint)
    frame = matte(tuned(wall, light=0.16), 0.4)
    window(scene, (1.16, _BACK + 0.06, 0.84), (0.92, 1.36), frame, panes=(2, 1))
    high = from_lightness(0.2, 0.1, lightness_chroma_hue(wall)[2])
    sky(scene, 60.0, (90, 26), (22, -6), high, mixed(accent, cool, 0.35), 0.85)
    lit = [(1.0, 0.6, 0.25), (1.0, 0.7, 0.4), accent, cool]
    city(scene, 22.0, (3, 19), -2.4, 6.4, lit, mixed(high, (0.0, 0.0, 0.0), 0.35), rng)
    curtain(scene, (0.66, _BACK - 0.08, 0.1), (0.2, 2.2), tuned(wall, light=0.34, chroma=0.1), rng)
    hooks: list[Place] = [(0.62, _BACK - 0.13, 1.83), (1.1, _BACK - 0.13, 1.86), (1.62, _BACK - 0.13, 1.83)]
    fairy_lights(scene, hooks, 16, (1.0, 0.5, 0.18), 20, rng, sag=0.12)


def _hexagons(scene: Scene, accent: Rgb, cool: Rgb, deep: Rgb, rng: np.random.Generator) -> None:
    wide, high = _HEX * 1.5 * 1.06, _HEX * np.sqrt(3) * 1.06
    lit, back = prism(polygon(6, _HEX), 0.02), prism(polygon(6, _HEX * 1.03), 0.02)
    for column, row in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 1), (1, 2), (3, 0)):
        place = (-1.34 + column * wide, _BACK - 0.045, 1.5 + (row + 0.5 * (column % 2)) * high)
        share = (column / 3 + row / 2) / 1.8 + float(rng.normal(0, 0.08))
        tint = mixed(cool, deep, share * 2) if share < 0.5 else mixed(deep, accent, min(1.0, share * 2 - 1))
        scene.add(lit, glow(tint, float(rng.uniform(0.9, 1.9))), place)
        scene.add(back, matte((0.02, 0.02, 0.03)), (place[0], place[1] + 0.012, place[2]))


def _toys(scene: Scene, wall: Rgb, accent: Rgb, cool: Rgb, deep: Rgb, rng: np.random.Generator) -> None:
    board = matte(tuned(wall, light=0.3, chroma=0.06), 0.35)
    y = _BACK - 0.13
    for level in (0.66, 1.04):
        scene.add(box(0.98, 0.26, 0.03), board, (-1.12, y, level), bevel_m=0.006)
        strip(scene, [(-1.6, y - 0.134, level - 0.004), (-0.64, y - 0.134, level - 0.004)], accent, 2.6)
    tints = family(wall, accent, rng, 10)
    cream = from_lightness(0.86, 0.04, 70)
    bear(scene, (-1.14, y, 1.07), 0.29, from_lightness(0.62, 0.09, 60))
    slime(scene, (-0.88, y - 0.02, 1.07), 0.13, tuned(cool, lighter=0.05))
    figure(scene, (-0.71, y, 1.07), 0.23, accent, cool)
    figure(scene, (-1.41, y, 1.07), 0.25, deep, cream)
    bunny(scene, (-0.8, y - 0.02, 0.69), 0.31, tuned(accent, light=0.84, vivid=0.5))
    ghost(scene, (-1.06, y - 0.02, 0.69), 0.2, cream)
    books(scene, (-1.5, y - 0.1, 0.69), 0.3, 0.24, tints, rng)
    sill = matte(tuned(wall, light=0.26, chroma=0.06), 0.35)
    scene.add(box(1.2, 0.3, 0.04), sill, (1.2, _BACK - 0.16, 0.78), bevel_m=0.006)
    puff = fabric(tuned(wall, light=0.42, chroma=0.1))
    scene.add(box(0.46, 0.46, 0.44), puff, (0.98, 1.95, 0.0), bevel_m=0.06)
    bunny(scene, (0.98, 1.93, 0.43), 0.46, tuned(cool, light=0.78, vivid=0.6))
    moon_at: Place = (0.86, _BACK - 0.18, 0.94)
    scene.add(ball(0.12), Material("sky", (1.0, 0.78, 0.5), (1.0, 0.42, 0.2), strength=1.5), moon_at)
    star(scene, (1.28, _BACK - 0.2, 0.92), 0.12, tuned(accent, lighter=0.1))
    slime(scene, (1.08, _BACK - 0.24, 0.82), 0.1, tuned(accent, lighter=0.05))


def _lights(scene: Scene, accent: Rgb, cool: Rgb, deep: Rgb) -> None:
    above, side = mixed(deep, cool, 0.45), mixed(cool, (1.0, 1.0, 1.0), 0.35)
    pink, screen = mixed(accent, (1.0, 1.0, 1.0), 0.2), mixed((1.0, 1.0, 1.0), cool, 0.5)
    scene.lights += [
        # Up the bare wall from behind the presenter's seat, and down from above: what sets the head off.
        Light("area", (0.0, _BACK - 0.5, 0.2), 42, mixed(deep, accent, 0.6), (1.2, 0.12), (0.0, _BACK, 1.1)),
        Light("area", (0.0, _BACK - 0.7, HEIGHT_M - 0.1), 26, above, (2.4, 0.12), (0.0, _BACK, 1.5)),
        Light("area", (-2.1, 0.6, 2.0), 85, side, (0.8, 1.2), (-1.1, _BACK, 0.9)),
        Light("area", (1.9, 0.2, 1.9), 24, pink, (0.6, 1.2), (1.2, _BACK, 0.9)),
        # The screen before the presenter.
        Light("area", (0.4, -3.2, 1.4), 14, screen, (0.9, 0.55), (0, 0, 1.2)),
    ]
    # A tube light in the corner of wall and window, its colour running from one to the other.
    for k in range(12):
        low, high = 0.35 + 0.125 * k, 0.35 + 0.125 * (k + 1)
        tint = mixed(accent, cool, k / 11)
        strip(scene, [(0.585, _BACK - 0.3, low), (0.585, _BACK - 0.3, high)], tint, 3.0, 0.013)
