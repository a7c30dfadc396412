"""Six emotions and how the face moves between any two of them.

Each emotion is a vector of offsets from the resting face. Every emotion has a weight that follows its target
through a critically damped spring, so that a change may come at any moment without a jump.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vcam_talker.core.types import Emotion
from vcam_talker.face.spring import EMOTION_RATE, Spring, Vector, one_hot

FIELDS: Final = (
    "brow_raise",  # -1 low .. 1 high, both brows
    "brow_inner",  # -1 inner ends down .. 1 up
    "brow_outer",  # -1 outer ends down .. 1 up
    "brow_knit",  # 0 .. 1 drawn together
    "brow_skew",  # -1 .. 1: the viewer's right brow higher than the left
    "lid_upper",  # added to the openness of the eyes, whose rest is 1
    "lid_lower",  # 0 .. 1 lower lids raised
    "lid_skew",  # 0 .. 1: the viewer's right eye half shut
    "pupil",  # added to the pupils' size, whose rest is 1
    "smile",  # -1 corners down .. 1 up
    "smile_skew",  # -1 .. 1: the viewer's right corner higher than the left
    "mouth_width",  # added to the mouth's width, in its own measure -1 .. 1
    "mouth_shift",  # figure units to the viewer's right
    "blush",  # 0 .. 1
    "yaw",  # degrees
    "pitch",
    "roll",
    "gaze_x",
    "gaze_y",
    "shoulders",  # figure units up
)

PRESETS: Final[dict[Emotion, dict[str, float]]] = {
    Emotion.NEUTRAL: {
        "smile": 0.7, "lid_upper": -0.06, "brow_raise": 0.1, "brow_inner": 0.25, "brow_outer": 0.05,
        "blush": 0.4,
    },
    Emotion.HAPPY: {
        "brow_raise": 0.45, "brow_inner": 0.1, "brow_outer": 0.05, "lid_upper": -0.1, "lid_lower": 0.75,
        "pupil": 0.1, "smile": 1.0, "mouth_width": 0.25, "blush": 0.8, "pitch": 2.0, "roll": 3.5,
        "shoulders": 3.0,
    },
    Emotion.SAD: {
        "brow_raise": -0.05, "brow_inner": 0.95, "brow_outer": -0.5, "brow_knit": 0.35, "lid_upper": -0.26,
        "pupil": 0.12, "smile": -0.65, "mouth_width": -0.2, "blush": 0.1, "yaw": -4.0, "pitch": -5.0,
        "roll": -4.0, "gaze_y": 0.3, "shoulders": -4.0,
    },
    Emotion.ANGRY: {
        "brow_raise": -0.5, "brow_inner": -0.85, "brow_outer": 0.35, "brow_knit": 0.8, "lid_upper": -0.22,
        "lid_lower": 0.3, "pupil": -0.14, "smile": -0.55, "mouth_width": 0.05, "blush": 0.35, "pitch": -4.0,
        "shoulders": 4.0,
    },
    Emotion.SURPRISED: {
        "brow_raise": 1.0, "brow_inner": 0.15, "lid_upper": 0.16, "lid_lower": -0.1, "pupil": -0.24,
        "smile": 0.05, "mouth_width": -0.3, "blush": 0.3, "pitch": 4.0, "shoulders": 6.0,
    },
    Emotion.THOUGHTFUL: {
        "brow_raise": 0.1, "brow_inner": 0.1, "brow_knit": 0.25, "brow_skew": 0.7, "lid_upper": -0.12,
        "lid_lower": 0.15, "smile": 0.05, "smile_skew": 0.25, "mouth_width": -0.25, "mouth_shift": 3.5,
        "blush": 0.2, "yaw": 6.0, "pitch": 3.0, "roll": 5.0, "gaze_x": 0.45, "gaze_y": -0.5,
    },
    Emotion.PLAYFUL: {
        "brow_raise": 0.3, "brow_outer": 0.1, "brow_skew": -0.7, "lid_upper": -0.06, "lid_lower": 0.35,
        "lid_skew": 0.45, "pupil": 0.06, "smile": 0.75, "smile_skew": 0.65, "mouth_width": 0.1,
        "mouth_shift": 1.5, "blush": 0.6, "yaw": -5.0, "pitch": -1.5, "roll": -6.0, "shoulders": 2.0,
    },
}  # fmt: skip

_EMOTIONS: Final = tuple(Emotion)
_TABLE: Final[Vector] = np.array([[PRESETS[e].get(f, 0.0) for f in FIELDS] for e in _EMOTIONS])


class EmotionBlend:
    """The mix of emotions on the face. One thread."""

    def __init__(self, default: Emotion, strength: float) -> None:
        self._strength = strength
        self._weights = Spring(one_hot(default), EMOTION_RATE)

    def step(self, emotion: Emotion, dt: float) -> dict[str, float]:
        """Move on by `dt` seconds towards `emotion`; returns every field of `FIELDS`."""
        weights = self._weights.step(one_hot(emotion), dt)
        return self._fields(weights)

    def weight(self, emotion: Emotion) -> float:
        """Return how much of `emotion` shows, 0 .. 1."""
        return float(self._weights.value[_EMOTIONS.index(emotion)])

    def snap(self, emotion: Emotion) -> None:
        """Show `emotion` at once."""
        self._weights.snap(one_hot(emotion))

    def _fields(self, weights: Vector) -> dict[str, float]:
        rest = _TABLE[0]
        mixed = rest + self._strength * (weights @ (_TABLE - rest))
        return dict(zip(FIELDS, mixed.tolist(), strict=True))
