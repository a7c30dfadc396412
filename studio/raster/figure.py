"""Draws a presenter: surfaces and strands, lit by what was baked, as linear colours over nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import moderngl
import numpy as np
import numpy.typing as npt

from studio.character import linear
from studio.pose import Pose
from studio.presenter import Posed, Presenter, Surface
from studio.raster import shaders
from studio.raster.bake import Lit, ShadowMaps, Spread, Vectors
from studio.raster.camera import Camera
from studio.raster.light import Light
from studio.strands import Strands
from studio.subdivide import triangles

_KINDS: Final = {"skin": 0, "cloth": 1, "enamel": 2, "gum": 2, "tongue": 2}
_SKIN_DM: Final = (0.055, 0.022, 0.012)
"""How far red, green and blue travel in skin."""
_CLOTH_DM: Final = (0.01, 0.01, 0.01)
_VERTEX: Final = "3f 3f 3f 3f 2f 4f 3f"
_NAMES: Final = ("place", "normal", "albedo", "light", "surface", "lamps", "local")
_STIRRED: Final = Pose(mouth=np.array([0.6, 0, 0, 0, 0.3, 0, 0], np.float32), lids=(1.0, 1.0))
"""Lids that were folded and lips that were shut are lit as they are in this pose when they move towards it."""
_MOVES_DM: Final = 0.07
_HAIR_CASTS: Final = 4000


@dataclass(slots=True)
class _Drawn:
    surface: Surface
    vertices: npt.NDArray[np.float32]
    """float32[V, 21]: the program's attributes; place, normal and light change with the pose."""
    buffer: moderngl.Buffer
    array: moderngl.VertexArray


@dataclass(slots=True)
class _Bundle:
    strands: Strands
    vertices: npt.NDArray[np.float32]
    buffer: moderngl.Buffer
    array: moderngl.VertexArray


