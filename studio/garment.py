"""What is fitted onto a body: clothes, hair, brows, lashes, teeth, tongue, eyes (MakeHuman's .mhclo files).

Each of its points hangs on three of the body's by weights, with an offset that grows with the body:
p = sum(w_k * body[v_k]) + offset * scale, where scale is the distance of two of the body's points along an
axis against what it was on the body that the part was made for. Offsets do not turn with the body: fit before
anything is rotated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from studio.mesh import Mesh, Points, read_obj
from studio.pack import Indices, StudioError

_AXES: Final = "xyz"


@dataclass(frozen=True, slots=True)
class Garment:
    """A part that fits itself to any body."""

    mesh: Mesh
    anchors: npt.NDArray[np.int64]
    """int64[V, 3]: the body's points that each point hangs on."""
    shares: npt.NDArray[np.float64]
    """float64[V, 3]: their weights."""
    offsets: Points
    rulers: tuple[tuple[int, int, float], ...]
    """For x, y and z: two points of the body, and their distance along it where the part was made."""
    hides: Indices
    """Points of the body that it covers and that are better left out."""

    def fitted(self, body: Points) -> Points:
        """Return its points on a body, float64[V, 3]; `body` with helpers, float64[19158, 3]."""
        scale = [abs(body[a, axis] - body[b, axis]) / d for axis, (a, b, d) in enumerate(self.rulers)]
        return np.asarray((body[self.anchors] * self.shares[:, :, None]).sum(1) + self.offsets * scale)

    def only(self, rows: Indices) -> Garment:
        """Return what fits those of its points that `rows` name, in their order; the mesh stays whole."""
        return replace(self, anchors=self.anchors[rows], shares=self.shares[rows], offsets=self.offsets[rows])


def read_garment(path: Path) -> Garment:
    """Return a part of the pack, with the mesh it names. Blocks. Raises StudioError."""
    rulers: dict[str, tuple[int, int, float]] = {}
    rows: list[list[float]] = []
    hidden: list[int] = []
    section = obj = ""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as e:
        raise StudioError(str(path), f"can't be read ({e.strerror})") from None
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        key = words[0]
        try:
            if key[1:] == "_scale" and key[0] in _AXES:
                rulers[key[0]] = (int(words[1]), int(words[2]), float(words[3]))
            elif key == "obj_file":
                obj = words[1]
            elif key in {"verts", "delete_verts"}:
                section = key
            elif section == "verts" and key.isdigit():
                rows.append(_row(words))
            elif section == "delete_verts" and key.isdigit():
                hidden += _numbers(words)
            # Words such as `material` may stand between a section's head and its rows.
        except (ValueError, IndexError):
            raise StudioError(f"{path}, line {number}", f"can't be read: {line[:60]!r}") from None
    if not obj or set(rulers) != set(_AXES):
        raise StudioError(str(path), "names no mesh, or not all of x_scale, y_scale and z_scale")
    mesh = read_obj(path.with_name(obj))
    if len(rows) != len(mesh.points):
        raise StudioError(str(path), f"has {len(rows)} points where {obj} has {len(mesh.points)}")
    table = np.array(rows, np.float64).reshape(-1, 9)
    return Garment(
        mesh,
        table[:, :3].astype(np.int64),
        table[:, 3:6],
        table[:, 6:],
        tuple(rulers[axis] for axis in _AXES),
        np.array(sorted(set(hidden)), np.int64),
    )


def _row(words: list[str]) -> list[float]:
    """Return three anchors, their weights and an offset; one number alone is an anchor with nothing else."""
    if len(words) == 1:
        return [float(words[0])] * 3 + [1.0, 0.0, 0.0] + [0.0] * 3
    return [float(word) for word in (*words[:3], *words[3:9])]


def _numbers(words: list[str]) -> list[int]:
    """Return the numbers of `3 5 - 8 10`."""
    found: list[int] = []
    k = 0
    while k < len(words):
        if k + 2 < len(words) and words[k + 1] == "-":
            found += range(int(words[k]), int(words[k + 2]) + 1)
            k += 3
        else:
            found.append(int(words[k]))
            k += 1
    return found
