"""Builds a scene in Blender's module and path-traces it. Nothing else here knows Blender.

The module publishes no types, and is no package of the project's own environment (it wants a Python of one
version): it is imported when a room is rendered.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from studio.pack import StudioError
from studio.sets.framing import SENSOR_WIDTH_MM, View
from studio.sets.palette import Rgb
from studio.sets.scene import Light, Material, Scene, Thing
from studio.sets.shapes import Mesh

_REMEDY: Final = (
    "Install bpy 4.2 into a Python 3.11 of its own, and run this command with it (studio/README.md)"
)


@dataclass(frozen=True, slots=True)
class Quality:
    """What a picture may cost."""

    samples: int = 128
    """Paths per pixel at most; pixels that are done earlier stop."""
    threads: int = 0
    """0: one per core."""


class Stage:
    """One scene inside Blender. There is only one at a time in a process: a new one removes the last."""

    def __init__(self, scene: Scene, view: View, quality: Quality) -> None:
        """Build everything; takes a second or two. Raises StudioError when Blender's module is missing."""
        try:
            self._bpy: Any = importlib.import_module("bpy")
        except ImportError as e:
            raise StudioError("Blender's module bpy", f"can't be loaded ({e})", _REMEDY) from None
        self._bpy.ops.wm.read_factory_settings(use_empty=True)
        self._view = view
        self._meshes: dict[int, Any] = {}
        self._materials: dict[Material, Any] = {}
        self._blender = self._bpy.context.scene
        self._set_up(scene, quality)
        for thing in scene.things:
            self._place(thing)
        for light in scene.lights:
            self._shine(light)

    def picture(self, width: int, height: int, path: Path) -> None:
        """Render what the camera sees as an 8-bit PNG. Blocks for minutes."""
        bpy, scene, view = self._bpy, self._blender, self._view
        data = bpy.data.cameras.new("camera")
        data.sensor_width, data.lens = SENSOR_WIDTH_MM, view.focal_mm
        data.shift_y = view.lens_shift
        data.dof.use_dof, data.dof.focus_distance = True, view.distance_m
        data.dof.aperture_fstop, data.dof.aperture_blades = view.f_number, 0
        self._look_through(data, view.place)
        scene.render.resolution_x, scene.render.resolution_y = width, height
        settings = scene.render.image_settings
        settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "8"
        self._render(path)

    def panorama(
        self, place: tuple[float, float, float], width: int, samples: int
    ) -> npt.NDArray[np.float32]:
        """Return the light around `place`, float32[width / 2, width, 3]: row 0 up, the set in the middle."""
        bpy, scene = self._bpy, self._blender
        data = bpy.data.cameras.new("panorama")
        data.type = "PANO"
        data.panorama_type = "EQUIRECTANGULAR"
        self._look_through(data, place)
        for thing in bpy.data.objects:
            thing.visible_camera = True
        scene.render.resolution_x, scene.render.resolution_y = width, width // 2
        scene.cycles.samples = samples
        settings = scene.render.image_settings
        settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGB", "32"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "around.exr"
            self._render(path)
            image = bpy.data.images.load(str(path))
            values = np.empty(width * (width // 2) * 4, np.float32)
            image.pixels.foreach_get(values)
        rows = values.reshape(width // 2, width, 4)[::-1, :, :3]
        return np.maximum(rows, 0.0)

    def _render(self, path: Path) -> None:
        self._blender.render.filepath = str(path)
        self._bpy.ops.render.render(write_still=True)

    def _look_through(self, data: Any, place: tuple[float, float, float]) -> None:  # noqa: ANN401 - Blender's
        camera = self._bpy.data.objects.new(data.name, data)
        camera.location = place
        camera.rotation_euler = (np.pi / 2, 0, 0)  # level, along y
        self._blender.collection.objects.link(camera)
        self._blender.camera = camera

    def _set_up(self, scene: Scene, quality: Quality) -> None:
        blender = self._blender
        blender.render.engine = "CYCLES"
        blender.render.resolution_percentage = 100
        blender.render.use_persistent_data = True
        if quality.threads:
            blender.render.threads_mode, blender.render.threads = "FIXED", quality.threads
        cycles = blender.cycles
        cycles.device = "CPU"
        cycles.samples = quality.samples
        cycles.use_adaptive_sampling, cycles.adaptive_threshold = True, 0.03
        # A small bright disc is found by few paths: a pixel must not be given up before.
        cycles.adaptive_min_samples = max(8, quality.samples // 2)
        cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
        cycles.denoising_input_passes, cycles.denoising_prefilter = "RGB_ALBEDO_NORMAL", "ACCURATE"
        cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 7, 5, 3
        cycles.transmission_bounces = 5
        cycles.sample_clamp_indirect = 6.0
        cycles.caustics_reflective = cycles.caustics_refractive = False
        cycles.film_exposure = 2.0**scene.exposure
        blender.view_settings.view_transform = scene.film
        blender.view_settings.look = scene.look
        world = self._bpy.data.worlds.new("world")
        world.use_nodes = True
        world.node_tree.nodes["Background"].inputs["Color"].default_value = (*scene.world, 1.0)
        blender.world = world

    def _place(self, thing: Thing) -> None:
        data = self._meshes.get(id(thing.mesh))
        material = self._material(thing.material)
        if data is None:
            data = self._meshes[id(thing.mesh)] = _mesh(self._bpy, thing.mesh)
            data.materials.append(material)
        made = self._bpy.data.objects.new("thing", data)
        made.material_slots[0].link = "OBJECT"  # the mesh may be somebody else's too
        made.material_slots[0].material = material
        self._blender.collection.objects.link(made)
        made.matrix_world = _matrix(thing.matrix)
        made.visible_camera = thing.in_picture
        if thing.bevel_m:
            bevel = made.modifiers.new("bevel", "BEVEL")
            bevel.width, bevel.segments, bevel.limit_method = thing.bevel_m, 3, "ANGLE"
            bevel.harden_normals = False

    def _shine(self, light: Light) -> None:
        bpy = self._bpy
        data = bpy.data.lights.new("light", light.kind.upper())
        data.energy, data.color = light.power_w, light.colour
        if light.kind == "area":
            data.shape, data.size, data.size_y = "RECTANGLE", light.size_m[0], light.size_m[1]
            data.spread = np.radians(light.spread_deg)
        else:
            data.shadow_soft_size = light.size_m[0]
        if light.kind == "spot":
            data.spot_size, data.spot_blend = np.radians(light.spread_deg), 1.0
        made = bpy.data.objects.new("light", data)
        self._blender.collection.objects.link(made)
        made.matrix_world = _matrix(_aimed(np.array(light.place), np.array(light.target)))
        made.visible_camera = False

    def _material(self, material: Material) -> Any:  # noqa: ANN401 - Blender's
        if material not in self._materials:
            made = self._bpy.data.materials.new(material.kind)
            made.use_nodes = True
            made.node_tree.nodes.clear()
            nodes = _Nodes(made.node_tree)
            _RECIPES[material.kind](nodes, material)
            self._materials[material] = made
        return self._materials[material]


def _matrix(matrix: npt.NDArray[np.float64]) -> Any:  # noqa: ANN401 - Blender's
    return importlib.import_module("mathutils").Matrix(matrix.tolist())


def _aimed(place: npt.NDArray[np.float64], target: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the matrix of a light at `place` that shines along its own -z towards `target`."""
    back = place - target
    back = back / max(1e-9, float(np.linalg.norm(back)))
    up = np.array([0.0, 1.0, 0.0]) if abs(back[2]) > 0.99 else np.array([0.0, 0.0, 1.0])
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    found = np.eye(4)
    found[:3, :3] = np.stack((right, np.cross(back, right), back), -1)
    found[:3, 3] = place
    return found


def _mesh(bpy: Any, mesh: Mesh) -> Any:  # noqa: ANN401 - Blender's
    data = bpy.data.meshes.new("mesh")
    data.from_pydata(mesh.points.tolist(), [], list(mesh.faces))
    if mesh.smooth:
        data.polygons.foreach_set("use_smooth", [True] * len(data.polygons))
    data.update()
    return data


class _Nodes:
    """A material's nodes, made with less ado."""

    def __init__(self, tree: Any) -> None:  # noqa: ANN401 - Blender's
        self._tree = tree
        self._out = tree.nodes.new("ShaderNodeOutputMaterial")

    def node(self, kind: str, inputs: dict[str | int, Any], **settings: Any) -> Any:  # noqa: ANN401 - Blender's
        """Add a node; an input that is a socket is linked, any other value is set."""
        made = self._tree.nodes.new(f"ShaderNode{kind}")
        for key, value in settings.items():
            setattr(made, key, value)
        for name, value in inputs.items():
            if hasattr(value, "is_output"):
                self._tree.links.new(value, made.inputs[name])
            else:
                made.inputs[name].default_value = value
        return made

    def surface(self, socket: Any) -> None:  # noqa: ANN401 - Blender's
        """Make `socket` the material."""
        self._tree.links.new(socket, self._out.inputs["Surface"])

    def varied(self, colour: Rgb, second: Rgb, scale: tuple[float, float, float], detail: float = 4.0) -> Any:  # noqa: ANN401
        """Return a colour that wanders between two over a thing's own space; `scale` is per metre."""
        where = self.node("TexCoord", {})
        stretched = self.node("Mapping", {"Vector": where.outputs["Object"], "Scale": scale})
        noise = self.node("TexNoise", {"Vector": stretched.outputs["Vector"], "Scale": 1.0, "Detail": detail})
        ramp = self.node("ValToRGB", {"Fac": noise.outputs["Fac"]})
        for element, place, tone in zip(
            ramp.color_ramp.elements, (0.32, 0.68), (second, colour), strict=True
        ):
            element.position, element.color = place, (*tone, 1.0)
        return ramp.outputs["Color"]

    def principled(self, colour: Any, roughness: float, **more: float) -> Any:  # noqa: ANN401 - Blender's
        """Return an ordinary surface."""
        base = (*colour, 1.0) if isinstance(colour, tuple) else colour
        inputs: dict[str | int, Any] = {"Base Color": base, "Roughness": roughness}
        inputs |= {name.replace("_", " ").title(): value for name, value in more.items()}
        return self.node("BsdfPrincipled", inputs).outputs["BSDF"]

    def mixed(self, share: float, first: Any, second: Any) -> Any:  # noqa: ANN401 - Blender's
        """Return two surfaces in one."""
        return self.node("MixShader", {0: share, 1: first, 2: second}).outputs[0]


def _darker(colour: Rgb, share: float) -> Rgb:
    red, green, blue = (c * share for c in colour)
    return red, green, blue


def _matte(nodes: _Nodes, m: Material) -> None:
    nodes.surface(nodes.principled(nodes.varied(m.colour, _darker(m.colour, 0.86), (9, 9, 9)), m.roughness))


def _plaster(nodes: _Nodes, m: Material) -> None:
    nodes.surface(nodes.principled(nodes.varied(m.colour, _darker(m.colour, 0.9), (1.3, 1.3, 1.3)), 0.85))


def _wood(nodes: _Nodes, m: Material) -> None:
    grain = nodes.varied(m.colour, m.second or _darker(m.colour, 0.6), (3.0, 22.0, 22.0), 6.0)
    nodes.surface(nodes.principled(grain, m.roughness))


def _fabric(nodes: _Nodes, m: Material) -> None:
    tone = nodes.varied(m.colour, _darker(m.colour, 0.8), (60, 60, 60), 2.0)
    nodes.surface(nodes.principled(tone, 0.95, sheen_weight=0.35))


def _leaf(nodes: _Nodes, m: Material) -> None:
    tone = nodes.varied(m.colour, _darker(m.colour, 0.72), (14, 14, 14), 2.0)
    red, green, blue = m.colour
    through = (min(1.0, red * 1.7), min(1.0, green * 1.5), blue * 0.7, 1.0)
    lit = nodes.node("BsdfTranslucent", {"Color": through}).outputs[0]
    nodes.surface(nodes.mixed(0.3, nodes.principled(tone, m.roughness), lit))


def _ceramic(nodes: _Nodes, m: Material) -> None:
    nodes.surface(nodes.principled(nodes.varied(m.colour, _darker(m.colour, 0.9), (16, 16, 16)), m.roughness))


def _metal(nodes: _Nodes, m: Material) -> None:
    nodes.surface(nodes.principled(m.colour, m.roughness, metallic=1.0))


def _glow(nodes: _Nodes, m: Material) -> None:
    shine = nodes.node("Emission", {"Color": (*m.colour, 1.0), "Strength": m.strength})
    nodes.surface(shine.outputs[0])


def _shade(nodes: _Nodes, m: Material) -> None:
    through = nodes.node("BsdfTranslucent", {"Color": (*m.colour, 1.0)}).outputs[0]
    both = nodes.mixed(0.6, nodes.principled(m.colour, 0.9), through)
    if m.strength:
        shine = nodes.node("Emission", {"Color": (*(m.second or m.colour), 1.0), "Strength": m.strength})
        both = nodes.node("AddShader", {0: both, 1: shine.outputs[0]}).outputs[0]
    nodes.surface(both)


def _sky(nodes: _Nodes, m: Material) -> None:
    where = nodes.node("TexCoord", {})
    parts = nodes.node("SeparateXYZ", {"Vector": where.outputs["Generated"]})
    ramp = nodes.node("ValToRGB", {"Fac": parts.outputs["Z"]})
    for element, tone in zip(ramp.color_ramp.elements, (m.second or m.colour, m.colour), strict=True):
        element.color = (*tone, 1.0)
    shine = nodes.node("Emission", {"Color": ramp.outputs["Color"], "Strength": m.strength})
    nodes.surface(shine.outputs[0])


def _glass(nodes: _Nodes, m: Material) -> None:
    nodes.surface(nodes.principled(m.colour, m.roughness, transmission_weight=1.0))


_RECIPES: Final[dict[str, Callable[[_Nodes, Material], None]]] = {
    "matte": _matte,
    "plaster": _plaster,
    "wood": _wood,
    "fabric": _fabric,
    "leaf": _leaf,
    "ceramic": _ceramic,
    "metal": _metal,
    "glow": _glow,
    "shade": _shade,
    "sky": _sky,
    "glass": _glass,
}
