"""Windows, curtains, and what is outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from studio.sets.chance import chosen
from studio.sets.framing import View
from studio.sets.palette import Rgb, mixed, tuned
from studio.sets.scene import Material, Place, Scene, fabric, glow
from studio.sets.shapes import box, drape, lathe, sheet

_MARGIN: Final = 0.12
"""Metres about a far light that its disc needs."""


def window(
    scene: Scene, at: Place, size: tuple[float, float], frame: Material, *, panes: tuple[int, int] = (2, 3)
) -> None:
    """Put a window's frame and bars into an opening; `at` is the middle of its sill."""
    width, height = size
    x, y, z = at
    for level in (0.0, height - 0.05):
        scene.add(box(width, 0.06, 0.05), frame, (x, y, z + level), bevel_m=0.006)
    for side in (-1, 1):
        scene.add(box(0.05, 0.06, height), frame, (x + side * (width / 2 - 0.025), y, z), bevel_m=0.006)
    for k in range(1, panes[0]):
        scene.add(
            box(0.026, 0.03, height), frame, (x - width / 2 + width * k / panes[0], y, z), bevel_m=0.004
        )
    for k in range(1, panes[1]):
        scene.add(box(width, 0.03, 0.026), frame, (x, y, z + height * k / panes[1]), bevel_m=0.004)
    scene.add(box(width + 0.12, 0.16, 0.035), frame, (x, y - 0.08, z - 0.035), bevel_m=0.008)


def opening(
    scene: Scene,
    y: float,
    height: float,
    span: tuple[float, float],
    hole: tuple[Place, float, float],
    wall: Material,
) -> None:
    """Build a wall at `y`, across `span` (left, right), around a hole (middle of its sill, width, height)."""
    (x, _, z), width, tall = hole
    left, right = span
    thick = 0.14
    for start, end, low, high in (
        (left, x - width / 2, 0.0, height),
        (x + width / 2, right, 0.0, height),
        (x - width / 2, x + width / 2, 0.0, z),
        (x - width / 2, x + width / 2, z + tall, height),
    ):
        piece = box(end - start, thick, high - low)
        scene.add(piece, wall, ((start + end) / 2, y + thick / 2, low), backdrop=True)


def curtain(
    scene: Scene,
    at: Place,
    size: tuple[float, float],
    colour: Rgb,
    rng: np.random.Generator,
    *,
    sheer: bool = False,
) -> None:
    """Hang cloth; `at` is the middle of its hem."""
    width, height = size
    material = Material("shade", colour, strength=0.0) if sheer else fabric(colour)
    scene.add(drape(width, height, max(3.0, width / 0.09), 0.035, rng), material, at)


def rail(scene: Scene, start: Place, length: float, material: Material) -> None:
    """Put a curtain's rail from `start` to the right."""
    rod = lathe([(0.0, 0.0), (0.012, 0.0), (0.012, length / 2), (0.012, length), (0.0, length)], 12)
    scene.add(rod, material, start, turn_deg=(0, 90, 0))


def sky(
    scene: Scene,
    y: float,
    size: tuple[float, float],
    at: tuple[float, float],
    above: Rgb,
    below: Rgb,
    strength: float,
) -> None:
    """Hang a sky far outside, its colour from `above` to `below`; `at` is the middle of its foot (x, z)."""
    scene.add(
        sheet(*size), Material("sky", above, below, strength=strength), (at[0], y, at[1]), backdrop=True
    )


def city(
    scene: Scene,
    y: float,
    span: tuple[float, float],
    horizon: float,
    height: float,
    colours: list[Rgb],
    haze: Rgb,
    rng: np.random.Generator,
) -> None:
    """Build a skyline at `y`: towers of the colour `haze`, lit windows that blur to discs, lamps."""
    left, right = span
    towers: list[_Tower] = []
    lit: list[tuple[Place, Material]] = []
    for row, lighter in ((18.0, 0.07), (0.0, 0.0)):
        tones = [glow(tuned(haze, lighter=lighter + float(rng.normal(0, 0.015))), 1.0) for _ in range(4)]
        x = left * (1 + row / y)
        while x < right * (1 + row / y):
            width = float(rng.uniform(0.9, 2.1)) * (1 + row / y)
            tall = height * float(rng.uniform(0.35, 0.9)) * (1 + 0.8 * row / y)
            far = y + row + float(rng.uniform(0, 6))
            tone = chosen(rng, tones)
            scene.add(box(width, 2.0, tall), tone, (x + width / 2, far, horizon), backdrop=True)
            towers.append(_Tower(x, x + width, far - 1.0, horizon + tall))
            lit += _windows((x, far - 1.06, horizon), (width, tall), colours, rng)
            x += width + float(rng.uniform(-0.3, 0.7))
    for spot, material in lit:
        if not any(tower.hides(spot) for tower in towers):
            scene.add(sheet(0.08, 0.09), material, spot, backdrop=True)
    for _ in range(int((right - left) * 1.4)):
        spot = (float(rng.uniform(left, right)), y - 2.0, horizon + float(rng.uniform(-0.6, 1.4)))
        tint = mixed((1.0, 0.45, 0.12), chosen(rng, colours), 0.35)
        scene.add(sheet(0.12, 0.12), glow(tint, float(rng.uniform(20, 70))), spot, backdrop=True)


@dataclass(frozen=True, slots=True)
class _Tower:
    """Where a tower's front is."""

    left: float
    right: float
    front: float
    top: float

    def hides(self, light: Place) -> bool:
        """Return whether the tower stands before a light, or so near that it would cut the light's disc."""
        eye = np.array(View().place)
        if light[1] <= self.front:
            return False
        x, _, z = eye + (np.array(light) - eye) * (self.front - eye[1]) / (light[1] - eye[1])
        return bool(self.left - _MARGIN < x < self.right + _MARGIN and z < self.top + _MARGIN)


def _windows(
    at: Place, size: tuple[float, float], colours: list[Rgb], rng: np.random.Generator
) -> list[tuple[Place, Material]]:
    """Return some of a tower's windows, lit; `at` is its lower left front."""
    width, tall = size
    columns, rows = max(2, int(width / 0.4)), max(2, int(tall / 0.45))
    found: list[tuple[Place, Material]] = []
    for c in range(columns):
        for r in range(rows):
            if rng.random() < 0.28:
                spot = (at[0] + (c + 0.5) * width / columns, at[1], at[2] + (r + 0.3) * tall / rows)
                tint = chosen(rng, colours)
                found.append((spot, glow(tint, float(rng.uniform(6, 40)))))
    return found
