"""The pack's mask pictures, read at the points of the base mesh."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from studio.mesh import Mesh
from studio.pack import HeadPack, StudioError


def sample_mask(pack: HeadPack, mesh: Mesh, name: str) -> npt.NDArray[np.float64]:
    """Return float64[V], 0 .. 1: the mask `mpfb_NAME.jpg` at each point, the mean of its faces' corners.

    Blocks. Raises StudioError when the pack does not have it.
    """
    picture = pack.kept(_grey, pack.root / "src" / "mpfb" / "data" / "textures" / f"mpfb_{name}.jpg")
    face, place = np.nonzero(mesh.faces >= 0)
    u, v = mesh.uvs[mesh.face_uvs[face, place]].T
    height, width = picture.shape
    row = np.clip(((1 - v) * height).astype(int), 0, height - 1)
    column = np.clip((u * width).astype(int), 0, width - 1)
    point = mesh.faces[face, place]
    total = np.bincount(point, picture[row, column] / 255.0, len(mesh.points))
    return np.asarray(total / np.maximum(np.bincount(point, minlength=len(mesh.points)), 1))


def _grey(path: Path) -> npt.NDArray[np.uint8]:
    try:
        with av.open(str(path), "r") as container:
            return np.asarray(next(container.decode(video=0)).to_ndarray(format="gray"), np.uint8)
    except (OSError, av.FFmpegError) as e:
        raise StudioError(str(path), f"can't be read ({e})", "Unpack the pack again") from None
