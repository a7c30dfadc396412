"""Life that never repeats: sway, breath, blinks, gaze, all random-access functions of time.

Noise comes from hashing integer lattice positions with the seed, so that the same seed and time give the
same picture at any frame rate and from any starting point, and nothing accumulates over months on air.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass
from typing import Final

from vcam_talker.core.types import Activity
from vcam_talker.persona import IdleSection

_MASK: Final = (1 << 64) - 1

_EPOCH_S: Final = 60.0
"""Blinks are drawn minute by minute, each from its own seed."""
_CLOSE_S: Final = 0.07
_HOLD_S: Final = 0.025
_OPEN_S: Final = 0.10
BLINK_S: Final = _CLOSE_S + _HOLD_S + _OPEN_S
"""195 ms, within the 150 .. 250 ms of people's spontaneous blinks."""

_FIXATION_S: Final = 0.9
_SACCADE_S: Final = 0.055


def hash01(seed: int, stream: int, n: int) -> float:
    """Return a number in [0, 1) that depends on all three (the splitmix64 finaliser)."""
    x = (seed * 0x9E3779B97F4A7C15 + stream * 0xD1B54A32D192ED03 + n * 0x8CB92BA72F3D8DD7) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return (x ^ (x >> 31)) / 2.0**64


def smooth(x: float) -> float:
    """Ease 0 .. 1 with flat ends; clamps."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


def noise(seed: int, stream: int, t: float) -> float:
    """Return gradient noise, about -1 .. 1, of one lattice unit (Perlin's 1-D noise with quintic easing)."""
    n = math.floor(t)
    f = t - n
    left = (hash01(seed, stream, n) * 2.0 - 1.0) * f
    right = (hash01(seed, stream, n + 1) * 2.0 - 1.0) * (f - 1.0)
    ease = f * f * f * (f * (f * 6.0 - 15.0) + 10.0)
    return 2.6 * (left + ease * (right - left))


@dataclass(frozen=True, slots=True)
class Idle:
    """What the body does by itself at one moment."""

    yaw: float
    """Degrees, to the viewer's right."""
    pitch: float
    """Degrees, up."""
    roll: float
    """Degrees, clockwise as the viewer sees it."""
    shift_x: float
    """Figure units: weight moved from one side to the other."""
    breath: float
    """-1 empty .. 1 full."""
    blink: float
    """0 open .. 1 shut."""
    gaze_x: float
    """-1 .. 1, to the viewer's right; 0 looks at the viewer."""
    gaze_y: float
    """-1 up .. 1 down."""
    brow: float
    """Micro-movement, about -1 .. 1."""
    brow_skew: float


class IdleLife:
    """The presenter's idle life. Deterministic for one seed; one thread."""

    def __init__(self, seed: int, idle: IdleSection) -> None:
        self._seed = seed
        self._idle = idle
        self._epochs: deque[tuple[int, list[float]]] = deque(maxlen=2)

    def at(self, t: float, activity: Activity = Activity.IDLE) -> Idle:
        """Return the idle life at `t` seconds."""
        s, sway = self._seed, self._idle.sway
        return Idle(
            yaw=sway * (3.4 * noise(s, 1, t / 4.9) + 0.5 * noise(s, 2, t / 2.3)),
            pitch=sway * (1.7 * noise(s, 3, t / 4.3) + 0.3 * noise(s, 4, t / 2.1)),
            roll=sway * (1.9 * noise(s, 5, t / 5.3) + 0.2 * noise(s, 6, t / 2.6)),
            shift_x=sway * 3.5 * noise(s, 7, t / 5.1),
            breath=self.breath(t),
            blink=self.blink(t),
            gaze_x=self._gaze(t, 0, activity),
            gaze_y=self._gaze(t, 1, activity),
            brow=noise(s, 8, t / 1.9),
            brow_skew=noise(s, 9, t / 2.7),
        )

    def breath(self, t: float) -> float:
        """Return the breath at `t`: about 15 a minute, each of its own length and depth."""
        s = self._seed
        # The phase wanders, so that breaths are no metronome: slow ones, quick ones, now and then a pause.
        phase = t / 4.1 + 0.34 * noise(s, 10, t / 4.9) + 0.36 * noise(s, 21, t / 11.3)
        depth = 0.8 + 0.4 * noise(s, 11, t / 5.3)
        wave = math.sin(2 * math.pi * phase)
        # Breathing in is quicker than breathing out.
        return self._idle.breath * depth * (wave - 0.18 * math.sin(4 * math.pi * phase))

    def blink(self, t: float) -> float:
        """Return how far the lids are shut at `t`: 0 open, 1 shut."""
        epoch = math.floor(t / _EPOCH_S)
        for start in self._blinks(epoch):
            age = t - start
            if 0.0 <= age < BLINK_S:
                if age < _CLOSE_S:
                    return smooth(age / _CLOSE_S)
                return 1.0 - smooth((age - _CLOSE_S - _HOLD_S) / _OPEN_S)
        return 0.0

    def _blinks(self, epoch: int) -> list[float]:
        for known, starts in self._epochs:
            if known == epoch:
                return starts
        starts = self._draw_blinks(epoch)
        self._epochs.append((epoch, starts))
        return starts

    def _draw_blinks(self, epoch: int) -> list[float]:
        """Draw one minute of blinks with log-normal gaps; one in eight is double."""
        rate = self._idle.blinks_per_min
        if rate <= 0:
            return []
        rng = random.Random(hash01(self._seed, 12, epoch))
        # A log-normal of sigma 0.6 has the mean exp(mu + sigma^2 / 2); doubles add an eighth.
        sigma, double = 0.6, 0.125
        mu = math.log(_EPOCH_S / rate * (1 + double)) - sigma * sigma / 2
        begin, end = epoch * _EPOCH_S, (epoch + 1) * _EPOCH_S - BLINK_S - 0.1
        starts: list[float] = []
        # The first gap of a minute is already under way, so only a part of it remains.
        t = begin + rng.lognormvariate(mu, sigma) * rng.random()
        while t < end:
            starts.append(t)
            if rng.random() < double and t + 0.3 < end:
                t += BLINK_S + 0.06 + 0.08 * rng.random()
                starts.append(t)
            t += max(rng.lognormvariate(mu, sigma), BLINK_S + 0.3)
        return starts

    def _gaze(self, t: float, axis: int, activity: Activity) -> float:
        """Return one axis of the gaze: fixations joined by saccades of 55 ms."""
        slot = math.floor(t / _FIXATION_S)
        start = (slot + 0.7 * hash01(self._seed, 13, slot)) * _FIXATION_S
        now, before = (slot, slot - 1) if t >= start else (slot - 1, slot - 2)
        if t < start:
            start = (now + 0.7 * hash01(self._seed, 13, now)) * _FIXATION_S
        a, b = self._target(before, axis, activity), self._target(now, axis, activity)
        return a + (b - a) * smooth((t - start) / _SACCADE_S)

    def _target(self, slot: int, axis: int, activity: Activity) -> float:
        """Return where the eyes rest from one saccade on; mostly the viewer."""
        s, reach = self._seed, self._idle.gaze
        tremor = 0.05 * reach * (hash01(s, 14 + axis, slot) * 2 - 1)
        if activity is Activity.THINKING:
            side = 1.0 if hash01(s, 18, slot // 4) < 0.7 else -1.0
            return (0.55 * side, -0.6)[axis] + 4 * tremor
        away = {Activity.IDLE: 0.3, Activity.SPEAKING: 0.13, Activity.LISTENING: 0.0}[activity]
        # A glance away lasts one or two slots: both draws must agree.
        if hash01(s, 16, slot // 2) < away and hash01(s, 17, slot) < 0.75:
            wander = hash01(s, 19 + axis, slot) * 2 - 1
            return reach * (0.6, 0.3)[axis] * wander
        return tremor
