"""Things turned on a wheel or a lathe: vases, bowls, pots, and what stands beside them."""

from __future__ import annotations

import numpy as np

from studio.sets.chance import chosen
from studio.sets.palette import Rgb, tuned
from studio.sets.scene import Material, Place, Scene, ceramic, matte
from studio.sets.shapes import Mesh, ball, box, curve, lathe, tube

VASES: tuple[tuple[tuple[float, float], ...], ...] = (
    ((0.0, 0.0), (0.24, 0.0), (0.34, 0.3), (0.3, 0.6), (0.12, 0.8), (0.13, 1.0), (0.1, 0.97)),
    ((0.0, 0.0), (0.2, 0.0), (0.4, 0.35), (0.36, 0.55), (0.2, 0.72), (0.22, 0.85), (0.18, 0.84)),
    ((0.0, 0.0), (0.16, 0.0), (0.17, 0.4), (0.22, 0.75), (0.16, 0.95), (0.19, 1.0), (0.16, 0.98)),
    (
        (0.0, 0.0),
        (0.3, 0.0),
        (0.36, 0.16),
        (0.2, 0.38),
        (0.09, 0.55),
        (0.08, 0.85),
        (0.12, 1.0),
        (0.08, 0.97),
    ),
)
"""Radius and height, of the height."""


def vase(
    scene: Scene, at: Place, height: float, colour: Rgb, rng: np.random.Generator, *, kind: int | None = None
) -> None:
    """Stand a vase; `kind` chooses its outline."""
    outline = chosen(rng, VASES) if kind is None else VASES[kind % len(VASES)]
    mesh = lathe([(r * height, z * height) for r, z in outline])
    scene.add(mesh, ceramic(colour, float(rng.uniform(0.2, 0.6))), at)


def bowl(scene: Scene, at: Place, radius: float, colour: Rgb, rng: np.random.Generator) -> None:
    """Stand a bowl."""
    outline = [
        (0, 0),
        (0.4, 0),
        (0.45, 0.06),
        (0.8, 0.3),
        (1.0, 0.7),
        (0.94, 0.7),
        (0.7, 0.32),
        (0.2, 0.12),
        (0, 0.12),
    ]
    scene.add(
        lathe([(r * radius, z * radius) for r, z in outline]),
        ceramic(colour, float(rng.uniform(0.2, 0.5))),
        at,
    )


def pot(scene: Scene, at: Place, radius: float, height: float, material: Material) -> None:
    """Stand a plant's pot with earth in it."""
    outline = [(0, 0), (0.72, 0), (0.78, 0.03), (0.98, 0.9), (1.0, 1.0), (0.9, 1.0), (0.88, 0.88), (0, 0.88)]
    scene.add(lathe([(r * radius, z * height) for r, z in outline]), material, at)
    earth = (at[0], at[1], at[2] + height * 0.89)
    scene.add(ball(radius * 0.86), matte((0.03, 0.02, 0.014), 0.95), earth, scale=(1, 1, 0.08))


def stems(
    scene: Scene, at: Place, height: float, colour: Rgb, rng: np.random.Generator, *, count: int = 9
) -> None:
    """Put dried grass into a vase: thin stems with soft plumes; `at` is the vase's mouth."""
    plume = [(0.0, 0.0), (0.02, 0.05), (0.034, 0.14), (0.026, 0.24), (0.0, 0.33)]
    for _ in range(count):
        angle, lean = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.05, 0.42))
        high = height * float(rng.uniform(0.7, 1.0))
        out = np.array([np.cos(angle), np.sin(angle) * 0.6, 0.0])
        bend = np.array(
            [np.zeros(3), out * lean * high * 0.3 + (0, 0, high * 0.5), out * lean * high + (0, 0, high)]
        )
        path = curve(bend, 10) + at
        scene.add(tube(path, 0.0025, 5), matte(tuned(colour, lighter=-0.12)))
        tilt = float(np.degrees(np.arctan(lean * 1.4)))
        tint = tuned(colour, lighter=float(rng.normal(0, 0.03)))
        turn = (0.0, tilt * float(np.sign(out[0])) * abs(float(out[0])), 0.0)
        scene.add(lathe(plume, 12), matte(tint, 0.95), path[-1], turn_deg=turn, scale=high * 0.9 / 0.45)


def spheres(scene: Scene, at: Place, radius: float, colour: Rgb) -> None:
    """Stand a small sculpture: a ball on a foot, with a ring about it."""
    scene.add(
        box(radius * 1.3, radius * 1.3, radius * 0.4),
        ceramic(tuned(colour, lighter=-0.15), 0.5),
        at,
        bevel_m=0.004,
    )
    up = (at[0], at[1], at[2] + radius * 1.38)
    scene.add(ball(radius), ceramic(colour, 0.35), up)


def ring(radius: float, thick: float) -> Mesh:
    """Return an upright ring that faces the camera, its middle at the origin."""
    angle = np.linspace(0, 2 * np.pi, 49)
    path = np.stack((np.cos(angle) * radius, np.zeros(49), np.sin(angle) * radius), -1)
    return tube(path, thick, 10)


def moon(scene: Scene, at: Place, radius: float, colour: Rgb, foot: Rgb) -> None:
    """Stand a ring-shaped ornament on a foot."""
    scene.add(box(radius * 0.9, radius * 0.5, radius * 0.18), ceramic(foot, 0.5), at, bevel_m=0.004)
    scene.add(ring(radius * 0.8, radius * 0.16), ceramic(colour, 0.3), (at[0], at[1], at[2] + radius * 1.1))
