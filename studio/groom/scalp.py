"""Hair of the head: strands that leave the scalp, follow the comb and gravity, and lie on what is below."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from studio.character import HairSection, linear
from studio.groom.styles import STYLES, Style
from studio.groom.surface import Ground, scatter
from studio.hairline import Head
from studio.mesh import Points
from studio.pack import StudioError
from studio.presenter import Presenter
from studio.skin import ramp
from studio.strands import Strands
from studio.subdivide import triangles

_COUNT: Final = 26_000
"""At density 1."""
_GREY: Final = np.array([0.40, 0.39, 0.38])


def grow(presenter: Presenter, seed: int, density: float = 1.0) -> Strands | None:
    """Return the hair of a presenter's scalp, None for a bald one; about two seconds at density 1.

    `density`: share of the usual 26,000 strands; fewer are wider. Raises StudioError for an unknown style.
    """
    hair = presenter.character.hair
    if hair.style == "none":
        return None
    if hair.style not in STYLES:
        raise StudioError(
            f"hair style '{hair.style}'", "is not known", f"There are: none, {', '.join(STYLES)}"
        )
    style = STYLES[hair.style]
    rng = np.random.default_rng([seed, 7])
    posed = presenter.at_rest()
    surface = presenter.surfaces[0]
    skin = posed.points["skin"].astype(np.float64)
    normals = posed.normals["skin"].astype(np.float64)
    head = presenter.head
    grows = presenter.scalp
    if style.density:
        grows = grows * style.density(skin, head, hair)
    roots = scatter(skin, triangles(surface.faces), grows, max(200, round(_COUNT * density)), rng)
    cloth = [s.name for s in presenter.surfaces if s.material == "cloth"]
    ground = Ground(
        np.concatenate([skin, *(posed.points[n].astype(np.float64) for n in cloth)]),
        np.concatenate([normals, *(posed.normals[n].astype(np.float64) for n in cloth)]),
    )
    points = _grown(roots.on(skin), roots.on(normals), ground, head, hair, style, rng)
    points = _clumped(points, style, rng)
    points = _shaped(points, hair, style, rng)
    kept = _clear_of_face(points, head)
    points = points[kept]
    count, steps = points.shape[:2]
    t = np.linspace(0.0, 1.0, steps)
    # Fine where they leave the skin, so that a hairline is soft, and at the tips.
    thin = (1.0 - 0.75 * t**2.5) * (0.45 + 0.55 * np.minimum(1.0, t / 0.12))
    width = style.width / np.sqrt(max(density, 1e-3)) ** 1.25
    pivot = presenter.pivot[1]
    with_head = ramp(points[..., 1], pivot - 1.3, pivot - 0.2)
    return Strands(
        points.astype(np.float32),
        (width * thin * rng.uniform(0.75, 1.15, (count, 1))).astype(np.float32),
        _coloured(points, hair, rng).astype(np.float32),
        with_head.astype(np.float32),
    )


def _grown(
    at: Points,
    normals: Points,
    ground: Ground,
    head: Head,
    hair: HairSection,
    style: Style,
    rng: np.random.Generator,
) -> npt.NDArray[np.float64]:
    count, steps = len(at), style.points
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    length = style.length(at, head, hair) * rng.uniform(0.90, 1.06, count)
    layer = rng.uniform(0.15, 1.0, count)
    """How high in the hair each strand lies, against the outermost."""
    step = (length / (steps - 1))[:, None]
    place = at - 0.015 * normals
    way = style.lift * normals + style.flow(at, normals, head, hair)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    found = np.empty((count, steps, 3))
    found[:, 0] = place
    above = normals
    for k in range(1, steps):
        t = k / (steps - 1)
        comb = style.comb * max(0.0, 1.0 - max(0.0, t - style.comb_ends) * 4)
        flow = style.flow(place, above, head, hair)
        # Where the skull falls away, nothing combs any more.
        near = 1.0 - ramp(head.eye_y - 0.1 - place[:, 1], 0.0, 0.4)[:, None]
        way = style.inertia * way + comb * near * flow
        way[:, 1] -= style.gravity * min(1.0, 2.5 * t)
        if style.tuck:
            inward = np.stack(
                (-np.sign(place[:, 0]), 0 * place[:, 0], -0.25 * np.sign(place[:, 2] - head.head_z)), 1
            )
            way += style.tuck * ramp(np.full(count, t), 0.70, 1.0)[:, None] * inward
        way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
        place = place + way * step
        high, above = ground.height(place)
        wanted = style.off(place, head) * hair.volume * layer * min(1.0, k / 3)
        below = np.maximum(wanted - high, 0.0)
        held = (place[:, 1] - head.eye_y) / head.unit > style.hug_above
        over = np.where(held & (high < 0.6), np.maximum(high - wanted, 0.0), 0.0) * style.hug
        place = place + (below - over)[:, None] * above
        found[:, k] = place
        way = place - found[:, k - 1]
        way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    return found


def _clumped(
    points: npt.NDArray[np.float64], style: Style, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Draw strands together towards their tips, in large locks and in small ones."""
    count, steps = points.shape[:2]
    t = np.linspace(0.0, 1.0, steps)[None, :, None]
    for locks, amount in ((style.clumps, style.clump), (style.clumps * 7, 0.8 * style.clump)):
        if not locks or locks >= count:
            continue
        leaders = rng.choice(count, locks, replace=False)
        # Near at the root and in the middle: locks do not cross a parting.
        middle = steps // 2
        key = np.concatenate((points[:, 0], 0.6 * points[:, middle]), 1)
        _, mine = cKDTree(key[leaders]).query(key)
        leader = points[leaders][mine]
        apart = points[:, :1] - leader[:, :1]
        each = rng.uniform(0.55, 1.0, (count, 1, 1))
        points = points + (leader + 0.22 * apart - points) * (amount * each * t**1.2)
    return points


