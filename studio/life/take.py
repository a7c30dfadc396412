"""One piece of life in the making: postures, nods, glances, blinks and breath put on a common time line."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

import numpy as np
import numpy.typing as npt

from studio.life import anchors as ch
from studio.life.anchors import ANCHORS, CHANNELS, EMPTY, Channels, channels_of, lid_of_gaze
from studio.life.curves import Curve, breath, min_jerk, stroke, sway, window
from studio.life.gaze import FPS, Fixation, blinks, follow, lids
from studio.life.style import Style

Posture = npt.NDArray[np.float64]
"""float64[5]: yaw, pitch, roll (degrees), shift, lean (cm)."""

_LOW: Final = np.array([-4.2, -1.6, -2.8, -0.9, -0.5])
_HIGH: Final = np.array([4.2, 1.9, 2.8, 0.9, 1.5])
"""Postures stay within these; nods, breath and sway come on top."""
_SWAY: Final = np.array([0.34, 0.24, 0.26, 0.05, 0.07])
"""Height of the motion that never ends, in the postures' units."""
_LATE_S: Final = np.array([0.0, 0.05, 0.09, 0.10, 0.06])
_SLOW: Final = np.array([1.0, 1.05, 1.25, 1.3, 1.2])
"""A head turns first; its tilt and the weight follow, later and more slowly."""
_BREATH_PITCH_DEG: Final = 0.42
_BREATH_LEAN_CM: Final = -0.10
"""For a whole unit of breath: the chest rises, the head goes up and back a little."""
_BROW_OF_GAZE: Final = 0.016
"""Brows go up with the eyes, for each degree."""


class Take:
    """Adds motions from one anchor's posture to another's; `finish` gives the frames. One thread."""

    def __init__(
        self, begins: str, ends: str, frames: int, style: Style, rng: Random, blinks_s: list[float]
    ) -> None:
        """Begin at rest; lids fall at `blinks_s`, unless something else makes them fall about then."""
        self.t: Curve = np.arange(frames + 1) / FPS
        self.end_s = frames / FPS
        self.style = style
        self.rng = rng
        self._first, self._last = channels_of(ANCHORS[begins]), channels_of(ANCHORS[ends])
        self._values = np.zeros((frames + 1, len(CHANNELS)))
        self._at: Posture = self._first[: ch.BREATH].copy()
        self._blinks_s = blinks_s
        self._fixations: list[Fixation] = []
        self._lag_s = rng.uniform(0.0, 0.008)

    @property
    def middle(self) -> Posture:
        """Half way between both anchors' postures."""
        return np.asarray((self._first + self._last)[: ch.BREATH] / 2)

    @property
    def posture(self) -> Posture:
        """Where it is, or is going."""
        return self._at.copy()

    def go(self, start_s: float, lasts_s: float, posture: Sequence[float] | Posture) -> None:
        """Move into a posture, on top of whatever still goes on; every channel in its own time."""
        self._move(start_s, lasts_s, np.clip(posture, _LOW, _HIGH))

    def arrive(self, start_s: float, end_s: float) -> None:
        """Move to where the last anchor wants it, so that the slowest channel is there at `end_s`."""
        lasts_s = ((end_s - start_s - _LATE_S) / _SLOW).min()
        self._move(start_s, float(lasts_s), self._last[: ch.BREATH])

    def add(self, channel: int, curve: Curve) -> None:
        """Add a curve that is 0 at both ends of the take."""
        self._values[:, channel] += curve

    def nod(self, start_s: float, degrees: float, down_s: float = 0.2, up_s: float = 0.32) -> None:
        """Go down by `degrees` and come back."""
        self.add(ch.PITCH, -degrees * stroke(self.t, start_s, down_s, 0.0, up_s))

    def brow(self, start_s: float, up: float, rise_s: float, hold_s: float, fall_s: float) -> None:
        """Raise both brows (or lower them), one side more than the other."""
        skew = self.style.skew + self.rng.gauss(0.0, 0.12)
        curve = up * self.style.brows * stroke(self.t, start_s, rise_s, hold_s, fall_s)
        self.add(ch.BROW_LEFT, (1.0 - skew) * curve)
        self.add(ch.BROW_RIGHT, (1.0 + skew) * curve)

    def sign(self, channel: int, start_s: float, strength: float, lasts_s: float) -> None:
        """Let a small sign pass over the face: quicker there than gone."""
        curve = stroke(self.t, start_s, 0.25 * lasts_s, 0.3 * lasts_s, 0.45 * lasts_s)
        self.add(channel, strength * curve)

    def look(self, fixations: Sequence[Fixation]) -> None:
        """Rest the eyes there, one after another."""
        self._fixations += fixations

    def breathe(self, ends: Sequence[float], depths: Sequence[float], inhale: float) -> None:
        """Breathe once up to each of `ends` (seconds); an inhale takes that share of each."""
        begin = 0.0
        for end, depth in zip(ends, depths, strict=True):
            pause = self.rng.uniform(0.06, 0.12)
            self.add(ch.BREATH, depth * breath((self.t - begin) / (end - begin), inhale, pause))
            begin = end

    def finish(self) -> Channels:
        """Return float64[frames + 1, 15]: first and last row are the anchors, exactly."""
        v = self._values
        away = self._at - self._last[: ch.BREATH]
        if np.abs(away).max() > 1e-9:
            raise AssertionError("a take must arrive")
        still = window(self.t, self.end_s, 0.45)
        for k, height in enumerate(_SWAY):
            v[:, k] += self.style.sway * height * still * sway(self.t, self.rng, 1.0 if k < 2 else 1.3)
        full = v[:, ch.BREATH].copy()
        v[:, ch.PITCH] += _BREATH_PITCH_DEG * full
        v[:, ch.LEAN] += _BREATH_LEAN_CM * full
        v[:, : ch.BREATH] += self._first[: ch.BREATH]
        v[:, ch.BREATH] += EMPTY
        v[:, ch.GAZE_X], v[:, ch.GAZE_Y] = follow(self.t, self._fixations, self.rng)
        self._lids()
        v[0], v[-1] = self._first, self._last
        return v

    def _lids(self) -> None:
        """Lids follow the eyes in their sockets, blinks shut them, brows and cheeks help a little."""
        v = self._values
        found = blinks(self.end_s, self._blinks_s, self._fixations, self.rng)
        shut = lids(self.t, found, self._lag_s)
        follows = lid_of_gaze(v[:, ch.GAZE_Y] - v[:, ch.PITCH])
        lifts = _BROW_OF_GAZE * self.style.brows * np.maximum(v[:, ch.GAZE_Y], 0.0)
        for lid, brow, blink in zip(
            (ch.LID_LEFT, ch.LID_RIGHT), (ch.BROW_LEFT, ch.BROW_RIGHT), shut, strict=True
        ):
            wide = v[:, lid] + follows
            v[:, lid] = wide + (1.0 - wide) * blink
            v[:, brow] += lifts - 0.05 * blink
        v[:, ch.SQUINT] += 0.12 * shut[0]
        # Under the lids the eyes dip, and come back with them.
        v[:, ch.GAZE_Y] -= 1.2 * shut[0]

    def _move(self, start_s: float, lasts_s: float, posture: Posture) -> None:
        step = posture - self._at
        for k in range(ch.BREATH):
            self.add(k, step[k] * min_jerk((self.t - start_s - _LATE_S[k]) / (lasts_s * _SLOW[k])))
        self._at = posture
