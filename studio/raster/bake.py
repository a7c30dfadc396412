"""How much light reaches each point of a presenter: shadows by depth maps, bounce, light within the skin.

For every direction that light comes from, the figure is drawn once as that light sees it, depths only; a
point is lit when nothing stands before it (Williams 1978). Light that enters skin leaves it some millimetres
away, red furthest: the light on the surface is spread along the mesh, each colour by its own distance (after
d'Eon et al. 2007).
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Final

import moderngl
import numpy as np
import numpy.typing as npt
from scipy import sparse

from studio.mesh import NO_CORNER, Faces
from studio.raster import shaders
from studio.raster.light import Samples

Vectors = npt.NDArray[np.float32]

_SIZE: Final = 512
_RADIUS_DM: Final = 3.3
_OFF_SURFACE_DM: Final = 0.025
_BIAS_DM: Final = 0.03


@dataclass(frozen=True, slots=True)
class Lit:
    """What reaches each point."""

    light: Vectors
    """float32[V, 3]: irradiance / pi; times the albedo it is what a matt surface sends out."""
    lamps: npt.NDArray[np.float32]
    """float32[V, LAMPS]: how much of each lamp is seen, 0 .. 1."""


Seen = MutableMapping[bytes, npt.NDArray[np.float32]]
"""What is seen from a direction: float32[V] by the bytes of its float64[3]."""


class ShadowMaps:
    """Draws depths as lights see them. One thread, the context's."""

    def __init__(self, context: moderngl.Context, size: int = _SIZE) -> None:
        """`size` of a map's side in pixels."""
        self._size = size
        self._context = context
        self._program = shaders.load(context, "depth", "depth")
        to_clip = self._program["to_clip"]
        if not isinstance(to_clip, moderngl.Uniform):
            raise TypeError(to_clip)
        self._to_clip = to_clip
        self._depth = context.depth_texture((size, size))
        self._target = context.framebuffer(depth_attachment=self._depth)

    def cast(
        self,
        blockers: Sequence[tuple[Vectors, npt.NDArray[np.int32]]],
        receivers: tuple[Vectors, Vectors],
        light: Samples,
        bounce: npt.NDArray[np.float64],
        middle: npt.NDArray[np.float64],
        known: Seen | None = None,
    ) -> Lit:
        """Return what reaches `receivers` (points and normals, float32[V, 3] each).

        `blockers`: points and triangles (int32[N, 3]); `bounce`: the mean albedo of what blocks, float64[3].
        `middle`: of what may block or be seen, float64[3]; beyond 3.3 dm of it nothing is.
        `known`: what casts of the same blockers and receivers found; this one adds to it.
        """
        ways, bring, lamp = light.ways, light.bring, light.lamp
        new = known is None or any(way.tobytes() not in known for way in ways)
        arrays = self._loaded(blockers) if new else []
        at, normals = receivers
        count = len(at)
        total = np.zeros((count, 3), np.float32)
        seen = np.zeros((count, shaders.LAMPS), np.float32)
        clear = (at + _OFF_SURFACE_DM * normals).astype(np.float32)
        dim = 0.5 * bounce * bring.sum(0) / 4
        for way, brought, which in zip(ways, bring, lamp, strict=True):
            visible = known.get(way.tobytes()) if known is not None else None
            if visible is None:
                visible = self._visible(arrays, _towards(way, middle), clear)
            if known is not None:
                known[way.tobytes()] = visible
            facing = np.maximum(normals @ way.astype(np.float32), 0.0)
            weight = facing * visible
            total += weight[:, None] * brought.astype(np.float32)
            if which >= 0:
                seen[:, which] += visible
            else:
                # What is blocked still sends some light of its own.
                share = (facing * (1 - visible))[:, None]
                total += share * (dim * 4 / len(ways)).astype(np.float32)
        per_lamp = max(1, int((lamp == 0).sum()))
        for array in arrays:
            array.release()
        return Lit(total / np.float32(np.pi), seen / np.float32(per_lamp))

    def _loaded(
        self, blockers: Sequence[tuple[Vectors, npt.NDArray[np.int32]]]
    ) -> list[moderngl.VertexArray]:
        arrays = []
        for points, triangles in blockers:
            place = self._context.buffer(np.ascontiguousarray(points, np.float32))
            index = self._context.buffer(np.ascontiguousarray(triangles, np.int32))
            arrays.append(self._context.vertex_array(self._program, [(place, "3f", "place")], index))
        return arrays

    def _visible(
        self, arrays: Sequence[moderngl.VertexArray], matrix: npt.NDArray[np.float64], points: Vectors
    ) -> npt.NDArray[np.float32]:
        self._target.use()
        self._context.enable_only(moderngl.DEPTH_TEST)
        self._target.clear(depth=1.0)
        self._to_clip.write(np.ascontiguousarray(matrix.T, np.float32))
        for array in arrays:
            array.render()
        depth = np.frombuffer(self._depth.read(), np.float32).reshape(self._size, self._size)
        clip = points @ matrix[:3, :3].T.astype(np.float32) + matrix[:3, 3].astype(np.float32)
        x, y = ((clip[:, k] + 1) * np.float32(self._size / 2) - 0.5 for k in range(2))
        z = (clip[:, 2] + 1) / 2 - np.float32(_BIAS_DM / (2 * _RADIUS_DM))
        x0, y0 = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
        fx, fy = x - x0, y - y0
        found = np.zeros(len(points), np.float32)
        for dx, wx in ((0, 1 - fx), (1, fx)):
            for dy, wy in ((0, 1 - fy), (1, fy)):
                column, row = np.clip(x0 + dx, 0, self._size - 1), np.clip(y0 + dy, 0, self._size - 1)
                found += wx * wy * (depth[row, column] >= z)
        return np.asarray(found, np.float32)


