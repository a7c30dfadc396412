"""Soft toys and figures, of no known character."""

from __future__ import annotations

import numpy as np

from studio.sets.palette import Rgb, tuned
from studio.sets.scene import Place, Scene, ceramic, fabric
from studio.sets.shapes import ball, lathe, polygon, prism


class _Plush:
    """Adds balls about a toy's foot, in units of its height."""

    def __init__(self, scene: Scene, at: Place, height: float) -> None:
        self._scene, self._at, self._height = scene, np.asarray(at), height
        self._ball = ball()

    def part(self, colour: Rgb, at: Place, size: Place, *, hard: bool = False, tilt_deg: float = 0.0) -> None:
        material = ceramic(colour, 0.15) if hard else fabric(colour)
        place = self._at + np.asarray(at) * self._height
        scale = [s * self._height for s in size]
        self._scene.add(self._ball, material, place, turn_deg=(0, tilt_deg, 0), scale=scale)

    def face(self, at: Place, apart: float, size: float) -> None:
        """Two eyes that catch light, and rosy cheeks."""
        x, y, z = at
        for side in (-1, 1):
            self.part(
                (0.01, 0.008, 0.012), (x + side * apart, y, z), (size, size * 0.6, size * 1.15), hard=True
            )
            glint = (x + side * apart - size * 0.3, y - size * 0.5, z + size * 0.5)
            self.part((0.9, 0.9, 0.9), glint, (size * 0.3,) * 3, hard=True)
            self.part(
                (0.8, 0.25, 0.25),
                (x + side * apart * 1.55, y + 0.02, z - size * 1.6),
                (size * 1.1, size * 0.5, size * 0.7),
            )


def bear(scene: Scene, at: Place, height: float, colour: Rgb) -> None:
    """Sit a teddy bear down."""
    toy = _Plush(scene, at, height)
    pale = tuned(colour, lighter=0.16, vivid=0.7)
    toy.part(colour, (0, 0, 0.27), (0.24, 0.2, 0.27))
    toy.part(pale, (0, -0.09, 0.27), (0.16, 0.13, 0.18))
    toy.part(colour, (0, -0.02, 0.66), (0.27, 0.23, 0.235))
    toy.part(pale, (0, -0.2, 0.6), (0.11, 0.09, 0.085))
    toy.part((0.03, 0.015, 0.01), (0, -0.285, 0.63), (0.035, 0.025, 0.025), hard=True)
    for side in (-1, 1):
        toy.part(colour, (side * 0.2, 0, 0.86), (0.095, 0.06, 0.095))
        toy.part(pale, (side * 0.2, -0.04, 0.855), (0.055, 0.04, 0.055))
        toy.part(colour, (side * 0.25, -0.08, 0.34), (0.08, 0.09, 0.16), tilt_deg=side * -28)
        toy.part(colour, (side * 0.17, -0.2, 0.1), (0.1, 0.17, 0.1))
        toy.part(pale, (side * 0.17, -0.36, 0.11), (0.07, 0.03, 0.07))
    toy.face((0, -0.22, 0.69), 0.1, 0.028)


def bunny(scene: Scene, at: Place, height: float, colour: Rgb) -> None:
    """Sit a rabbit down, ears up."""
    toy = _Plush(scene, at, height)
    pale = tuned(colour, lighter=0.1, vivid=0.8)
    toy.part(colour, (0, 0, 0.2), (0.2, 0.17, 0.21))
    toy.part(colour, (0, -0.02, 0.5), (0.22, 0.19, 0.19))
    toy.part(pale, (0, -0.17, 0.45), (0.1, 0.06, 0.07))
    for side in (-1, 1):
        toy.part(colour, (side * 0.1, 0.01, 0.82), (0.06, 0.04, 0.2), tilt_deg=side * 10)
        toy.part((0.8, 0.35, 0.38), (side * 0.1, -0.025, 0.82), (0.032, 0.025, 0.15), tilt_deg=side * 10)
        toy.part(colour, (side * 0.13, -0.14, 0.07), (0.075, 0.12, 0.07))
        toy.part(colour, (side * 0.18, -0.08, 0.27), (0.05, 0.06, 0.11), tilt_deg=side * -25)
    toy.face((0, -0.185, 0.52), 0.09, 0.024)


def slime(scene: Scene, at: Place, height: float, colour: Rgb) -> None:
    """Put a drop-shaped plush with a face."""
    outline = [
        (0.0, 0.0),
        (0.46, 0.0),
        (0.6, 0.16),
        (0.58, 0.4),
        (0.4, 0.7),
        (0.14, 0.88),
        (0.04, 1.0),
        (0.0, 1.02),
    ]
    scene.add(lathe([(r * height, z * height) for r, z in outline]), fabric(colour), at)
    _Plush(scene, at, height).face((0, -0.56, 0.4), 0.2, 0.055)


def ghost(scene: Scene, at: Place, height: float, colour: Rgb) -> None:
    """Put a round ghost with small hands."""
    outline = [(0.0, 0.0), (0.3, 0.02), (0.42, 0.0), (0.4, 0.3), (0.38, 0.62), (0.26, 0.9), (0.0, 1.0)]
    scene.add(lathe([(r * height, z * height) for r, z in outline]), fabric(colour), at)
    toy = _Plush(scene, at, height)
    for side in (-1, 1):
        toy.part(colour, (side * 0.4, -0.12, 0.42), (0.1, 0.1, 0.08), tilt_deg=side * -30)
    toy.face((0, -0.37, 0.6), 0.13, 0.045)


def figure(
    scene: Scene, at: Place, height: float, cloth: Rgb, hair: Rgb, skin: Rgb = (0.75, 0.5, 0.38)
) -> None:
    """Stand a collector's figure with a large head on a round base."""
    gown = [
        (0.0, 0.04),
        (0.2, 0.04),
        (0.17, 0.14),
        (0.09, 0.3),
        (0.07, 0.4),
        (0.085, 0.5),
        (0.05, 0.58),
        (0.0, 0.6),
    ]
    scene.add(
        lathe([(0, 0), (0.26, 0), (0.26, 0.035), (0, 0.04)], 32),
        ceramic((0.04, 0.04, 0.05)),
        at,
        scale=height,
    )
    scene.add(lathe(gown, 28), ceramic(cloth, 0.35), at, scale=height)
    toy = _Plush(scene, at, height)
    toy.part(skin, (0, 0, 0.72), (0.155, 0.14, 0.15), hard=True)
    toy.part(hair, (0, 0.035, 0.77), (0.185, 0.165, 0.165), hard=True)
    for side in (-1, 1):
        toy.part(hair, (side * 0.2, 0.03, 0.58), (0.06, 0.06, 0.2), hard=True, tilt_deg=side * -12)
        toy.part(skin, (side * 0.12, -0.02, 0.44), (0.03, 0.03, 0.12), hard=True, tilt_deg=side * -35)
    toy.face((0, -0.13, 0.7), 0.06, 0.022)


def star(scene: Scene, at: Place, radius: float, colour: Rgb) -> None:
    """Put a star-shaped cushion, upright; `at` is its middle."""
    around = polygon(10, radius, 90)
    around[1::2] *= 0.56
    scene.add(prism(around, radius * 0.45), fabric(colour), at, bevel_m=radius * 0.16)
