"""A presenter sits for a network: where its mouth is, and what it looks like wide open."""

from __future__ import annotations

from dataclasses import dataclass

from vcam_talker.core.types import MOUTH_PARAMS, FaceInput, Pixels, Pts
from vcam_talker.face.clip.scene import ClipScene
from vcam_talker.face.neural.crops import Crops
from vcam_talker.face.neural.package import Package
from vcam_talker.persona import Persona

_JAW = MOUTH_PARAMS.index("jaw")


@dataclass(frozen=True, slots=True)
class Sitting:
    """What a network is told of a face before it draws it."""

    crops: Crops
    rest: Pixels
    """A crop with the mouth at rest."""
    references: tuple[Pixels, ...]
    """Crops with the mouth wide open; none of a presenter of whom only the mouth at rest is known."""


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
    wide = shapes[int(shapes[:, _JAW].argmax())]
    drawn = scene.draw(Pts(0), FaceInput(wide, persona.emotions.default))
    return Sitting(crops, rest, (crops.cut(drawn.pixels, scene.to_patch(scene.shown)),))
