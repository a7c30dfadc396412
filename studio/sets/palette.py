"""Colours that go together, made of a set's two.

Lightness, chroma and hue are those of Oklab (B. Ottosson, "A perceptual color space for image processing",
2020), so a step is the same step for every hue.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from studio.character import linear

Rgb = tuple[float, float, float]
"""Linear red, green, blue with the primaries of sRGB."""

_TO_LMS: Final = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB: Final = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def lightness_chroma_hue(colour: Rgb) -> tuple[float, float, float]:
    """Return lightness 0 to 1, chroma 0 to about 0.3, hue in degrees."""
    light, a, b = _TO_LAB @ np.cbrt(_TO_LMS @ np.asarray(colour))
    return float(light), float(np.hypot(a, b)), float(np.degrees(np.arctan2(b, a)) % 360)


def from_lightness(light: float, chroma: float, hue_deg: float) -> Rgb:
    """Return the colour; one that no screen shows loses chroma until one does."""
    light = float(np.clip(light, 0, 1))
    for share in np.linspace(1, 0, 33):
        found = _rgb(light, chroma * float(share), hue_deg)
        if found.min() >= -1e-4 and found.max() <= 1 + 1e-4:
            break
    red, green, blue = np.clip(found, 0, 1)
    return float(red), float(green), float(blue)


def _rgb(light: float, chroma: float, hue_deg: float) -> npt.NDArray[np.float64]:
    hue = np.radians(hue_deg)
    lab = np.array([light, chroma * np.cos(hue), chroma * np.sin(hue)])
    return np.asarray(np.linalg.solve(_TO_LMS, np.linalg.solve(_TO_LAB, lab) ** 3))


def hexed(colour: str) -> Rgb:
    """Return `#rrggbb` as linear light."""
    return linear(colour)


def tuned(
    colour: Rgb,
    *,
    light: float | None = None,
    lighter: float = 0.0,
    chroma: float | None = None,
    vivid: float = 1.0,
    turn_deg: float = 0.0,
) -> Rgb:
    """Return `colour` with its lightness or chroma set, or moved, and its hue turned."""
    old_light, old_chroma, hue = lightness_chroma_hue(colour)
    return from_lightness(
        (old_light if light is None else light) + lighter,
        (old_chroma if chroma is None else chroma) * vivid,
        hue + turn_deg,
    )


def mixed(first: Rgb, second: Rgb, share: float) -> Rgb:
    """Return the colour `share` of the way from `first` to `second`, in light."""
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return red, green, blue


def family(wall: Rgb, accent: Rgb, rng: np.random.Generator, count: int, light: float = 0.55) -> list[Rgb]:
    """Return colours for small things: mostly quiet kin of both, here and there the accent itself."""
    found: list[Rgb] = []
    _, _, wall_hue = lightness_chroma_hue(wall)
    _, chroma, accent_hue = lightness_chroma_hue(accent)
    for _ in range(count):
        kind = rng.random()
        spread = float(rng.normal(0, 12))
        level = float(np.clip(rng.normal(light, 0.13), 0.18, 0.93))
        if kind < 0.22:
            found.append(from_lightness(level, chroma * rng.uniform(0.8, 1.05), accent_hue + spread))
        elif kind < 0.55:
            found.append(from_lightness(level, rng.uniform(0.03, 0.075), wall_hue + spread))
        elif kind < 0.82:
            found.append(
                from_lightness(min(0.93, level + 0.2), rng.uniform(0.015, 0.04), accent_hue + spread)
            )
        else:
            found.append(from_lightness(level - 0.1, rng.uniform(0.05, 0.09), accent_hue + 60 + spread))
    return found
