"""Small pictures, fast: drawn twice as large, brought down, developed and composited in one pass."""

from __future__ import annotations

from typing import Final

import moderngl
import numpy as np
import numpy.typing as npt

from studio.pose import Pose
from studio.presenter import Posed
from studio.raster import shaders
from studio.raster.camera import Camera
from studio.raster.figure import Figure
from studio.raster.stage import Layer, Picture

_OVERSAMPLE: Final = 2
Backdrop = npt.NDArray[np.float32]
"""float32[size, size, 3], display colours 0 .. 1."""


class CropStage:
    """A square target that figures are drawn on; does what `Stage` and `before` do. One thread."""

    def __init__(self, context: moderngl.Context, size: int) -> None:
        """`size` of a side in pixels."""
        both, large = (size, size), (size * _OVERSAMPLE, size * _OVERSAMPLE)
        self._context = context
        self._size = size
        self._colours = context.texture(large, 4, dtype="f2")
        self._masks = context.texture(large, 1)
        self._target = context.framebuffer([self._colours, self._masks], context.depth_renderbuffer(large))
        self._backdrop = context.texture(both, 4, dtype="f2")
        self._shown: Backdrop | None = None
        self._pictures = context.framebuffer([context.texture(both, 4), context.texture(both, 4, dtype="f2")])
        self._program = shaders.load(context, "screen", "develop")
        for unit, name in enumerate(("colours", "masks", "backdrop")):
            self._set(name, unit)
        self._screen = context.vertex_array(self._program, [])

    def draw(
        self, figure: Figure, posed: Posed, pose: Pose, camera: Camera, backdrop: Backdrop, exposure: float
    ) -> tuple[Picture, npt.NDArray[np.uint8]]:
        """Return the figure before `backdrop`, and uint8[size, size]: what is where, see `figure.LABELS`."""
        self._target.clear(0.0, 0.0, 0.0, 0.0)
        figure.draw(posed, pose, camera, self._target)
        self._load(backdrop)
        self._pictures.use()
        self._context.enable_only(moderngl.NOTHING)
        for unit, texture in enumerate((self._colours, self._masks, self._backdrop)):
            texture.use(unit)
        self._set("exposure", exposure)
        self._screen.render(moderngl.TRIANGLES, 3)
        raw = np.frombuffer(self._pictures.read(components=4), np.uint8)
        both = raw.reshape(self._size, self._size, 4)[::-1]
        labels = np.rint(both[..., 3].astype(np.float32) * (shaders.LABELS / 255))
        return np.ascontiguousarray(both[..., :3]), labels.astype(np.uint8)

    def layer(self) -> Layer:
        """Return the last figure alone, in linear light."""
        raw = np.frombuffer(self._pictures.read(components=4, attachment=1, dtype="f2"), np.float16)
        return raw.reshape(self._size, self._size, 4)[::-1].astype(np.float32)

    def _load(self, backdrop: Backdrop) -> None:
        if backdrop is self._shown:
            return
        rows = np.zeros((*backdrop.shape[:2], 4), np.float16)
        rows[..., :3] = backdrop[::-1]
        self._backdrop.write(rows)
        self._shown = backdrop

    def _set(self, name: str, value: float) -> None:
        uniform = self._program[name]
        if not isinstance(uniform, moderngl.Uniform):
            raise TypeError(uniform)
        uniform.value = value
