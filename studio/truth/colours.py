"""What people are coloured with: melanin and blood in the skin, two melanins in hair, and little in irises.

Light is dimmed exponentially by what it passes, so pigments add up in the logarithm of the albedo (the plane
that N. Tsumura et al., "Independent-component analysis of skin color image" (1999), separate skin into). The
vectors are fitted by eye to the range from the fairest to the deepest skin.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from studio.truth.draw import weighted

Albedo = npt.NDArray[np.float64]
"""float64[3]: linear red, green, blue, 0 to 1."""

_FAIR: Final = np.array([0.78, 0.545, 0.43])
_MELANIN: Final = np.array([2.25, 2.70, 2.95])
_BLOOD: Final = np.array([0.07, 0.24, 0.19])
_CAROTENE: Final = np.array([0.0, 0.03, 0.14])

_EUMELANIN: Final = np.array([3.5, 4.0, 4.4])
_PHEOMELANIN: Final = np.array([0.3, 1.5, 3.0])
_NO_PIGMENT: Final = np.array([0.62, 0.52, 0.40])

_IRISES: Final = {
    "brown": (0.105, 0.045, 0.018),
    "dark": (0.035, 0.017, 0.010),
    "hazel": (0.16, 0.10, 0.035),
    "green": (0.10, 0.14, 0.065),
    "grey": (0.17, 0.20, 0.23),
    "blue": (0.08, 0.17, 0.32),
}


def skin_albedo(melanin: float, blood: float, warmth: float) -> Albedo:
    """Return skin: `melanin` 0 to 1; `blood` and `warmth` (yellow) about 0, from -1 to 1, more in lips."""
    density = melanin * _MELANIN + blood * _BLOOD + warmth * _CAROTENE
    found: Albedo = np.clip(_FAIR * np.exp(-density), 0.012, 0.92)
    return found


def hair_albedo(dark: float, red: float) -> Albedo:
    """Return hair: `dark` 0 fair to 1 black, `red` 0 to 1."""
    found: Albedo = np.clip(
        _NO_PIGMENT * np.exp(-dark * _EUMELANIN - red * (1 - dark) * _PHEOMELANIN), 0.006, 0.9
    )
    return found


def iris_colour(rng: np.random.Generator, melanin: float) -> str:
    """Return an iris, `#rrggbb`: brown or darker in all but fair skin."""
    fair = float(np.clip(1 - melanin / 0.4, 0, 1))
    kind = weighted(
        rng,
        {
            "brown": 1.0,
            "dark": 0.4 + 1.5 * melanin,
            "hazel": 0.6 * fair,
            "green": 0.45 * fair,
            "grey": 0.5 * fair,
            "blue": 0.9 * fair,
        },
    )
    return srgb(np.array(_IRISES[kind]) * np.exp(rng.normal(0, 0.18, 3)))


def srgb(albedo: npt.ArrayLike) -> str:
    """Return linear red, green, blue as `#rrggbb` (the sRGB transfer function)."""
    x = np.clip(np.asarray(albedo, np.float64), 0, 1)
    encoded = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * c):02x}" for c in encoded)
