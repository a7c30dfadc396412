"""One moment of the presenter: idle life, emotion, activity and speech combined into a pose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from vcam_talker.core.types import Activity, FaceInput, MouthPose
from vcam_talker.face.rig.emotion import EmotionBlend
from vcam_talker.face.rig.idle import IdleLife, noise, smooth
from vcam_talker.face.rig.style import RigStyle
from vcam_talker.face.spring import RESET_S, Spring
from vcam_talker.persona import Persona

_ACTIVITIES: Final = tuple(Activity)
_WINK_S: Final = (0.25, 0.4, 0.65, 0.85)
"""Start of closing, shut, start of opening, open; after the playful mood began."""


@dataclass(slots=True)
class Pose:
    """Where everything is. Angles in degrees, lengths in figure units, the rest as noted."""

    yaw: float
    pitch: float
    roll: float
    head_x: float
    head_y: float
    lean: float
    """Of the body: the chest to the viewer's right."""
    breath: float
    """-1 .. 1."""
    shoulders: float
    swing: tuple[float, float, float]
    """Slow and quick sideways swing of the hair, and its lift."""
    mouth: MouthPose
    smile: tuple[float, float]
    """Viewer's left and right corner, -1 .. 1."""
    mouth_width: float
    mouth_shift: float
    lids: tuple[float, float]
    """Openness of the viewer's left and right eye: 0 shut, 1 rest, 1.2 wide."""
    lid_lower: float
    gaze_x: float
    gaze_y: float
    pupil: float
    brow_raise: tuple[float, float]
    brow_inner: float
    brow_outer: float
    brow_knit: float
    blush: float


class Poser:
    """Turns time and `FaceInput` into poses. Keeps the springs; one thread."""

    def __init__(self, persona: Persona, style: RigStyle, seed: int) -> None:
        self._persona = persona
        self._style = style
        self._seed = seed
        self._idle = IdleLife(seed, persona.idle)
        self._emotion = EmotionBlend(persona.emotions.default, persona.emotions.strength)
        self._activity = Spring(_activity_weights(Activity.IDLE), 7.0)
        self._energy = Spring(np.zeros(1), 9.0)
        self._accent = Spring(np.zeros(1), 16.0)
        self._swing = HairSwing(style.hair.stiffness)
        self._last_s: float | None = None
        self._playful_since_s = -math.inf

    def at(self, t: float, face: FaceInput) -> Pose:
        """Return the pose at `t` seconds. Time may jump; backwards or far forwards settles the springs."""
        emotion = face.emotion
        if emotion.value == "neutral":
            emotion = self._persona.emotions.default
        last = self._last_s
        fresh = last is None or t < last or t - last > RESET_S
        dt = 0.0 if fresh or last is None else t - last
        self._last_s = t
        loud = np.array([face.energy if face.activity is Activity.SPEAKING else 0.0])
        if fresh:
            self._emotion.snap(emotion)
            self._activity.snap(_activity_weights(face.activity))
            self._energy.snap(loud)
            self._accent.snap(loud)
        fields = self._emotion.step(emotion, dt)
        acts = dict(
            zip(_ACTIVITIES, self._activity.step(_activity_weights(face.activity), dt).tolist(), strict=True)
        )
        slow = float(self._energy.step(loud, dt)[0])
        quick = float(self._accent.step(loud, dt)[0])
        pose = self._combine(t, face, fields, acts, slow, quick)
        if fresh:
            self._swing.snap(pose)
        pose.swing = self._swing.step(pose, dt, self._style.hair.swing, noise(self._seed, 30, t / 5.2))
        return pose

    def _combine(
        self,
        t: float,
        face: FaceInput,
        e: dict[str, float],
        acts: dict[Activity, float],
        slow: float,
        quick: float,
    ) -> Pose:
        idle = self._idle.at(t, face.activity)
        figure = self._style.figure
        speak, think, listen = acts[Activity.SPEAKING], acts[Activity.THINKING], acts[Activity.LISTENING]
        # Speech moves the head in phrases: slow noise whose reach follows the loudness.
        talk_yaw = speak * (3.4 * noise(self._seed, 31, t / 1.7)) * (0.45 + slow)
        talk_roll = speak * (2.4 * noise(self._seed, 32, t / 2.1)) * (0.45 + slow)
        nod = speak * (2.6 * noise(self._seed, 33, t / 0.9) * slow - 3.2 * (quick - slow))
        yaw = figure.yaw + idle.yaw + e["yaw"] + talk_yaw + 5.0 * think
        pitch = figure.pitch + idle.pitch + e["pitch"] + nod + 3.0 * think - 1.0 * listen
        roll = figure.roll + idle.roll + e["roll"] + talk_roll + 4.0 * listen - 2.0 * think
        # The eyes stay on the viewer while the head turns under them.
        gaze_x = idle.gaze_x + e["gaze_x"] - 0.035 * yaw
        gaze_y = idle.gaze_y + e["gaze_y"] + 0.03 * pitch
        wink = self._wink(t, e)
        open_ = 1.0 + e["lid_upper"] + 0.05 * listen - 0.12 * max(gaze_y, 0.0)
        lids = (
            open_ * (1.0 - idle.blink),
            (open_ - 0.5 * e["lid_skew"]) * (1.0 - max(idle.blink, wink)),
        )
        raise_ = e["brow_raise"] + 0.10 * idle.brow + speak * 0.55 * quick + 0.12 * listen
        skew = e["brow_skew"] + 0.06 * idle.brow_skew
        return Pose(
            yaw=yaw,
            pitch=pitch,
            roll=roll,
            head_x=idle.shift_x * 1.4 + 0.5 * talk_yaw,
            head_y=-1.6 * idle.breath - 0.55 * e["shoulders"] + 2.0 * speak * (slow - quick),
            lean=idle.shift_x + 0.25 * (yaw - figure.yaw),
            breath=idle.breath,
            shoulders=e["shoulders"],
            swing=(0.0, 0.0, 0.0),
            mouth=face.mouth,
            smile=(e["smile"] - e["smile_skew"] * 0.5, e["smile"] + e["smile_skew"] * 0.5),
            mouth_width=e["mouth_width"],
            mouth_shift=e["mouth_shift"],
            lids=lids,
            lid_lower=min(e["lid_lower"] + 0.5 * wink, 1.0),
            gaze_x=min(max(gaze_x, -1.0), 1.0),
            gaze_y=min(max(gaze_y, -1.0), 1.0),
            pupil=1.0 + e["pupil"],
            brow_raise=(raise_ - skew * 0.5, raise_ + skew * 0.5),
            brow_inner=e["brow_inner"],
            brow_outer=e["brow_outer"],
            brow_knit=e["brow_knit"],
            blush=e["blush"],
        )

    def _wink(self, t: float, e: dict[str, float]) -> float:
        """Return how far the viewer's right eye is shut by the one wink that opens a playful mood."""
        if e["lid_skew"] < 0.05:
            self._playful_since_s = math.inf
        elif self._playful_since_s == math.inf:
            self._playful_since_s = t
        age = t - self._playful_since_s
        closing, shut, opening, open_ = _WINK_S
        return smooth((age - closing) / (shut - closing)) - smooth((age - opening) / (open_ - opening))


