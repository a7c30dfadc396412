"""Path-traces one exported moment: `python traced_blender.py IN.npz OUT.npz SAMPLES THREADS`.

A program of its own for an interpreter that has Blender's module; it knows nothing of the rest of the studio,
and the studio only starts it. What it reads is described in `traced_scene.export`; it writes `colour`
float32[S, S, 4] (linear, times alpha), `albedo` float32[S, S, 3], `mark` uint8[S, S, 2] (label, region) at
pixel centres, `landmarks` float32[N, 2] in pixels and `seconds` (of a processor, for `colour`).
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

_BOUNCES = 5
_NOISE = 0.08
_ALBEDO_SAMPLES = 16
_MARKS = 16.0
"""Labels and regions are rendered as this part of white."""


class Tracer:
    """One moment inside Blender."""

    def __init__(self, moment: Any, samples: int, threads: int) -> None:  # noqa: ANN401 - an open npz
        """Build everything."""
        self.bpy = importlib.import_module("bpy")
        self.bpy.ops.wm.read_factory_settings(use_empty=True)
        self.moment, self.samples = moment, samples
        self.scene = self.bpy.context.scene
        self.materials: list[dict[str, Any]] = []
        self._set_up(threads)
        self._shine()
        self._look()
        self.eye = self._picture("eye", moment["eye"])
        for k, material in enumerate(moment["materials"]):
            self._mesh(k, str(material))
        for k in range(int(moment["hairs"])):
            self._hair(k)

    def colour(self) -> np.ndarray:
        """Return the picture, float32[S, S, 4]."""
        cycles = self.scene.cycles
        cycles.samples, cycles.use_denoising = self.samples, True
        self.scene.render.filter_size = 1.0
        return self._render("surface")

    def albedo(self) -> np.ndarray:
        """Return the paint as seen, float32[S, S, 4]."""
        cycles = self.scene.cycles
        cycles.samples, cycles.use_denoising = _ALBEDO_SAMPLES, False
        return self._render("albedo")

    def mark(self) -> np.ndarray:
        """Return label and region at pixel centres, uint8[S, S, 2]."""
        cycles = self.scene.cycles
        cycles.samples, cycles.use_denoising = 1, False
        cycles.pixel_filter_type, cycles.filter_width = "BOX", 0.01
        return np.rint(self._render("mark")[..., :2] * _MARKS).astype(np.uint8)

    def landmarks(self) -> np.ndarray:
        """Return where Blender's camera sees the landmarks, float32[N, 2]."""
        view = importlib.import_module("bpy_extras.object_utils").world_to_camera_view
        vector = importlib.import_module("mathutils").Vector
        self.bpy.context.view_layer.update()
        seen = [view(self.scene, self.scene.camera, vector(p)) for p in self.moment["landmarks"].tolist()]
        size = int(self.moment["size"])
        return np.array([(p.x * size, (1 - p.y) * size) for p in seen], np.float32)

    def _set_up(self, threads: int) -> None:
        scene, size = self.scene, int(self.moment["size"])
        scene.render.engine = "CYCLES"
        scene.render.resolution_x = scene.render.resolution_y = size
        scene.render.resolution_percentage = 100
        scene.render.film_transparent = True
        scene.render.threads_mode, scene.render.threads = "FIXED", threads
        settings = scene.render.image_settings
        settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
        cycles = scene.cycles
        cycles.device = "CPU"
        cycles.use_adaptive_sampling = True
        cycles.adaptive_threshold, cycles.adaptive_min_samples = _NOISE, 8
        cycles.denoiser, cycles.denoising_input_passes = "OPENIMAGEDENOISE", "RGB_ALBEDO_NORMAL"
        cycles.max_bounces = cycles.diffuse_bounces = _BOUNCES
        cycles.glossy_bounces = cycles.transmission_bounces = 4
        cycles.pixel_filter_type, cycles.filter_width = "BOX", 1.0
        cycles.sample_clamp_indirect = 6.0
        scene.cycles_curves.shape, scene.cycles_curves.subdivisions = "RIBBONS", 1

    def _look(self) -> None:
        data = self.bpy.data.cameras.new("camera")
        data.sensor_fit, data.angle = "HORIZONTAL", float(np.radians(self.moment["angle_deg"]))
        data.shift_x, data.shift_y = (float(v) for v in self.moment["shift"])
        data.clip_start, data.clip_end = 0.5, 200.0
        camera = self.bpy.data.objects.new("camera", data)
        self.scene.collection.objects.link(camera)
        camera.matrix_world = importlib.import_module("mathutils").Matrix(self.moment["matrix"].tolist())
        self.scene.camera = camera

    def _shine(self) -> None:
        world = self.bpy.data.worlds.new("world")
        world.use_nodes = True
        tree = world.node_tree
        around = tree.nodes.new("ShaderNodeTexEnvironment")
        around.image = self._picture("environment", self.moment["environment"])
        tree.links.new(around.outputs["Color"], tree.nodes["Background"].inputs["Color"])
        self.scene.world = world

    def _picture(self, name: str, pixels: np.ndarray) -> Any:  # noqa: ANN401 - Blender's
        height, width = pixels.shape[:2]
        image = self.bpy.data.images.new(name, width, height, alpha=False, float_buffer=True, is_data=True)
        full = np.ones((height, width, 4), np.float32)
        full[..., :3] = pixels[::-1]
        image.pixels.foreach_set(full.ravel())
        image.update()
        image.pack()
        return image

    def _mesh(self, k: int, material: str) -> None:
        def of(what: str) -> Any:  # noqa: ANN401 - an array
            return self.moment[f"mesh_{k}_{what}"]

        mesh = self.bpy.data.meshes.new("mesh")
        mesh.from_pydata(of("points").tolist(), [], of("triangles").tolist())
        mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
        _paint(mesh, "albedo", of("albedo"))
        _paint(mesh, "coat", of("coat"))
        _paint(mesh, "place", np.pad(of("uv"), ((0, 0), (0, 1))))
        mesh.update()
        mesh.normals_split_custom_set_from_vertices(of("normals").tolist())
        self._link(mesh, _RECIPES[material], of("mark"), skin=material == "skin")

    def _hair(self, k: int) -> None:
        points, radii = self.moment[f"hair_{k}_points"], self.moment[f"hair_{k}_radii"]
        curves = self.bpy.data.hair_curves.new("hair")
        curves.add_curves([points.shape[1]] * len(points))
        curves.attributes["position"].data.foreach_set("vector", points.ravel())
        radius = curves.attributes.get("radius") or curves.attributes.new("radius", "FLOAT", "POINT")
        radius.data.foreach_set("value", radii.ravel())
        _paint(curves, "albedo", self.moment[f"hair_{k}_albedo"].reshape(-1, 3))
        self._link(curves, _hair_recipe, self.moment[f"hair_{k}_mark"])

    def _link(self, data: Any, recipe: Any, mark: np.ndarray, *, skin: bool = False) -> None:  # noqa: ANN401
        material = self.bpy.data.materials.new("material")
        material.use_nodes = True
        material.node_tree.nodes.clear()
        nodes = Nodes(material.node_tree)
        surface, paint = recipe(nodes, self)
        self.materials.append(
            {
                "tree": material.node_tree,
                "out": nodes.new("OutputMaterial"),
                "surface": surface,
                "albedo": nodes.add("Emission", Color=paint).outputs[0],
                "mark": nodes.add("Emission", Color=_marked(nodes, mark, skin=skin)).outputs[0],
            }
        )
        data.materials.append(material)
        self.scene.collection.objects.link(self.bpy.data.objects.new("thing", data))

    def _render(self, what: str) -> np.ndarray:
        for material in self.materials:
            material["tree"].links.new(material[what], material["out"].inputs["Surface"])
        size = int(self.moment["size"])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture.exr"
            self.scene.render.filepath = str(path)
            self.bpy.ops.render.render(write_still=True)
            image = self.bpy.data.images.load(str(path))
            image.colorspace_settings.is_data = True
            values = np.empty(size * size * 4, np.float32)
            image.pixels.foreach_get(values)
            self.bpy.data.images.remove(image)
        return np.ascontiguousarray(values.reshape(size, size, 4)[::-1])


