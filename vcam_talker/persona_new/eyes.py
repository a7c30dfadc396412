"""Finds the eyes of a picture exactly: the irises, then the edges of the lids.

The landmark net, which has seen rendered people alone, is off by half an eye's height on some photographs. A
lid drawn from its points would leave an iris standing. So the irises are looked for near them, as dark discs
with light on either side, both at once; the lids' edges, as steps of light above and of colour below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import Pixels
from vcam_talker.persona_new.landmarks import EYE_LEFT, EYE_RIGHT, Floats, Points

Places = npt.NDArray[np.float64]
"""float64[..., 2] or float64[...]: x right and y down, pixel centres at +0.5; or lengths."""

_APART_PX: Final = 240
"""Between the eyes in the cut that is searched. Human eyes and irises are of one size against that."""
_IRIS: Final = 0.095 * _APART_PX
"""Its radius in the cut."""
_HALF: Final = 0.25 * _APART_PX
"""Half an eye's width in the cut."""
_CUT: Final = (round(2.2 * _APART_PX), round(1.3 * _APART_PX))
_RADII: Final = (0.08, 0.09, 0.10)
"""Of the distance between the eyes: irises that are tried."""
_ASIDE: Final = 0.17
_ABOVE: Final = 0.24
_BELOW: Final = 0.14
"""Of that distance: how far from the net's eyes irises are looked for."""
_UNLIKE: Final = 0.06
"""Of that distance: how far one iris may lie otherwise against the net's eye than the other."""
_CORNERS: Final = 0.25
"""Of the iris's radius: how far the eye's corners lie below its middle."""
_FULL: Final = 0.8
"""1 for lids that are parabolas; less is fuller."""
_DISC: Final = 0.2
"""Of the picture's brightness: how much darker than its sides an iris is at least."""
_UPPER_STEP: Final = 6.0
_LOWER_STEP: Final = 20.0
"""Grey values, and the sum of three channels: what the edge of a lid is at least."""
_FIRST: Final = 0.6
"""Of the sharpest step: the first that is so sharp, from the iris outward, is a lid's edge."""
_LIDS: Final = np.arange(0.3, 1.55, 0.05)
"""Radii of the iris: how far a lid may be from its middle."""
_UNEVEN: Final = 4
"""Of these steps: how far one eye's lid may be from where both are."""
_SKIN_ABOVE: Final = 0.5
"""Of how unlike skin an eye looks: as much so at most is what lies above the lid of one, twice so of both."""
_OPEN: Final = (0.95, 2.9)
"""Radii of the iris: how far lids of open eyes are apart."""


@dataclass(frozen=True, slots=True)
class EyeShape:
    """An open eye. Lengths are pixels of the frame; heights count from the line through its corners."""

    middle: Places
    """Of the line between its corners."""
    along: Places
    """Unit vector from the viewer's left to right."""
    half: float
    """Half its width."""
    iris: float
    """Radius."""
    upper: float
    """How high the upper lid's edge rises above the corners, lashes included."""
    lower: float
    """How far the lower one's falls below them."""

    @property
    def down(self) -> Places:
        """Unit vector."""
        return np.array([-self.along[1], self.along[0]])

    @staticmethod
    def bow(share: Places) -> Places:
        """Return the height of a lid, 0 .. 1, at shares (-1 .. 1 between the corners) of half the width."""
        return np.asarray(np.clip(1 - share * share, 0, None) ** _FULL)


