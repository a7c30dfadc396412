"""Morph targets: how far each vertex of the base mesh moves for a longer nose, an older skull, a smile."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from studio.mesh import Points
from studio.pack import Indices, StudioError

_SUFFIX: Final = ".target"
_NEGLIGIBLE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Morph:
    """Moves `vertices` by `offsets` at weight 1."""

    vertices: Indices
    offsets: npt.NDArray[np.float64]
    """float64[N, 3], decimetres."""


class Morphs:
    """Reads targets by name (`nose/nose-point-up`), each once. Not thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, Morph] = {}

    def names(self, under: str = "") -> list[str]:
        """Return the names of all targets below a folder, sorted."""
        found = (self._folder / under).rglob(f"*{_SUFFIX}")
        return sorted(path.relative_to(self._folder).with_suffix("").as_posix() for path in found)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._read or self._path(name).is_file())

    def get(self, name: str) -> Morph:
        """Return a target. Raises StudioError when there is none, or it can't be read."""
        if name not in self._read:
            path = self._path(name)
            if not path.is_file():
                near = difflib.get_close_matches(name, self.names(), n=1)
                hint = f"Did you mean '{near[0]}'?" if near else "See the pack's targets"
                raise StudioError(f"morph '{name}'", "the pack has none of this name", hint)
            self._read[name] = _read(path)
        return self._read[name]

    def moved(self, points: Points, weights: Mapping[str, float]) -> Points:
        """Return `points` moved by the sum of weighted targets; the given array stays. Raises StudioError."""
        found = points.copy()
        for name, weight in weights.items():
            if abs(weight) > _NEGLIGIBLE:
                morph = self.get(name)
                # A target names no vertex twice, so plain indexing adds up.
                found[morph.vertices] += weight * morph.offsets
        return found

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"


def _read(path: Path) -> Morph:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        words = " ".join(line for line in lines if line[:1] != "#").split()
        table = np.array(words, np.float64).reshape(-1, 4)
        vertices = table[:, 0].astype(np.int64)
    except ValueError:
        return _read_slowly(path, lines)
    if len(np.unique(vertices)) < len(vertices):
        return _read_slowly(path, lines)
    return Morph(vertices, np.ascontiguousarray(table[:, 1:]))


def _read_slowly(path: Path, lines: Sequence[str]) -> Morph:
    """Read line by line: what names a vertex twice, and what is wrong and has to be named."""
    rows: dict[int, list[float]] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            index, x, y, z = int(words[0]), *map(float, words[1:4])
        except ValueError:
            raise StudioError(f"{path}, line {number}", f"can't be read: {line[:60]!r}") from None
        rows[index] = [x, y, z]
    return Morph(np.array(list(rows), np.int64), np.array(list(rows.values()), np.float64).reshape(-1, 3))