def _shaped(
    points: npt.NDArray[np.float64], hair: HairSection, style: Style, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Wave, curl and ruffle strands; neighbours wave together."""
    count, steps = points.shape[:2]
    t = np.linspace(0.0, 1.0, steps)[None, :]
    root = points[:, 0]
    wave = style.wave * (1 + 2 * hair.curl) + 0.05 * hair.curl
    if wave:
        phase = 2.2 * np.sin(root[:, :1] * 4.1) + 1.7 * np.sin(root[:, 1:2] * 3.3 + root[:, 2:] * 2.7)
        turn = 2 * np.pi * 2.3 * t + phase + 0.35 * rng.normal(size=(count, 1))
        sway = wave * ramp(np.broadcast_to(t, turn.shape), 0.15, 0.7)
        points = points + np.stack(
            (np.cos(turn) * sway, 0.3 * np.sin(2 * turn) * sway, np.sin(turn) * sway), -1
        )
    curl = style.curl * (0.6 + 0.8 * hair.curl) if style.curl else 0.0
    if curl:
        key = np.floor(root * 9.0)
        spin = (
            2 * np.pi * 4.0 * t
            + (key @ np.array([1.7, 2.9, 4.3]))[:, None]
            + 0.3 * rng.normal(size=(count, 1))
        )
        radius = curl * ramp(np.broadcast_to(t, spin.shape), 0.05, 0.35)
        axis = points[:, -1] - points[:, 0]
        axis /= np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-9)
        side = np.cross(axis, (0.31, 0.83, 0.46))
        side /= np.linalg.norm(side, axis=1, keepdims=True)
        other = np.cross(axis, side)
        points = points + radius[..., None] * (
            np.cos(spin)[..., None] * side[:, None] + np.sin(spin)[..., None] * other[:, None]
        )
    loose = 0.006 * rng.normal(size=(count, 1, 3)) * t[..., None]
    stray = (rng.random((count, 1, 1)) < 0.03) * 0.03 * rng.normal(size=(count, 1, 3)) * t[..., None] ** 2
    return np.asarray(points + loose + stray)


def _clear_of_face(points: npt.NDArray[np.float64], head: Head) -> npt.NDArray[np.bool_]:
    """Return which strands hang neither before the face nor before the throat."""
    x, dy, z = np.abs(points[..., 0]), (points[..., 1] - head.eye_y) / head.unit, points[..., 2] - head.head_z
    face = (z > 0.45) & (x < 0.58) & (dy < 0.50)
    throat = (z > 0.0) & (x < 0.42) & (dy < -0.5)
    return np.asarray(~(face | throat).any(1))


def _coloured(
    points: npt.NDArray[np.float64], hair: HairSection, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    count, steps = points.shape[:2]
    base = np.array(linear(hair.colour))
    tips = np.array(linear(hair.tips)) if hair.tips else np.minimum(base * 1.5 + 0.004, 1.0)
    t = np.linspace(0.0, 1.0, steps)[None, :, None]
    root = points[:, 0]
    lock = (
        1.0
        + 0.16 * np.sin(root[:, 0] * 23 + root[:, 2] * 13)
        + 0.10 * np.sin(root[:, 0] * 51 - root[:, 1] * 37)
    )
    each = lock * rng.uniform(0.85, 1.15, count)
    found = (base * (0.65 + 0.35 * np.minimum(1, 4 * t)) + (tips - base) * t**1.5) * each[:, None, None]
    grey = np.flatnonzero(rng.random(count) < hair.grey)
    found[grey] = _GREY * rng.uniform(0.7, 1.05, (len(grey), 1, 1))
    return np.asarray(np.clip(found, 0.0005, 1.0))
