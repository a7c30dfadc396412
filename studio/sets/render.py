"""Renders a set and the light that it sends to the presenter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from studio.character import SetSection
from studio.pack import StudioError
from studio.sets import night, shop, study
from studio.sets.ambient import WIDTH, Ambient, reduced
from studio.sets.blender import Quality, Stage
from studio.sets.framing import View
from studio.sets.scene import Scene

KINDS: Final[dict[str, Callable[[SetSection], Scene]]] = {
    "study": study.build,
    "shop": shop.build,
    "night": night.build,
}
_PANORAMA_WIDTH: Final = 4 * WIDTH


def build_set(section: SetSection) -> Scene:
    """Return the room that a character's description asks for. Raises StudioError for an unknown kind."""
    if section.kind not in KINDS:
        raise StudioError(f"set '{section.kind}'", "there is none", f"There are: {', '.join(sorted(KINDS))}")
    return KINDS[section.kind](section)


def render_set(
    section: SetSection,
    width: int,
    height: int,
    path: Path,
    *,
    ambient: Path | None = None,
    quality: Quality | None = None,
    view: View | None = None,
) -> Ambient | None:
    """Write the set's picture to `path` (PNG) and, when asked, its light around the head to `ambient` (npy).

    Blocks for minutes. The same section gives the same room. Returns the ambient light, float32[32, 64, 3].
    Raises StudioError for an unknown kind or when Blender's module is missing.
    """
    view = view or View(aspect=width / height)
    stage = Stage(build_set(section), view, quality or Quality())
    stage.picture(width, height, path)
    if ambient is None:
        return None
    found = reduced(stage.panorama((0.0, 0.0, view.eye_height_m), _PANORAMA_WIDTH, 96))
    with ambient.open("wb") as file:  # np.save would add a suffix of its own
        np.save(file, found)
    return found
