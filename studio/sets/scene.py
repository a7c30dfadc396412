"""A room as plain data: things, materials and lights. Whoever renders it translates it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from studio.sets.framing import Points
from studio.sets.palette import Rgb
from studio.sets.shapes import Mesh

Place = tuple[float, float, float]
"""Metres: right, away from the camera, up."""
MaterialKind = Literal[
    "matte", "plaster", "wood", "fabric", "leaf", "ceramic", "metal", "glow", "shade", "sky", "glass"
]


@dataclass(frozen=True, slots=True)
class Material:
    """What something is made of. `second` is the darker grain of wood, the horizon of a sky."""

    kind: MaterialKind
    colour: Rgb
    second: Rgb | None = None
    roughness: float = 0.6
    strength: float = 0.0
    """Light it gives off, of its colour: 1 shows as its colour, more shines."""


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """A mesh somewhere."""

    mesh: Mesh
    material: Material
    matrix: npt.NDArray[np.float64]
    """float64[4, 4]: from the mesh's space into the room."""
    bevel_m: float = 0.0
    backdrop: bool = False
    """Part of the room's shell, which may be behind the head."""
    in_picture: bool = True
    """Whether the camera sees it; light and mirrors always do."""

    def points(self) -> Points:
        """Return its points in the room."""
        return self.mesh.points @ self.matrix[:3, :3].T + self.matrix[:3, 3]


@dataclass(frozen=True, slots=True)
class Light:
    """A light with a place: `area` shines from `place` towards `target`, `point` all around."""

    kind: Literal["area", "point", "spot"]
    place: Place
    power_w: float
    colour: Rgb
    size_m: tuple[float, float] = (0.05, 0.05)
    """Width and height of an area; the first is a point's radius."""
    target: Place = (0.0, 0.0, 0.0)
    spread_deg: float = 160.0


@dataclass(slots=True)
class Scene:
    """Collects what is in a room."""

    exposure: float = 0.0
    """Stops."""
    world: Rgb = (0.0, 0.0, 0.0)
    """Light that comes from everywhere outside."""
    film: str = "AgX"
    """How light becomes a picture, in Blender's words: AgX, Filmic, Standard."""
    look: str = "AgX - Medium High Contrast"
    things: list[Thing] = field(default_factory=list)
    lights: list[Light] = field(default_factory=list)

    def add(
        self,
        mesh: Mesh,
        material: Material,
        at: Place | npt.NDArray[np.float64] = (0.0, 0.0, 0.0),
        *,
        turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
        scale: float | Sequence[float] = 1.0,
        bevel_m: float = 0.0,
        backdrop: bool = False,
        in_picture: bool = True,
    ) -> Thing:
        """Put `mesh` into the room, scaled, turned about x, then y, then z, and moved."""
        matrix = np.eye(4)
        matrix[:3, :3] = rotation(turn_deg) * np.broadcast_to(np.asarray(scale, np.float64), 3)
        matrix[:3, 3] = at
        thing = Thing(mesh, material, matrix, bevel_m, backdrop, in_picture)
        self.things.append(thing)
        return thing


def rotation(turn_deg: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    """Return float64[3, 3]: about x first, then y, then z."""
    found = np.eye(3)
    for axis, angle in enumerate(np.radians(turn_deg)):
        one = np.eye(3)
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        one[i, i] = one[j, j] = np.cos(angle)
        one[i, j], one[j, i] = -np.sin(angle), np.sin(angle)
        found = one @ found
    return found


def matte(colour: Rgb, roughness: float = 0.7) -> Material:
    """Return paint, card, paper."""
    return Material("matte", colour, roughness=roughness)


def wood(colour: Rgb, dark: Rgb, roughness: float = 0.45) -> Material:
    """Return wood with its grain."""
    return Material("wood", colour, dark, roughness)


def fabric(colour: Rgb) -> Material:
    """Return cloth, felt, plush."""
    return Material("fabric", colour, roughness=0.95)


def ceramic(colour: Rgb, roughness: float = 0.25) -> Material:
    """Return glazed clay or lacquer."""
    return Material("ceramic", colour, roughness=roughness)


def glow(colour: Rgb, strength: float) -> Material:
    """Return what shines."""
    return Material("glow", colour, strength=strength)
