"""Draws a presenter: surfaces and strands, lit by what was baked, as linear colours over nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import moderngl
import numpy as np
import numpy.typing as npt

from studio.character import linear
from studio.landmarks import aperture
from studio.pose import Pose
from studio.presenter import Posed, Presenter
from studio.raster import shaders
from studio.raster.bake import ShadowMaps
from studio.raster.camera import Camera, within
from studio.raster.light import Light, Samples
from studio.raster.lighting import Baking, Lighting, is_wet
from studio.raster.ribbons import along, quads
from studio.strands import Strands
from studio.subdivide import triangles
from studio.surface import Surface

Vertices = npt.NDArray[np.float32]

_KINDS: Final = {"skin": 0, "cloth": 1, "enamel": 2, "gum": 2, "tongue": 2}
_HAIR: Final = 3
_OWN_PROGRAM: Final = {"eye": "eye", "frame": "frame", "metal": "frame", "lens": "lens"}
"""Fragments of materials that `surface.frag` does not draw."""
LABELS: Final = {
    "skin": 1,
    "eye": 1,
    "cloth": 0,
    "gum": 3,
    "enamel": 4,
    "tongue": 5,
    "frame": 0,
    "metal": 0,
}
"""What masks call a material; of skin, lips are 2 and the mouth's inside 3 (`truth.render.Label`)."""
_FIELDS: Final = (
    ("place", 3),
    ("normal", 3),
    ("albedo", 3),
    ("light", 3),
    ("surface", 3),
    ("lamps", 4),
    ("local", 3),
)
"""What a vertex carries, and how many floats of it."""
_LIGHT: Final = slice(9, 12)
_PORES: Final = 0.10
_WEAVE: Final = 0.35
_THINNEST_PX: Final = 0.7
_VIEW_PX: Final = 320
"""Side of the pictures that tell which hairs are seen."""
_STRAY_DM: Final = 0.2
_ON_SHOULDERS_DM: Final = 1.0
"""How far brows and beards, and hair on the shoulders, may be from where a stiff head would have them."""
_LASH_ROOTS: Final = 0.45
_INTO_MOUTH_DM: Final = 0.35
_BESIDE_MOUTH_DM: Final = 0.14
_LEAST_GAP_DM: Final = 0.12
"""Lips that touch let some light through."""


@dataclass(slots=True)
class _Drawn:
    surface: Surface
    vertices: Vertices
    """float32[V, 22], see _FIELDS; place, normal and light change with the pose."""
    buffer: moderngl.Buffer
    array: moderngl.VertexArray


@dataclass(slots=True)
class _Bundle:
    strands: Strands
    vertices: Vertices
    """float32[N, K, 2, 20]: place, along, albedo, light, (width, side, with_head, t), lamps."""
    balls: npt.NDArray[np.float64]
    """float64[N, 4]: about each strand at rest, and how far it may be from there."""
    index: npt.NDArray[np.int32]
    """int32[N, I]: the triangles of each."""
    buffer: moderngl.Buffer
    order: moderngl.Buffer
    array: moderngl.VertexArray


@dataclass(frozen=True, slots=True)
class _Opening:
    """How light gets into the mouth."""

    middle: npt.NDArray[np.float64]
    """float64[3]: between the lips, the head not turned."""
    gap_dm: float
    lips_dm: float
    """Between the lips."""


