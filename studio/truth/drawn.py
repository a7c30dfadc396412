"""A clip's frames as they are packed, kept from when it is drawn until its shard is whole.

So a run that is killed loses the clips in its hands, some seconds of work, and not the shards around them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from studio.pack import StudioError
from studio.truth import container
from studio.truth.clips import Plan
from studio.truth.draw import Split, digest


@dataclass(frozen=True, slots=True)
class DrawnClip:
    """What drawing a clip gave."""

    jpegs: list[bytes]
    masks: list[bytes]
    landmarks: npt.NDArray[np.float32]
    """float32[T, 41, 2], px."""
    apertures_px: npt.NDArray[np.float32]
    """float32[T]."""

    def write(self, path: Path) -> None:
        """Keep it, making the folder. Blocks until the disk has it. Raises StudioError."""
        path.parent.mkdir(exist_ok=True)
        container.write(
            path,
            {
                **packed("jpeg", self.jpegs),
                **packed("mask", self.masks),
                "landmarks": self.landmarks,
                "aperture_px": self.apertures_px,
            },
        )

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return what was kept; None when nothing was, or when it is damaged."""
        try:
            container.verify(path)
            found = container.read(path)
        except StudioError:
            return None
        return cls(
            _unpacked("jpeg", found), _unpacked("mask", found), found["landmarks"], found["aperture_px"]
        )


def packed(name: str, blobs: list[bytes]) -> dict[str, container.Array]:
    """Return `blobs` one after another as array `name`, and where each begins and ends as `name_at`."""
    return {
        name: np.frombuffer(b"".join(blobs), np.uint8),
        f"{name}_at": np.cumsum([0, *map(len, blobs)], dtype=np.int64),
    }


def _unpacked(name: str, arrays: dict[str, container.Array]) -> list[bytes]:
    ends = arrays[f"{name}_at"]
    return [arrays[name][a:b].tobytes() for a, b in pairwise(ends)]


def workshop(folder: Path, plan: Plan, renderer: str, shard: int) -> Path:
    """Return where a shard's clips are kept: another plan or renderer has other places."""
    of_set = digest(json.dumps(asdict(plan), sort_keys=True), renderer)
    return folder / f".{plan.split}-{shard:06}.{of_set:016x}.clips"


def sweep(folder: Path, split: Split, kept: Iterable[Path]) -> None:
    """Remove what runs left that were killed, but for the workshops in `kept`."""
    wanted = set(kept)
    for place in folder.glob(f".{split}-*.clips"):
        if place not in wanted:
            shutil.rmtree(place, ignore_errors=True)
    for part in (*folder.glob(f".{split}-*.part"), *folder.glob(f".{split}-*.clips/.*.part")):
        part.unlink(missing_ok=True)
