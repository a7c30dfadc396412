"""Mouths between pre-rendered ones: each is warped to the lips wanted, then they are blended.

Because the warped pictures agree on where lips and jaw are, the blend stays sharp. A picture whose lips touch
is never stretched over an open mouth, and none of an open mouth has a part in a shut one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.errors import PersonaError
from vcam_talker.core.stages import NO_NEEDS
from vcam_talker.core.types import MouthPose, Pixels
from vcam_talker.face.clip.archive import Floats
from vcam_talker.face.clip.assets import INNER, OUTER, SEALED, FaceAssets
from vcam_talker.face.clip.mouth_space import MouthSpace, Weights, openness, smooth
from vcam_talker.face.clip.patch import Moment, Patch, View
from vcam_talker.face.clip.resample import averaged
from vcam_talker.face.clip.video import Decoder, index_video
from vcam_talker.face.clip.warp import Warper

_MAX_FILE_BYTES: Final = 64_000_000
_FADE: Final = (0.0, 0.06)
"""Greatest mouth parameter from which the patch begins to show, and at which it shows fully: around rest it
looks like the clip's own mouth, so that nobody sees it come."""
_SHUT_PX: Final = 0.5
"""A narrower gap is none."""
_SEALED: Final = (0.015, SEALED)
"""Of the mouth's width: a gap that is none in any shape, and one that is none where the pose has the lips
touch: their edges may lie that far behind what is seen to touch."""
_PARTED: Final = 0.035
"""Of the mouth's width: a gap from which on only pictures of open mouths are used."""
_REACH: Final = 0.15
"""Of the mouth's width: how far a landmark carries its surroundings along."""
_HELD: Final = 0.3
"""Of the mouth's width: distance from the lips at which nothing is to move."""
_PRUNE: Final = 0.05
"""Parts this small are left out: each costs a warp."""


class PatchStore:
    """All patches of a presenter, decoded."""

    def __init__(self, luma: Pixels, chroma: Pixels) -> None:
        self.luma = luma
        """uint8[views, shapes, h, w]"""
        self.chroma = chroma
        """uint8[views, shapes, h / 2, w / 2, 2]"""


@dataclass(frozen=True, slots=True)
class Cut:
    """How patches are made as large as they are drawn: scaled, then cut to what the mask shows."""

    size: tuple[int, int]
    """Columns and rows after scaling."""
    x: slice
    y: slice


def fit_assets(assets: FaceAssets, shrink: float) -> tuple[Cut, FaceAssets]:
    """Return how to cut patches made smaller by `shrink` (0 .. 1), and the assets for patches like that."""
    size = assets.patch_size
    columns, rows = (max(round(n * shrink / 2) * 2, 2) for n in size) if shrink < 1.0 else size
    mask = _resized(assets.mask, columns, rows)
    x, y = _shown(mask.max(0)), _shown(mask.max(1))
    factor = (columns / size[0], rows / size[1])
    fitted = assets.refitted(np.ascontiguousarray(mask[y, x]), factor, (x.start, y.start))
    return Cut((columns, rows), x, y), fitted


