"""What makes one skull differ from another: weights of the pack's morph targets, within human bounds."""

from __future__ import annotations

from typing import Final

import numpy as np

from studio.truth.draw import bounded_normal

SPREADS: Final[dict[str, tuple[str, str, float]]] = {
    # Two opposite targets (less, more) and the deviation of their weight; twice that is the most.
    "nose/nose-scale-vert": ("decr", "incr", 0.22),
    "nose/nose-scale-horiz": ("decr", "incr", 0.22),
    "nose/nose-scale-depth": ("decr", "incr", 0.20),
    "nose/nose-hump": ("decr", "incr", 0.24),
    "nose/nose-volume": ("decr", "incr", 0.22),
    "nose/nose-width1": ("decr", "incr", 0.20),
    "nose/nose-width2": ("decr", "incr", 0.20),
    "nose/nose-width3": ("decr", "incr", 0.20),
    "nose/nose-point": ("down", "up", 0.24),
    "nose/nose-point-width": ("decr", "incr", 0.22),
    "nose/nose-curve": ("concave", "convex", 0.22),
    "nose/nose-flaring": ("decr", "incr", 0.20),
    "nose/nose-greek": ("decr", "incr", 0.18),
    "nose/nose-base": ("down", "up", 0.18),
    "nose/nose-nostrils-width": ("decr", "incr", 0.20),
    "nose/nose-trans": ("down", "up", 0.14),
    "mouth/mouth-scale-horiz": ("decr", "incr", 0.22),
    "mouth/mouth-scale-vert": ("decr", "incr", 0.20),
    "mouth/mouth-upperlip-height": ("decr", "incr", 0.20),
    "mouth/mouth-lowerlip-height": ("decr", "incr", 0.20),
    "mouth/mouth-upperlip-volume": ("decr", "incr", 0.28),
    "mouth/mouth-lowerlip-volume": ("decr", "incr", 0.28),
    "mouth/mouth-cupidsbow": ("decr", "incr", 0.24),
    "mouth/mouth-cupidsbow-width": ("decr", "incr", 0.20),
    "mouth/mouth-philtrum-volume": ("decr", "incr", 0.22),
    "mouth/mouth-angles": ("down", "up", 0.14),
    "mouth/mouth-trans": ("down", "up", 0.14),
    "chin/chin-height": ("decr", "incr", 0.20),
    "chin/chin-width": ("decr", "incr", 0.22),
    "chin/chin-bones": ("decr", "incr", 0.24),
    "chin/chin-prominent": ("decr", "incr", 0.22),
    "chin/chin-jaw-drop": ("decr", "incr", 0.20),
    "chin/chin-cleft": ("decr", "incr", 0.20),
    "cheek/{side}-cheek-bones": ("decr", "incr", 0.26),
    "cheek/{side}-cheek-volume": ("decr", "incr", 0.24),
    "cheek/{side}-cheek-inner": ("decr", "incr", 0.20),
    "cheek/{side}-cheek-trans": ("down", "up", 0.18),
    "eyes/{side}-eye-scale": ("decr", "incr", 0.20),
    "eyes/{side}-eye-height1": ("decr", "incr", 0.18),
    "eyes/{side}-eye-height2": ("decr", "incr", 0.18),
    "eyes/{side}-eye-height3": ("decr", "incr", 0.18),
    "eyes/{side}-eye-corner1": ("down", "up", 0.20),
    "eyes/{side}-eye-corner2": ("down", "up", 0.20),
    "eyes/{side}-eye-trans": ("in", "out", 0.14),
    "eyes/{side}-eye-bag": ("decr", "incr", 0.20),
    "eyes/{side}-eye-eyefold": ("concave", "convex", 0.22),
    "eyebrows/eyebrows-angle": ("down", "up", 0.20),
    "eyebrows/eyebrows-trans": ("down", "up", 0.20),
    "forehead/forehead-scale-vert": ("decr", "incr", 0.20),
    "forehead/forehead-temple": ("decr", "incr", 0.22),
    "forehead/forehead-trans": ("backward", "forward", 0.18),
    "forehead/forehead-nubian": ("decr", "incr", 0.16),
    "head/head-scale-vert": ("decr", "incr", 0.18),
    "head/head-scale-horiz": ("decr", "incr", 0.18),
    "head/head-scale-depth": ("decr", "incr", 0.16),
    "ears/{side}-ear-scale": ("decr", "incr", 0.24),
    "ears/{side}-ear-wing": ("decr", "incr", 0.24),
    "ears/{side}-ear-lobe": ("decr", "incr", 0.22),
    "ears/{side}-ear-rot": ("backward", "forward", 0.18),
    "neck/neck-scale-horiz": ("decr", "incr", 0.18),
    "neck/neck-scale-vert": ("decr", "incr", 0.18),
}
SHAPES: Final = tuple(
    f"head/head-{shape}"
    for shape in ("oval", "round", "rectangular", "square", "triangular", "diamond", "invertedtriangular")
)


def draw_targets(rng: np.random.Generator, years: float, weight: float) -> dict[str, float]:
    """Return targets and weights for somebody of these years and this weight (0 to 1)."""
    found: dict[str, float] = {}
    for name, (less, more, sigma) in SPREADS.items():
        # Most people are ordinary in most respects.
        value = bounded_normal(rng, 0.0, sigma, -2 * sigma, 2 * sigma)
        found[f"{name}-{more if value > 0 else less}"] = abs(value)
    for name in rng.choice(SHAPES, 2, replace=False):
        found[str(name)] = float(rng.uniform(0, 0.3))
    # What years and weight do to everybody.
    age = np.clip((years - 40) / 40, 0, 1)
    fat = np.clip(2 * (weight - 0.5), -0.6, 0.8)
    found["head/head-fat-incr" if fat > 0 else "head/head-fat-decr"] = abs(fat) * float(
        rng.uniform(0.2, 0.55)
    )
    found["neck/neck-double-incr"] = float(np.clip(0.4 * age + 0.4 * max(fat, 0.0), 0, 0.6) * rng.random())
    found["eyes/{side}-eye-bag-incr"] = found.pop("eyes/{side}-eye-bag-incr", 0.0) + 0.35 * float(age)
    found["ears/{side}-ear-lobe-incr"] = found.pop("ears/{side}-ear-lobe-incr", 0.0) + 0.25 * float(age)
    return {name: round(value, 3) for name, value in found.items() if value > 0.01}
