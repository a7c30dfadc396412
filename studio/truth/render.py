"""The seam to whoever draws people: what a renderer gets, what it gives back, and how one is found."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol, cast

import numpy as np
import numpy.typing as npt

from studio.character import Character
from studio.pack import StudioError
from studio.pose import Pose
from studio.truth.shot import Shot
from vcam_talker.core.types import Pixels

OUTER_LIP, INNER_LIP, JAW_LINE = slice(0, 20), slice(20, 32), slice(32, 41)
LANDMARKS: Final = 41
"""Outer lip ring (20), inner lip ring (12), jaw line (9); both rings clockwise as the viewer sees them, from
the corner at the viewer's left; the jaw from the viewer's left to right."""


class Label(IntEnum):
    """Values of a mask: what a pixel shows. The inside of the mouth is everything from MOUTH on."""

    NOTHING = 0
    """Background, hair, clothes, glasses."""
    FACE = 1
    """Skin of head and neck, eyes, brows."""
    LIPS = 2
    MOUTH = 3
    """Its dark inside, and gums."""
    TEETH = 4
    TONGUE = 5


@dataclass(frozen=True, slots=True)
class TruthFrame:
    """A rendered crop and where things are in it; pixel centres lie at +0.5."""

    rgb: Pixels
    """uint8[size, size, 3], sRGB, before the sensor (`shot.developed` adds noise, blur and compression)."""
    landmarks: npt.NDArray[np.float32]
    """float32[LANDMARKS, 2]: x right, y down."""
    aperture_px: float
    """Gap between the inner lips at their middle, across the mouth's own axis; 0 where they touch."""
    masks: Pixels
    """uint8[size, size] of `Label`."""


class RenderedPerson(Protocol):
    """A person built once, drawn often."""

    def frame(self, pose: Pose, shot: Shot) -> TruthFrame:
        """Draw one moment. Pure: the same arguments give the same pixels."""
        ...


class TruthRenderer(Protocol):
    """Builds people. One per process, used from one thread."""

    def person(self, character: Character, seed: int) -> RenderedPerson:
        """Build a person, for seconds; `seed` decides what the description leaves open (pores, strands)."""
        ...


class RendererFactory(Protocol):
    """What a renderer's name leads to."""

    def __call__(self, size: int) -> TruthRenderer:
        """Return a renderer of crops of `size` x `size` pixels. Raises StudioError."""
        ...


RENDERERS: Final = {
    "fake": "studio.truth.fake:FakeRenderer",
    "raster": "studio.truth.raster:RasterRenderer",
}


def open_renderer(name: str, size: int) -> TruthRenderer:
    """Return the renderer of a name of RENDERERS, or of `module:factory`. Raises StudioError."""
    module, _, attribute = RENDERERS.get(name, name).partition(":")
    try:
        factory = cast("RendererFactory", getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError, ValueError) as e:
        raise StudioError(
            f"renderer '{name}'", f"can't be loaded ({e})", f"There are: {', '.join(RENDERERS)}"
        ) from None
    return factory(size)


def checked(frame: TruthFrame, size: int) -> TruthFrame:
    """Return a frame that keeps its promises. Raises StudioError for one that does not."""
    wrong = (
        (frame.rgb.shape != (size, size, 3) or frame.rgb.dtype != np.uint8, "picture"),
        (frame.masks.shape != (size, size) or frame.masks.dtype != np.uint8, "mask"),
        (frame.landmarks.shape != (LANDMARKS, 2) or not np.isfinite(frame.landmarks).all(), "landmarks"),
        (not (np.isfinite(frame.aperture_px) and frame.aperture_px >= 0), "aperture"),
    )
    for is_wrong, what in wrong:
        if is_wrong:
            raise StudioError("the renderer", f"gave a {what} of the wrong kind")
    return frame