def _towards(way: npt.NDArray[np.float64], middle: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the matrix (float64[4, 4]) of a parallel view from `way` of a ball about `middle`."""
    up = np.array([0.0, 1.0, 0.0]) if abs(way[1]) < 0.95 else np.array([1.0, 0.0, 0.0])
    right = np.cross(up, way)
    right /= np.linalg.norm(right)
    turn = np.stack((right, np.cross(way, right), -way)) / _RADIUS_DM
    found = np.eye(4)
    found[:3, :3] = turn
    found[:3, 3] = -turn @ middle
    return found


class Spread:
    """Spreads values along a mesh, as light spreads in skin."""

    def __init__(self, faces: Faces, points: Vectors) -> None:
        a = np.concatenate([faces[:, k] for k in range(4)])
        b = np.concatenate(
            [
                np.where(faces[:, (k + 1) % 4] == NO_CORNER, faces[:, 0], faces[:, (k + 1) % 4])
                for k in range(4)
            ]
        )
        kept = (a != NO_CORNER) & (b != NO_CORNER) & (a != b)
        a, b = a[kept], b[kept]
        both = sparse.coo_array(
            (np.ones(2 * len(a), np.float32), (np.r_[a, b], np.r_[b, a])), shape=(len(points),) * 2
        )
        graph = sparse.csr_array(both)
        graph.data[:] = 1.0
        degree = np.maximum(np.asarray(graph.sum(1)).ravel(), 1)
        self._mean = sparse.csr_array(sparse.diags_array(1.0 / degree) @ graph).astype(np.float32)
        self._step_dm = float(np.median(np.linalg.norm(points[a] - points[b], axis=1)))

    def within(self, values: Vectors, distances_dm: tuple[float, float, float]) -> Vectors:
        """Return `values` (float32[V, 3]) spread by a distance per column."""
        found = values.copy()
        for column, distance in enumerate(distances_dm):
            steps = int(np.clip(round(2 * (distance / self._step_dm) ** 2), 0, 60))
            one = found[:, column]
            for _ in range(steps):
                one = 0.5 * one + 0.5 * (self._mean @ one)
            found[:, column] = one
        return found
