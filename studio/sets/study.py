"""An evening study: a bookcase with small lights, a table lamp's warm pool, blue hour in the window."""

from __future__ import annotations

from typing import Final

import numpy as np

from studio.character import SetSection
from studio.sets.chance import chosen
from studio.sets.palette import Rgb, family, from_lightness, hexed, mixed, tuned
from studio.sets.props.lamps import WARM, candle, fairy_lights, table_lamp
from studio.sets.props.pictures import picture
from studio.sets.props.plants import rubber_plant, trailing
from studio.sets.props.shelves import dress, lying_books, shelf
from studio.sets.props.vessels import bowl, moon, pot, spheres, vase
from studio.sets.props.windows import city, curtain, opening, rail, sky, window
from studio.sets.scene import Light, Material, Place, Scene, ceramic, fabric, matte, wood
from studio.sets.shapes import box
from studio.sets.shell import HEIGHT_M, enclose

_BACK: Final = 2.7
"""Where the far wall is."""
_DUSK: Final = (0.05, 0.13, 0.50)
_GLOW: Final = (0.70, 0.36, 0.34)


def build(section: SetSection) -> Scene:
    """Return the room."""
    rng = np.random.default_rng(section.seed)
    wall, accent = hexed(section.wall), hexed(section.accent)
    scene = Scene(exposure=0.3)
    paint = Material("plaster", tuned(wall, vivid=1.5))
    oak = wood((0.23, 0.115, 0.05), (0.13, 0.06, 0.026))
    white = matte((0.62, 0.6, 0.56), 0.45)
    enclose(scene, 2.5, _BACK, paint, wood((0.2, 0.1, 0.05), (0.12, 0.06, 0.03)), matte((0.6, 0.57, 0.52)))
    _window(scene, paint, white, rng, accent)
    _bookcase(scene, wall, accent, oak, rng)
    _sideboard(scene, wall, accent, oak, rng)
    _lights(scene)
    return scene


def _window(scene: Scene, paint: Material, white: Material, rng: np.random.Generator, accent: Rgb) -> None:
    hole: tuple[Place, float, float] = ((-1.36, _BACK, 0.82), 0.86, 1.45)
    opening(scene, _BACK, HEIGHT_M, (-2.5, 2.5), hole, paint)
    window(scene, (-1.36, _BACK + 0.06, 0.82), (0.86, 1.45), white)
    sky(scene, 40.0, (70, 16), (-14, -3), _DUSK, _GLOW, 0.9)
    city(scene, 16.0, (-13, -2), -1.6, 4.2, [WARM, (1.0, 0.66, 0.3), accent], (0.035, 0.05, 0.13), rng)
    scene.lights.append(
        Light("area", (-1.36, _BACK + 0.9, 1.7), 30, (0.36, 0.56, 1.0), (1.1, 1.5), (-0.9, 0, 0.9))
    )
    linen = tuned(mixed(accent, (0.8, 0.76, 0.7), 0.7), light=0.72, chroma=0.035)
    curtain(scene, (-0.9, _BACK - 0.1, 0.06), (0.24, 2.32), linen, rng)
    curtain(scene, (-1.92, _BACK - 0.1, 0.06), (0.34, 2.32), linen, rng)
    rail(scene, (-2.1, _BACK - 0.1, 2.4), 1.45, Material("metal", (0.3, 0.2, 0.1), roughness=0.4))


def _bookcase(scene: Scene, wall: Rgb, accent: Rgb, oak: Material, rng: np.random.Generator) -> None:
    levels = (0.42, 0.80, 1.18, 1.56, 1.94)
    front = _BACK - 0.3
    back = matte(tuned(wall, lighter=-0.05, vivid=1.5))
    bays = shelf(
        scene, (0.66, front, 0.0), (1.5, 2.34), levels, oak, back, posts=(0.52, 1.04), light=(WARM, 75.0)
    )
    tints = family(wall, accent, rng, 14)
    bright = tuned(accent, lighter=0.08)

    def ornament(s: Scene, at: Place, room: float, r: np.random.Generator) -> None:
        kind = int(r.integers(5))
        if kind == 0:
            moon(s, at, 0.085, bright, (0.08, 0.05, 0.03))
        elif kind == 1:
            vase(s, at, min(room * 0.78, 0.24), chosen(r, tints), r)
        elif kind == 2:
            spheres(s, at, 0.06, chosen(r, tints))
        elif kind == 3:
            high = lying_books(s, at, 2, tints, r)
            bowl(s, (at[0], at[1], at[2] + high), 0.06, bright, r)
        else:
            picture(
                s, (at[0], at[1] + 0.07, at[2]), (0.17, min(0.23, room * 0.8)), oak, tints[:5], r, lean_deg=-6
            )

    for left, foot, room in bays:
        dress(scene, (left, foot), 0.49, room, (front, 0.28), tints, rng, items=(ornament,))
    pot(scene, (0.93, front + 0.13, 1.97), 0.075, 0.12, ceramic(tuned(accent, light=0.8, vivid=0.5)))
    trailing(scene, (0.93, front + 0.11, 2.08), 0.62, rng, vines=9)
    hooks: list[Place] = [
        (0.66, front - 0.015, 1.59),
        (1.2, front - 0.015, 1.585),
        (1.75, front - 0.015, 1.59),
    ]
    fairy_lights(scene, hooks, 20, (1.0, 0.5, 0.18), 15, rng, sag=0.1)


def _sideboard(scene: Scene, wall: Rgb, accent: Rgb, oak: Material, rng: np.random.Generator) -> None:
    y = _BACK - 0.34
    scene.add(box(1.5, 0.42, 0.5), oak, (-1.25, y, 0.14), bevel_m=0.01)
    scene.add(box(1.54, 0.44, 0.03), oak, (-1.25, y, 0.64), bevel_m=0.008)
    top = 0.67
    tints = family(wall, accent, rng, 8)
    table_lamp(scene, (-0.76, y, top), tuned(wall, light=0.42, chroma=0.07), 27)
    lying_books(scene, (-1.06, y - 0.05, top), 3, tints, rng)
    candle(scene, (-1.05, y - 0.05, top + 0.11), 0.07, accent)
    picture(scene, (-0.57, _BACK, 1.42), (0.22, 0.29), oak, tints[:5], rng)
    scene.add(box(0.34, 0.34, 0.34), oak, (-0.99, 1.3, 0.0))
    pot(scene, (-0.99, 1.3, 0.34), 0.15, 0.27, fabric(from_lightness(0.72, 0.04, 75)))
    rubber_plant(scene, (-0.99, 1.3, 0.58), 0.92, rng, leaf_m=0.19)


def _lights(scene: Scene) -> None:
    # Dusk from a window on the left, out of the picture, keeps the wall's own colour against the warm lamps.
    scene.lights += [
        Light("area", (-2.3, 0.6, 1.7), 34, (0.50, 0.66, 1.0), (1.2, 1.4), (0.9, _BACK, 1.1)),
        Light("area", (0.4, 0.9, HEIGHT_M - 0.05), 12, (1.0, 0.76, 0.52), (1.6, 1.0), (0.4, 1.2, 0)),
        Light("spot", (0.12, 1.3, 2.65), 80, (0.74, 0.82, 1.0), (0.2, 0.2), (0.05, _BACK, 1.3), 70),
        Light("area", (-1.9, -2.6, 2.3), 30, (1.0, 0.86, 0.7), (1.4, 1.0), (0, 0, 1.2)),
    ]
