"""A part of a presenter as it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from studio.mesh import Faces

Material = Literal["skin", "eye", "enamel", "gum", "tongue", "cloth", "frame", "metal", "lens"]
Vectors = npt.NDArray[np.float32]
"""float32[V, 3]."""


@dataclass(frozen=True, slots=True)
class Surface:
    """A part of the presenter at rest; its points move, its faces and paint stay."""

    name: str
    material: Material
    faces: Faces
    albedo: Vectors
    """Linear."""
    gloss: npt.NDArray[np.float32]
    """float32[V]."""
    inside: npt.NDArray[np.float32]
    """float32[V]: 1 within the mouth."""
    lips: npt.NDArray[np.float32]
    """float32[V]: 1 on the lips."""
    local: Vectors
    """Of eyes: direction from the ball's middle, looking along +z; else the place at rest, decimetres."""
