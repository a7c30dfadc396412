"""A bright boutique: daylight on plaster, an arched niche with wares, a clothes rail, plants, pale wood."""

from __future__ import annotations

from typing import Final

import numpy as np

from studio.character import SetSection
from studio.sets.chance import chosen
from studio.sets.framing import Points
from studio.sets.palette import Rgb, family, from_lightness, hexed, tuned
from studio.sets.props.lamps import WARM, pendant
from studio.sets.props.plants import palm, rubber_plant, snake_plant
from studio.sets.props.shelves import boxes, folded
from studio.sets.props.vessels import bowl, pot, stems, vase
from studio.sets.scene import Light, Material, Place, Scene, ceramic, fabric, glow, matte, wood
from studio.sets.shapes import arch, box, drape, grid, pierced, sheet, tube
from studio.sets.shell import HEIGHT_M, enclose

_BACK: Final = 2.9
_NICHE: Final = (1.06, 0.92, 1.50)
"""Its middle, width, and where it bends."""
_PALE: Final = (0.62, 0.43, 0.26)
_PALE_GRAIN: Final = (0.50, 0.33, 0.19)
_DAY: Final = (0.80, 0.91, 1.0)
_SUN: Final = (1.0, 0.84, 0.64)


def build(section: SetSection) -> Scene:
    """Return the room."""
    rng = np.random.default_rng(section.seed)
    wall, accent = hexed(section.wall), hexed(section.accent)
    scene = Scene(exposure=-0.3, film="Standard", look="None")
    paint = Material("plaster", wall)
    pale = wood(_PALE, _PALE_GRAIN)
    enclose(scene, 2.6, _BACK + 0.6, paint, wood(_PALE, _PALE_GRAIN), matte((0.8, 0.79, 0.77)))
    _niche(scene, paint, wall, accent, pale, rng)
    _rail(scene, wall, accent, pale, rng)
    _lights(scene)
    return scene


def _niche(
    scene: Scene, paint: Material, wall: Rgb, accent: Rgb, pale: Material, rng: np.random.Generator
) -> None:
    middle, width, spring = _NICHE
    outline = arch(width, spring)
    outline[:, 0] += middle
    scene.add(pierced(5.2, HEIGHT_M, outline), paint, (0, _BACK, 0), backdrop=True)
    deep = 0.34
    inside = Material("plaster", tuned(accent, lighter=0.12, vivid=0.8))
    scene.add(sheet(width + 0.1, 2.2), inside, (middle, _BACK + deep, 0))
    # The reveal: the outline's own edge, drawn back into the wall.
    edge = np.stack((outline[:, 0], np.full(len(outline), _BACK), outline[:, 1]), -1)
    both = np.stack((edge[1:], edge[1:] + np.array([0.0, deep, 0.0])))
    scene.add(grid(both, smooth=False), paint)
    tints = family(wall, accent, rng, 12, light=0.66)
    tints += [tuned(accent), tuned(accent, lighter=0.15), (0.78, 0.74, 0.68), (0.8, 0.77, 0.72)]
    for k, level in enumerate((0.38, 0.76, 1.14, 1.52)):
        scene.add(
            box(width, deep - 0.02, 0.032), pale, (middle, _BACK + deep / 2 + 0.01, level), bevel_m=0.004
        )
        strip = (middle, _BACK + deep - 0.03, level - 0.012)
        scene.add(box(width - 0.06, 0.012, 0.008), glow(WARM, 15.0), strip, in_picture=False)
        foot, room = level + 0.032, 0.34
        for j, across in enumerate((-0.29, 0.0, 0.29)):
            if k == 3 and j == 2:
                pot(scene, (middle + 0.25, _BACK + deep / 2, foot), 0.06, 0.1, ceramic(tints[-1], 0.5))
                snake_plant(scene, (middle + 0.25, _BACK + deep / 2, foot + 0.09), 0.2, rng)
                continue
            at: Place = (middle + across + float(rng.normal(0, 0.012)), _BACK + deep / 2, foot)
            colour = chosen(rng, tints)
            kind = (j + k + int(rng.integers(2))) % 4
            if k == 3:
                room = 0.34 - abs(across) * 0.4
            if kind == 0:
                boxes(scene, at, room * 0.9, tints, rng)
            elif kind == 1:
                vase(scene, at, min(0.28, room * 0.85), colour, rng)
            elif kind == 2:
                folded(scene, at, room, tints, rng)
            else:
                bowl(scene, at, 0.085, colour, rng)
                vase(scene, (at[0] + 0.1, at[1] + 0.05, at[2]), min(0.2, room * 0.6), tints[-1], rng, kind=2)


