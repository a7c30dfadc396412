"""The 72 points of a face, found by a small net that numpy runs.

The net is trained by `python -m studio.lips.landmarks`, on rendered people alone. It looks at a cut of 96x96
pixels; because the cut follows from the points, it looks again at a better cut, until they stand still.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vcam_talker.core.errors import EngineError
from vcam_talker.core.types import Pixels

Floats = npt.NDArray[np.float32]
Points = npt.NDArray[np.float32]
"""float32[72, 2] in pixels, x right and y down, pixel centres at +0.5."""

INPUT: Final = 96
POINTS: Final = 72
JAW: Final = slice(0, 9)
BROW_LEFT: Final = slice(9, 14)
BROW_RIGHT: Final = slice(14, 19)
NOSE: Final = slice(19, 28)
EYE_LEFT: Final = slice(28, 34)
EYE_RIGHT: Final = slice(34, 40)
"""A corner at the viewer's left, two points of the upper lid, the other corner, two of the lower lid from the
right; which eye is told by where the viewer sees it."""
LIPS: Final = slice(40, 72)
"""20 of the outer edge, 12 of the inner one, in the order of docs/faces.md."""
STEADY: Final = np.r_[9:40]
"""Brows, nose and eyes: what a mouth that speaks does not move."""
MIRROR: Final = np.concatenate(
    (
        np.r_[8:-1:-1, 18:13:-1, 13:8:-1],
        19 + np.array([0, 1, 2, 3, 8, 7, 6, 5, 4]),
        34 + np.array([3, 2, 1, 0, 5, 4]),
        28 + np.array([3, 2, 1, 0, 5, 4]),
        40 + np.r_[10:-1:-1, 19:10:-1],
        60 + np.r_[6:-1:-1, 11:6:-1],
    )
)
"""`points[MIRROR]` are the points of the face in a mirror, once their x is turned round."""

SIDE: Final = 1.4
"""Of the net's cut, against the longer side of the box about all points."""
MODEL: Final = Path(__file__).resolve().parents[1] / "models" / "landmarks" / "landmarks.npz"
_DAMAGED: Final = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading an .npz file raises that was cut off or overwritten, headers included."""
_LOOKS: Final = 4
_SINGLE_THREADED: Final = 200_000
"""Products in a matrix product that OpenBLAS does in one thread."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution of the net."""

    name: str
    inputs: int
    outputs: int
    size: int
    stride: int = 1
    rectified: bool = True


LAYERS: Final = (
    Layer("stem", 3, 16, 3, 2),
    Layer("quarter", 16, 40, 3, 2),
    Layer("fine", 40, 40, 3),
    Layer("eighth", 40, 64, 3, 2),
    Layer("eighth_more", 64, 64, 3),
    Layer("low", 64, 96, 3, 2),
    Layer("low_more", 96, 96, 3),
    Layer("low_last", 96, 96, 3),
    Layer("low_up", 96, 64, 1),
    Layer("eighth_last", 64, 64, 3),
    Layer("eighth_up", 64, 40, 1),
    Layer("fine_last", 40, 48, 3),
    Layer("heat", 48, POINTS, 1, rectified=False),
)


def mouth_landmarks(points: Points) -> Floats:
    """Return float32[41, 2] in the order of docs/faces.md: lips, then jaw."""
    return np.concatenate((points[LIPS], points[JAW]))


def mouth_width(points: Points) -> float:
    """Return the distance between the corners of the mouth, pixels."""
    return float(np.linalg.norm(points[LIPS][10] - points[LIPS][0]))


def gap(points: Points) -> float:
    """Return how far the inner lips are apart, in widths of the mouth; around 0 where they touch."""
    lips = points[LIPS]
    along = lips[10] - lips[0]
    down = np.array([-along[1], along[0]]) / float(along @ along)
    apart = (lips[[30, 29, 28]] - lips[[22, 23, 24]]) @ down
    return float(apart.mean())