class Nodes:
    """A material's nodes, made with less ado."""

    def __init__(self, tree: Any) -> None:  # noqa: ANN401 - Blender's
        self.tree = tree

    def new(self, kind: str) -> Any:  # noqa: ANN401 - Blender's
        """Return a new node."""
        return self.tree.nodes.new(f"ShaderNode{kind}")

    def add(self, kind: str, **inputs: Any) -> Any:  # noqa: ANN401 - Blender's
        """Return a new node; inputs that are sockets are linked, others set. `_` stands for a blank."""
        made = self.new(kind)
        for name, value in inputs.items():
            self.put(made.inputs[name.replace("_", " ")], value)
        return made

    def put(self, socket: Any, value: Any) -> None:  # noqa: ANN401 - Blender's
        """Link or set an input."""
        if hasattr(value, "is_output"):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def math(self, operation: str, *values: Any) -> Any:  # noqa: ANN401 - Blender's
        """Return the result of an operation on sockets or numbers."""
        made = self.new("Math")
        made.operation = operation
        for socket, value in zip(made.inputs, values, strict=False):
            self.put(socket, value)
        return made.outputs[0]

    def attribute(self, name: str, output: str = "Color") -> Any:  # noqa: ANN401 - Blender's
        """Return a vertex's own value."""
        made = self.new("Attribute")
        made.attribute_name = name
        return made.outputs[output]

    def parts(self, colour: Any) -> Any:  # noqa: ANN401 - Blender's
        """Return red, green and blue."""
        return self.add("SeparateColor", Color=colour).outputs


def _paint(data: Any, name: str, values: np.ndarray) -> None:  # noqa: ANN401 - Blender's
    attribute = data.attributes.new(name, "FLOAT_COLOR", "POINT")
    rgba = np.ones((len(values), 4), np.float32)
    rgba[:, :3] = values
    attribute.data.foreach_set("color", rgba.ravel())


