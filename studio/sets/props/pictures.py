"""Framed pictures without anything to read: a few shapes on paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studio.sets.palette import Rgb
from studio.sets.scene import Material, Place, Scene, matte
from studio.sets.shapes import arch, box, polygon, prism, sheet


def picture(
    scene: Scene,
    at: Place,
    size: tuple[float, float],
    frame: Material,
    colours: Sequence[Rgb],
    rng: np.random.Generator,
    *,
    lean_deg: float = 0.0,
) -> None:
    """Hang or lean a picture: hills, a sun, an arch; `at` is the middle of its foot, its back."""
    width, height = size
    x, y, z = at
    thick = 0.022
    for level in (0.0, height - 0.02):
        scene.add(
            box(width, thick, 0.02),
            frame,
            (x, y - thick / 2, z + level),
            turn_deg=(lean_deg, 0, 0),
            bevel_m=0.003,
        )
    for side in (-1, 1):
        place = (x + side * (width / 2 - 0.01), y - thick / 2, z)
        scene.add(box(0.02, thick, height), frame, place, turn_deg=(lean_deg, 0, 0), bevel_m=0.003)
    scene.add(sheet(width, height), matte((0.78, 0.74, 0.66)), (x, y - 0.006, z), turn_deg=(lean_deg, 0, 0))
    inner_w, inner_h = width * 0.74, height * 0.76
    foot = z + height * 0.12
    order = rng.permutation(len(colours))
    tones = [colours[int(k)] for k in order]
    scene.add(sheet(inner_w, inner_h), matte(tones[0]), (x, y - 0.008, foot))
    if rng.random() < 0.6:
        disc = polygon(36, min(inner_w, inner_h) * float(rng.uniform(0.18, 0.26)))
        middle = (x + inner_w * float(rng.uniform(-0.15, 0.15)), y - 0.011, foot + inner_h * 0.66)
        scene.add(prism(disc, 0.002), matte(tones[1 % len(tones)]), middle)
        for k in range(2):
            across = np.linspace(-0.5, 0.5, 24)
            top = inner_h * (0.42 - 0.17 * k) + inner_h * 0.1 * np.sin(across * 5 + float(rng.uniform(0, 6)))
            hill = np.concatenate(
                ([[-0.5 * inner_w, 0.0]], [[0.5 * inner_w, 0.0]], np.stack((across * inner_w, top), -1)[::-1])
            )
            scene.add(
                prism(hill, 0.002), matte(tones[(2 + k) % len(tones)]), (x, y - 0.014 - 0.003 * k, foot)
            )
    else:
        for k, share in enumerate((0.8, 0.56, 0.32)):
            bow = arch(inner_w * share, inner_h * share * 0.55)
            scene.add(prism(bow, 0.002), matte(tones[(1 + k) % len(tones)]), (x, y - 0.011 - 0.003 * k, foot))
