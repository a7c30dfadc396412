"""What a presenter wears on its head: glasses and earrings, made to measure, fixed to the skull.

Glasses are placed as an optician does it: lenses about the eyes, tilted and a little wrapped, as near as
lashes, brows and cheeks in motion allow; the bridge as narrow as the nose lets it be; temples along the head
to the ears and down behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from studio.character import ClothesSection, linear
from studio.fields import Field
from studio.mesh import Points
from studio.rotation import Rotation
from studio.subdivide import Shading
from studio.surface import Material, Surface, Vectors
from studio.wear_fit import Face, Relief
from studio.wear_shapes import Shape, ball, disc, joined, tube

_TILT: Final = 0.12
"""How far a lens leans back towards the cheek, per height."""
_WRAP: Final = 0.18
"""How far the front bends back, per dm of width, squared."""
_LENS_RADIUS_DM: Final = 0.85
_LENS_CLEAR_DM: Final = 0.055
"""Lashes need so much."""
_RIM_CLEAR_DM: Final = 0.012
_BRIDGES_DM: Final = (0.075, 0.085, 0.095, 0.105, 0.115, 0.125, 0.135, 0.145, 0.155)
"""Half of what lies between the rims."""
_FORWARD_DM: Final = 0.03
"""What glasses may stand further forward for a narrower bridge."""
_OUTWARD: Final = 0.15
"""Where a lens's middle lies between the eye and the ear."""
_ABOVE: Final = 0.12
"""The eye looks through a lens's upper half: how far above its middle, against half its height."""
_STUD_DM: Final = 0.028
_GOLD: Final = (0.72, 0.50, 0.22)
_GLOSS: Final = 0.8
_UP: Final = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True, slots=True)
class Rigid:
    """What is fixed to the skull, the head not turned."""

    surface: Surface
    points: Points
    normals: Points

    def placed(self, turned: Callable[[Points], Points], head: Rotation) -> tuple[Vectors, Vectors]:
        """Return points and normals as they are now; `turned`: what takes the skull's points there."""
        return turned(self.points).astype(np.float32), (self.normals @ head.T).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Style:
    wide: float
    """A lens against the room between bridge and the eye's middle, twice."""
    high: float
    """A lens against its width."""
    power: float
    """Of the superellipse: 2 an ellipse, higher is squarer."""
    flare: float
    """How much wider it is on top than in its middle."""
    half: tuple[float, float]
    """Half the rim's thickness, dm: seen from the front, and from above."""
    hinge: float
    """How high the temples leave, against half the lens's height."""


_STYLES: Final = {
    "round": _Style(1.0, 0.95, 2.1, 0.0, (0.020, 0.020), 0.30),
    "square": _Style(1.04, 0.80, 3.6, 0.07, (0.027, 0.024), 0.55),
}


@dataclass(frozen=True, slots=True)
class _Lens:
    """The lens at x > 0."""

    style: _Style
    middle: tuple[float, float]
    half: tuple[float, float]
    forward: float
    """z of the front at x = 0, at the height of the lens's middle."""

    def outline(self, turn: Field) -> Points:
        """Return the rim's points (float64[N, 3]), `turn` radians from the outer end over the top."""
        c, s = (np.sign(k) * np.abs(k) ** (2 / self.style.power) for k in (np.cos(turn), np.sin(turn)))
        x = self.middle[0] + self.half[0] * (c + self.style.flare * s * np.sign(c) * np.sqrt(np.abs(c)))
        return self.lifted(x, self.middle[1] + self.half[1] * s)

    def lifted(self, x: Field, y: Field) -> Points:
        """Return the places (float64[N, 3]) of the front, a shallow bowl, at (x, y)."""
        return np.stack((x, y, self.forward + _TILT * (y - self.middle[1]) - _WRAP * x * x), -1)


def made(face: Face, worn: ClothesSection, *, fine: bool) -> tuple[Rigid, ...]:
    """Return glasses and earrings. `fine`: of at most 1500 triangles, for large pictures; else of 400."""
    found: list[Rigid] = []
    if worn.glasses != "none":
        frame, lenses = _glasses(face, _STYLES[worn.glasses], fine=fine)
        colour = linear(worn.glasses_colour)
        found += [_rigid("glasses", "frame", frame, colour), _rigid("lenses", "lens", lenses, colour)]
    if worn.earrings:
        # More than half of it stands out of the lobe.
        outward = 0.4 * _STUD_DM * np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
        studs = [ball(lobe, _STUD_DM, 8 if fine else 4) for lobe in face.lobes + outward]
        found.append(_rigid("earrings", "metal", joined(*studs), _GOLD))
    return tuple(found)


def _rigid(name: str, material: Material, shape: Shape, colour: tuple[float, float, float]) -> Rigid:
    count = len(shape.points)
    points = shape.points.astype(np.float32)
    none = np.zeros(count, np.float32)
    albedo = np.tile(np.array(colour, np.float32), (count, 1))
    gloss = np.full(count, _GLOSS, np.float32)
    surface = Surface(name, material, shape.faces, albedo, gloss, none, none, points)
    normals = Shading(shape.faces, count).normals(points)
    return Rigid(surface, shape.points, normals.astype(np.float64))


