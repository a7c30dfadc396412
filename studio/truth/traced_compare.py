"""How far a drawn picture is from a path-traced one of the same moment, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from studio.raster.stage import Layer, develop
from studio.truth.render import Label
from studio.truth.traced_scene import REGIONS

Mask = npt.NDArray[np.bool_]
"""bool[H, W]"""
Colours = npt.NDArray[np.float32]
"""float32[H, W, 3]"""

AREAS: Final[Mapping[str, tuple[Label, ...]]] = {
    "face": tuple(label for label in Label if label != Label.NOTHING),
    "lips": (Label.LIPS,),
    "inside the mouth": (Label.MOUTH, Label.TEETH, Label.TONGUE),
    "teeth": (Label.TEETH,),
    "tongue": (Label.TONGUE,),
}
"""What labels are summed up as when outlines are compared."""
_LUMA: Final = np.array([0.2126, 0.7152, 0.0722], np.float32)
_OPAQUE: Final = 0.99
_FEWEST: Final = 12
"""Pixels: of less no brightness is told."""
_WINDOW_PX: Final = 1.5
_DARKEST: Final = 0.01
"""Of the albedo that light is divided by."""


@dataclass(frozen=True, slots=True)
class View:
    """One renderer's picture."""

    layer: Layer
    labels: npt.NDArray[np.uint8]
    """uint8[H, W] of `Label`."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How alike two pictures are; colours after one gain for the whole traced one."""

    gain_stops: float
    """What the traced picture was brightened by, from the mean of the face."""
    error: float
    """Mean absolute difference over the face in linear light, against its mean."""
    psnr_db: float
    """Over the face, as displayed."""
    ssim: float
    """Mean over the face of the displayed luma's structural similarity."""
    shading: float
    """Correlation, over bare skin, of light without paint."""
    stops: Mapping[str, float]
    """How much brighter the drawn picture is, region by region."""
    outlines: Mapping[str, tuple[int, int]]
    """Pixels that both pictures call by a name, and that at least one does."""

    def report(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return asdict(self) | {"outlines": {name: iou(*pair) for name, pair in self.outlines.items()}}


def compare(
    drawn: View, traced: View, albedo: Colours, regions: npt.NDArray[np.uint8], exposure: float
) -> Figures:
    """Compare two pictures of one moment.

    `albedo` and `regions` (into REGIONS) are the traced picture's; `exposure` develops both for display.
    """
    face = _opaque(drawn) & _opaque(traced) & (drawn.labels > 0) & (traced.labels > 0)
    gain = gain_of(drawn.layer[face, :3], traced.layer[face, :3])
    first, second = drawn.layer[..., :3], traced.layer[..., :3] * np.float32(gain)
    shown = [develop(np.asarray(x, np.float32), exposure) for x in (first, second)]
    skin = face & (regions == REGIONS.index("skin")) & (drawn.labels == traced.labels)
    paint = np.maximum(albedo @ _LUMA, _DARKEST)
    same = face & (drawn.labels == traced.labels)
    return Figures(
        gain_stops=float(np.log2(gain)),
        error=float(np.abs(first - second)[face].mean() / first[face].mean()),
        psnr_db=psnr_db(shown[0][face], shown[1][face]),
        ssim=float(ssim(shown[0] @ _LUMA, shown[1] @ _LUMA)[face].mean()),
        shading=correlation((first @ _LUMA / paint)[skin], (second @ _LUMA / paint)[skin]),
        stops={
            name: float(np.log2(gain_of(first[at], second[at])))
            for k, name in enumerate(REGIONS)
            if k and (at := same & (regions == k)).sum() >= _FEWEST
        },
        outlines={name: overlap(*(_of(v, names) for v in (drawn, traced))) for name, names in AREAS.items()},
    )


def gain_of(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    """Return what `second` (float32[N, 3], linear) is to be multiplied by to be as bright as `first`."""
    return float(max(float((first @ _LUMA).sum()), 1e-9) / max(float((second @ _LUMA).sum()), 1e-9))


def psnr_db(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    """Return the ratio of full scale (1) to the root mean square of the difference; of twins 99."""
    mean_square = float(((first.astype(np.float64) - second) ** 2).mean())
    return min(99.0, -10 * float(np.log10(max(mean_square, 1e-12))))


def ssim(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the structural similarity at each pixel, float32[H, W], of two pictures of 0 .. 1.

    After Wang, Bovik, Sheikh and Simoncelli 2004, with its Gaussian window and constants.
    """

    def mean(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(x, (11, 11), _WINDOW_PX), np.float32)

    a, b = np.asarray(first, np.float32), np.asarray(second, np.float32)
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    return np.asarray(
        (2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2)), np.float32
    )


def correlation(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    """Return Pearson's coefficient of float32[N]; 0 where one does not vary."""
    if len(first) < 2 or not (np.ptp(first) and np.ptp(second)):
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def overlap(first: Mask, second: Mask) -> tuple[int, int]:
    """Return how many pixels are in both, and in either."""
    return int((first & second).sum()), int((first | second).sum())


def iou(both: int, either: int) -> float:
    """Return the share that two outlines have in common; 1 when there is nothing."""
    return both / either if either else 1.0


def summary(found: Sequence[Figures]) -> dict[str, Any]:
    """Return all pictures' figures in one: outlines pooled, of the rest the median and the worst."""
    worst_is_least = {"psnr_db": True, "ssim": True, "shading": True, "error": False}
    out: dict[str, Any] = {"pictures": len(found)}
    for name, least in worst_is_least.items():
        values = [getattr(each, name) for each in found]
        worst = min(values) if least else max(values)
        out[name] = {"median": float(np.median(values)), "worst": worst}
    gains = [each.gain_stops for each in found]
    out["gain_stops"] = {"median": float(np.median(gains)), "least": min(gains), "most": max(gains)}
    out["outlines"] = {
        name: iou(*(sum(each.outlines[name][k] for each in found) for k in range(2))) for name in AREAS
    }
    out["stops"] = {}
    for region in REGIONS:
        values = [each.stops[region] for each in found if region in each.stops]
        if values:
            spread = {"mean": float(np.mean(values)), "least": min(values), "most": max(values)}
            out["stops"][region] = spread | {"pictures": len(values)}
    return out


def _opaque(view: View) -> Mask:
    return np.asarray(view.layer[..., 3] > _OPAQUE)


def _of(view: View, labels: tuple[Label, ...]) -> Mask:
    return np.asarray(np.isin(view.labels, labels))