class Figure:
    """One presenter on one OpenGL context. One thread: the context's."""

    def __init__(
        self,
        context: moderngl.Context,
        presenter: Presenter,
        light: Light,
        strands: Sequence[Strands],
        camera: Camera,
    ) -> None:
        """Bake the light; takes some seconds. `camera`: where the eyes look."""
        self._context = context
        self._presenter = presenter
        self._light = light
        self._surface = context.program(vertex_shader=shaders.VERTEX, fragment_shader=shaders.SURFACE)
        self._eye = context.program(vertex_shader=shaders.VERTEX, fragment_shader=shaders.EYE)
        self._strand = context.program(vertex_shader=shaders.STRAND_VERTEX, fragment_shader=shaders.STRAND)
        self._maps = ShadowMaps(context)
        self._at = camera.place
        posed = presenter.posed(Pose(), camera.place)
        self._rest = posed
        self._bake(posed, strands)
        self._bake_stirred(posed, strands)
        self._drawn = [self._load(surface, posed) for surface in presenter.surfaces]
        self._bundles = [
            self._load_strands(each, lit) for each, lit in zip(strands, self._hair_lit, strict=True)
        ]

    def _bake(self, posed: Posed, strands: Sequence[Strands]) -> None:
        casting = self._casting()
        blockers = self._blockers(posed)
        hair_blockers = [_ribbon_mesh(each) for each in strands if each.placed is None]
        points = np.concatenate([posed.points[s.name] for s in casting])
        normals = np.concatenate([posed.normals[s.name] for s in casting])
        lit = self._maps.cast([*blockers, *hair_blockers], (points, normals), self._light, self._bounce())
        self._lit: dict[str, Lit] = {}
        first = 0
        for surface in casting:
            rows = slice(first, first + len(posed.points[surface.name]))
            first = rows.stop
            spread = Spread(surface.faces, posed.points[surface.name])
            way = _SKIN_DM if surface.material == "skin" else _CLOTH_DM
            self._lit[surface.name] = Lit(
                spread.within(lit.light[rows], way), lit.lamps[rows], lit.open[rows]
            )
        face, eyes = posed.points["skin"], self._presenter.eyes[0]
        cheek = (np.abs(face[:, 0]) < 0.6) & (face[:, 2] > eyes[2] - 0.1) & (face[:, 1] > eyes[1] - 0.9)  # noqa: PLR2004
        self._front = self._lit["skin"].light[cheek].mean(0)
        self._hair_lit = [self._light_hair(each, blockers, hair_blockers) for each in strands]

    def _bake_stirred(self, rest: Posed, strands: Sequence[Strands]) -> None:
        """Light the skin that a moved face brings out."""
        posed = self._presenter.posed(_STIRRED, self._at)
        skin = self._presenter.surfaces[0]
        moved = np.linalg.norm(posed.points["skin"] - rest.points["skin"], axis=1)
        self._stirs = np.clip(moved / _MOVES_DM, 0.0, 1.0).astype(np.float32)
        hair = [_ribbon_mesh(each) for each in strands if each.placed is None]
        receivers = (posed.points["skin"], posed.normals["skin"])
        lit = self._maps.cast([*self._blockers(posed), *hair], receivers, self._light, self._bounce())
        now = Spread(skin.faces, posed.points["skin"]).within(lit.light, _SKIN_DM)
        self._stirred = self._stirs[:, None] * (now - self._lit["skin"].light)
        # Lids lie above the middle between eyes and mouth, lips below.
        half = 0.5 * (self._presenter.eyes[0, 1] + self._presenter.places.mouth[1])
        place = rest.points["skin"]
        upper = place[:, 1] > half
        self._lid_rows = [np.flatnonzero(upper & (moved > 0) & (side * place[:, 0] > 0)) for side in (-1, 1)]
        self._mouth_rows = np.flatnonzero(~upper & (moved > 0))

    def _casting(self) -> list[Surface]:
        return [s for s in self._presenter.surfaces if s.material in {"skin", "cloth"}]

    def _blockers(self, posed: Posed) -> list[tuple[Vectors, npt.NDArray[np.int32]]]:
        return [(posed.points[s.name], triangles(s.faces)) for s in self._casting()]

    def _bounce(self) -> npt.NDArray[np.float64]:
        return np.asarray(np.concatenate([s.albedo for s in self._casting()]).mean(0) * 1.3, np.float64)

    def _light_hair(
        self,
        strands: Strands,
        blockers: list[tuple[Vectors, npt.NDArray[np.int32]]],
        hair: list[tuple[Vectors, npt.NDArray[np.int32]]],
    ) -> Lit:
        points = strands.points.reshape(-1, 3)
        if strands.placed is not None:
            count = len(points)
            light = np.tile(self._front, (count, 1)).astype(np.float32)
            return Lit(
                light, np.full((count, len(self._light.lamps)), 0.7, np.float32), np.ones(count, np.float32)
            )
        # A hair has no one normal: what leans out of the bulk is lit as the bulk's surface is.
        middle = np.array([0.0, self._presenter.eyes[0, 1] + 0.25, 0.15])
        out = points - middle
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        lit = self._maps.cast(
            [*blockers, *hair],
            (points + 0.05 * out.astype(np.float32), out.astype(np.float32)),
            self._light,
            np.array([0.1, 0.08, 0.06]),
        )
        soft = 0.75 * lit.light + 0.25 * lit.light.mean(0)
        return Lit(soft.astype(np.float32), lit.lamps, lit.open)

    def _load(self, surface: Surface, posed: Posed) -> _Drawn:
        count = len(surface.albedo)
        lit = self._lit.get(surface.name)
        light = lit.light if lit else np.tile(self._front, (count, 1)).astype(np.float32)
        lamps = lit.lamps if lit else np.ones((count, shaders.LAMPS), np.float32)
        vertices = np.concatenate(
            (
                posed.points[surface.name],
                posed.normals[surface.name],
                surface.albedo,
                light,
                surface.gloss[:, None],
                surface.inside[:, None],
                lamps,
                surface.local,
            ),
            1,
        ).astype(np.float32)
        buffer = self._context.buffer(np.ascontiguousarray(vertices))
        program = self._eye if surface.material == "eye" else self._surface
        index = self._context.buffer(triangles(surface.faces))
        used = [(fmt, name) for fmt, name in zip(_VERTEX.split(), _NAMES, strict=True)]
        layout = " ".join(fmt if name in program else _gap(fmt) for fmt, name in used)
        names = [name for _, name in used if name in program]
        array = self._context.vertex_array(program, [(buffer, layout, *names)], index)
        return _Drawn(surface, vertices, buffer, array)

    def _load_strands(self, strands: Strands, lit: Lit) -> _Bundle:
        n, k = strands.widths.shape
        place, along = strands.points, _along(strands.points)
        t = np.broadcast_to(np.linspace(0, 1, k, dtype=np.float32), (n, k))
        each = np.concatenate(
            (
                place,
                along,
                strands.albedo,
                lit.light.reshape(n, k, 3),
                strands.widths[..., None],
                np.zeros((n, k, 1), np.float32),
                strands.with_head[..., None],
                t[..., None],
                lit.lamps.reshape(n, k, -1),
            ),
            -1,
        ).astype(np.float32)
        vertices = np.repeat(each[:, :, None], 2, 2)
        vertices[:, :, 0, 13], vertices[:, :, 1, 13] = -1.0, 1.0
        buffer = self._context.buffer(np.ascontiguousarray(vertices))
        row = np.arange(n * k, dtype=np.int32).reshape(n, k)[:, :-1].ravel() * 2
        quads = np.stack((row, row + 1, row + 2, row + 1, row + 3, row + 2), 1)
        array = self._context.vertex_array(
            self._strand,
            [(buffer, "3f 3f 3f 3f 4f 4f", "place", "along", "albedo", "light", "shape", "lamps")],
            self._context.buffer(np.ascontiguousarray(quads, np.int32)),
        )
        return _Bundle(strands, vertices, buffer, array)

    def draw(self, posed: Posed, pose: Pose, camera: Camera, target: moderngl.Framebuffer) -> None:
        """Draw into `target`, which is not cleared."""
        target.use()
        self._context.enable_only(moderngl.DEPTH_TEST)
        matrix = np.ascontiguousarray(camera.matrix().T, np.float32)
        for program in (self._surface, self._eye, self._strand):
            program["to_clip"].write(matrix)
            _set(program, "eye_place", tuple(camera.place))
            self._set_light(program)
        shade, lip = self._mouth(posed)
        for drawn in self._drawn:
            self._update(drawn, posed, pose, shade, lip)
            if drawn.surface.material == "eye":
                self._set_eye(drawn.surface, posed, pose)
            else:
                _set(self._surface, "kind", _KINDS[drawn.surface.material])
                _set(self._surface, "pores", 0.10)
                _set(self._surface, "freckles", self._presenter.character.skin.freckles)
                _set(self._surface, "weave", 0.35)
            drawn.array.render()
        self._strand["head"].write(_matrix4(posed.head, posed.pivot, posed.offset))
        breath = 0.035 * 0.5 * (pose.breath + 1)
        body = np.eye(4, dtype=np.float32)
        body[:3, 3] = np.array([0.05 * pose.shift_cm, breath, 0.05 * pose.lean_cm])
        self._strand["body"].write(np.ascontiguousarray(body.T))
        _set(self._strand, "min_width", 0.7 * 2 * np.tan(np.radians(camera.fov_deg) / 2) / target.height)
        for bundle in self._bundles:
            _set(self._strand, "shine", bundle.strands.shine)
            self._place(bundle, posed)
            bundle.array.render()

    def _place(self, bundle: _Bundle, posed: Posed) -> None:
        if bundle.strands.placed is None:
            return
        points = bundle.strands.placed(posed)
        bundle.vertices[..., 0:3] = points[:, :, None]
        bundle.vertices[..., 3:6] = _along(points)[:, :, None]
        bundle.buffer.write(np.ascontiguousarray(bundle.vertices))
        self._strand["head"].write(np.eye(4, dtype=np.float32))
        self._strand["body"].write(np.eye(4, dtype=np.float32))

    def _update(
        self,
        drawn: _Drawn,
        posed: Posed,
        pose: Pose,
        shade: npt.NDArray[np.float64],
        lip: npt.NDArray[np.float64],
    ) -> None:
        name = drawn.surface.name
        points = posed.points[name]
        drawn.vertices[:, 0:3] = points
        drawn.vertices[:, 3:6] = posed.normals[name]
        inside = drawn.surface.inside
        if inside.any():
            # Light comes in between the lips and fades with the way.
            local = (points - posed.pivot - posed.offset) @ posed.head + posed.pivot
            depth = np.maximum(lip[2] - local[:, 2], 0.0)
            off = np.maximum(np.abs(local[:, 1] - lip[1]) - shade[1] * 0.5, 0.0)
            fade = np.exp(-depth / (0.35 + 1.2 * shade[1]) - off / 0.14) * shade[0]
            dark = self._front * fade[:, None]
            lit = self._lit.get(name)
            base = self._skin_light(pose) if name == "skin" else lit.light if lit else self._front[None]
            drawn.vertices[:, 9:12] = base + inside[:, None] * (dark - base)
        drawn.buffer.write(np.ascontiguousarray(drawn.vertices))

    def _skin_light(self, pose: Pose) -> Vectors:
        found = self._lit["skin"].light.copy()
        opened = float(np.clip(pose.mouth[0] / _STIRRED.mouth[0] + 0.7 * pose.mouth[4], 0, 1))
        for rows, weight in (
            (self._lid_rows[0], pose.lids[0]),
            (self._lid_rows[1], pose.lids[1]),
            (self._mouth_rows, opened),
        ):
            if weight > 0:
                found[rows] += np.float32(min(weight, 1.0)) * self._stirred[rows]
        return found

    def _mouth(self, posed: Posed) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return (brightness, opening in dm) of the mouth, and the middle of the lips before the head turned."""
        pack = self._presenter.pack
        teeth = posed.local_body[pack.group("helper-upper-teeth")]
        lower = posed.local_body[pack.group("helper-lower-teeth")]
        gap = max(0.0, float(teeth[:, 1].min() - lower[:, 1].max()))
        middle = np.array([0.0, 0.5 * (teeth[:, 1].min() + lower[:, 1].max()), teeth[:, 2].max() + 0.12])
        return np.array([1.15, gap]), middle

    def _set_eye(self, surface: Surface, posed: Posed, pose: Pose) -> None:
        eyes = self._presenter.character.eyes
        _set(self._eye, "iris", linear(eyes.iris))
        _set(self._eye, "iris_angle", 0.50 * eyes.iris_size)
        _set(self._eye, "front", tuple(self._front))
        side = 0 if surface.name == "eye-left" else 1
        turn = posed.gaze[side]
        # Read by columns, it arrives transposed: from the world to the eye.
        self._eye["to_eye"].write(np.ascontiguousarray(turn, np.float32))
        _set(self._eye, "lid", self._lids(surface, posed, posed.eyes[side], turn))

    def _lids(
        self, surface: Surface, posed: Posed, middle: npt.NDArray[np.float64], turn: npt.NDArray[np.float64]
    ) -> tuple[float, float]:
        side = "l" if surface.name == "eye-left" else "r"
        rows = [self._presenter.pack.group(f"helper-{side}-eyelashes-{k}") for k in (1, 2)]
        found = []
        for group in rows:
            ring = posed.body[group] - middle
            away = np.linalg.norm(ring, axis=1)
            near = (ring[away < np.percentile(away, 45)]) @ turn
            found.append(np.arctan2(near[:, 1], near[:, 2]))
        top = max(found, key=lambda angles: float(np.mean(angles)))
        low = min(found, key=lambda angles: float(np.mean(angles)))
        return float(np.max(top)), float(np.min(low))

    def _set_light(self, program: moderngl.Program) -> None:
        lamps = self._light.lamps
        _write(program, "lamp_way", np.array([lamp.towards for lamp in lamps]))
        _write(program, "lamp_radius", np.radians([lamp.radius_deg for lamp in lamps]))
        _write(program, "lamp_light", np.array([lamp.irradiance for lamp in lamps]))
        _set(program, "room_above", tuple(self._light.above))
        _set(program, "room_level", tuple(self._light.level))
        _set(program, "room_below", tuple(self._light.below))


def _gap(fmt: str) -> str:
    return f"{int(fmt[0]) * 4}x"


def _along(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    found = np.gradient(points, axis=1)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=-1, keepdims=True), 1e-9), np.float32)


def _ribbon_mesh(strands: Strands) -> tuple[Vectors, npt.NDArray[np.int32]]:
    """Return hairs as crossed ribbons that cast shadows: fewer and wider, as much hair in all."""
    n, k = strands.widths.shape
    step = max(1, n // _HAIR_CASTS)
    points = strands.points[::step]
    widths = strands.widths[::step] * step * 0.45
    along = _along(points)
    middle = points.reshape(-1, 3).mean(0)
    out = points - middle
    side = np.cross(along, out)
    side /= np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-9)
    half = side * np.minimum(widths, 0.05)[..., None] * 0.5
    both = np.stack((points - half, points + half), 2).reshape(-1, 3).astype(np.float32)
    n = len(points)
    row = np.arange(n * k, dtype=np.int32).reshape(n, k)[:, :-1].ravel() * 2
    return both, np.stack((row, row + 1, row + 2, row + 1, row + 3, row + 2), 1).reshape(-1, 3)


def _matrix4(
    turn: npt.NDArray[np.float64], pivot: npt.NDArray[np.float64], offset: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    found = np.eye(4)
    found[:3, :3] = turn
    found[:3, 3] = pivot - turn @ pivot + offset
    return np.ascontiguousarray(found.T, np.float32)


def _set(program: moderngl.Program, name: str, value: object) -> None:
    # What a program does not use, its compiler drops.
    if name in program:
        program[name].value = value


def _write(program: moderngl.Program, name: str, values: npt.NDArray[np.float64]) -> None:
    if name in program:
        program[name].write(np.ascontiguousarray(values, np.float32))
