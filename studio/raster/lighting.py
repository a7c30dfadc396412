"""The light on one presenter: baked at rest, and once more where a face that moves brings skin out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from studio.pose import Pose
from studio.presenter import Posed, Presenter
from studio.raster.bake import Lit, Seen, ShadowMaps, Spread, Vectors
from studio.raster.light import Samples
from studio.raster.ribbons import casting_mesh
from studio.strands import Strands
from studio.subdivide import triangles
from studio.surface import Surface

_STIRRED: Final = Pose(mouth=np.array([0.6, 0, 0, 0, 0.3, 0, 0], np.float32), lids=(1.0, 1.0))
"""Lids that were folded and lips that were shut are lit as in this pose when they move towards it."""
_MOVES_DM: Final = 0.07
SKIN_DM: Final = (0.036, 0.019, 0.012)
"""How far red, green and blue travel in skin."""
_SOLID: Final = {"skin", "cloth", "frame", "metal"}
"""Materials that light falls on, and that cast shadows."""
_BELOW_EYES_DM: Final = 1.0
"""Where the middle of head and shoulders is."""
_CLOTH_DM: Final = (0.01, 0.01, 0.01)
_BETWEEN: Final = 0.25
"""Of a hair's light: what the hairs about it pass on."""

Mesh = tuple[Vectors, npt.NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Baking:
    """How carefully light is baked; the default is for large pictures."""

    map_px: int = 512
    """Side of the depth maps."""
    hair_points: int = 20_000
    """So many points of hair are lit; the others take the light of the nearest."""
    keeps: bool = False
    """Whether what each direction sees is kept for the next light, which comes from the same directions."""


class Lighting:
    """What reaches every point of a presenter and its hair. Baking takes seconds; asking does not."""

    def __init__(
        self,
        maps: ShadowMaps,
        presenter: Presenter,
        strands: Sequence[Strands],
        camera: npt.NDArray[np.float64],
        baking: Baking | None = None,
    ) -> None:
        """`camera`: where the eyes look, float64[3]."""
        self._baking = baking or Baking()
        self._seen: Seen | None = {} if self._baking.keeps else None
        self._maps = maps
        self._presenter = presenter
        self._strands = strands
        self._casting = [s for s in presenter.surfaces if s.material in _SOLID]
        self._middle = np.array([0.0, presenter.eyes[0, 1] - _BELOW_EYES_DM, 0.3])
        self._bounce = np.concatenate([s.albedo for s in self._casting]).mean(0).astype(np.float64) * 1.3
        self._rest = presenter.posed(Pose(), camera)
        self._stirred_pose = presenter.posed(_STIRRED, camera)
        self._hair = [casting_mesh(each) for each in strands if each.placed is None]
        self._spreads = {s.name: Spread(s.faces, self._rest.points[s.name]) for s in self._casting}
        rest, skin = self._rest.points, self._stirred_pose.points["skin"]
        moved = np.linalg.norm(skin - rest["skin"], axis=1)
        self._stirs = np.clip(moved / _MOVES_DM, 0.0, 1.0).astype(np.float32)
        # Lids lie above the middle between eyes and mouth, lips below.
        upper = rest["skin"][:, 1] > 0.5 * (presenter.eyes[0, 1] + presenter.places.mouth[1])
        sides = [side * rest["skin"][:, 0] > 0 for side in (-1, 1)]
        self._lid_rows = [np.flatnonzero(upper & (moved > 0) & side) for side in sides]
        self._mouth_rows = np.flatnonzero(~upper & (moved > 0))
        self._lying = [self._chosen(each) for each in strands]
        self._nearest = [
            np.asarray(cKDTree(at).query(each.points.reshape(-1, 3), workers=2)[1]) if len(at) else None
            for each, (at, _) in zip(strands, self._lying, strict=True)
        ]

    def bake(self, light: Samples, *, stirred: bool = True) -> None:
        """Let `light` fall. `stirred`: light moved lids and lips on their own, which costs as much again."""
        rest = self._rest
        blockers = [*self._blockers(rest), *self._hair]
        lying = self._lying
        points = np.concatenate([rest.points[s.name] for s in self._casting] + [at for at, _ in lying])
        normals = np.concatenate([rest.normals[s.name] for s in self._casting] + [out for _, out in lying])
        lit = self._maps.cast(blockers, (points, normals), light, self._bounce, self._middle, self._seen)
        self.surfaces: dict[str, Lit] = {}
        first = 0
        for surface in self._casting:
            rows = slice(first, first + len(rest.points[surface.name]))
            first = rows.stop
            way = SKIN_DM if surface.material == "skin" else _CLOTH_DM
            spread = self._spreads[surface.name].within(lit.light[rows], way)
            self.surfaces[surface.name] = Lit(spread, lit.lamps[rows])
        self.front = self._front()
        self._stirred = self._stir(light) if stirred else np.zeros_like(self.surfaces["skin"].light)
        self.strands: list[Lit] = []
        for each, (at, _), near in zip(self._strands, lying, self._nearest, strict=True):
            rows = slice(first, first + len(at))
            first = rows.stop
            self.strands.append(self._light_hair(each, near, Lit(lit.light[rows], lit.lamps[rows])))

    def skin(self, pose: Pose) -> Vectors:
        """Return the skin's light (float32[V, 3], irradiance / pi) in a pose."""
        found = self.surfaces["skin"].light.copy()
        opened = float(pose.mouth[0] / _STIRRED.mouth[0] + 0.7 * pose.mouth[4])
        moved = zip((*self._lid_rows, self._mouth_rows), (*pose.lids, opened), strict=True)
        for rows, weight in moved:
            if weight > 0:
                found[rows] += np.float32(min(weight, 1.0)) * self._stirred[rows]
        return found

    def _blockers(self, posed: Posed) -> list[Mesh]:
        return [(posed.points[s.name], triangles(s.faces)) for s in self._casting]

    def _front(self) -> npt.NDArray[np.float32]:
        """Return the light before the face, float32[3]: the mean of what reaches its front."""
        face, eyes = self._rest.points["skin"], self._presenter.eyes[0]
        near = (np.abs(face[:, 0]) < 0.6) & (face[:, 2] > eyes[2] - 0.1) & (face[:, 1] > eyes[1] - 0.9)
        return np.asarray(self.surfaces["skin"].light[near].mean(0))

    def _stir(self, light: Samples) -> Vectors:
        posed = self._stirred_pose
        receivers = (posed.points["skin"], posed.normals["skin"])
        blockers = [*self._blockers(posed), *self._hair]
        lit = self._maps.cast(blockers, receivers, light, self._bounce, self._middle)
        now = self._spreads["skin"].within(lit.light, SKIN_DM)
        return np.asarray(self._stirs[:, None] * (now - self.surfaces["skin"].light))

    def _chosen(self, strands: Strands) -> tuple[Vectors, Vectors]:
        """Return points of the hair to be lit, and which way they face: out of the bulk."""
        points = strands.points.reshape(-1, 3)
        if strands.placed is not None:
            return points[:0], points[:0]
        # By chance: every n-th point may be the same place along each hair.
        count = min(len(points), self._baking.hair_points)
        chosen = np.random.default_rng(0).choice(len(points), count, replace=False)
        few = points[np.sort(chosen)]
        out = few - np.array([0.0, self._presenter.eyes[0, 1] + 0.25, 0.15], np.float32)
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        return np.asarray(few + np.float32(0.05) * out, np.float32), np.asarray(out, np.float32)

    def _light_hair(self, strands: Strands, near: npt.NDArray[np.int64] | None, lit: Lit) -> Lit:
        if near is None:
            points = strands.points.reshape(-1, 3)
            lamps = np.full((len(points), self.surfaces["skin"].lamps.shape[1]), 0.7, np.float32)
            return Lit(np.tile(self.front, (len(points), 1)), lamps)
        soft = (1 - _BETWEEN) * lit.light + _BETWEEN * lit.light.mean(0)
        return Lit(soft[near].astype(np.float32), lit.lamps[near])


def is_wet(surface: Surface) -> bool:
    """Return whether it lies in the mouth as a whole, lit by what comes in between the lips."""
    return surface.material in {"enamel", "gum", "tongue"}