class LandmarkNet:
    """Runs the net. Immutable; any thread; some 10 ms a look."""

    def __init__(self, path: Path = MODEL) -> None:
        """Read the weights. Raises EngineError when the file is missing or damaged."""
        try:
            with np.load(path, allow_pickle=False) as found:
                weights = {name: found[name].astype(np.float32) for name in found.files}
            self._layers = {layer.name: _prepared(layer, weights) for layer in LAYERS}
        except _DAMAGED as e:
            raise EngineError(str(path), "is missing or damaged", "Install vcam-talker again") from e

    def find(self, picture: Pixels, box: tuple[float, float, float, float]) -> Found:
        """Return the points of the face in about `box` (left, top, width, height) of uint8[H, W, 3], RGB."""
        left, top, width, height = box
        # A box of the whole face: the net's cut goes by its points, brows to chin.
        centre = np.array([left + width / 2, top + height * 0.54])
        frame = _Frame(centre, SIDE * 0.95 * max(width, height), 0.0)
        return self.follow(picture, frame, _LOOKS)

    def track(self, picture: Pixels, points: Points) -> Found:
        """Return the points of the face that was at `points` a moment ago."""
        return self.follow(picture, frame_of(points), 1)

    def follow(self, picture: Pixels, frame: _Frame, looks: int) -> Found:
        """Look `looks` times, each time at the cut that follows from the points before."""
        for look in range(looks):
            affine = frame.affine()
            points, sure = self._seen(cut(picture, affine), twice=look == looks - 1)
            back = cv2.invertAffineTransform(_centred(affine))
            points = (points @ back[:, :2].T + back[:, 2]).astype(np.float32)
            moved = float(np.linalg.norm(frame_of(points).centre - frame.centre)) / frame.side
            if look < looks - 1:
                frame = frame_of(points)
        return Found(points, sure, moved)

    def _seen(self, seen: Pixels, *, twice: bool) -> tuple[Floats, float]:
        """Return the points of a cut; `twice`: the mean of what the net sees there and in a mirror."""
        points, sure = _places(self.heat(seen))
        if not twice:
            return points, sure
        other, surely = _places(self.heat(np.ascontiguousarray(seen[:, ::-1])))
        other = other[MIRROR] * np.array([-1, 1], np.float32) + np.array([INPUT, 0], np.float32)
        return (points + other) / 2, (sure + surely) / 2

    def heat(self, cut: Pixels) -> Floats:
        """Return the logits float32[72, 24, 24] of a cut uint8[96, 96, 3]."""
        x = levelled(cut).transpose(2, 0, 1)
        run = self._run
        fine = run("quarter", run("stem", x))
        fine = fine + run("fine", fine)
        eighth = run("eighth", fine)
        eighth = eighth + run("eighth_more", eighth)
        low = run("low", eighth)
        low = low + run("low_more", low)
        low = low + run("low_last", low)
        eighth = run("eighth_last", eighth + _twice(run("low_up", low)))
        fine = fine + _twice(run("eighth_up", eighth))
        return run("heat", run("fine_last", fine))

    def _run(self, name: str, x: Floats) -> Floats:
        layer, weight, bias = self._layers[name]
        pad, stride = layer.size // 2, layer.stride
        rows, columns = x.shape[1] // stride, x.shape[2] // stride
        padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
        taps = np.empty((layer.size, layer.size, layer.inputs, rows, columns), np.float32)
        for i in range(layer.size):
            for j in range(layer.size):
                down, across = slice(i, i + stride * rows, stride), slice(j, j + stride * columns, stride)
                taps[i, j] = padded[:, down, across]
        # In pieces too small for BLAS to wake up its threads, which cost more than they bring.
        pieces = _pieces(rows * columns, layer.inputs * layer.outputs)
        parts = taps.reshape(len(weight), layer.inputs, pieces, -1).transpose(0, 2, 1, 3)
        sums = np.matmul(weight[:, None], np.ascontiguousarray(parts)).sum(0)
        out = sums.transpose(1, 0, 2).reshape(layer.outputs, -1) + bias
        if layer.rectified:
            np.maximum(out, 0, out=out)
        return np.asarray(out.reshape(layer.outputs, rows, columns), np.float32)


