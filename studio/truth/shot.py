"""What the camera does: its lens and place, the light, what is behind, and what the sensor makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import skia

from studio.character import LightSection
from studio.truth.colours import srgb
from studio.truth.draw import bounded_normal, generator, one_of
from vcam_talker.core.types import Pixels

BackgroundKind = Literal["plain", "gradient", "blobs", "stripes", "room"]
BACKGROUNDS: Final[tuple[BackgroundKind, ...]] = get_args(BackgroundKind)
Signal = npt.NDArray[np.float32]
"""float32[H, W, 3], 0 to 255."""

_SHEET: Final = 384


@dataclass(frozen=True, slots=True)
class Shot:
    """One clip's picture. The renderer makes everything down to `background`; `developed` does the rest."""

    fov_deg: float = 26.0
    """Vertical, of a whole picture of head and shoulders; a wide lens stands nearer and bends faces."""
    scale: float = 1.0
    """Size of the face in the crop; at 1 it reaches from the brows' top to just below the chin."""
    offset: tuple[float, float] = (0.0, 0.0)
    """Where the face's middle lies, right and down of the crop's, in shares of the crop."""
    tilt_deg: float = 0.0
    """Of the camera, clockwise."""
    exposure_stops: float = 0.0
    light: LightSection = field(default_factory=LightSection)
    """In place of the character's own."""
    background: BackgroundKind = "gradient"
    background_colours: tuple[str, str, str] = ("#5b6470", "#39404a", "#a08866")
    background_seed: int = 0
    balance: tuple[float, float] = (1.0, 1.0)
    """Gains of red and blue."""
    blur_px: float = 0.0
    """Deviation of a Gaussian."""
    noise: float = 0.0
    """Deviation, of 255, in mid-grey."""
    quality: int = 100
    """Of the JPEG the picture went through, 1 to 100; 100: none."""


def draw_shot(rng: np.random.Generator) -> Shot:
    """Return a random shot: mostly decent webcams, some bad ones."""
    bad = rng.random() < 0.2
    return Shot(
        fov_deg=round(float(rng.uniform(14, 48)), 2),
        scale=round(bounded_normal(rng, 1.0, 0.07, 0.85, 1.15), 3),
        offset=(
            round(bounded_normal(rng, 0, 0.025, -0.06, 0.06), 4),
            round(bounded_normal(rng, 0, 0.025, -0.06, 0.06), 4),
        ),
        tilt_deg=round(bounded_normal(rng, 0, 1.5, -4, 4), 2),
        exposure_stops=round(bounded_normal(rng, 0, 0.35, -1.0, 0.8), 2),
        light=_light(rng),
        background=one_of(rng, BACKGROUNDS),
        background_colours=(_wall(rng), _wall(rng), _wall(rng)),
        background_seed=int(rng.integers(1 << 30)),
        balance=(
            round(bounded_normal(rng, 1, 0.03, 0.92, 1.08), 3),
            round(bounded_normal(rng, 1, 0.04, 0.90, 1.10), 3),
        ),
        blur_px=round(float(rng.uniform(0.3, 1.0) if bad else max(0.0, rng.uniform(-0.4, 0.5))), 2),
        noise=round(float(rng.uniform(2, 6) if bad else rng.uniform(0, 2)), 2),
        quality=int(rng.integers(45, 80)) if bad else int(rng.integers(80, 101)),
    )


def developed(rgb: Pixels, shot: Shot, rng: np.random.Generator) -> Pixels:
    """Return a rendered crop (uint8[H, W, 3]) as its camera delivers it. Pure but for `rng`; about 2 ms."""
    x = rgb.astype(np.float32)
    if shot.balance != (1.0, 1.0):
        x *= np.array([shot.balance[0], 1.0, shot.balance[1]], np.float32)
    if shot.blur_px:
        x = _blurred(x, shot.blur_px)
    if shot.noise:
        # Photon noise grows with the root of the light; an sRGB curve flattens that.
        x += _grain(x.shape, rng) * (np.float32(shot.noise) * (1 - np.float32(0.4 / 255) * x))
    out: Pixels = np.clip(x + 0.5, 0, 255).astype(np.uint8)
    return out if shot.quality >= 100 else _compressed(out, shot.quality)


def _light(rng: np.random.Generator) -> LightSection:
    def tinted(warm: float) -> str:
        return srgb(
            np.clip(np.array([1.0 + 0.25 * warm, 0.93, 0.86 - 0.3 * warm]) + rng.normal(0, 0.02, 3), 0, 1)
        )

    dim = rng.random() < 0.15
    return LightSection(
        key=round(float(rng.uniform(0.3, 0.7) if dim else np.exp(rng.normal(0, 0.3))), 3),
        key_side="left" if rng.random() < 0.5 else "right",
        fill=round(float(np.exp(rng.normal(-0.1, 0.45))), 3),
        rim=round(float(rng.uniform(0, 1.8)), 3),
        key_colour=tinted(float(rng.normal(0.1, 0.3))),
        fill_colour=tinted(float(rng.normal(-0.3, 0.3))),
        rim_colour=tinted(float(rng.normal(0, 0.5))),
        ambient=srgb(rng.uniform(0.12, 0.5) * np.exp(rng.normal(0, 0.18, 3))),
        ambient_strength=round(float(np.exp(rng.normal(0, 0.3))), 3),
    )


def _wall(rng: np.random.Generator) -> str:
    return srgb(rng.beta(1.0, 2.0) * np.exp(rng.normal(0, 0.22, 3)))


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> Signal:
    """Return white noise of deviation 1: a random piece of a large sheet, ten times as fast as drawing it."""
    height, width = shape[:2]
    sheet = _sheet(height + _SHEET, width + _SHEET)
    y, x, turned = (int(n) for n in rng.integers((_SHEET, _SHEET, 4)))
    piece = sheet[y : y + height, x : x + width]
    return piece[:: 1 if turned & 1 else -1, :: 1 if turned & 2 else -1]


@lru_cache(maxsize=2)
def _sheet(height: int, width: int) -> Signal:
    return generator("grain", height, width).standard_normal((height, width, 3), np.float32)


def _blurred(x: Signal, sigma: float) -> Signal:
    reach = max(1, int(np.ceil(2.5 * sigma)))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2).astype(np.float32)
    taps /= taps.sum()
    for axis in (0, 1):
        pad = [(reach, reach) if a == axis else (0, 0) for a in range(3)]
        wide = np.pad(x, pad, mode="edge")
        size = x.shape[axis]
        x = sum(
            tap * (wide[k : k + size] if axis == 0 else wide[:, k : k + size]) for k, tap in enumerate(taps)
        )
    return x


def _compressed(rgb: Pixels, quality: int) -> Pixels:
    """Send a picture through JPEG with halved colour, as webcams do."""
    rgba = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    packed = skia.Image.fromarray(rgba, colorType=skia.kRGBA_8888_ColorType).encodeToData(skia.kJPEG, quality)
    image = skia.Image.MakeFromEncoded(packed)
    return np.ascontiguousarray(image.toarray(colorType=skia.kRGBA_8888_ColorType)[..., :3])
