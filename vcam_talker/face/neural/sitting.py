"""A presenter sits for a network: where its mouth is, and what it looks like wide open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vcam_talker.core.types import MOUTH_PARAMS, FaceInput, Pixels, Pts
from vcam_talker.face.clip.archive import Floats
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.neural.crops import Crops
from vcam_talker.face.neural.package import Package
from vcam_talker.persona import Persona

_JAW, _ROUNDING, _TEETH = (MOUTH_PARAMS.index(name) for name in ("jaw", "rounding", "teeth"))


@dataclass(frozen=True, slots=True)
class Sitting:
    """What a network is told of a face before it draws it."""

    crops: Crops
    rest: Pixels
    """A crop with the mouth at rest."""
    references: tuple[Pixels, ...]
    """Crops with the mouth wide open; none of a presenter of whom only the mouth at rest is known."""


def inside_shown(mouths: Floats) -> Floats:
    """Return how much of its inside each mouth shows, float32[N] of float32[N, 7]: higher is more.

    Of the picture that shows most, teeth are fetched for all others.
    """
    return np.asarray(mouths[:, _JAW] + mouths[:, _TEETH] - mouths[:, _ROUNDING], np.float32)


def sit(persona: Persona, package: Package, size: tuple[int, int]) -> Sitting:
    """Return what a model sees of a persona in a picture of `size`. Blocks for half a second.

    Raises PersonaError.
    """
    scene = ClipScene(persona, *size)
    crops = Crops(scene.assets, package.spec.region.region(), package.spec.size)
    rest = crops.cut(scene.still().pixels, scene.to_patch(0))
    shapes = scene.assets.shapes
    if len(shapes) == 1:
        return Sitting(crops, rest, ())
    wide = shapes[int(inside_shown(shapes).argmax())]
    drawn = scene.draw(Pts(0), FaceInput(wide, persona.emotions.default))
    return Sitting(crops, rest, (crops.cut(drawn.pixels, scene.to_patch(scene.shown)),))
