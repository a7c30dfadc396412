"""Hair of a presenter's head."""

from __future__ import annotations

import numpy as np

from studio.fields import ramp
from studio.hair.frame import Frame
from studio.hair.ground import CELL, ground
from studio.hair.hairdo import Scalp, dressed
from studio.presenter import Presenter
from studio.strands import Strands
from studio.subdivide import triangles


def frame_of(presenter: Presenter) -> Frame:
    """Return the measures of a presenter's head."""
    head = presenter.head
    return Frame(np.array([0.0, head.eye_y, head.head_z]), head.unit)


def grow(presenter: Presenter, seed: int, density: float = 1.0, cell: float = CELL) -> Strands | None:
    """Return the hair of a presenter's scalp, None for a bald one. Takes one to three seconds.

    `density`: share of the usual number of strands, about 26,000; fewer are wider, the shape stays.
    `cell`: how fine the body is that hair lies on, head units.
    Raises StudioError for an unknown style.
    """
    hair = presenter.character.hair
    if hair.style == "none":
        return None
    frame = frame_of(presenter)
    posed = presenter.at_rest()
    touched = [s.name for s in presenter.surfaces if s.material in {"skin", "cloth", "eye"}]
    skin = frame.into(posed.points["skin"].astype(np.float64))
    normals = posed.normals["skin"].astype(np.float64)
    scalp = Scalp(
        skin,
        normals,
        triangles(presenter.surfaces[0].faces),
        presenter.scalp,
        ground(
            np.concatenate([frame.into(posed.points[n].astype(np.float64)) for n in touched]),
            np.concatenate([posed.normals[n].astype(np.float64) for n in touched]),
            cell,
        ),
    )
    found = dressed(scalp, hair, seed, density)
    if not len(found.curves):
        return None
    points = frame.back(found.curves)
    pivot = float(presenter.pivot[1])
    with_head = ramp(points[..., 1], pivot - 1.3, pivot - 0.2)
    return Strands(points.astype(np.float32), found.widths, found.albedo, with_head.astype(np.float32))
