"""The head pack: meshes and morph targets of the MakeHuman, makehuman-assets and MPFB projects, all CC0.

Nothing of it is committed here: whoever renders fetches it once and names the folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
import numpy.typing as npt

from vcam_talker.core.errors import ConfigError

PACK_VARIABLE: Final = "VCAM_TALKER_HEAD_PACK"
INSTALLED: Final = Path(__file__).parents[1] / "build" / "head-pack"
"""Where `make studio` puts it."""
_BASE: Final = "makehuman/data/3dobjs/base.obj"
_TARGETS: Final = "makehuman/data/targets"
_WEIGHTS: Final = "makehuman/data/rigs/default_weights.mhw"
_GROUPS: Final = "src/mpfb/data/mesh_metadata/basemesh_vertex_groups.json"
_REMEDY: Final = (
    f"Run `make studio`, or name the unpacked pack (studio/README.md) in {PACK_VARIABLE} or with --pack"
)

Indices = npt.NDArray[np.int64]
"""int64[N]: vertices of the base mesh, from 0."""
Bones = dict[str, tuple[Indices, npt.NDArray[np.float64]]]
T = TypeVar("T")


class StudioError(ConfigError):
    """Something that the studio is given can't be used."""


class HeadPack:
    """A folder that holds the pack. Reads files when asked; keeps what is asked for by `kept`. One thread."""

    def __init__(self, root: Path) -> None:
        """Look whether `root` holds a pack. Raises StudioError when it does not."""
        self.root = root
        for part in (_BASE, _TARGETS, _WEIGHTS, _GROUPS):
            if not (root / part).exists():
                raise StudioError(str(root), f"is no head pack: it has no {part}", _REMEDY)
        self._groups: dict[str, Indices] | None = None
        self._bones: Bones | None = None
        self._kept: dict[tuple[object, Path], object] = {}

    @property
    def base_mesh(self) -> Path:
        """The body with its helpers, 19,158 vertices."""
        return self.root / _BASE

    @property
    def targets(self) -> Path:
        """The folder of the morph targets."""
        return self.root / _TARGETS

    def kept(self, read: Callable[[Path], T], path: Path) -> T:
        """Return `read(path)`, read once however many people are made of it; it is not to be written to."""
        key = (read, path)
        if key not in self._kept:
            self._kept[key] = read(path)
        return cast("T", self._kept[key])

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

    def bone_weights(self) -> Bones:
        """Return for each bone the vertices that follow it, and how far, 0 to 1."""
        if self._bones is None:
            bones: dict[str, list[list[float]]] = _read_json(self.root / _WEIGHTS)["weights"]
            tables = {bone: np.array(pairs, np.float64).reshape(-1, 2) for bone, pairs in bones.items()}
            self._bones = {
                bone: (table[:, 0].astype(np.int64), table[:, 1]) for bone, table in tables.items()
            }
        return self._bones


def open_pack(folder: Path | None = None) -> HeadPack:
    """Return the pack in `folder`, else in the environment's, else `make studio`'s. Raises StudioError."""
    named = os.environ.get(PACK_VARIABLE)
    if folder is None and not named and not INSTALLED.exists():
        raise StudioError("the head pack", "nobody said where it is", _REMEDY)
    return HeadPack(folder or (Path(named) if named else INSTALLED))


def _read_json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise StudioError(str(path), f"can't be read ({e})", "Unpack the pack again") from None
