"""Smooth a mesh once, as a matrix: the same weights serve every pose (Catmull and Clark, 1978)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from studio.mesh import NO_CORNER, Faces


@dataclass(frozen=True, slots=True)
class Refined:
    """A finer mesh over the points of a coarse one."""

    weights: sparse.csr_array
    """float32[V', V]: `weights @ points` are the fine points; works on any attribute of the points."""
    faces: Faces
    """int32[F', 4], all quads."""


def refine(faces: Faces, points: int, times: int = 1) -> Refined:
    """Return the mesh of `faces` (int32[F, 4], triangles end in -1) over `points` points, refined."""
    found = Refined(sparse.csr_array(sparse.eye_array(points, dtype=np.float32)), faces)
    for _ in range(times):
        weights, finer = _once(found.faces, found.weights.shape[0])
        found = Refined(sparse.csr_array(weights @ found.weights), finer)
    return found


def _once(faces: Faces, points: int) -> tuple[sparse.csr_array, Faces]:
    corners = (faces != NO_CORNER).sum(1)
    face, place = np.nonzero(faces != NO_CORNER)
    here = faces[face, place]
    there = faces[face, (place + 1) % corners[face]]
    pairs = np.stack((np.minimum(here, there), np.maximum(here, there)), 1)
    edges, edge, uses = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    edge = edge.ravel()
    to_face = _matrix(face, here, 1.0 / corners[face], (len(faces), points))
    each = np.arange(len(edges))
    middle = _matrix(np.tile(each, 2), edges.T.ravel(), np.full(2 * len(edges), 0.5), (len(edges), points))
    border = uses == 1
    beside = _matrix(edge, face, 0.5 / uses[edge] * 1.0, (len(edges), len(faces))) @ to_face
    # Inside: the mean of its ends and its faces' middles; at a border its own middle.
    to_edge = (
        sparse.diags_array(np.where(border, 1.0, 0.5)) @ middle + sparse.diags_array(~border * 1.0) @ beside
    )
    to_point = _to_points(points, faces, edges, border, (face, here), (to_face, middle))
    weights = sparse.csr_array(sparse.vstack((to_point, to_edge, to_face)).astype(np.float32))
    first = np.cumsum(corners) - corners
    before = first[face] + (place - 1) % corners[face]
    finer = np.stack((here, points + edge, points + len(edges) + face, points + edge[before]), 1)
    return weights, np.asarray(finer, np.int32)


def _to_points(
    points: int,
    faces: Faces,
    edges: npt.NDArray[np.int32],
    border: npt.NDArray[np.bool_],
    corners: tuple[npt.NDArray[np.intp], npt.NDArray[np.int32]],
    means: tuple[sparse.csr_array, sparse.csr_array],
) -> sparse.csr_array:
    face, here = corners
    to_face, middle = means
    ends = edges.T.ravel()
    valence = np.maximum(np.bincount(here, minlength=points), 1)
    degree = np.maximum(np.bincount(ends, minlength=points), 1)
    around = _matrix(here, face, 1.0 / valence[here], (points, len(faces))) @ to_face
    each = np.tile(np.arange(len(edges)), 2)
    spokes = _matrix(ends, each, 1.0 / degree[ends], (points, len(edges))) @ middle
    one = sparse.eye_array(points)
    inside = (
        sparse.diags_array(1.0 / valence) @ around
        + sparse.diags_array(2.0 / valence) @ spokes
        + sparse.diags_array((valence - 3.0) / valence) @ one
    )
    rim = np.tile(border, 2)
    on_rim = np.bincount(ends[rim], minlength=points)
    along = (
        _matrix(ends[rim], each[rim], 1.0 / np.maximum(on_rim, 1)[ends[rim]], (points, len(edges))) @ middle
    )
    outside = 0.5 * one + 0.5 * along
    # A point of no face, or where borders meet, stays.
    lonely = (on_rim != 0) & (on_rim != 2) | (np.bincount(here, minlength=points) == 0)
    kind = np.where(lonely, 2, on_rim > 0)
    parts = (inside, outside, one)
    return sparse.csr_array(sum(sparse.diags_array((kind == k) * 1.0) @ part for k, part in enumerate(parts)))


def _matrix(
    rows: npt.NDArray[np.integer],
    columns: npt.NDArray[np.integer],
    values: npt.NDArray[np.float64],
    shape: tuple[int, int],
) -> sparse.csr_array:
    return sparse.csr_array((values, (rows, columns)), shape=shape)


class Shading:
    """Unit normals of a mesh whose faces stay and whose points move."""

    def __init__(self, faces: Faces, points: int) -> None:
        a, b, c, d = faces.T
        # A triangle's second diagonal ends in its first corner.
        self._diagonals = (a, c, b, np.where(d == NO_CORNER, a, d))
        face, place = np.nonzero(faces != NO_CORNER)
        values = np.ones(len(face), np.float32)
        self._spread = sparse.csr_array((values, (faces[face, place], face)), shape=(points, len(faces)))

    def normals(self, points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return float32[V, 3] for `points` (float32[V, 3]): each its faces' mean by area."""
        columns = np.ascontiguousarray(points.T)
        a, c, b, d = (columns[:, k] for k in self._diagonals)
        # Four times as fast as numpy's own cross product.
        (x, y, z), (u, v, w) = c - a, d - b
        found = self._spread @ np.stack((y * w - z * v, z * u - x * w, x * v - y * u), 1)
        length = np.sqrt(np.einsum("vk,vk->v", found, found))
        return np.asarray(found / np.maximum(length, np.float32(1e-12))[:, None], np.float32)


def triangles(faces: Faces) -> npt.NDArray[np.int32]:
    """Return int32[N, 3]: every face cut along its first diagonal."""
    a, b, c, d = faces.T
    both = np.stack((np.stack((a, b, c), 1), np.stack((a, c, d), 1)), 1).reshape(-1, 3)
    return np.ascontiguousarray(both[both[:, 2] != NO_CORNER], np.int32)