class HairSwing:
    """Locks that lag behind the head: two underdamped springs, solved exactly for any step length."""

    def __init__(self, stiffness: float) -> None:
        self._springs = (
            Bounce(6.5 * stiffness, 0.38),
            Bounce(10.5 * stiffness, 0.30),
            Bounce(9.0 * stiffness, 0.35),
        )

    def snap(self, pose: Pose) -> None:
        """Hang still below the head."""
        for spring, target in zip(self._springs, _drive(pose), strict=True):
            spring.snap(target)

    def step(self, pose: Pose, dt: float, reach: float, draught: float) -> tuple[float, float, float]:
        """Move on by `dt` seconds; returns how far slow locks, quick locks and lift are off the head."""
        targets = _drive(pose)
        slow, quick, lift = (
            spring.step(target, dt) - target for spring, target in zip(self._springs, targets, strict=True)
        )
        return reach * (slow + 1.2 * draught), reach * (quick + 0.8 * draught), reach * lift


class Bounce:
    """An underdamped spring on one number."""

    def __init__(self, rate: float, damping: float) -> None:
        self._decay = rate * damping
        self._swing = rate * math.sqrt(1.0 - damping * damping)
        self._value = 0.0
        self._speed = 0.0

    def snap(self, target: float) -> None:
        """Be at rest at `target`."""
        self._value, self._speed = target, 0.0

    def step(self, target: float, dt: float) -> float:
        """Move on by `dt` >= 0 seconds towards `target`; returns the new value."""
        gap = self._value - target
        decay = math.exp(-self._decay * dt)
        cos, sin = math.cos(self._swing * dt), math.sin(self._swing * dt)
        b = (self._speed + self._decay * gap) / self._swing
        self._value = target + decay * (gap * cos + b * sin)
        self._speed = decay * (self._speed * cos - (self._decay * b + self._swing * gap) * sin)
        return self._value


def _drive(pose: Pose) -> tuple[float, float, float]:
    """Return where the head carries the roots of the hair, in figure units."""
    across = 1.1 * pose.yaw + 1.3 * pose.roll + pose.head_x
    return across, across, pose.head_y - 1.2 * pose.pitch


def _activity_weights(activity: Activity) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    weights = np.zeros(len(_ACTIVITIES))
    weights[_ACTIVITIES.index(activity)] = 1.0
    return weights