def find_eyes(frame: Pixels, points: Points) -> tuple[EyeShape, EyeShape] | None:
    """Return both eyes of the face at `points` in uint8[H, W, 3], the viewer's left one first.

    None where they are not to be seen open and whole: shut, behind dark glasses or reflections, or hidden.
    Blocks for some 0.1 s.
    """
    affine = _to_cut(points)
    cut = np.asarray(
        cv2.warpAffine(frame, affine, _CUT, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
    irises = _irises(cut)
    if irises is None:
        return None
    turn = irises[1] - irises[0]
    along = turn / np.linalg.norm(turn)
    soft = np.asarray(cv2.GaussianBlur(cut.astype(np.float32), (0, 0), 0.008 * _APART_PX), np.float32)
    lids = _lids(soft, irises, along)
    if lids is None:
        return None
    scale = float(np.sqrt(np.linalg.det(affine[:, :2].astype(np.float64))))
    back = np.linalg.inv(affine[:, :2].astype(np.float64))
    shapes = []
    for iris, (upper, lower) in zip(irises, lids, strict=True):
        corners = iris + _CORNERS * _IRIS * np.array([-along[1], along[0]])
        # Indices of pixels here, places there.
        middle = back @ (corners - affine[:, 2]) + 0.5
        if not all(0 < at < side for at, side in zip(middle, frame.shape[1::-1], strict=True)):
            return None
        direction = back @ along
        direction /= np.linalg.norm(direction)
        sizes = (_HALF, _IRIS, upper + _CORNERS * _IRIS, lower - _CORNERS * _IRIS)
        shapes.append(EyeShape(middle, direction, *(size / scale for size in sizes)))
    return shapes[0], shapes[1]


def _to_cut(points: Points) -> Floats:
    """Return the affine from indices of the frame's pixels to those of a cut level with the net's eyes."""
    left, right = points[EYE_LEFT].mean(0).astype(np.float64), points[EYE_RIGHT].mean(0).astype(np.float64)
    across = right - left
    scale = _APART_PX / max(float(np.linalg.norm(across)), 1.0)
    angle = np.arctan2(across[1], across[0])
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    matrix = np.array([[cos, sin], [-sin, cos]])
    shift = np.array(_CUT) / 2 - matrix @ ((left + right) / 2 - 0.5)
    return np.column_stack((matrix, shift)).astype(np.float32)


def _irises(cut: Pixels) -> list[Places] | None:
    """Return the middles of both irises, indices of the cut; None where there are none."""
    # Irises of all colours are dark in one of the three, the white of an eye in none. Catch-lights go.
    least = np.ascontiguousarray(cut.min(2))
    size = round(0.09 * _APART_PX) | 1
    dull = cv2.morphologyEx(least, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    bright = np.float32(max(float(dull.mean()), 1.0))
    soft = np.asarray(cv2.GaussianBlur(dull / bright, (0, 0), 0.01 * _APART_PX), np.float32)
    aside, unlike = round(_ASIDE * _APART_PX), round(_UNLIKE * _APART_PX)
    middle = np.array(_CUT) / 2
    corners = [
        np.array([middle[0] + way * _APART_PX / 2 - aside, middle[1] - _ABOVE * _APART_PX]).astype(int)
        for way in (-1, 1)
    ]
    high = round((_ABOVE + _BELOW) * _APART_PX)
    best = (-np.inf, 0.0, 0.0, middle, middle)
    for radius in _RADII:
        seen = cv2.filter2D(soft, -1, _disc(radius * _APART_PX))
        left, right = (seen[y : y + high, x : x + 2 * aside] for x, y in corners)
        # For each place of the one, the best of the other among those near the same place.
        both = left + cv2.dilate(right, np.ones((2 * unlike + 1, 2 * unlike + 1), np.uint8))
        row, column = np.unravel_index(int(both.argmax()), both.shape)
        top, first = max(int(row) - unlike, 0), max(int(column) - unlike, 0)
        near = right[top : int(row) + unlike + 1, first : int(column) + unlike + 1]
        y, x = np.unravel_index(int(near.argmax()), near.shape)
        if both[row, column] > best[0]:
            one = corners[0] + np.array([column, row])
            other = corners[1] + np.array([first + x, top + y])
            best = (float(both[row, column]), float(left[row, column]), float(near[y, x]), one, other)
    if min(best[1:3]) < _DISC:
        return None
    return _centred(soft, [iris.astype(np.float64) for iris in best[3:]])


def _disc(radius: float) -> Floats:
    """Return the filter that answers to a dark disc, cut off above and below, with light at its sides."""
    reach = int(2.2 * radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    far = np.hypot(x, y)
    inside = ((far < 0.85 * radius) & (np.abs(y) < 0.6 * radius)).astype(np.float32)
    sides = ((far > 1.15 * radius) & (far < 1.9 * radius) & (np.abs(y) < 0.5 * radius)).astype(np.float32)
    return np.asarray(sides / sides.sum() - inside / inside.sum(), np.float32)


def _centred(soft: Floats, irises: Sequence[Places]) -> list[Places]:
    """Return the middles moved sideways to between the irises' two edges."""
    shifts, radii = np.arange(-0.7, 0.75, 0.05) * _IRIS, np.arange(0.8, 1.6, 0.05) * _IRIS
    seen = []
    for x, y in irises:
        line = soft[max(int(y - 0.1 * _IRIS), 0) : int(y + 0.6 * _IRIS) + 1].mean(0)
        at, near = np.arange(len(line)), 0.15 * _IRIS
        steps = []
        for way in (-1, 1):
            edge = x + shifts + way * radii[:, None]
            steps.append(np.interp(edge + way * near, at, line) - np.interp(edge - way * near, at, line))
        # Of two that are alike, the one that was found.
        seen.append(np.minimum(*steps) - 0.05 * np.abs(shifts) / _IRIS)
    # Both irises are as large, and look the same way.
    usual = 0.1 * np.abs(radii / _IRIS - 1)
    radius = int((sum(each.max(1) for each in seen) - usual).argmax())
    shares = zip(irises, seen, strict=True)
    return [iris + np.array([shifts[int(edges[radius].argmax())], 0]) for iris, edges in shares]


def _lids(soft: Floats, irises: Sequence[Places], along: Places) -> list[tuple[float, float]] | None:
    """Return how far each eye's upper and lower lid's edges are from its iris's middle; None: not seen."""
    down = np.array([-along[1], along[0]])
    share = np.linspace(-0.6, 0.6, 41)
    bow, corners = EyeShape.bow(share), _CORNERS * _IRIS
    light = soft @ np.array([0.3, 0.59, 0.11], np.float32)
    ups, lows, looks = [], [], []
    for iris in irises:
        (x, y), wide = iris.astype(int), int(_HALF)
        cheek = soft[int(y + 2 * _IRIS) : int(y + 3.4 * _IRIS), max(x - wide, 0) : x + wide]
        strange = np.abs(soft - np.median(cheek.reshape(-1, 3), 0)).sum(2).astype(np.float32)
        row = iris + np.outer(_HALF * share, along)

        def step(of: Floats, height: Places, reach: float, row: Places = row) -> Places:
            heights = (height - reach, height + reach)
            above, below = (_seen(of, row + np.outer(each, down)) for each in heights)
            return np.asarray(above - below, np.float64)

        looks.append((row, strange))
        # Skin over lashes; then the white and the iris over skin, whatever their colours.
        far = _LIDS * _IRIS
        up = np.stack([corners - (each + corners) * bow for each in far])
        low = np.stack([corners + (each - corners) * bow for each in far])
        dark = np.stack([np.clip(step(light, each, 0.16 * _IRIS), -30, 60) for each in up])
        dark -= np.stack([0.3 * np.clip(step(strange, each, 0.16 * _IRIS), -60, 120) for each in up])
        ups.append(dark.mean(1))
        lows.append(np.stack([np.clip(step(strange, each, 0.2 * _IRIS), -60, 120) for each in low]).mean(1))
    upper, lower = _alike(ups, _UPPER_STEP, _FIRST), _alike(lows, _LOWER_STEP, 1.0)
    if upper is None or lower is None:
        return None
    unlike = []
    for (row, strange), above in zip(looks, upper, strict=True):
        # The iris is strange, the lid above it is skin; brows and lashes may be near to one of them.
        heights = (corners - (_IRIS * (above + 0.45) + corners) * bow, 0.3 * corners * bow)
        over, inside = (float(_seen(strange, row + np.outer(h, down))[8:-8].mean()) for h in heights)
        unlike.append(over / max(inside, 1.0))
    if min(unlike) > _SKIN_ABOVE or max(unlike) > 2 * _SKIN_ABOVE:
        return None
    if not all(_OPEN[0] < above + below < _OPEN[1] for above, below in zip(upper, lower, strict=True)):
        return None
    return [(a * _IRIS, max(b, _CORNERS) * _IRIS) for a, b in zip(upper, lower, strict=True)]


def _alike(steps: Sequence[Places], least: float, first: float) -> list[float] | None:
    """Return where each eye's step is, radii of the iris, near to where both are; None: one has none.

    `first`: of the sharpest step; the first one outward that is so sharp is taken.
    """
    total = np.asarray(sum(steps))
    if total.max() < least:
        return None
    # Beyond a lid's edge lie folds, brows and rims of glasses, which may be sharper than it.
    rising = np.diff(total, append=-np.inf) <= 0
    both = int(np.flatnonzero(rising & (total >= first * total.max()))[0])
    near = slice(max(both - _UNEVEN, 0), both + _UNEVEN + 1)
    if any(each[near].max() < least for each in steps):
        return None
    return [float(_LIDS[near][int(each[near].argmax())]) for each in steps]


def _seen(of: Floats, places: Places) -> Floats:
    at = places.astype(np.float32)
    seen = cv2.remap(of, at[None, :, 0], at[None, :, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen[0], np.float32)
