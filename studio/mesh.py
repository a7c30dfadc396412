"""A mesh of the pack: Wavefront text in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from studio.pack import StudioError

Points = npt.NDArray[np.float64]
"""float64[V, 3] in MakeHuman's space: decimetres, y up, z towards the viewer."""
Faces = npt.NDArray[np.int32]
"""int32[F, 4]: corners; of a triangle the last one is -1."""

_CORNERS: Final = 4
NO_CORNER: Final = -1


@dataclass(frozen=True, slots=True)
class Mesh:
    """Points, texture coordinates, and faces that index both. The arrays are not to be written to."""

    points: Points
    uvs: npt.NDArray[np.float64]
    """float64[T, 2]; one row of zeros when the file has none."""
    faces: Faces
    face_uvs: Faces
    groups: tuple[str, ...]
    """Of each face, its group's name; empty where none was given."""

    def triangles(self) -> npt.NDArray[np.int32]:
        """Return int32[N, 3]: every face cut along its first diagonal, in the order of the faces."""
        a, b, c, d = self.faces.T
        both = np.stack((np.stack((a, b, c), 1), np.stack((a, c, d), 1)), 1).reshape(-1, 3)
        return np.asarray(both[both[:, 2] != NO_CORNER], np.int32)


def read_obj(path: Path) -> Mesh:
    """Return the mesh of a Wavefront file of triangles and quads. Blocks. Raises StudioError."""
    points: list[list[float]] = []
    uvs: list[list[float]] = []
    faces: list[list[int]] = []
    face_uvs: list[list[int]] = []
    groups: list[str] = []
    group = ""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as e:
        raise StudioError(str(path), f"can't be read ({e.strerror})") from None
    for number, line in enumerate(lines, 1):
        what, *words = line.split() or [""]
        try:
            match what:
                case "v":
                    points.append([float(word) for word in words[:3]])
                case "vt":
                    uvs.append([float(word) for word in words[:2]])
                case "g":
                    group = words[0] if words else ""
                case "f":
                    corners = [_corner(word) for word in words]
                    faces.append(_padded([point for point, _ in corners]))
                    face_uvs.append(_padded([uv for _, uv in corners]))
                    groups.append(group)
        except (ValueError, IndexError):
            raise StudioError(f"{path}, line {number}", f"can't be read: {line[:60]!r}") from None
    mesh = Mesh(
        np.array(points, np.float64).reshape(-1, 3),
        np.array(uvs or [[0.0, 0.0]], np.float64).reshape(-1, 2),
        np.array(faces, np.int32).reshape(-1, _CORNERS),
        np.array(face_uvs, np.int32).reshape(-1, _CORNERS),
        tuple(groups),
    )
    if mesh.faces.size and mesh.faces.max() >= len(mesh.points):
        raise StudioError(str(path), f"a face names point {mesh.faces.max() + 1} of {len(mesh.points)}")
    return mesh


def normals(points: Points, triangles: npt.NDArray[np.int32]) -> Points:
    """Return float64[V, 3]: unit normals, each its triangles' mean by area; zero where there are none."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    found = np.zeros_like(points)
    for k in range(3):
        np.add.at(found, triangles[:, k], across)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(np.divide(found, length, out=np.zeros_like(found), where=length > 0))


def _corner(word: str) -> tuple[int, int]:
    """Return (point, texture coordinate) of `7`, `7/3` or `7/3/9`, counted from 0; no coordinate is 0."""
    parts = word.split("/")
    point = int(parts[0])
    if point < 1:
        raise ValueError(word)
    return point - 1, int(parts[1]) - 1 if len(parts) > 1 and parts[1] else 0


def _padded(corners: list[int]) -> list[int]:
    if not 3 <= len(corners) <= _CORNERS:
        raise ValueError(corners)
    return corners + [NO_CORNER] * (_CORNERS - len(corners))
