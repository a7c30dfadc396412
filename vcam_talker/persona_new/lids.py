"""Blinks of a photograph: the skin above each eye is drawn down over it, with lashes along its edge."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from vcam_talker.core.types import Pixels
from vcam_talker.persona_new.landmarks import BROW_LEFT, BROW_RIGHT, EYE_LEFT, EYE_RIGHT, Floats, Points

_STEPS: Final = 12
_OPEN: Final = (0.12, 0.75)
"""Of an eye's width: how far lids of open eyes are apart; beyond, the points are not to be trusted."""
_SKIN: Final = 0.65
"""Of the way from the lid to the brow: what stretches."""
_PAST: Final = 0.03
"""Of the eye's width: how far beyond the lower lid's edge the upper one comes down, over the white."""
_SOFT_PX: Final = 1.2
_ABOVE: Final = 0.14
"""Of the eye's width: how far above the lid's edge the skin is taken from, clear of iris and lashes."""
_SMOOTH: Final = 0.1
"""Of the eye's width: deviation of what takes lashes and creases out of the skin before it is stretched."""
_CHEEK: Final = (0.14, 0.34)
"""Of the eye's width: how far below the lower lid the skin's colour is looked up."""
_TONE: Final = 0.65
"""How much of that colour a shut lid has; what lies above open eyes is often in their shadow."""
_SHADOW: Final = 0.62
"""Of the cheek's brightness: what is darker is hair."""
_LASHES: Final = (0.035, 0.55)
"""Of a shut lid: half the width of its dark edge, in widths of the eye, and how dark it is."""


class Lids:
    """Both eyes of a picture, shut as far as wanted. One thread."""

    def __init__(self, frame: Pixels, points: Points) -> None:
        """`frame`: uint8[H, W, 3] with open eyes."""
        self._frame = frame
        eyes = ((points[EYE_LEFT], points[BROW_LEFT]), (points[EYE_RIGHT], points[BROW_RIGHT]))
        self.usable = all(_OPEN[0] < _opening(eye) < _OPEN[1] for eye, _ in eyes)
        """Whether the eyes are open and whole in view."""
        self._eyes = [_Eye(frame, eye, brow) for eye, brow in eyes] if self.usable else []
        self._kept: dict[int, Pixels] = {0: frame}

    def drawn(self, shut: float) -> Pixels:
        """Return the picture with lids shut by `shut` (0 .. 1), in twelfths."""
        step = round(_STEPS * shut) if self.usable else 0
        found = self._kept.get(step)
        if found is None:
            found = self._frame.copy()
            for eye in self._eyes:
                eye.shut(found, step / _STEPS)
            self._kept[step] = found
        return found


class _Eye:
    """One eye, in coordinates along the line between its corners."""

    def __init__(self, frame: Pixels, eye: Points, brow: Points) -> None:
        left, right = eye[0].astype(np.float64), eye[3].astype(np.float64)
        self._width = float(np.linalg.norm(right - left))
        along = (right - left) / self._width
        down = np.array([-along[1], along[0]])
        axes = np.stack((along, down))
        local = (eye - left) @ axes.T
        upper, lower = local[[0, 1, 2, 3]], local[[0, 5, 4, 3]]
        brow_v = float(((brow - left) @ axes.T)[:, 1].mean())
        reach = 0.3 * self._width
        corners = np.array([left, right, left + brow_v * down, right + brow_v * down, eye[4], eye[5]])
        low = np.floor(corners.min(0) - reach).astype(int)
        high = np.ceil(corners.max(0) + reach).astype(int)
        low, high = np.maximum(low, 0), np.minimum(high, frame.shape[1::-1])
        self._box = (slice(low[1], high[1]), slice(low[0], high[0]))
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]] + 0.5
        offset = np.stack((x - left[0], y - left[1]), -1)
        u, self._v = (offset @ along), (offset @ down)
        self._along, self._down = along, down
        self._x, self._y = x, y
        self._upper, self._lower = _curve(upper, u), _curve(lower, u)
        # None in the corners, where both lids meet.
        self._upper -= _ABOVE * self._width * np.clip((self._lower - self._upper) / (0.2 * self._width), 0, 1)
        self._top = self._upper + _SKIN * np.minimum(brow_v - self._upper, -0.2 * self._width)
        under = (self._v - self._lower) / self._width
        band = (under > _CHEEK[0]) & (under < _CHEEK[1]) & (u > 0) & (u < self._width)
        part = frame[self._box].astype(np.float32)
        self._cheek = np.median(part[band], 0) if band.any() else part.mean((0, 1))
        # Neither the eye nor lashes and brows are skin.
        around = (self._v < self._upper) | (under > _CHEEK[0])
        light = part.mean(2) > _SHADOW * float(self._cheek.mean())
        is_skin = (around & light).astype(np.float32)
        soft = _SMOOTH * self._width
        known = cv2.GaussianBlur(is_skin, (0, 0), soft)[..., None] + np.float32(1e-3)
        spread = cv2.GaussianBlur(part * is_skin[..., None], (0, 0), soft)
        self._skin = (spread + np.float32(1e-3) * self._cheek.astype(np.float32)) / known
        # Corners hold the lid: it fades out a little beyond them.
        inside = np.minimum(u, self._width - u) / self._width
        self._share = np.clip((inside + 0.06) / 0.1, 0, 1)

    def shut(self, frame: Pixels, amount: float) -> None:
        """Draw the lid into `frame`."""
        goal = self._lower + _PAST * self._width * np.clip(self._lower - self._upper, 0, None) / self._width
        edge = self._upper + amount * np.maximum(goal - self._upper, 0)
        stretch = (self._upper - self._top) / np.maximum(edge - self._top, 1.0)
        source_v = self._top + (self._v - self._top) * stretch
        moved = (source_v - self._v)[..., None] * self._down
        top, left = self._box[0].start, self._box[1].start
        skin = cv2.remap(
            self._skin,
            (self._x + moved[..., 0] - 0.5 - left).astype(np.float32),
            (self._y + moved[..., 1] - 0.5 - top).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        thick, dark = _LASHES[0] * self._width, _LASHES[1] * min(3 * amount, 1.0)
        lashes = dark * np.exp(-(((self._v - edge) / thick) ** 2))
        # The further down a lid, the more it is skin that was folded away.
        fresh = np.clip((self._v - self._top) / np.maximum(edge - self._top, 1.0), 0, 1)
        skin = skin + (self._cheek - skin) * (_TONE * amount * fresh)[..., None]
        below = np.clip((edge - self._v) / _SOFT_PX + 0.5, 0, 1)
        above = np.clip((self._v - self._top) / np.maximum(0.6 * (self._upper - self._top), 1.0), 0, 1)
        share = (below * above * self._share)[..., None]
        here = frame[self._box]
        frame[self._box] = np.rint(here + (skin * (1 - lashes[..., None]) - here) * share).astype(np.uint8)


def _opening(eye: Points) -> float:
    width = float(np.linalg.norm(eye[3] - eye[0]))
    gap = (np.linalg.norm(eye[5] - eye[1]) + np.linalg.norm(eye[4] - eye[2])) / 2
    return float(gap) / max(width, 1e-3)


def _curve(local: Floats, u: Floats) -> Floats:
    """Return the height of a lid's edge over the line between the corners, for places `u` along it."""
    width = local[3, 0]
    # A parabola through both corners and, in the mean, the two points between them.
    at = local[1:3, 0] / width
    bow = local[1:3, 1] / np.maximum(4 * at * (1 - at), 0.3)
    share = np.clip(u / width, 0, 1)
    return np.asarray(4 * share * (1 - share) * bow.mean())
