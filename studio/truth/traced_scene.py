"""What a truth frame was drawn of, as arrays that another program can trace: geometry, paint, light, lens.

The arrays are a figure's own, in its pose. What its programs paint pixel by pixel (pores, blotches, freckles,
weave) is left out; irises become a small picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from studio.character import EyeSection, linear
from studio.landmarks import MOUTH
from studio.pose import Pose
from studio.presenter import Posed
from studio.raster.camera import Camera
from studio.raster.figure import LABELS
from studio.raster.light import Light
from studio.raster.lighting import SKIN_DM
from studio.strands import Strands
from studio.subdivide import triangles
from studio.truth.raster import RasterPerson, Taken

Arrays = dict[str, npt.NDArray[Any]]
Vectors = npt.NDArray[np.float64]
"""float64[..., 3]."""

REGIONS: Final = (
    "nothing",
    "skin",
    "lips",
    "mouth",
    "teeth",
    "gums",
    "tongue",
    "eyes",
    "hair on skin",
    "cloth",
)
"""What `region` in a traced picture counts: finer than labels."""
_OF_MATERIAL: Final = {
    "skin": 1,
    "enamel": 4,
    "gum": 5,
    "tongue": 6,
    "eye": 7,
    "cloth": 9,
    "frame": 10,
    "metal": 10,
}
_HAIR_ON_SKIN: Final = 8
_ENVIRONMENT: Final = (256, 512)
_EYE_PIXELS: Final = 256
_MEAN_PATH: Final = 0.35
"""Light that is spread as a Gaussian of deviation d / sqrt(2) goes as far (in the mean of squares) as by a
random walk of this many d a step, at the albedo of skin (Christensen and Burley 2015)."""
_THINNEST_PX: Final = 0.7


@dataclass(frozen=True, slots=True)
class Lens:
    """A camera as path tracers describe one: a place, a turn, and a shift of the film."""

    matrix: npt.NDArray[np.float64]
    """float64[4, 4]: from the camera's space (x right, y up, looking along -z) to the tracer's."""
    angle_deg: float
    """Of the picture's side; it is square."""
    shift: tuple[float, float]
    """Of the film, right and up, in sides."""


def to_tracer(points: npt.NDArray[np.floating]) -> Vectors:
    """Return points or directions (float[..., 3]; y up, z to the viewer) where z is up and y leads away."""
    x, y, z = np.moveaxis(np.asarray(points, np.float64), -1, 0)
    return np.stack((x, -z, y), -1)


def lens_of(camera: Camera) -> Lens:
    """Return a square camera's lens. Its roll about the picture's middle becomes one about its axis."""
    back = camera.place - camera.target
    back = back / np.linalg.norm(back)
    right = np.cross((0.0, 1.0, 0.0), back)
    right /= np.linalg.norm(right)
    up = np.cross(back, right)
    c, s = np.cos(np.radians(camera.roll_deg)), np.sin(np.radians(camera.roll_deg))
    matrix = np.eye(4)
    matrix[:3, :3] = to_tracer(np.stack((c * right - s * up, c * up + s * right, back))).T
    matrix[:3, 3] = to_tracer(camera.place)
    # Where the picture's own middle is moved to, in half heights right and up, turned with it.
    x, y = camera.centre[0], -camera.centre[1]
    shift = (-(c * x - s * y) / 2, -(c * y + s * x) / 2)
    return Lens(matrix, camera.fov_deg, shift)


def environment(light: Light, shape: tuple[int, int] = _ENVIRONMENT) -> npt.NDArray[np.float32]:
    """Return all the light around, float32[H, W, 3]: row 0 up, the middle column along the tracer's +x."""
    height, width = shape
    up = np.pi / 2 - (np.arange(height)[:, None] + 0.5) * np.pi / height
    turn = (0.5 - (np.arange(width)[None] + 0.5) / width) * 2 * np.pi
    # The tracer's (x, y, z) is (x, -z, y) here.
    x, away, y = np.cos(up) * np.cos(turn), np.cos(up) * np.sin(turn), np.sin(up) + 0 * turn
    towards = np.stack((x, y, -away), -1)
    angle = np.cos(up) * (np.pi / height) * (2 * np.pi / width) + 0 * turn
    found = light.room(towards.reshape(-1, 3)).reshape(height, width, 3)
    for lamp in light.lamps:
        apart = np.degrees(np.arccos(np.clip(towards @ lamp.towards, -1, 1)))
        disc = np.clip((lamp.radius_deg - apart) / (180 / height) + 0.5, 0, 1)
        found = found + disc[..., None] * lamp.irradiance / float((disc * angle).sum())
    return np.asarray(found, np.float32)