@dataclass(frozen=True, slots=True)
class Found:
    """What the net says of a cut."""

    points: Points
    sure: float
    """0 .. 1: how narrow the places of the points are, on the whole."""
    moved: float
    """How far the last look went from the one before, in sides of the cut: a face stands still."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """The square that the net looks at."""

    centre: npt.NDArray[np.floating]
    side: float
    turn: float
    """Radians, clockwise as seen."""

    def affine(self) -> Floats:
        """Return the affine from indices of the picture's pixels to those of the cut."""
        scale = INPUT / self.side
        cos, sin = np.cos(self.turn) * scale, np.sin(self.turn) * scale
        matrix = np.array([[cos, sin], [-sin, cos]])
        shift = INPUT / 2 - matrix @ np.asarray(self.centre, np.float64)
        shift += matrix @ np.array([0.5, 0.5]) - 0.5
        return np.column_stack((matrix, shift)).astype(np.float32)


def frame_of(points: Points) -> _Frame:
    """Return the cut that the points ask for: level with the eyes, about all of them."""
    turn = level(points)
    cos, sin = np.cos(turn), np.sin(turn)
    turned = points @ np.array([[cos, -sin], [sin, cos]])
    low, high = turned.min(0), turned.max(0)
    middle = (low + high) / 2 @ np.array([[cos, sin], [-sin, cos]])
    return _Frame(middle, SIDE * float((high - low).max()), turn)


def level(points: Points) -> float:
    """Return by how much the eyes are off the level, radians, clockwise as seen."""
    across = points[EYE_RIGHT].mean(0) - points[EYE_LEFT].mean(0)
    return float(np.arctan2(across[1], across[0]))


def levelled(cut: Pixels) -> Floats:
    """Return what the net takes of a cut (or of several): around 0, of deviation 1 in each; float32."""
    x = cut.astype(np.float32)
    mean = x.mean((-3, -2, -1), keepdims=True)
    return np.asarray((x - mean) / (x.std((-3, -2, -1), keepdims=True) + np.float32(8)), np.float32)


def cut(picture: Pixels, affine: Floats) -> Pixels:
    """Return what the net sees, uint8[96, 96, 3], given the affine from indices of the picture's pixels."""
    scale = float(np.sqrt(np.linalg.det(affine[:, :2])))
    # Large faces are sampled finely, then averaged: every pixel counts.
    fine = min(max(round(1 / scale), 1), 16)
    larger = affine * np.float32(fine)
    larger[:, 2] += (fine - 1) / 2
    size = (INPUT * fine, INPUT * fine)
    seen = cv2.warpAffine(picture, larger, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if fine > 1:
        seen = cv2.resize(seen, (INPUT, INPUT), interpolation=cv2.INTER_AREA)
    return np.asarray(seen, np.uint8)


def _prepared(layer: Layer, weights: Mapping[str, Floats]) -> tuple[Layer, Floats, Floats]:
    weight, bias = weights[f"{layer.name}.weight"], weights[f"{layer.name}.bias"]
    if weight.shape != (layer.outputs, layer.inputs, layer.size, layer.size) or bias.shape != (
        layer.outputs,
    ):
        raise ValueError(f"{layer.name} is of another net")
    taps = weight.transpose(2, 3, 0, 1).reshape(-1, layer.outputs, layer.inputs)
    return layer, np.ascontiguousarray(taps), bias[:, None]


def _pieces(count: int, each: int) -> int:
    """Return in how many equal pieces to take `count` columns, with `each` products in every one of them."""
    return next(n for n in range(1, count + 1) if count % n == 0 and count // n * each <= _SINGLE_THREADED)


def _places(heat: Floats) -> tuple[Floats, float]:
    """Return the mean places of the heat maps in pixels of the cut, and how narrow they are."""
    count, rows, columns = heat.shape
    flat = heat.reshape(count, -1)
    share = np.exp(flat - flat.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    sure = float(np.sqrt((share * share).sum(1)).mean())
    share = share.reshape(heat.shape)
    cell = INPUT / columns
    x = share.sum(1) @ ((np.arange(columns) + 0.5) * cell)
    y = share.sum(2) @ ((np.arange(rows) + 0.5) * cell)
    return np.stack((x, y), -1).astype(np.float32), sure


def _centred(affine: Floats) -> Floats:
    """Return an affine of indices as one of places, where pixel centres lie at +0.5."""
    found = affine.copy()
    found[:, 2] += 0.5 - affine[:, :2] @ np.array([0.5, 0.5], np.float32)
    return found


def _twice(x: Floats) -> Floats:
    return x.repeat(2, 1).repeat(2, 2)