def load_patches(path: Path, assets: FaceAssets, shrink: float) -> tuple[PatchStore, FaceAssets]:
    """Decode `mouths.mp4`, made smaller by `shrink` (0 .. 1) and cut to what the mask shows.

    Returned with it are the assets for patches like that. Some 0.2 ms a patch. Raises PersonaError.
    """
    size, count = assets.patch_size, assets.patches
    video = index_video(path, size, count, None, _MAX_FILE_BYTES)
    cut, fitted = fit_assets(assets, shrink)
    (columns, rows), x, y = cut.size, cut.x, cut.y
    views = len(assets.yaws) * len(assets.pitches)
    luma = np.empty((count, y.stop - y.start, x.stop - x.start), np.uint8)
    chroma = np.empty((count, luma.shape[1] // 2, luma.shape[2] // 2, 2), np.uint8)
    decoder = Decoder(video, lambda pixels: pixels)
    try:
        for n in range(count):
            pixels = decoder.read(n, 0)
            planes = pixels[size[1] :].reshape(2, size[1] // 2, size[0] // 2)
            luma[n] = _resized(pixels[: size[1]], columns, rows)[y, x]
            for k in range(2):
                plane = _resized(planes[k], columns // 2, rows // 2)
                chroma[n, :, :, k] = plane[y.start // 2 : y.stop // 2, x.start // 2 : x.stop // 2]
    except (OSError, EOFError, ValueError) as e:
        raise PersonaError(
            str(path),
            "is damaged: not all of its pictures can be decoded",
            "Make the persona anew with the studio, or put an undamaged file there",
        ) from e
    finally:
        decoder.close()
    store = PatchStore(luma.reshape(views, -1, *luma.shape[1:]), chroma.reshape(views, -1, *chroma.shape[1:]))
    return store, fitted


def strength_of(mouth: MouthPose) -> float:
    """Return how strongly a drawn mouth shows over the clip's own: 0 at rest, 1 soon after it."""
    return smooth(float(np.abs(mouth).max()), *_FADE)


class ShapePatches:
    """PatchSource that interpolates pre-rendered mouths. One thread; does not wait for anything."""

    needs = NO_NEEDS

    def __init__(self, store: PatchStore, assets: FaceAssets) -> None:
        """Take what `load_patches` returns. Raises PersonaError when the mouth at rest is not shut."""
        self._store = store
        self._shut = _shut(assets)
        self._space = MouthSpace(assets.shapes, self._shut)
        self._landmarks = _sealed(assets.landmarks, self._shut)
        self._yaws, self._pitches = assets.yaws, assets.pitches
        self._mask = assets.mask
        self._size = assets.patch_size
        outer = self._landmarks[:, 0, OUTER, 0]
        self._width_px = float((outer.max(1) - outer.min(1)).mean())
        self._warper = Warper(*self._size, _REACH * self._width_px)
        self._last: tuple[bytes, View] | None = None
        self._patch: Patch | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a patch."""
        return self._size

    def patch(self, moment: Moment) -> Patch | None:
        """Return the patch for the moment's mouth seen from its view; None at rest."""
        strength = strength_of(moment.mouth)
        if strength == 0.0:
            return None
        key = (moment.mouth.tobytes(), moment.view)
        if key != self._last:
            self._last, self._patch = key, self._make(moment.mouth, moment.view, strength)
        return self._patch

    def lips(self, mouth: MouthPose, view: View = (0.0, 0.0)) -> Floats:
        """Return where the landmarks of a mouth pose lie, float32[41, 2] in pixels of the patch."""
        return self._target(self._space.weights(mouth), self._views(view))

    def aperture_px(self, mouth: MouthPose) -> float:
        """Return the gap between the inner lips in pixels of the patch, exactly 0.0 when they touch."""
        if openness(mouth) == 0.0:
            return 0.0
        gap = _gap(self.lips(mouth))
        return gap if gap >= _SHUT_PX else 0.0

    def _make(self, mouth: MouthPose, view: View, strength: float) -> Patch:
        shapes, views = self._space.weights(mouth), self._views(view)
        target = self._target(shapes, views)
        textures = self._textures(shapes, _gap(target) if openness(mouth) > 0.0 else 0.0)
        # Cubed: one picture stands out, so that little is seen twice where no landmark holds it.
        parts = np.outer(views, textures) ** 3
        parts = np.maximum(parts - _PRUNE * parts.max(), 0.0)
        parts /= parts.sum()
        used = np.argwhere(parts > 0.0)
        held = self._held(target)
        self._warper.aim(np.concatenate([target, held]))
        away = np.zeros((len(used), len(target) + len(held), 2), np.float32)
        for row, (v, s) in zip(away, used, strict=True):
            row[: len(target)] = self._landmarks[v, s] - target
        luma = np.zeros(self._mask.shape, np.float32)
        chroma = np.zeros((*self._store.chroma.shape[2:4], 2), np.float32)
        for (v, s), field in zip(used, self._warper.fields(away), strict=True):
            part = float(parts[v, s])
            luma += self._warper.luma(self._store.luma[v, s], field) * np.float32(part)
            chroma += self._warper.chroma(self._store.chroma[v, s], field) * np.float32(part)
        return Patch(_rounded(luma), _rounded(chroma), self._mask, strength)

    def _target(self, shapes: Weights, views: npt.NDArray[np.float64]) -> Floats:
        used_shapes, used_views = np.flatnonzero(shapes), np.flatnonzero(views)
        marks = self._landmarks[np.ix_(used_views, used_shapes)]
        found = np.einsum("v,s,vspc->pc", views[used_views], shapes[used_shapes], marks)
        return np.asarray(found, np.float32)

    def _held(self, target: Floats) -> Floats:
        """Return places around the upper lip that stay: nose and cheeks don't follow a mouth that opens."""
        outer, away = target[OUTER], _HELD * self._width_px
        above = outer[:11] - np.array([0.0, away], np.float32)
        beside = outer[[0, 10]] + np.array([[-away, 0.0], [away, 0.0]], np.float32)
        return np.concatenate([above, beside])

    def _textures(self, shapes: Weights, gap_px: float) -> Weights:
        """Return the parts of the pictures: those of shut mouths vanish as soon as the lips are apart."""
        open_ = smooth(gap_px, 0.0, _PARTED * self._width_px)
        parts = shapes * np.where(self._shut, 1.0 - open_, open_)
        return parts / parts.sum() if parts.sum() > 0.0 else shapes

    def _views(self, view: View) -> npt.NDArray[np.float64]:
        """Return bilinear weights of all views, float64[V]."""
        yaw, pitch = _between(self._yaws, view[0]), _between(self._pitches, view[1])
        return np.outer(yaw, pitch).reshape(-1)


def _between(grid: Floats, at: float) -> npt.NDArray[np.float64]:
    weights = np.zeros(len(grid))
    place = float(np.interp(at, grid, np.arange(len(grid))))
    low = min(int(place), max(len(grid) - 2, 0))
    weights[low] = 1.0 - (place - low)
    if place > low:
        weights[low + 1] = place - low
    return weights


def _shut(assets: FaceAssets) -> npt.NDArray[np.bool_]:
    """Return which shapes have lips that touch, bool[N]."""
    outer, inner = assets.landmarks[:, :, OUTER, 0], assets.landmarks[:, :, INNER, 1]
    width = float((outer[:, 0].max(1) - outer[:, 0].min(1)).mean())
    gaps = (inner[:, :, :6:-1] - inner[:, :, 1:6]).max((0, 2)) / width
    touching = np.array([openness(shape) == 0.0 for shape in assets.shapes])
    shut = np.asarray(gaps <= np.where(touching, _SEALED[1], _SEALED[0]), np.bool_)
    if not shut[0]:
        raise PersonaError(
            str(assets.path),
            f"the mouth at rest is open: its inner lips lie {gaps[0]:.0%} of the mouth's width apart",
            "Make the persona anew with the studio",
        )
    return shut


def _sealed(landmarks: Floats, shut: npt.NDArray[np.bool_]) -> Floats:
    """Return the landmarks, with the inner lips of shut shapes exactly on each other."""
    marks = landmarks.copy()
    for shape in np.flatnonzero(shut):
        inner = marks[:, shape, INNER]
        middle = 0.5 * (inner[:, 1:6] + inner[:, :6:-1])
        inner[:, 1:6] = middle
        inner[:, :6:-1] = middle
        marks[:, shape, INNER] = inner
    return marks


def _gap(landmarks: Floats) -> float:
    """Return the widest gap between the inner lips of float32[41, 2], in pixels."""
    inner = landmarks[INNER]
    return max(float((inner[:6:-1, 1] - inner[1:6, 1]).max()), 0.0)


def _shown(line: npt.NDArray[np.uint8]) -> slice:
    """Return the even span around all that is not 0, a pixel more on either side where there is one."""
    where = np.flatnonzero(line)
    first, stop = max(int(where[0]) - 1, 0), min(int(where[-1]) + 2, len(line))
    return slice(first // 2 * 2, -(-stop // 2) * 2)


def _resized(plane: Pixels, columns: int, rows: int) -> Pixels:
    if plane.shape == (rows, columns):
        return plane
    return averaged(plane, (columns, rows))


def _rounded(plane: Floats) -> Pixels:
    return (plane + np.float32(0.5)).astype(np.uint8)