def _glasses(face: Face, style: _Style, *, fine: bool) -> tuple[Shape, Shape]:
    """Return the frame and both lenses."""
    around, sides = (28, 8) if fine else (15, 4)
    front = Relief(face, "front")
    lens = _fitted(face, style, front)
    path = lens.outline(_round(around))
    broad, deep = style.half
    rim = tube(path, path - path.mean(0), (broad, deep), sides, closed=True)
    bridge = tube(_bridge(lens, front, 7 if fine else 4), _UP, (0.9 * broad, 0.9 * deep), sides)
    way = _temple(face, lens, Relief(face, "aside"))
    temple = tube(way if fine else way[[0, 1, 3, 5, 7]], _UP, (0.95 * broad, _slim(style)), sides)
    swell = min(lens.half) ** 2 / (2 * _LENS_RADIUS_DM)
    middle = lens.lifted(*np.array(lens.middle)) + np.array([0.0, 0.0, swell])
    glass = disc(path, middle)
    frame = joined(rim, rim.mirrored(), bridge, temple, temple.mirrored())
    return frame, joined(glass, glass.mirrored())


def _round(count: int) -> Field:
    return np.asarray(2 * np.pi * np.arange(count) / count)


def _slim(style: _Style) -> float:
    """Return half a temple's thickness, seen from above."""
    return 0.7 * style.half[1]


def _fitted(face: Face, style: _Style, front: Relief) -> _Lens:
    """Return a lens that is as near as it can be, with a narrow bridge."""
    eye, ear = np.abs(face.eyes[:, 0]).mean(), np.abs(face.ears[:, 0]).mean()
    aside, height = float(eye + _OUTWARD * (ear - eye)), float(face.eyes[:, 1].mean())
    tried = []
    for gap in _BRIDGES_DM:
        wide = style.wide * (aside - gap - style.half[0])
        high = style.high * wide
        lens = _Lens(style, (aside, height - _ABOVE * high), (wide, high), 0.0)
        tried.append(replace(lens, forward=_needed(lens, front)))
    enough = min(lens.forward for lens in tried) + _FORWARD_DM
    return next(lens for lens in tried if lens.forward <= enough)


def _needed(lens: _Lens, front: Relief) -> float:
    """Return how far forward a lens has to be."""
    thick = max(lens.style.half)
    rim = lens.outline(_round(48))
    middle = np.array(lens.middle)
    x, y = np.concatenate([middle + share * (rim[:, :2] - middle) for share in (0.3, 0.55, 0.8)]).T
    rims = front.around(rim[:, 0], rim[:, 1], thick) + thick + _RIM_CLEAR_DM - rim[:, 2]
    glass = front.around(x, y, 0.0) + _LENS_CLEAR_DM - lens.lifted(x, y)[:, 2]
    return lens.forward + float(max(rims.max(), glass.max()))


def _bridge(lens: _Lens, front: Relief, count: int) -> Points:
    """Return the way from rim to rim over the nose."""
    end = lens.outline(np.array([np.pi - 0.45]))[0]
    thick = max(lens.style.half)
    u = np.linspace(-1.0, 1.0, count)
    arch = 1 - u * u
    x, y = end[0] * u, end[1] + 0.028 * arch
    skin = front.around(np.abs(x), y, thick) + thick + _RIM_CLEAR_DM
    over = max(0.02, float(np.max((skin - end[2])[1:-1] / arch[1:-1])))
    return np.stack((x, y, end[2] + over * arch), 1)


def _temple(face: Face, lens: _Lens, side: Relief) -> Points:
    """Return the way (float64[8, 3]) from the rim's hinge along the head, over the ear and down behind it."""
    style = lens.style
    start = lens.outline(np.array([np.arcsin(style.hinge ** (style.power / 2))]))[0]
    ear = face.ears.mean(0)
    first = start[2] - 0.06
    z = np.array([start[2] - 0.10, start[2] - 0.30, ear[2] + 0.25, ear[2], ear[2] - 0.12, ear[2] - 0.28])
    along = np.clip((first - z) / (first - ear[2]), 0.0, 1.0)
    y = start[1] + (ear[1] + style.half[0] - start[1]) * along
    y[4:] -= (0.035, 0.19)
    beside = side.around(y, z, style.half[0]) + _slim(style) + _RIM_CLEAR_DM
    # Temples are straight: they leave the front as far aside as the head makes them.
    last, straight = beside[3], along[:3]
    needed = (beside[:3] - last * straight) / np.maximum(1 - straight, 0.15)
    hinge = max(start[0] + 0.035, float(needed.max()))
    x = hinge + (last - hinge) * along
    x[4:] = np.maximum(beside[4:], last - 0.05)
    corner = np.array([hinge - 0.006, start[1], start[2] - 0.045])
    return np.concatenate(([start, corner], np.stack((x, y, z), 1)))
