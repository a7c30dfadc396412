"""A picture of a presenter: drawn larger, brought down, developed like film, set before its backdrop."""

from __future__ import annotations

from typing import Final

import cv2
import moderngl
import numpy as np
import numpy.typing as npt

from studio.pack import StudioError
from studio.pose import Pose
from studio.presenter import Posed
from studio.raster.camera import Camera
from studio.raster.figure import Figure

Picture = npt.NDArray[np.uint8]
"""uint8[H, W, 3], RGB, sRGB."""
Layer = npt.NDArray[np.float32]
"""float32[H, W, 4]: linear RGB times alpha, and alpha."""

_SAMPLES: Final = 4


def open_context() -> moderngl.Context:
    """Return an OpenGL context without a window. Raises StudioError when the machine has none."""
    try:
        return moderngl.create_standalone_context(backend="egl", require=330)
    except Exception as e:  # moderngl raises bare Exceptions
        raise StudioError(
            "OpenGL",
            f"has no context without a window ({e})",
            "On Debian: apt install libegl1 libgl1-mesa-dri",
        ) from None


class Stage:
    """A target of one size that figures are drawn on. One thread: the context's."""

    def __init__(
        self, context: moderngl.Context, width: int, height: int, oversample: int = 2, samples: int = _SAMPLES
    ) -> None:
        size = (width * oversample, height * oversample)
        self._context = context
        self._size = (width, height)
        self._many = context.framebuffer(
            [context.renderbuffer(size, 4, samples=samples, dtype="f2")],
            context.depth_renderbuffer(size, samples=samples),
        )
        self._one = context.framebuffer([context.texture(size, 4, dtype="f2")])

    def draw(self, figure: Figure, posed: Posed, pose: Pose, camera: Camera) -> Layer:
        """Return the figure alone. `camera` has this stage's proportions."""
        self._many.clear(0.0, 0.0, 0.0, 0.0)
        figure.draw(posed, pose, camera, self._many)
        self._context.copy_framebuffer(self._one, self._many)
        width, height = self._one.size
        raw = np.frombuffer(self._one.read(components=4, dtype="f2"), np.float16).reshape(height, width, 4)
        # Bright glints would bleed over the edges of the coarser pixels that they share.
        large = np.minimum(raw[::-1].astype(np.float32), 8.0)
        if (width, height) == self._size:
            return np.ascontiguousarray(large)
        return np.asarray(cv2.resize(large, self._size, interpolation=cv2.INTER_AREA), np.float32)


def develop(linear: npt.NDArray[np.float32], exposure: float) -> npt.NDArray[np.float32]:
    """Return display colours 0 .. 1 of linear ones: a film's shoulder and toe (Narkowicz's fit of ACES)."""
    x = np.maximum(linear * np.float32(exposure), 0.0)
    x = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    return np.asarray(np.clip(x, 0.0, 1.0) ** np.float32(1 / 2.2), np.float32)


def before(layer: Layer, backdrop: npt.NDArray[np.float32], exposure: float) -> Picture:
    """Return a layer, developed, before `backdrop` (float32[H, W, 3], display colours 0 .. 1)."""
    alpha = np.clip(layer[..., 3:], 0.0, 1.0)
    colours = layer[..., :3] / np.maximum(alpha, 1e-3)
    picture = backdrop + alpha * (develop(colours, exposure) - backdrop)
    return np.asarray(np.clip(picture * 255.0 + 0.5, 0, 255), np.uint8)