def eye_paint(eyes: EyeSection, size: int = _EYE_PIXELS) -> npt.NDArray[np.float32]:
    """Return an eye's albedo, float32[size, size, 3], row 0 up: the angle from its axis grows outwards."""
    y, x = 1 - 2 * (np.mgrid[0:size, 0:size] + 0.5) / size
    angle = np.hypot(x, y) * np.pi
    iris_angle = 0.50 * eyes.iris_size
    a = angle / iris_angle
    white = 0.82 * np.array(linear(eyes.white))
    veins = np.clip(0.5 * _step(0.45, 1.0, angle) + 0.8 * _step(0.75, 1.15, angle), 0, 0.85)[..., None]
    ball = white * (1 + veins * (np.array([0.95, 0.72, 0.68]) - 1))
    ring = 1.5 * np.array(linear(eyes.iris)) * np.ones((*angle.shape, 3))
    warm = 1 + (1 - _step(0.36, 0.62, a))[..., None] * (np.array([1.5, 1.25, 0.9]) - 1)
    ring = ring * warm * (1 - 0.84 * _step(0.74, 0.99, a))[..., None]
    ring = np.where((a < 0.39)[..., None], 0.006, ring)
    within = (1 - _step(0.95, 1.06, a))[..., None]
    return np.asarray(ball + within * (ring - ball), np.float32)


def eye_uv(local: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return where an eye's directions (float32[V, 3], ahead is +z) lie in the paint, float32[V, 2]."""
    angle = np.arccos(np.clip(local[:, 2], -1, 1)) / np.pi
    aside = np.maximum(np.linalg.norm(local[:, :2], axis=1), 1e-6)
    return np.asarray(0.5 + 0.5 * local[:, :2] * (angle / aside)[:, None], np.float32)


def strand_points(strands: Strands, posed: Posed, shift: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return hairs where a figure draws them, float32[N, K, 3]; `shift`: of the shoulders, float64[3]."""
    if strands.placed is not None:
        return strands.placed(posed)
    points = strands.points.astype(np.float64)
    share = strands.with_head[..., None]
    return np.asarray(share * posed.turned(points) + (1 - share) * (points + shift), np.float32)


def drawn_width(widths: npt.NDArray[np.float32], away: Vectors, camera: Camera) -> npt.NDArray[np.float32]:
    """Return how wide hairs are drawn, float32[N, K]: `away` float64[N, K] from a camera, none too thin."""
    pixel = 2 * np.tan(np.radians(camera.fov_deg) / 2) / (2 * camera.height)
    return np.asarray(np.maximum(widths, _THINNEST_PX * pixel * away), np.float32)


def shoulders(pose: Pose) -> npt.NDArray[np.float64]:
    """Return how far hair that lies on the shoulders goes with them, float64[3]."""
    return np.array([0.05 * pose.shift_cm, 0.035 * 0.5 * (pose.breath + 1), 0.05 * pose.lean_cm])


def export(person: RasterPerson, taken: Taken, pose: Pose, light: Light) -> Arrays:
    """Return a moment as arrays, all in the tracer's space.

    Of mesh k: `mesh_k_points`, `_normals`, `_albedo`, `_coat` (gloss, within the mouth, lips), each
    float[V, 3], `_uv` float[V, 2], `_triangles` int[N, 3], `_mark` (label, region) float[2]. Of hairs k:
    `hair_k_points` and `_albedo` float[N, K, 3], `_radii` float[N, K], `_mark`. `materials`: of each mesh.
    """
    presenter, camera, posed = person.presenter, taken.camera, taken.posed
    lens = lens_of(camera)
    # Glass only mirrors, a few parts in a hundred.
    surfaces = [surface for surface in presenter.surfaces if surface.material != "lens"]
    out: Arrays = {
        "size": np.array(camera.height),
        "matrix": lens.matrix,
        "angle_deg": np.array(lens.angle_deg),
        "shift": np.array(lens.shift),
        "environment": environment(light),
        "eye": eye_paint(presenter.character.eyes),
        "skin_radius": _MEAN_PATH * np.array(SKIN_DM),
        "landmarks": to_tracer(posed.body[MOUTH]),
        "materials": np.array([surface.material for surface in surfaces]),
        "hairs": np.array(len(person.strands)),
    }
    for k, surface in enumerate(surfaces):
        count = len(surface.albedo)
        mark = (LABELS[surface.material], _OF_MATERIAL[surface.material])
        out |= {
            f"mesh_{k}_points": to_tracer(posed.points[surface.name]).astype(np.float32),
            f"mesh_{k}_normals": to_tracer(posed.normals[surface.name]).astype(np.float32),
            f"mesh_{k}_triangles": triangles(surface.faces),
            f"mesh_{k}_albedo": surface.albedo,
            f"mesh_{k}_coat": np.stack((surface.gloss, surface.inside, surface.lips), 1),
            f"mesh_{k}_mark": np.array(mark, np.float32),
            f"mesh_{k}_uv": eye_uv(surface.local) if surface.material == "eye" else np.zeros((count, 2)),
        }
    for k, strands in enumerate(person.strands):
        points = strand_points(strands, posed, shoulders(pose))
        away = np.linalg.norm(points - camera.place, axis=-1)
        on_skin = strands.placed is not None
        out |= {
            f"hair_{k}_points": to_tracer(points).astype(np.float32),
            f"hair_{k}_radii": drawn_width(strands.widths, away, camera) / 2,
            f"hair_{k}_albedo": strands.albedo,
            f"hair_{k}_mark": np.array([LABELS["skin"], _HAIR_ON_SKIN] if on_skin else [0, 0], np.float32),
        }
    return out


def _step(low: float, high: float, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))