class Figure:
    """One presenter on one OpenGL context. One thread: the context's."""

    def __init__(
        self,
        context: moderngl.Context,
        presenter: Presenter,
        strands: Sequence[Strands],
        camera: npt.NDArray[np.float64],
        baking: Baking | None = None,
        *,
        small: bool = False,
    ) -> None:
        """Load everything; `relit` comes next. `camera`: where the eyes look, float64[3].

        `small`: for crops in which pores can't be seen: light is found at vertices, and of hair only what
        lies within the picture is drawn.
        """
        baking = baking or Baking()
        self._small = small
        self._context = context
        self._presenter = presenter
        self._surface, self._strand = (
            shaders.load_lit(context, name) if small else shaders.load(context, name, name)
            for name in ("surface", "strand")
        )
        self._eye = shaders.load(context, "surface", "eye")
        self._lighting = Lighting(ShadowMaps(context, baking.map_px), presenter, strands, camera, baking)
        own = {_OWN_PROGRAM[s.material] for s in presenter.surfaces if s.material in _OWN_PROGRAM} - {"eye"}
        self._worn = {name: shaders.load(context, "surface", name) for name in sorted(own)}
        self._programs = (self._surface, self._eye, self._strand, *self._worn.values())
        loaded = [self._load(surface) for surface in presenter.surfaces]
        self._drawn = [each for each in loaded if each.surface.material != "lens"]
        self._lenses = [each for each in loaded if each.surface.material == "lens"]
        self._bundles = [self._load_strands(each) for each in strands]

    def relit(self, light: Light, samples: Samples | None = None, *, stirred: bool = True) -> None:
        """Let `light` fall on it, by default finely sampled. Takes a second or some."""
        self._light = light
        self._lighting.bake(samples or light.samples(), stirred=stirred)
        for drawn in self._drawn:
            lit = self._lighting.surfaces.get(drawn.surface.name)
            drawn.vertices[:, _LIGHT] = lit.light if lit else self._lighting.front
            drawn.vertices[:, 15:19] = lit.lamps if lit else 1.0
        for bundle, lit in zip(self._bundles, self._lighting.strands, strict=True):
            shape = bundle.strands.points.shape[:2]
            bundle.vertices[..., _LIGHT] = lit.light.reshape(*shape, 1, 3)
            bundle.vertices[..., 16:20] = lit.lamps.reshape(*shape, 1, -1)
            bundle.buffer.write(np.ascontiguousarray(bundle.vertices))

    def draw(self, posed: Posed, pose: Pose, camera: Camera, target: moderngl.Framebuffer) -> None:
        """Draw into `target`, which is not cleared."""
        target.use()
        self._context.enable_only(moderngl.DEPTH_TEST)
        matrix = np.ascontiguousarray(camera.matrix().T, np.float32)
        for program in self._programs:
            _write(program, "to_clip", matrix)
            _set(program, "eye_place", tuple(camera.place))
            self._set_light(program)
        _set(self._surface, "pores", _PORES)
        _set(self._surface, "weave", _WEAVE)
        _set(self._surface, "freckles", self._presenter.character.skin.freckles)
        _set(self._surface, "eyes_height", float(self._presenter.eyes[0, 1]))
        opening = self._opening(posed)
        for drawn in self._drawn:
            self._move(drawn, posed, pose, opening)
            material = drawn.surface.material
            if material == "eye":
                self._set_eye(drawn.surface, posed)
            elif material in _OWN_PROGRAM:
                _set(self._worn["frame"], "metal", float(material == "metal"))
            else:
                _set(self._surface, "kind", _KINDS[material])
                _set(self._surface, "label", LABELS[material])
            # What turns its back is hidden by the rest, or by skin.
            if self._small and material != "cloth":
                self._context.enable(moderngl.CULL_FACE)
            drawn.array.render()
            self._context.disable(moderngl.CULL_FACE)
        self._draw_strands(posed, pose, camera, target.height)
        for lens in self._lenses:
            # What it mirrors comes on top of what is seen through it.
            self._move(lens, posed, pose, opening)
            self._context.enable(moderngl.BLEND)
            self._context.blend_func = moderngl.ONE, moderngl.ONE
            lens.array.render()

    def leave_out_unseen(self, views: Sequence[tuple[Posed, Pose, Camera]], pixels: int = _VIEW_PX) -> None:
        """Draw from now on only hairs that at least one of these square views shows, `pixels` wide.

        Of a `small` figure that is whole hairs, else pieces of them.
        """
        program = shaders.load(self._context, "strand_number", "number")
        skin = shaders.load(self._context, "depth", "depth")
        size = (pixels, pixels)
        numbers = self._context.texture(size, 1, dtype="f4")
        target = self._context.framebuffer([numbers], self._context.depth_renderbuffer(size))
        for bundle in self._bundles:
            hairs, points = bundle.strands.widths.shape
            counted = points if self._small else 1
            if not self._small and bundle.strands.placed is not None:
                continue  # What follows the skin comes out with it.
            seen = np.zeros(hairs * points // counted + 1, bool)
            layout = [(bundle.buffer, "3f 3f 24x 4f 16x", "place", "along", "shape")]
            strands = self._context.vertex_array(program, layout, bundle.order)
            for posed, pose, camera in views:
                target.clear()
                self._context.enable_only(moderngl.DEPTH_TEST)
                matrix = np.ascontiguousarray(camera.matrix().T, np.float32)
                # A mask counts from the next `use` on.
                target.color_mask = (False,) * 4
                target.use()
                place = self._context.buffer(posed.points["skin"])
                _write(skin, "to_clip", matrix)
                faces = self._drawn[0].array.index_buffer
                self._context.vertex_array(skin, [(place, "3f", "place")], faces).render()
                target.color_mask = (True,) * 4
                target.use()
                _write(program, "to_clip", matrix)
                _set(program, "eye_place", tuple(camera.place))
                _set(program, "min_width", _thinnest(camera, pixels))
                _set(program, "points", counted)
                for name, move in zip(("head", "body"), self._follow(bundle, posed, pose), strict=True):
                    _write(program, name, move.T)
                strands.render()
                seen[np.frombuffer(target.read(components=1, dtype="f4"), np.float32).astype(np.intp)] = True
            if self._small:
                bundle.balls, bundle.index = bundle.balls[seen[1:]], bundle.index[seen[1:]]
                continue
            # A piece has the number of its second point. Their neighbours may show between the views.
            pieces = seen[1:].reshape(hairs, points)[:, 1:]
            near = pieces.copy()
            near[:, 1:] |= pieces[:, :-1]
            near[:, :-1] |= pieces[:, 1:]
            bundle.index = np.ascontiguousarray(bundle.index.reshape(hairs, points - 1, -1)[near])
            bundle.order.write(bundle.index)

    def _draw_strands(self, posed: Posed, pose: Pose, camera: Camera, height: int) -> None:
        _set(self._strand, "min_width", _thinnest(camera, height))
        matrix = camera.matrix()
        for bundle in self._bundles:
            seen = _nearby(bundle, posed, pose, matrix) if self._small else None
            for name, move in zip(("head", "body"), self._follow(bundle, posed, pose), strict=True):
                _write(self._strand, name, move.T)
            _set(self._strand, "shine", bundle.strands.shine)
            _set(self._strand, "kind", _HAIR)
            _set(self._strand, "label", 0 if bundle.strands.placed is None else LABELS["skin"])
            if seen is None:
                bundle.array.render(vertices=bundle.index.size)
            elif seen.any():
                chosen = bundle.index[seen]
                bundle.order.write(chosen)
                bundle.array.render(vertices=chosen.size)

    def _follow(
        self, bundle: _Bundle, posed: Posed, pose: Pose
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Bring hairs to where the skin is that they follow; return what else moves them, see `_moves`."""
        if bundle.strands.placed is None:
            return _moves(posed, pose)
        points = bundle.strands.placed(posed)
        bundle.vertices[..., 0:3] = points[:, :, None]
        bundle.vertices[..., 3:6] = along(points)[:, :, None]
        bundle.buffer.write(np.ascontiguousarray(bundle.vertices))
        return np.eye(4), np.eye(4)

    def _load(self, surface: Surface) -> _Drawn:
        count = len(surface.albedo)
        nothing = np.zeros((count, 3), np.float32)
        coat = np.stack((surface.gloss, surface.inside, surface.lips), 1)
        lamps = np.ones((count, shaders.LAMPS), np.float32)
        columns = (nothing, nothing, surface.albedo, nothing, coat, lamps, surface.local)
        vertices = np.concatenate(columns, 1).astype(np.float32)
        buffer = self._context.buffer(np.ascontiguousarray(vertices))
        own = _OWN_PROGRAM.get(surface.material)
        program = self._eye if own == "eye" else self._worn[own] if own else self._surface
        # What a program does not use, its compiler drops.
        layout = " ".join(f"{n}f" if name in program else f"{4 * n}x" for name, n in _FIELDS)
        names = [name for name, _ in _FIELDS if name in program]
        index = self._context.buffer(triangles(surface.faces))
        array = self._context.vertex_array(program, [(buffer, layout, *names)], index)
        return _Drawn(surface, vertices, buffer, array)

    def _load_strands(self, strands: Strands) -> _Bundle:
        n, k = strands.widths.shape
        t = np.broadcast_to(np.linspace(0, 1, k, dtype=np.float32)[:, None], (n, k, 1))
        columns = (
            strands.points,
            along(strands.points),
            strands.albedo,
            np.zeros((n, k, 3)),
            strands.widths[..., None],
            np.zeros((n, k, 1)),
            strands.with_head[..., None],
            t,
            np.zeros((n, k, shaders.LAMPS)),
        )
        vertices = np.repeat(np.concatenate(columns, -1).astype(np.float32)[:, :, None], 2, 2)
        vertices[..., 13] = (-1.0, 1.0)
        buffer = self._context.buffer(np.ascontiguousarray(vertices))
        order = self._context.buffer(np.ascontiguousarray(quads(n, k)))
        middle = strands.points.mean(1, dtype=np.float64)
        radius = np.linalg.norm(strands.points - middle[:, None], axis=2).max(1)
        radius = radius + _STRAY_DM + _ON_SHOULDERS_DM * (1 - strands.with_head.min(1))
        array = self._context.vertex_array(
            self._strand,
            [(buffer, "3f 3f 3f 3f 4f 4f", "place", "along", "albedo", "light", "shape", "lamps")],
            order,
        )
        balls = np.concatenate((middle, radius[:, None]), 1)
        return _Bundle(strands, vertices, balls, quads(n, k).reshape(n, -1), buffer, order, array)

    def _move(self, drawn: _Drawn, posed: Posed, pose: Pose, opening: _Opening) -> None:
        surface = drawn.surface
        points = posed.points[surface.name]
        drawn.vertices[:, 0:3] = points
        drawn.vertices[:, 3:6] = posed.normals[surface.name]
        if surface.name == "skin":
            drawn.vertices[:, _LIGHT] = self._lighting.skin(pose)
            within = np.flatnonzero(surface.inside)
        elif is_wet(surface):
            drawn.vertices[:, _LIGHT] = self._lighting.front
            within = np.arange(len(points))
        else:
            within = np.zeros(0, np.intp)
        if len(within):
            # Light comes in between the lips and fades with the way.
            local = (points[within] - posed.pivot - posed.offset) @ posed.head + posed.pivot
            depth = np.maximum(opening.middle[2] - local[:, 2], 0.0)
            aside = np.maximum(np.abs(local[:, 1] - opening.middle[1]) - opening.gap_dm * 0.5, 0.0)
            way = depth / (_INTO_MOUTH_DM + 1.2 * opening.gap_dm) + aside / _BESIDE_MOUTH_DM
            # A gap between the lips lets in what it covers of the sky, seen from that deep.
            open_2 = (opening.lips_dm + _LEAST_GAP_DM) ** 2
            dark = self._lighting.front * (1.15 * np.exp(-way) * open_2 / (open_2 + 2 * depth**2))[:, None]
            light = drawn.vertices[within, _LIGHT]
            drawn.vertices[within, _LIGHT] = light + surface.inside[within, None] * (dark - light)
        drawn.buffer.write(np.ascontiguousarray(drawn.vertices))

    def _opening(self, posed: Posed) -> _Opening:
        group = self._presenter.pack.group
        upper, lower = (posed.local_body[group(f"helper-{row}-teeth")] for row in ("upper", "lower"))
        above, below = float(upper[:, 1].min()), float(lower[:, 1].max())
        middle = np.array([0.0, 0.5 * (above + below), float(upper[:, 2].max()) + 0.06])
        return _Opening(middle, max(0.0, above - below), aperture(posed.local_body))

    def _set_eye(self, surface: Surface, posed: Posed) -> None:
        eyes = self._presenter.character.eyes
        side = 0 if surface.name == "eye-left" else 1
        _set(self._eye, "iris", linear(eyes.iris))
        _set(self._eye, "iris_angle", 0.50 * eyes.iris_size)
        _set(self._eye, "front", tuple(self._lighting.front))
        # Read by columns, it arrives transposed: from the world to the eye.
        _write(self._eye, "to_eye", posed.gaze[side])
        _set(self._eye, "lid", self._lids("lr"[side], posed, side))

    def _lids(self, letter: str, posed: Posed, side: int) -> tuple[float, float]:
        """Return the elevations of the upper and the lower lid's rim in the eye's own space, radians."""
        found = []
        for k in (1, 2):
            ring = posed.body[self._presenter.pack.group(f"helper-{letter}-eyelashes-{k}")] - posed.eyes[side]
            away = np.linalg.norm(ring, axis=1)
            # What is nearest carries the lashes' roots.
            near = ring[np.argsort(away)[: math.ceil(_LASH_ROOTS * (len(away) - 1))]] @ posed.gaze[side]
            found.append(np.arctan2(near[:, 1], near[:, 2]))
        found.sort(key=lambda angles: float(angles.mean()))
        return float(found[1].max()), float(found[0].min())

    def _set_light(self, program: moderngl.Program) -> None:
        light = self._light
        _write(program, "lamp_way", np.array([lamp.towards for lamp in light.lamps]))
        _write(program, "lamp_radius", np.radians([lamp.radius_deg for lamp in light.lamps]))
        _write(program, "lamp_light", np.array([lamp.irradiance for lamp in light.lamps]))
        for name, radiance in (("above", light.above), ("level", light.level), ("below", light.below)):
            _set(program, f"room_{name}", tuple(radiance))


def _moves(posed: Posed, pose: Pose) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return where the skull and the shoulders went, float64[4, 4] each."""
    body = np.eye(4)
    body[:3, 3] = 0.05 * pose.shift_cm, 0.035 * 0.5 * (pose.breath + 1), 0.05 * pose.lean_cm
    head = np.eye(4)
    head[:3, :3] = posed.head
    head[:3, 3] = posed.pivot - posed.head @ posed.pivot + posed.offset
    return head, body


def _nearby(
    bundle: _Bundle, posed: Posed, pose: Pose, matrix: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Tell which strands may lie within the picture, bool[N]."""
    head = _moves(posed, pose)[0]
    return within(matrix, bundle.balls[:, :3] @ head[:3, :3].T + head[:3, 3], bundle.balls[:, 3])


def _thinnest(camera: Camera, height: int) -> float:
    """Return how wide a hair is drawn at least, per decimetre of its distance."""
    return float(_THINNEST_PX * 2 * np.tan(np.radians(camera.fov_deg) / 2) / height)


def _set(program: moderngl.Program, name: str, value: object) -> None:
    if uniform := _uniform(program, name):
        uniform.value = value


def _write(program: moderngl.Program, name: str, values: npt.NDArray[np.floating]) -> None:
    if uniform := _uniform(program, name):
        uniform.write(np.ascontiguousarray(values, np.float32))


def _uniform(program: moderngl.Program, name: str) -> moderngl.Uniform | None:
    # What a program does not use, its compiler drops.
    found = program.get(name, None)
    return found if isinstance(found, moderngl.Uniform) else None
