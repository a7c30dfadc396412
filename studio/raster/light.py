"""The light that falls on a presenter, as a few soft lamps and the room around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from studio.character import LightSection, linear

ROOM: Final = -1
"""Stands for no lamp."""
_GOLDEN: Final = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True, slots=True)
class Lamp:
    """A far, round, soft light."""

    towards: npt.NDArray[np.float64]
    """float64[3], unit: where it hangs, seen from the head."""
    radius_deg: float
    irradiance: npt.NDArray[np.float64]
    """float64[3], linear: what falls on a surface that faces it."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Light as it comes from N directions."""

    ways: npt.NDArray[np.float64]
    """float64[N, 3], unit."""
    bring: npt.NDArray[np.float64]
    """float64[N, 3]: irradiance of a surface that faces it."""
    lamp: npt.NDArray[np.int64]
    """int64[N]: which lamp, or ROOM."""


@dataclass(frozen=True, slots=True)
class Light:
    """Lamps, and the room's own light from above, from the sides and from below (float64[3] radiance)."""

    lamps: tuple[Lamp, ...]
    above: npt.NDArray[np.float64]
    level: npt.NDArray[np.float64]
    below: npt.NDArray[np.float64]
    exposure: float = 1.0

    def room(self, towards: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the room's radiance from directions (float64[N, 3])."""
        y = towards[:, 1:2]
        up, down = np.clip(y, 0, 1), np.clip(-y, 0, 1)
        return self.level + up * (self.above - self.level) + down * (self.below - self.level)

    def samples(self, per_lamp: int = 20, room: int = 128) -> Samples:
        """Return the light as single directions: `per_lamp` over each lamp, `room` over all the rest."""
        ways, bring, lamp = [], [], []
        for k, each in enumerate(self.lamps):
            ways.append(_disc(each.towards, each.radius_deg, per_lamp))
            bring.append(np.tile(each.irradiance / per_lamp, (per_lamp, 1)))
            lamp.append(np.full(per_lamp, k))
        sphere = _sphere(room)
        ways.append(sphere)
        bring.append(self.room(sphere) * 4 * np.pi / room)
        lamp.append(np.full(room, ROOM))
        return Samples(np.concatenate(ways), np.concatenate(bring), np.concatenate(lamp))


def portrait_light(section: LightSection) -> Light:
    """Return the light of a portrait: key and fill in front, two rims from behind, and the room."""
    side = -1.0 if section.key_side == "left" else 1.0
    key, fill, rim = (
        np.array(linear(c)) for c in (section.key_colour, section.fill_colour, section.rim_colour)
    )
    room = np.array(linear(section.ambient)) * section.ambient_strength
    lamps = (
        Lamp(_way(side * 38, 32), 17, key * 2.5 * section.key),
        Lamp(_way(-side * 42, 8), 28, fill * 0.62 * section.fill),
        Lamp(_way(-side * 148, 34), 14, rim * 2.4 * section.rim),
        Lamp(_way(side * 142, 28), 16, fill * 1.1 * section.rim),
    )
    return Light(lamps, room * 0.75, room * 0.42, room * 0.30, 2.0**section.exposure)


def _way(right_deg: float, up_deg: float) -> npt.NDArray[np.float64]:
    a, e = np.radians(right_deg), np.radians(up_deg)
    return np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])


def _sphere(count: int) -> npt.NDArray[np.float64]:
    """Return directions spread evenly (a Fibonacci lattice), float64[N, 3]."""
    y = 1 - 2 * (np.arange(count) + 0.5) / count
    turn = _GOLDEN * np.arange(count)
    r = np.sqrt(1 - y * y)
    return np.stack((r * np.cos(turn), y, r * np.sin(turn)), 1)


def _disc(towards: npt.NDArray[np.float64], radius_deg: float, count: int) -> npt.NDArray[np.float64]:
    """Return directions spread evenly over a disc, float64[N, 3]."""
    side = np.cross(towards, (0.0, 1.0, 0.0))
    side /= np.linalg.norm(side)
    other = np.cross(side, towards)
    k = np.arange(count)
    r = np.tan(np.radians(radius_deg)) * np.sqrt((k + 0.5) / count)
    found = towards + r[:, None] * (
        np.cos(_GOLDEN * k)[:, None] * side + np.sin(_GOLDEN * k)[:, None] * other
    )
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))
