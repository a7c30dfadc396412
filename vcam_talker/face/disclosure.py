"""A mark in the corner that says what viewers see, such as "AI presenter", on every frame of any scene."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import skia

from vcam_talker.core.errors import PersonaError
from vcam_talker.core.stages import Scene, SceneNeeds
from vcam_talker.core.types import FaceInput, Pixels, Pts, VideoFrame

Plane = npt.NDArray[np.float32]

_TEXT_SHARE: Final = 1 / 32
"""Of the picture's height: 22 px at 720 lines, which a phone still shows legibly."""
_LEAST_PX: Final = 11.0
_MARGIN_SHARE: Final = 1 / 36
_PLATE: Final = 0x99000000
_INK: Final = 0xF2FFFFFF


class DisclosedScene:
    """A scene with a mark over it (`core.stages.Scene`). Touches the mark's box alone. One thread."""

    def __init__(self, scene: Scene, text: str) -> None:
        """Draw the mark once. Raises PersonaError when no font of this machine can show `text`."""
        self._scene = scene
        self._mark = _Mark(text, scene.size)
        self._under: Pixels | None = None
        self._pixels: Pixels | None = None
        still = scene.still()
        self._still = replace(still, pixels=self._mark.over(still.pixels))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, both even."""
        return self._scene.size

    @property
    def needs(self) -> SceneNeeds:
        """What the scene asks for."""
        return self._scene.needs

    def draw(self, pts: Pts, face: FaceInput) -> VideoFrame:
        """Return the scene's picture with the mark; the same pixels object while the scene's is the same."""
        frame = self._scene.draw(pts, face)
        if self._pixels is None or frame.pixels is not self._under:
            self._under, self._pixels = frame.pixels, self._mark.over(frame.pixels)
        return replace(frame, pixels=self._pixels)

    def still(self) -> VideoFrame:
        """Return the scene's portrait with the mark. Never raises."""
        return self._still


class _Mark:
    """The mark as planes of colour and cover, ready to be blended."""

    def __init__(self, text: str, size: tuple[int, int]) -> None:
        width, height = size
        bgra = _drawn(text, size)
        rows, columns = bgra.shape[:2]
        margin = round(height * _MARGIN_SHARE / 2) * 2
        self._x, self._y = margin, height - margin - rows
        self._rows, self._columns = rows, columns
        self._height, self._width = height, width
        blue, green, red, alpha = (bgra[:, :, k].astype(np.float32) / 255 for k in range(4))
        # BT.601, limited range; colours are premultiplied, so the offsets are weighted by cover.
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        u, v = 0.564 * (blue - luma), 0.713 * (red - luma)
        self._keep = 1 - alpha
        self._luma = 16 * alpha + 219 * luma
        cover = _halved(alpha)
        self._keep_half = 1 - cover
        self._u, self._v = 128 * cover + 224 * _halved(u), 128 * cover + 224 * _halved(v)

    def over(self, pixels: Pixels) -> Pixels:
        """Return a read-only copy of a yuv420p picture with the mark on it; about 0.2 ms at 1280x720."""
        marked = pixels.copy()
        x, y = self._x, self._y
        luma = marked[: self._height][y : y + self._rows, x : x + self._columns]
        luma[...] = np.rint(luma * self._keep + self._luma)
        chroma = marked[self._height :].reshape(2, self._height // 2, self._width // 2)
        for plane, ink in zip(chroma, (self._u, self._v), strict=True):
            part = plane[y // 2 : (y + self._rows) // 2, x // 2 : (x + self._columns) // 2]
            part[...] = np.rint(part * self._keep_half + ink)
        marked.flags.writeable = False
        return marked


def _drawn(text: str, size: tuple[int, int]) -> Pixels:
    """Return the text on its plate, uint8[h, w, 4] BGRA premultiplied, both sides even, fitting in."""
    width, height = size
    room = width - 2 * round(height * _MARGIN_SHARE / 2) * 2
    text_px = max(height * _TEXT_SHARE, _LEAST_PX)
    typeface = _typeface(text)
    pad = 0.55
    across = float(skia.Font(typeface, text_px).measureText(text)) + 2 * pad * text_px
    text_px *= min(1.0, (room - 2) / across)
    font = skia.Font(typeface, text_px)
    font.setSubpixel(True)
    metrics = font.getMetrics()
    columns = _even(float(font.measureText(text)) + 2 * pad * text_px)
    rows = _even(1.7 * text_px)
    bgra = np.zeros((rows, columns, 4), np.uint8)
    info = skia.ImageInfo.Make(columns, rows, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType)
    canvas = skia.Surface.MakeRasterDirect(info, bgra).getCanvas()
    plate = skia.Rect.MakeWH(columns, rows)
    canvas.drawRoundRect(plate, 0.35 * text_px, 0.35 * text_px, skia.Paint(Color=_PLATE, AntiAlias=True))
    baseline = (rows - metrics.fAscent - metrics.fDescent) / 2
    canvas.drawString(text, pad * text_px, baseline, font, skia.Paint(Color=_INK, AntiAlias=True))
    return bgra


def _typeface(text: str) -> skia.Typeface:
    """Return a font of this machine that has every letter of `text`."""
    fonts = skia.FontMgr()
    style = skia.FontStyle.Bold()
    candidates = [fonts.matchFamilyStyle("sans-serif", style)]
    candidates += [
        fonts.matchFamilyStyleCharacter("", style, [], ord(letter)) for letter in dict.fromkeys(text)
    ]
    for typeface in candidates:
        if typeface is not None and all(typeface.unicharToGlyph(ord(letter)) for letter in text):
            return typeface
    raise PersonaError(
        f"the disclosure mark '{text}'",
        "no font of this machine has all of its letters",
        "Install one, such as fonts-dejavu or fonts-noto-cjk, or choose another text",
    )


def _halved(plane: npt.NDArray[np.floating]) -> Plane:
    """Return the means of squares of four pixels."""
    rows, columns = plane.shape
    return np.asarray(plane.reshape(rows // 2, 2, columns // 2, 2).mean((1, 3)), np.float32)


def _even(value: float) -> int:
    return max(round(value / 2) * 2, 2)
