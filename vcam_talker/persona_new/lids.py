"""Blinks of a photograph: a lid that rolls down over each eye, in the light and grain of the skin there."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import Pixels
from vcam_talker.persona_new.eyes import EyeShape, Places, find_eyes
from vcam_talker.persona_new.landmarks import EYE_LEFT, EYE_RIGHT, Floats, Points

_STEPS: Final = 12
_OPEN: Final = (0.12, 0.75)
"""Of an eye's width: how far lids of open eyes are apart; beyond, the points are not to be trusted."""

# Lengths below are in radii of the iris.
_ROOM: Final = 2.0
"""Around the eye: what is looked at and drawn."""
_FROM: Final = 0.5
"""Above the upper lid's edge: where the lid comes from. The lashes there go with it."""
_BEYOND: Final = 0.35
"""Beyond the corners: where lashes still are."""
_FADE: Final = 0.33
"""Deviation of the rim over which it comes out of the skin above."""
_PAST: Final = 0.12
"""Below the lower lid's edge: where it comes to, over all of the white."""
_BARE: Final = 0.35
"""Below and beside the eye: where lashes are, and their shadows, but no skin to go by."""
_SPREADS: Final = (0.35, 0.7, 1.4, 2.8)
"""Deviations over which the skin around is taken over, the nearest counting most."""
_CHEEK: Final = (0.5, 1.3)
"""Below the lower lid's edge: skin without lashes, whose grain the lid takes on."""
_GRAIN: Final = 0.2
"""Deviation of what parts grain from light."""
_GRAIN_FINE: Final = 4.0
"""Grey values, deviation: more are no pores, but wrinkles, which a lid has less of."""
_GRAIN_LEAST: Final = 0.35
"""How much of these it has: none would look blurred."""
_SKIN: Final = (0.5, 1.3)
"""Of the cheek's brightness: what is darker is hair or a rim, what is lighter a reflection."""
_BULGE: Final = 0.06
_UNDER: Final = 0.13
"""How much lighter a lid is where it bulges, and how much darker just above its lashes."""
_FOLD: Final = 0.06
"""How dark its fold is, which lies where the open lid's edge was."""
_LASHES: Final = (0.09, 0.2, 0.62)
"""How far their dark line fades upward and downward, and how dark it is."""
_UNDER_LASHES: Final = (0.5, 0.2)
"""How far their shadow fades downward, and how dark it is."""
_SOFT_PX: Final = 1.0


