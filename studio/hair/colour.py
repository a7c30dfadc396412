"""The colour of hair: darker at its roots and deep within, another shade in every lock, some of it grey."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from studio.character import HairSection, linear
from studio.fields import Field, ramp
from studio.mesh import Points

_GREY: Final = np.array([0.27, 0.263, 0.255])
_DARKEST: Final = 0.0015


def coloured(
    roots: Points,
    hair: HairSection,
    lock: npt.NDArray[np.int64],
    depth: Field,
    points: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Return linear colours, float32[N, points, 3].

    `lock`: int64[N], whose shade is one; `depth`: 0 where no light gets, 1 on the outside.
    """
    count = len(roots)
    t = np.linspace(0.0, 1.0, points)[None, :, None]
    base = np.array(linear(hair.colour))
    light = np.clip(base * 1.7 + 0.006, 0.0, 0.9)
    tips = np.array(linear(hair.tips)) if hair.tips else 0.45 * base + 0.55 * light
    several = int(lock.max()) + 1 if count else 1
    shade = np.exp(0.16 * rng.normal(size=several))[lock] * np.exp(0.07 * rng.normal(size=count))
    # Some locks are bleached by the sun.
    bright = (rng.random(several) ** 3)[lock][:, None, None]
    found = base + (tips - base) * ramp(t, 0.25, 1.0) * (0.6 + 0.4 * bright)
    found = found + (light - found) * 0.35 * bright * ramp(t, 0.1, 0.6)
    found = found * shade[:, None, None] * (0.62 + 0.38 * ramp(t, 0.0, 0.22))
    temple = ramp(np.abs(roots[:, 0]), 0.35, 0.6) * ramp(0.6 - roots[:, 1], 0.0, 0.4)
    grey = rng.random(count) < hair.grey * (0.85 + 0.5 * temple)
    whiter = rng.uniform(0.35, 0.95, (count, 1, 1)) ** (2.4 - 1.6 * hair.grey)
    found[grey] += (whiter * (_GREY - found))[grey]
    found = found * (0.45 + 0.55 * depth)[:, None, None]
    return np.asarray(np.clip(found, _DARKEST, 0.95), np.float32)
