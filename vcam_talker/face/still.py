"""The null engines of the face: a mouth that rests, and a picture that stands still."""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.stages import NO_NEEDS
from vcam_talker.core.types import MOUTH_PARAMS, FaceInput, MouthTrack, Pixels, Pts, Speech, VideoFrame
from vcam_talker.face.motion import pose_count
from vcam_talker.persona import Persona

_TINTS: Final = (
    ((0.56, 0.66, 0.75), (0.24, 0.31, 0.42)),
    ((0.57, 0.70, 0.67), (0.22, 0.34, 0.36)),
    ((0.68, 0.62, 0.76), (0.31, 0.26, 0.42)),
    ((0.80, 0.69, 0.61), (0.41, 0.29, 0.31)),
)
"""Calm pairs of colours, above and below, RGB in 0 .. 1; each persona keeps one by its name."""
_DITHER: Final = 1.0
"""Peak of triangular noise in code values: a slow gradient of 8 bits shows bands without it."""


class StillDriver:
    """FaceDriver whose mouth is always at rest. Stateless, thread-safe, does not block."""

    def drive(self, speech: Speech) -> MouthTrack:
        """Return zeros, float32[T, 7]."""
        return MouthTrack(np.zeros((pose_count(speech), len(MOUTH_PARAMS)), np.float32))

    def reset(self) -> None:
        """Do nothing: there is nothing to forget."""


class StillScene:
    """Scene without a presenter: one soft gradient, drawn once; a frame then costs nothing. Thread-safe."""

    needs = NO_NEEDS

    def __init__(self, persona: Persona, width: int, height: int, seed: int | None = None) -> None:
        """`width` and `height` in pixels, even, else ValueError; `seed` moves the grain alone."""
        if width <= 0 or height <= 0 or width % 2 or height % 2:
            raise ValueError(f"a yuv420p picture needs even sizes, got {width}×{height}")
        self._size = (width, height)
        tint = _TINTS[zlib.crc32(persona.name.encode()) % len(_TINTS)]
        self._pixels = _gradient(tint, width, height, persona.face.seed if seed is None else seed)
        self._pixels.flags.writeable = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._size

    def draw(self, pts: Pts, face: FaceInput) -> VideoFrame:  # noqa: ARG002 - a still face shows nothing of it
        """Return the card, always with the same pixels object."""
        return VideoFrame(pts, self._pixels)

    def still(self) -> VideoFrame:
        """Return the card at PTS 0."""
        return VideoFrame(Pts(0), self._pixels)


def _gradient(
    tint: tuple[tuple[float, float, float], tuple[float, float, float]], width: int, height: int, seed: int
) -> Pixels:
    """Return yuv420p uint8[H * 3 // 2, W]: one colour into the other, a soft light above the middle."""
    across = np.linspace(-1.0, 1.0, width)[None, :]
    down = np.linspace(0.0, 1.0, height)[:, None]
    glow = 0.16 * np.exp(-(across**2) * 1.6 - ((down - 0.35) * 2.2) ** 2)
    fall = 0.17 + 0.83 * down - glow
    above, below = (np.array(colour) for colour in tint)
    red, green, blue = (a + (b - a) * fall for a, b in zip(above, below, strict=True))
    # BT.601, limited range.
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    y = 16 + 219 * luma
    u = 128 + 224 * 0.564 * (blue - luma)[::2, ::2]
    v = 128 + 224 * 0.713 * (red - luma)[::2, ::2]
    grain = np.random.default_rng(seed)
    planes = [_quantise(plane, grain).ravel() for plane in (y, u, v)]
    return np.concatenate(planes).reshape(height * 3 // 2, width)


def _quantise(plane: npt.NDArray[np.float64], grain: np.random.Generator) -> npt.NDArray[np.uint8]:
    noise = grain.triangular(-_DITHER, 0.0, _DITHER, plane.shape)
    return np.clip(np.rint(plane + noise), 16, 235).astype(np.uint8)