class Lids:
    """Both eyes of a picture, shut as far as wanted. One thread."""

    def __init__(self, frame: Pixels, points: Points) -> None:
        """`frame`: uint8[H, W, 3] with open eyes."""
        self._frame = frame
        whole = all(_OPEN[0] < _opening(points[eye]) < _OPEN[1] for eye in (EYE_LEFT, EYE_RIGHT))
        shapes = find_eyes(frame, points) if whole else None
        self.usable = shapes is not None
        """Whether the eyes are open and whole in view."""
        self._eyes = [_Eye(frame, shape) for shape in shapes or ()]
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

    def __init__(self, frame: Pixels, shape: EyeShape) -> None:
        unit = self._unit = shape.iris
        reach = np.array([shape.half, max(shape.upper, shape.lower)]) + _ROOM * unit
        low = np.maximum(np.floor(shape.middle - reach).astype(int), 0)
        high = np.minimum(np.ceil(shape.middle + reach).astype(int), frame.shape[1::-1])
        self._box = (slice(low[1], high[1]), slice(low[0], high[0]))
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]] + 0.5
        offset = np.stack((x, y), -1) - shape.middle
        self._v, self._down = offset @ shape.down, shape.down
        self._part = frame[self._box].astype(np.float32)
        share = offset @ shape.along / shape.half
        bow = shape.bow(share)
        self._upper, self._lower = -shape.upper * bow, shape.lower * bow
        # Steeper towards the corners than the edge, and a little wider: lashes are as long there.
        wider = share / (1 + _BEYOND * unit / shape.half)
        inner = np.clip(1 - wider * wider, 0, None) ** 0.5
        self._from = -(shape.upper + _FROM * unit) * inner
        self._to = self._lower + _PAST * unit * inner
        self._taper = 0.25 + 0.75 * inner
        within = np.abs(wider) < 1
        self._ends = np.clip((1.0 - np.abs(wider)) / 0.12, 0, 1)
        covers = ((self._v > self._from) & (self._v < self._to + unit) & within).astype(np.float32)
        self._over = cv2.GaussianBlur(covers, (0, 0), max(_FADE * unit, 0.6))
        around = (self._v > self._from) & (self._v < self._to + _BARE * unit)
        self._look(around & (np.abs(wider) < 1 + _BARE * unit / shape.half))

    def _look(self, eye: npt.NDArray[np.bool_]) -> None:
        """Look up the skin around `eye`, the place of everything that is none, and its grain."""
        unit, part = self._unit, self._part
        near, far = (depth * unit for depth in _CHEEK)
        under = (self._v > self._lower + near) & (self._v < self._lower + far) & (self._ends > 0)
        cheek = float(part[under].mean(1).mean()) if under.any() else float(part.mean())
        light = part.mean(2)
        skin = ~eye & (light > _SKIN[0] * cheek) & (light < _SKIN[1] * cheek)
        known = skin.astype(np.float32)
        colours, weights = np.zeros_like(part), np.full(known.shape, 1e-6, np.float32)
        for spread in _SPREADS:
            # A narrow one is steep: where it reaches it outweighs the wide ones.
            weight = np.float32(spread**-3)
            colours += weight * cv2.GaussianBlur(part * known[..., None], (0, 0), spread * unit)
            weights += weight * cv2.GaussianBlur(known, (0, 0), spread * unit)
        self._skin = cv2.GaussianBlur(colours / weights[..., None], (0, 0), 0.3 * unit)
        grain = part - cv2.GaussianBlur(part, (0, 0), max(_GRAIN * unit, 0.8))
        # Of the shut lid: mirrored, the skin below.
        depth = np.clip(self._to - self._v, 0, None)
        coarse = float(grain[under].std()) if under.any() else 0.0
        much = min(1.0, max(_GRAIN_FINE / max(coarse, 1e-3), _GRAIN_LEAST))
        self._grain = much * self._seen(grain, self._lower + near + depth)
        inside = (self._v > self._upper) & (self._v < self._lower)
        self._dark = np.percentile(part[inside], 4, axis=0) if inside.any() else np.zeros(3)

    def _seen(self, of: Floats, height: Places) -> Floats:
        """Return what a picture of the box shows at another height, for each pixel."""
        away = (height - self._v)[..., None] * self._down
        rows, columns = self._v.shape
        y, x = np.mgrid[0:rows, 0:columns]
        at = ((x + away[..., 0]).astype(np.float32), (y + away[..., 1]).astype(np.float32))
        return np.asarray(cv2.remap(of, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.float32)

    def shut(self, frame: Pixels, amount: float) -> None:
        """Draw the lid into `frame`."""
        unit, v = self._unit, self._v
        edge = self._upper + amount * (self._to - self._upper)
        # The lid is rolled up at its top; where the shut one would be seen that is here:
        way = np.clip((v - self._from) / np.maximum(edge - self._from, 0.5), 0, 1)
        grain = self._seen(self._grain, self._from + way * (self._to - self._from))
        light = 1 + _BULGE * np.sin(np.pi * way) - _UNDER * np.clip(2.5 * way - 1.5, 0, 1) ** 2
        light -= _FOLD * np.exp(-(((v - self._upper + 0.1 * unit) / (0.3 * unit)) ** 2)) * self._ends
        skin = self._skin * light[..., None] + grain
        up, down, dark = _LASHES
        thick = np.where(v < edge, up, down) * unit * self._taper
        begun = min(4 * amount, 1.0)
        line = np.exp(-(((v - edge) / np.maximum(thick, 0.6)) ** 2)) * self._taper * self._ends
        over = np.clip((edge - v) / _SOFT_PX + 0.5, 0, 1) * self._over * begun
        here = self._part + (skin - self._part) * over[..., None]
        here = here + (self._dark - here) * (dark * begun * line)[..., None]
        far, dim = _UNDER_LASHES
        below = np.where(v > edge, np.exp(-(((v - edge) / (far * unit)) ** 2)), 0.0)
        here = here * (1 - dim * amount * amount * below * self._taper * self._ends)[..., None]
        frame[self._box] = np.clip(np.rint(here), 0, 255).astype(np.uint8)


def _opening(eye: Points) -> float:
    width = float(np.linalg.norm(eye[3] - eye[0]))
    gap = (np.linalg.norm(eye[5] - eye[1]) + np.linalg.norm(eye[4] - eye[2])) / 2
    return float(gap) / max(width, 1e-3)
