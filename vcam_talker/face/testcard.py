"""A test card: colour bars, a running clock, a square that flashes with the sound, and the mouth as a light.

For checking a camera, a microphone and their sync by eye or by instrument: the square in the middle is
white exactly while the speech is loud, black while it is silent; the field below it is the brighter the
further the mouth is open.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vcam_talker.core.stages import NO_NEEDS
from vcam_talker.core.types import NS_PER_S, FaceInput, Pixels, Pts, VideoFrame
from vcam_talker.persona import Persona

# BT.601 limited range: Y, U, V of the 75 % bars, left to right.
_BARS = ((180, 128, 128), (162, 44, 142), (131, 156, 44), (112, 72, 58), (84, 184, 198), (65, 100, 212),
         (35, 212, 114))  # fmt: skip
_BLACK, _WHITE = 16, 235
# Just above silence, so that the flash begins with the sound and not with its peak.
_LOUD = 0.12
# Seven segments: top, upper left, upper right, middle, lower left, lower right, bottom.
_SEGMENTS = ("1110111", "0010010", "1011101", "1011011", "0111010",
             "1101011", "1101111", "1010010", "1111111", "1111011")  # fmt: skip


class TestcardScene:
    """Implements core.stages.Scene; numpy only."""

    __test__ = False  # not a test, whatever its name

    needs = NO_NEEDS

    def __init__(self, persona: Persona, width: int, height: int, seed: int | None = None) -> None:
        del persona, seed
        self._width, self._height = width, height
        self._card = _bars(width, height)
        self._last: tuple[int, bool, int] | None = None
        self._pixels = self._card

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._width, self._height

    def draw(self, pts: Pts, face: FaceInput) -> VideoFrame:
        """Draw the card with the media time in tenths of a second."""
        opening = float(np.max(np.abs(face.mouth)))
        state = (pts * 10 // NS_PER_S, face.energy >= _LOUD, _BLACK + round(opening * (_WHITE - _BLACK)))
        if state != self._last:
            self._last = state
            self._pixels = self._paint(*state)
        return VideoFrame(pts, self._pixels)

    def still(self) -> VideoFrame:
        """Return the bare bars."""
        return VideoFrame(Pts(0), self._card)

    def _paint(self, tenths: int, loud: bool, mouth_luma: int) -> Pixels:
        pixels = self._card.copy()
        height, width = self._height, self._width
        luma = pixels[:height]
        side = height // 4
        top, left = (height - side) // 2, (width - side) // 2
        luma[top : top + side, left : left + side] = _WHITE if loud else _BLACK
        _grey(pixels, width, height, top, left, side, side)
        top, rows = top + side * 5 // 4, side // 8 * 2
        luma[top : top + rows, left : left + side] = mouth_luma
        _grey(pixels, width, height, top, left, rows, side)
        text = f"{tenths // 10 % 100_000:05d}{tenths % 10}"
        digit_w, digit_h = max(8, width // 32), max(12, height // 12)
        pitch = digit_w * 3 // 2
        at = (width - len(text) * pitch) // 2
        row = height - 2 * digit_h
        box = (row - digit_h // 4, at - digit_w // 2, digit_h * 3 // 2, len(text) * pitch + digit_w // 2)
        luma[box[0] : box[0] + box[2], box[1] : box[1] + box[3]] = _BLACK
        _grey(pixels, width, height, *box)
        for index, character in enumerate(text):
            _digit(luma, row, at + index * pitch, digit_w, digit_h, _SEGMENTS[int(character)])
        pixels.setflags(write=False)
        return pixels


def _bars(width: int, height: int) -> Pixels:
    pixels = np.empty((height * 3 // 2, width), np.uint8)
    bar = np.minimum(np.arange(width) * len(_BARS) // width, len(_BARS) - 1)
    values = np.array(_BARS, np.uint8)
    pixels[:height] = values[bar, 0]
    planes = _chroma(pixels, width, height)
    planes[0][:] = values[bar[::2], 1]
    planes[1][:] = values[bar[::2], 2]
    pixels.setflags(write=False)
    return pixels


def _chroma(pixels: Pixels, width: int, height: int) -> tuple[Pixels, Pixels]:
    """Return views of the U and V planes, uint8[H / 2, W / 2]."""
    flat = pixels[height:].reshape(-1)
    size = width * height // 4
    shape = (height // 2, width // 2)
    return flat[:size].reshape(shape), flat[size:].reshape(shape)


def _grey(pixels: Pixels, width: int, height: int, top: int, left: int, rows: int, columns: int) -> None:
    for plane in _chroma(pixels, width, height):
        plane[top // 2 : (top + rows + 1) // 2, left // 2 : (left + columns + 1) // 2] = 128


def _digit(luma: npt.NDArray[np.uint8], top: int, left: int, width: int, height: int, segments: str) -> None:
    stroke = max(2, width // 5)
    half = height // 2
    right, bottom = left + width - stroke, top + height - stroke
    boxes = (
        (top, left, stroke, width),
        (top, left, half, stroke),
        (top, right, half, stroke),
        (top + half - stroke // 2, left, stroke, width),
        (top + half, left, half, stroke),
        (top + half, right, half, stroke),
        (bottom, left, stroke, width),
    )
    for on, (row, column, rows, columns) in zip(segments, boxes, strict=True):
        if on == "1":
            luma[row : row + rows, column : column + columns] = _WHITE