def _rail(scene: Scene, wall: Rgb, accent: Rgb, pale: Material, rng: np.random.Generator) -> None:
    y, top = 2.35, 1.5
    brass = Material("metal", (0.78, 0.55, 0.28), roughness=0.3)
    left, right = -1.4, -0.8
    for x in (left, right):
        scene.add(tube(np.array([[x, y, 0.0], [x, y, top / 2], [x, y, top]]), 0.012, 12), brass)
    scene.add(tube(np.array([[left, y, top], [-1.0, y, top], [right, y, top]]), 0.012, 12), brass)
    sage, cream = from_lightness(0.76, 0.05, 140), from_lightness(0.9, 0.03, 80)
    tints = [sage, cream, cream, accent, tuned(accent, lighter=0.14), tuned(accent, light=0.88, vivid=0.4)]
    x = left + 0.07
    while x < right - 0.08:
        _garment(scene, (x, y, top), chosen(rng, tints), rng)
        x += float(rng.uniform(0.075, 0.11))
    scene.add(box(0.95, 0.36, 0.05), pale, (-1.1, y, 0.26), bevel_m=0.008)
    pot(scene, (-1.08, 1.5, 0.02), 0.16, 0.3, ceramic(tuned(wall, lighter=0.02), 0.6))
    palm(scene, (-1.08, 1.5, 0.3), 1.02, rng)
    pot(scene, (1.14, 1.5, 0.2), 0.15, 0.26, ceramic(tuned(accent, lighter=0.18, vivid=0.6), 0.6))
    rubber_plant(scene, (1.14, 1.5, 0.44), 0.5, rng, leaf_m=0.18, stalks=4)
    scene.add(
        box(0.34, 0.34, 0.7),
        Material("plaster", tuned(accent, lighter=0.1)),
        (-0.67, 2.66, 0.0),
        bevel_m=0.01,
    )
    vase(scene, (-0.67, 2.66, 0.7), 0.3, tuned(wall, lighter=0.03), rng, kind=1)
    stems(scene, (-0.67, 2.66, 0.95), 0.42, from_lightness(0.82, 0.05, 75), rng)
    pendant(scene, (-1.0, 2.1, 1.62), 0.15, tuned(accent, lighter=-0.04), 1.2)
    pendant(scene, (-0.68, 2.1, 1.72), 0.15, tuned(accent, lighter=-0.04), 1.2)


def _garment(scene: Scene, at: Place, colour: Rgb, rng: np.random.Generator) -> None:
    """Hang a dress or a shirt from the rail, seen from its side."""
    x, y, z = at
    long = float(rng.uniform(0.62, 1.05))
    cloth = drape(0.4, long, 4, 0.022, rng)
    points = cloth.points.copy()
    # Shoulders slope down from the hanger's hook.
    share = np.clip(points[:, 2] / long, 0, 1)
    points[:, 2] -= 0.09 * share * (np.abs(points[:, 0]) / 0.2) ** 2
    turn = (0.0, 0.0, 76 + float(rng.normal(0, 7)))
    hung = type(cloth)(points, cloth.faces, smooth=True)
    scene.add(hung, fabric(colour), (x, y, z - long - 0.06), turn_deg=turn)
    hook = np.array([[x, y, z - 0.07], [x, y, z - 0.03], [x, y, z]])
    scene.add(tube(hook, 0.003, 6), Material("metal", (0.5, 0.5, 0.5)))


def _lights(scene: Scene) -> None:
    scene.lights += [
        Light("area", (-2.5, 0.4, 1.75), 150, _DAY, (2.4, 1.9), (0.6, 2.4, 1.1)),
        Light("area", (0.3, 0.6, HEIGHT_M - 0.04), 46, _DAY, (2.6, 2.2), (0.3, 1.2, 0)),
        Light("area", (-0.8, -3.4, 1.6), 90, _DAY, (2.6, 1.8), (0, 1, 1.2)),
    ]
    _sun(scene, (-2.4, 1.6, 2.25), (-0.62, _BACK, 1.5))


def _sun(scene: Scene, place: Place, target: Place) -> None:
    """Let the sun through an unseen window's panes onto the wall: each is a light that hardly spreads."""
    ahead = np.subtract(target, place)
    aside = np.array([-ahead[1], ahead[0], 0.0]) / np.hypot(ahead[0], ahead[1])
    for column in (-0.5, 0.5):
        for row in (-1.0, 0.0, 1.0):
            move = column * 0.23 * aside + np.array([0.0, 0.0, row * 0.25])
            start, end = _place(place + move), _place(target + move)
            scene.lights.append(Light("area", start, 0.17, _SUN, (0.19, 0.21), end, spread_deg=1.5))


def _place(point: Points) -> Place:
    x, y, z = (float(v) for v in point)
    return x, y, z
