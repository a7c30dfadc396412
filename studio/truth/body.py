"""What moves besides the mouth: head, shoulders, breath, gaze, lids, brows, emotions, frame by frame."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from studio.pose import Pose
from studio.truth.draw import one_of
from vcam_talker.core.types import Emotion, MouthPose

Track = npt.NDArray[np.float32]
"""float32[T, len(BODY_COLUMNS)]."""
Curve = npt.NDArray[np.float64]
"""float64[T]."""

EMOTIONS: Final = tuple(e for e in Emotion if e is not Emotion.NEUTRAL)
_FIELDS: Final = (
    "yaw_deg",
    "pitch_deg",
    "roll_deg",
    "shift_cm",
    "lean_cm",
    "breath",
    "gaze_right_deg",
    "gaze_up_deg",
    "brow_inner",
    "smile",
    "squint",
)
BODY_COLUMNS: Final = (
    *_FIELDS,
    "lid_left",
    "lid_right",
    "brow_left",
    "brow_right",
    *(e.value for e in EMOTIONS),
)
"""Order of the columns of a body track; units as in `studio.pose.Pose`."""

LIMITS_DEG: Final = {"yaw_deg": 30.0, "pitch_deg": 18.0, "roll_deg": 15.0}
_FRONTAL: Final = 0.45
"""Share of clips whose head rests near the middle; in the others it rests anywhere, ends included."""
_SWAY_DEG: Final = {"yaw_deg": (1.5, 9.0), "pitch_deg": (1.0, 5.0), "roll_deg": (0.8, 4.5)}
_BLINK_S: Final = (0.15, 0.26)


def body_track(rng: np.random.Generator, frames: int, fps: int) -> Track:
    """Return the motion of one clip, float32[frames, len(BODY_COLUMNS)], without jumps between frames."""
    t = np.arange(frames) / fps
    out = dict.fromkeys(BODY_COLUMNS, np.zeros(frames))
    frontal = rng.random() < _FRONTAL
    for name, limit in LIMITS_DEG.items():
        rest = rng.normal(0, 0.16) if frontal else rng.uniform(-0.95, 0.95)
        sway = rng.uniform(*_SWAY_DEG[name])
        out[name] = _within(rest * limit + sway * wander(rng, t, 2.2), limit)
    out["shift_cm"] = float(rng.uniform(0, 1.5)) * wander(rng, t, 5.0)
    out["lean_cm"] = float(rng.uniform(0, 2.5)) * wander(rng, t, 4.0)
    out["breath"] = np.sin(2 * np.pi * (t / rng.uniform(3.2, 5.0) + rng.random()))
    out["gaze_right_deg"], out["gaze_up_deg"] = _gaze(rng, t)
    lids, squint = _lids(rng, t), float(rng.beta(1, 5))
    apart = rng.normal(0, 0.03)
    wide = rng.normal(0, 0.06)
    out["lid_left"] = np.clip(lids * (1 - wide) + wide + apart, -0.4, 1)
    out["lid_right"] = np.clip(lids * (1 - wide) + wide - apart, -0.4, 1)
    out["squint"] = np.clip(squint + 0.1 * wander(rng, t, 2.0), 0, 1)
    lift = float(rng.uniform(0.05, 0.5)) * wander(rng, t, 1.1)
    skew = float(rng.uniform(0, 0.15)) * wander(rng, t, 1.6)
    out["brow_left"], out["brow_right"] = np.clip(lift + skew, -1, 1), np.clip(lift - skew, -1, 1)
    out["brow_inner"] = np.clip(float(rng.uniform(-0.5, 0.4)) + 0.2 * wander(rng, t, 2.0), 0, 1)
    out["smile"] = np.clip(float(rng.uniform(-0.4, 0.35)) + 0.12 * wander(rng, t, 2.5), 0, 1)
    out.update(_emotions(rng, t))
    return np.stack([out[name] for name in BODY_COLUMNS], axis=1).astype(np.float32)


def pose_of(body: npt.NDArray[np.float32], mouth: MouthPose) -> Pose:
    """Return the pose of one frame: `body` float32[len(BODY_COLUMNS)], `mouth` float32[7]."""
    row = dict(zip(BODY_COLUMNS, map(float, body), strict=True))
    return Pose(
        mouth=mouth,
        emotion={e: row[e.value] for e in EMOTIONS if row[e.value]},
        lids=(row["lid_left"], row["lid_right"]),
        brow_up=(row["brow_left"], row["brow_right"]),
        **{name: row[name] for name in _FIELDS},
    )


def wander(rng: np.random.Generator, t: Curve, period_s: float) -> Curve:
    """Return smooth noise of deviation about 0.5, rarely past 1.3: sines about one period, out of step."""
    periods = period_s * np.exp(rng.uniform(-0.7, 0.9, 6))
    phases = rng.random(6)
    weights = periods / np.sqrt(np.sum(periods**2) * 2)
    waves = np.sin(2 * np.pi * (t[:, None] / periods + phases))
    return np.asarray(waves @ weights * 0.72)


def _within(degrees: Curve, limit: float) -> Curve:
    """Bend what goes past 80 % of a limit back under it."""
    knee = 0.8 * limit
    over = np.abs(degrees) - knee
    bent = knee + (limit - knee) * np.tanh(np.maximum(over, 0) / (limit - knee))
    return np.asarray(np.where(over > 0, np.sign(degrees) * bent, degrees))


def _ease(x: Curve) -> Curve:
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))


def _gaze(rng: np.random.Generator, t: Curve) -> tuple[Curve, Curve]:
    """Fixations joined by saccades of about 50 ms; mostly at the viewer."""
    right, up = np.zeros_like(t), np.zeros_like(t)
    at, place = 0.0, np.zeros(2)
    while at < (t[-1] if t.size else 0):
        away = rng.random() < 0.35
        target = rng.normal(0, (9, 5)) if away else rng.normal(0, 0.8, 2)
        target = np.clip(target, (-25, -14), (25, 14))
        move = _ease((t - at) / 0.05)
        right += (target[0] - place[0]) * move
        up += (target[1] - place[1]) * move
        place = target
        at += float(rng.gamma(2.0, 0.35 if away else 0.6)) + 0.2
    return right, up


def _lids(rng: np.random.Generator, t: Curve) -> Curve:
    """0 open, 1 shut: blinks at log-normal gaps."""
    shut = np.zeros_like(t)
    gap_s = 60 / rng.uniform(8, 30)
    at = float(gap_s * rng.random())
    while at < (t[-1] if t.size else 0):
        length = rng.uniform(*_BLINK_S)
        falling, rising = (t - at) / (0.38 * length), (t - at - 0.5 * length) / (0.5 * length)
        depth = rng.uniform(0.9, 1.0)
        shut = np.maximum(shut, depth * (_ease(falling) - _ease(rising)))
        at += max(length + 0.25, float(rng.lognormal(np.log(gap_s), 0.5)))
    return shut


def _emotions(rng: np.random.Generator, t: Curve) -> dict[str, Curve]:
    """One or two that come and go; half of the clips show none."""
    if rng.random() < 0.5 or not t.size:
        return {}
    found: dict[str, Curve] = {}
    left = 1.0
    for _ in range(1 + int(rng.random() < 0.25)):
        emotion = one_of(rng, EMOTIONS)
        peak = float(rng.uniform(0.15, 0.9)) * left
        begin, end = np.sort(rng.uniform(-2, t[-1] + 2, 2))
        rise, fall = rng.uniform(0.4, 1.2, 2)
        found[emotion.value] = peak * np.minimum(_ease((t - begin) / rise), 1 - _ease((t - end) / fall))
        left -= peak
    return found
