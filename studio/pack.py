"""The head pack: meshes and morph targets of the MakeHuman, makehuman-assets and MPFB projects, all CC0.

Nothing of it is committed here: whoever renders fetches it once and names the folder.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.errors import ConfigError

PACK_VARIABLE: Final = "VCAM_TALKER_HEAD_PACK"
_BASE: Final = "makehuman/data/3dobjs/base.obj"
_TARGETS: Final = "makehuman/data/targets"
_WEIGHTS: Final = "makehuman/data/rigs/default_weights.mhw"
_GROUPS: Final = "src/mpfb/data/mesh_metadata/basemesh_vertex_groups.json"
_REMEDY: Final = (
    f"Unpack the CC0 head pack (studio/README.md) and name its folder in {PACK_VARIABLE} or with --pack"
)

Indices = npt.NDArray[np.int64]
"""int64[N]: vertices of the base mesh, from 0."""


class StudioError(ConfigError):
    """Something that the studio is given can't be used."""


class HeadPack:
    """A folder that holds the pack. Reads files when asked; keeps none but the groups."""

    def __init__(self, root: Path) -> None:
        """Look whether `root` holds a pack. Raises StudioError when it does not."""
        self.root = root
        for part in (_BASE, _TARGETS, _WEIGHTS, _GROUPS):
            if not (root / part).exists():
                raise StudioError(str(root), f"is no head pack: it has no {part}", _REMEDY)
        self._groups: dict[str, Indices] | None = None

    @property
    def base_mesh(self) -> Path:
        """The body with its helpers, 19,158 vertices."""
        return self.root / _BASE

    @property
    def targets(self) -> Path:
        """The folder of the morph targets."""
        return self.root / _TARGETS

    def part(self, kind: str, name: str, suffix: str = "mhclo") -> Path:
        """Return the file of a garment, hair, teeth...: `part("hair", "bob01")`. Raises StudioError."""
        folder = self.root / "base" / kind / name
        path = folder / f"{name}.{suffix}"
        if not path.is_file():
            path = next(iter(sorted(folder.glob(f"*.{suffix}"))), path)
        if not path.is_file():
            there = sorted(p.name for p in (self.root / "base" / kind).glob("*") if p.is_dir())
            raise StudioError(f"{kind} '{name}'", "the pack has none", f"There are: {', '.join(there)}")
        return path

    def group(self, name: str) -> Indices:
        """Return the vertices of a group of the base mesh: `body`, `joint-jaw`. Raises StudioError."""
        if self._groups is None:
            ranges = _read_json(self.root / _GROUPS)
            self._groups = {
                key: np.concatenate([np.arange(first, last + 1) for first, last in spans])
                for key, spans in ranges.items()
            }
        if name not in self._groups:
            raise StudioError(f"group '{name}'", "the base mesh has none of this name")
        return self._groups[name]

    def bone_weights(self) -> dict[str, tuple[Indices, npt.NDArray[np.float64]]]:
        """Return for each bone the vertices that follow it, and how far, 0 to 1."""
        bones: dict[str, list[list[float]]] = _read_json(self.root / _WEIGHTS)["weights"]
        tables = {bone: np.array(pairs, np.float64).reshape(-1, 2) for bone, pairs in bones.items()}
        return {bone: (table[:, 0].astype(np.int64), table[:, 1]) for bone, table in tables.items()}


def open_pack(folder: Path | None = None) -> HeadPack:
    """Return the pack in `folder`, by default the one that the environment names. Raises StudioError."""
    named = folder or (Path(os.environ[PACK_VARIABLE]) if os.environ.get(PACK_VARIABLE) else None)
    if named is None:
        raise StudioError("the head pack", "nobody said where it is", _REMEDY)
    return HeadPack(named)


def _read_json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise StudioError(str(path), f"can't be read ({e})", "Unpack the pack again") from None
