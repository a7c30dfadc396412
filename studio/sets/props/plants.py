"""Foliage: curved leaves on stems."""

from __future__ import annotations

import numpy as np

from studio.sets.chance import chosen
from studio.sets.palette import Rgb, tuned
from studio.sets.scene import Material, Place, Scene, matte
from studio.sets.shapes import Mesh, blade, curve, heart, leaf, oval, tube

GREEN: Rgb = (0.055, 0.17, 0.06)


def foliage(colour: Rgb, lighter: float = 0.0) -> Material:
    """Return what leaves are made of: light shines through."""
    return Material("leaf", tuned(colour, lighter=lighter), roughness=0.42)


def _greens(colour: Rgb, rng: np.random.Generator) -> list[Material]:
    return [foliage(tuned(colour, turn_deg=float(rng.normal(0, 7))), d) for d in (-0.05, 0.0, 0.04, 0.09)]


def rubber_plant(
    scene: Scene,
    at: Place,
    height: float,
    rng: np.random.Generator,
    *,
    colour: Rgb = GREEN,
    stalks: int = 3,
    leaf_m: float = 0.21,
) -> None:
    """Grow broad leaves in a spiral about a few stalks; `at` is where they leave the earth."""
    shapes = [
        leaf(s * leaf_m, s * leaf_m * 0.52, oval, d) for s, d in ((1.0, 45), (0.9, 30), (0.75, 60), (1.1, 55))
    ]
    greens = _greens(colour, rng)
    bark = matte((0.09, 0.055, 0.03), 0.9)
    for stalk in range(stalks):
        way = 2 * np.pi * stalk / stalks + float(rng.uniform(0, 1))
        tall = height * float(rng.uniform(0.72, 1.0)) * (1.0 if stalk else 1.05)
        lean, up = np.array([np.cos(way), np.sin(way), 0.0]) * 0.2 * tall, np.array([0.0, 0.0, tall])
        path = curve(np.array([[0, 0, 0], lean * 0.25 + up / 2, lean + up]) + at, 24)
        scene.add(tube(path, np.linspace(0.011, 0.004, 24), 7), bark)
        count = int(tall / (leaf_m * 0.17))
        for k in range(count):
            share = 0.22 + 0.78 * k / max(1, count - 1)
            place = path[min(23, int(share * 23))]
            turn = 137.5 * k + float(rng.normal(0, 14))
            lift = 12 + 55 * share**3 + float(rng.normal(0, 8))
            size = (0.75 + 0.4 * np.sin(np.pi * share)) * float(rng.uniform(0.85, 1.1))
            green = greens[min(3, int(share * 3 + rng.uniform(0, 1)))]
            mesh = chosen(rng, shapes)
            scene.add(mesh, green, place, turn_deg=(lift, float(rng.normal(0, 12)), turn), scale=size)


def palm(
    scene: Scene, at: Place, height: float, rng: np.random.Generator, *, colour: Rgb = GREEN, fronds: int = 11
) -> None:
    """Grow arching fronds with leaflets on both sides."""
    narrow = [leaf(0.26 * s, 0.03 * s, blade, d, 0.5) for s, d in ((1.0, 50), (0.85, 35), (0.92, 65))]
    greens = _greens(colour, rng)
    for k in range(fronds):
        way = np.radians(137.5 * k + rng.normal(0, 10))
        tall = height * float(rng.uniform(0.75, 1.05))
        reach = height * float(rng.uniform(0.22, 0.5))
        out = np.array([np.cos(way), np.sin(way), 0.0])
        bend = np.array(
            [[0, 0, 0], out * reach * 0.2 + (0, 0, tall * 0.55), out * reach * 0.62 + (0, 0, tall * 0.92)]
        )
        tip = out * reach * 1.15 + (0, 0, tall * 0.86)
        path = curve(np.concatenate((bend, [tip])) + at, 30)
        green = chosen(rng, greens)
        scene.add(tube(path, np.linspace(0.006, 0.0015, 30), 6), green)
        for j in range(6, 30):
            ahead = path[j] - path[j - 1]
            heading = float(np.degrees(np.arctan2(ahead[1], ahead[0]))) - 90
            size = float(np.sin(np.pi * (j - 4) / 28) ** 0.6 * height / 1.0)
            for side in (-1, 1):
                turn = (float(rng.normal(14, 8)), 0.0, heading + side * float(rng.normal(48, 6)))
                scene.add(chosen(rng, narrow), green, path[j], turn_deg=turn, scale=size)


def snake_plant(
    scene: Scene, at: Place, height: float, rng: np.random.Generator, *, colour: Rgb = GREEN
) -> None:
    """Grow stiff upright blades."""
    shapes = [leaf(s, 0.055, blade, 8, 0.5) for s in (1.0, 0.8, 0.62)]
    greens = _greens(colour, rng)
    for k in range(9):
        way = float(rng.uniform(0, 360))
        out = 0.03 * np.array([np.cos(k * 2.4), np.sin(k * 2.4), 0])
        turn = (82 + float(rng.normal(0, 5)), float(rng.normal(0, 10)), way)
        scene.add(
            shapes[k % 3],
            chosen(rng, greens),
            np.asarray(at) + out,
            turn_deg=turn,
            scale=(1, height, height),
        )


def trailing(
    scene: Scene,
    at: Place,
    length: float,
    rng: np.random.Generator,
    *,
    colour: Rgb = GREEN,
    vines: int = 6,
    bushy: int = 16,
) -> None:
    """Grow heart-shaped leaves in a tuft and along hanging vines; `at` is the pot's mouth."""
    shapes = [leaf(s, s * 0.78, heart, d, 0.25) for s, d in ((0.085, 40), (0.07, 55), (0.095, 30))]
    greens = _greens(colour, rng)

    def one(
        place: np.ndarray[tuple[int, ...], np.dtype[np.float64]], turn: tuple[float, float, float], mesh: Mesh
    ) -> None:
        scene.add(mesh, chosen(rng, greens), place, turn_deg=turn, scale=float(rng.uniform(0.8, 1.2)))

    for k in range(bushy):
        way = 137.5 * k
        turn = (float(rng.uniform(5, 60)), float(rng.normal(0, 12)), way)
        one(np.add(at, (0.0, 0.0, float(rng.uniform(0, 0.05)))), turn, chosen(rng, shapes))
    for _ in range(vines):
        way = float(rng.uniform(np.pi, 2 * np.pi))
        out = np.array([np.cos(way), np.sin(way) * 0.7, 0.0]) * float(rng.uniform(0.08, 0.13))
        low = length * float(rng.uniform(0.45, 1.0))
        sway = np.array([float(rng.normal(0, 0.03)), 0.0, 0.0])
        bend = [
            [0, 0, 0],
            out * 0.8 + (0, 0, 0.035),
            out * 1.15 - (0, 0, low * 0.4),
            out * 1.1 + sway - (0, 0, low),
        ]
        path = curve(np.array(bend) + at, 26)
        scene.add(tube(path, 0.0022, 5), greens[1])
        for j in range(3, 26, 2):
            turn = (float(rng.uniform(-75, -25)), float(rng.normal(0, 18)), float(rng.uniform(120, 240)))
            one(path[j], turn, chosen(rng, shapes))
