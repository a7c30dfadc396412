"""Easing that any scene may use: springs, and how quickly a face changes its mood."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import Emotion

Vector = npt.NDArray[np.float64]

EMOTION_RATE: Final = 11.0
"""1/s. A critically damped spring of this rate is 95 % there after 0.43 s."""
RESET_S: Final = 2.0
"""A longer jump of time (a suspended machine, a seek) settles all springs at once."""
_EMOTIONS: Final = tuple(Emotion)


class Spring:
    """A critically damped spring on a vector, solved exactly: any step length gives the same curve."""

    def __init__(self, rest: Vector, rate: float) -> None:
        self.value = np.array(rest, np.float64)
        self._speed = np.zeros_like(self.value)
        self._rate = rate

    def step(self, target: Vector, dt: float) -> Vector:
        """Move on by `dt` >= 0 seconds towards `target`; returns the new value."""
        gap = self.value - target
        slope = self._speed + self._rate * gap
        decay = math.exp(-self._rate * dt)
        self.value = target + (gap + slope * dt) * decay
        self._speed = (self._speed - self._rate * slope * dt) * decay
        return self.value

    def snap(self, target: Vector) -> None:
        """Be at rest at `target`."""
        self.value = np.array(target, np.float64)
        self._speed = np.zeros_like(self.value)


def one_hot(emotion: Emotion) -> Vector:
    """Return the weights of all emotions when only `emotion` shows, float64[7] in the order of `Emotion`."""
    weights = np.zeros(len(_EMOTIONS))
    weights[_EMOTIONS.index(emotion)] = 1.0
    return weights
