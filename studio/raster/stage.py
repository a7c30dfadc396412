"""A picture of a presenter: drawn larger, brought down, developed like film, set before its backdrop."""

from __future__ import annotations

from typing import Any, Final

import cv2
import moderngl
import numpy as np
import numpy.typing as npt

from studio.pack import StudioError
from studio.pose import Pose
from studio.presenter import Posed
from studio.raster import shaders
from studio.raster.camera import Camera
from studio.raster.figure import Figure

Picture = npt.NDArray[np.uint8]
"""uint8[H, W, 3], RGB, sRGB."""
Layer = npt.NDArray[np.float32]
"""float32[H, W, 4]: linear RGB times alpha, and alpha."""

_WINDOWLESS: Final[dict[str, Any]] = {"backend": "egl"}
_BRIGHTEST: Final = 8.0


def open_context() -> moderngl.Context:
    """Return an OpenGL context without a window. Raises StudioError when the machine has none."""
    try:
        return moderngl.create_context(standalone=True, require=330, **_WINDOWLESS)
    except Exception as e:  # noqa: BLE001 - moderngl raises nothing more exact
        raise StudioError(
            "OpenGL",
            f"has no context without a window ({e})",
            "On Debian: apt install libegl1 libgl1-mesa-dri",
        ) from None


class Stage:
    """A target of one size that figures are drawn on. One thread: the context's."""

    def __init__(self, context: moderngl.Context, width: int, height: int, oversample: int = 2) -> None:
        size = (width * oversample, height * oversample)
        self._context = context
        self._oversample = oversample
        self._size = (width, height)
        colours = [context.texture(size, 4, dtype="f2"), context.texture(size, 1)]
        self._target = context.framebuffer(colours, context.depth_renderbuffer(size))

    def draw(self, figure: Figure, posed: Posed, pose: Pose, camera: Camera) -> Layer:
        """Return the figure alone. `camera` has this stage's proportions."""
        self._target.clear(0.0, 0.0, 0.0, 0.0)
        figure.draw(posed, pose, camera, self._target)
        width, height = self._target.size
        raw = np.frombuffer(self._target.read(components=4, dtype="f2"), np.float16).reshape(height, width, 4)
        # Bright glints would bleed over the edges of the coarser pixels that they share.
        large = np.minimum(raw[::-1].astype(np.float32), _BRIGHTEST)
        if self._oversample == 1:
            return np.ascontiguousarray(large)
        return np.asarray(cv2.resize(large, self._size, interpolation=cv2.INTER_AREA), np.float32)

    def labels(self) -> npt.NDArray[np.uint8]:
        """Return what each pixel of the last drawing shows, uint8[H, W], see `figure.LABELS`."""
        width, height = self._target.size
        raw = np.frombuffer(self._target.read(attachment=1, components=1), np.uint8).reshape(height, width)
        step = self._oversample
        middle = raw[::-1][step // 2 :: step, step // 2 :: step].astype(np.float32)
        return np.asarray(np.rint(middle / 255 * shaders.LABELS), np.uint8)


def develop(linear: npt.NDArray[np.float32], exposure: float) -> npt.NDArray[np.float32]:
    """Return display colours 0 .. 1 of linear ones: a film's shoulder and toe (Narkowicz's fit of ACES)."""
    x = np.maximum(linear * np.float32(exposure), 0.0)
    x = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    return np.asarray(np.clip(x, 0.0, 1.0) ** np.float32(1 / 2.2), np.float32)


def before(layer: Layer, backdrop: npt.NDArray[np.float32], exposure: float) -> Picture:
    """Return a layer, developed, before `backdrop` (float32[H, W, 3], display colours 0 .. 1)."""
    alpha = np.clip(layer[..., 3:], 0.0, 1.0)
    colours = layer[..., :3] / np.maximum(alpha, 1e-3)
    picture = backdrop + alpha * (develop(np.asarray(colours, np.float32), exposure) - backdrop)
    return np.asarray(np.clip(picture * 255.0 + 0.5, 0, 255), np.uint8)