def _marked(nodes: Nodes, mark: np.ndarray, *, skin: bool) -> Any:  # noqa: ANN401 - Blender's
    label, region = (float(v) / _MARKS for v in mark)
    if not skin:
        return (label, region, 0.0, 1.0)
    _, inside, lips = nodes.parts(nodes.attribute("coat"))
    # Skin is 1, lips are 2, within the mouth it is 3, as labels and as regions.
    within = nodes.math("GREATER_THAN", inside, 0.5)
    red = nodes.math("MAXIMUM", nodes.math("MULTIPLY", within, 2.0), nodes.math("GREATER_THAN", lips, 0.5))
    value = nodes.math("DIVIDE", nodes.math("ADD", red, 1.0), _MARKS)
    return nodes.add("CombineColor", Red=value, Green=value).outputs[0]


def _coated(nodes: Nodes, tracer: Tracer, index: float, *, subsurface: bool, wet: bool) -> Any:  # noqa: ANN401
    """Matt paint, light that wanders below it, and a coat: the raster renderer's roughness and strength."""
    paint = nodes.attribute("albedo")
    gloss = nodes.parts(nodes.attribute("coat"))[0]
    rough = nodes.math("MULTIPLY_ADD", gloss, -0.40, 0.62)
    strength = nodes.math("MULTIPLY_ADD", gloss, 0.65, 0.35)
    made = nodes.add("BsdfPrincipled", Base_Color=paint, Roughness=rough, IOR=index)
    nodes.put(made.inputs["Specular IOR Level"], strength)
    if subsurface:
        made.subsurface_method = "RANDOM_WALK"
        made.inputs["Subsurface Weight"].default_value = 1.0
        made.inputs["Subsurface Scale"].default_value = 1.0
        radius = tracer.moment["skin_radius"] * (0.6 if wet else 1.0)
        made.inputs["Subsurface Radius"].default_value = tuple(float(r) for r in radius)
    return made.outputs[0], paint


def _skin(nodes: Nodes, tracer: Tracer) -> Any:  # noqa: ANN401 - Blender's
    return _coated(nodes, tracer, 1.402, subsurface=True, wet=False)


def _soft(nodes: Nodes, tracer: Tracer) -> Any:  # noqa: ANN401 - Blender's
    return _coated(nodes, tracer, 1.538, subsurface=True, wet=True)


def _hard(nodes: Nodes, tracer: Tracer) -> Any:  # noqa: ANN401 - Blender's
    return _coated(nodes, tracer, 1.538, subsurface=False, wet=True)


def _cloth(nodes: Nodes, _: Tracer) -> Any:  # noqa: ANN401 - Blender's
    paint = nodes.attribute("albedo")
    made = nodes.add("BsdfPrincipled", Base_Color=paint, Roughness=0.95)
    made.inputs["Sheen Weight"].default_value = 0.3
    return made.outputs[0], paint


def _plastic(nodes: Nodes, _: Tracer) -> Any:  # noqa: ANN401 - Blender's
    paint = nodes.attribute("albedo")
    return nodes.add("BsdfPrincipled", Base_Color=paint, Roughness=0.3).outputs[0], paint


def _metal(nodes: Nodes, _: Tracer) -> Any:  # noqa: ANN401 - Blender's
    paint = nodes.attribute("albedo")
    return nodes.add("BsdfPrincipled", Base_Color=paint, Roughness=0.3, Metallic=1.0).outputs[0], paint


def _eye(nodes: Nodes, tracer: Tracer) -> Any:  # noqa: ANN401 - Blender's
    picture = nodes.add("TexImage", Vector=nodes.attribute("place", "Vector"))
    picture.image, picture.extension = tracer.eye, "EXTEND"
    paint = picture.outputs["Color"]
    made = nodes.add("BsdfPrincipled", Base_Color=paint, Roughness=0.08, IOR=1.376)
    return made.outputs[0], paint


def _hair_recipe(nodes: Nodes, _: Tracer) -> Any:  # noqa: ANN401 - Blender's
    paint = nodes.attribute("albedo")
    # Matt: hair is here for the shadow it casts, and letting light through costs as much as all else.
    return nodes.add("BsdfDiffuse", Color=paint).outputs[0], paint


_RECIPES = {"skin": _skin, "eye": _eye, "enamel": _hard, "gum": _soft, "tongue": _soft, "cloth": _cloth}
_RECIPES |= {"frame": _plastic, "metal": _metal}


def main(source: str, target: str, samples: str, threads: str) -> None:
    """Trace one moment."""
    with np.load(source, allow_pickle=False) as moment:
        began = time.process_time()
        tracer = Tracer({name: moment[name] for name in moment.files}, int(samples), int(threads))
        colour = tracer.colour()
        seconds = time.process_time() - began
        albedo = tracer.albedo()[..., :3]
        np.savez(
            target,
            colour=colour,
            albedo=albedo,
            mark=tracer.mark(),
            landmarks=tracer.landmarks(),
            seconds=np.float64(seconds),
        )


if __name__ == "__main__":
    main(*sys.argv[1:5])
