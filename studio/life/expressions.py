"""A pose as weights of the pack's expression units: moods, brows, lids, and the mouth of every sound.

Units are named as the pack names them, whose left is the character's own: the viewer's right. Moods follow
P. Ekman and W. V. Friesen, "Facial Action Coding System" (1978), as far as there are units for it, held below
their peak: an audience looks at them for minutes. No mood opens the mouth, which belongs to speech.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from studio.pose import Pose
from vcam_talker.core.types import Emotion, MouthPose

Units = dict[str, float]

MOODS: Final[Mapping[Emotion, Mapping[str, float]]] = {
    Emotion.NEUTRAL: {},
    # AU 6 + 12: corners up, cheeks and lower lids up, brows easy.
    Emotion.HAPPY: {
        "mouth-corner-puller": 0.62, "mouth-retraction": 0.18, "mouth-upward-retraction": 0.10,
        "eye-left-slit": 0.18, "eye-right-slit": 0.18,
        "eyebrows-left-up": 0.18, "eyebrows-right-up": 0.18,
        "eyebrows-left-extern-up": 0.15, "eyebrows-right-extern-up": 0.15,
    },
    # AU 1 + 4 + 15 + 17: inner brows up, upper lids tired, corners down, lower lip forward.
    Emotion.SAD: {
        "eyebrows-left-inner-up": 1.0, "eyebrows-right-inner-up": 1.0,
        "eyebrows-left-down": 0.12, "eyebrows-right-down": 0.12,
        "eye-left-closure": 0.16, "eye-right-closure": 0.16,
        "mouth-depression": 0.50, "mouth-eversion": 0.18, "mouth-corner-puller": -0.12,
    },
    # AU 4 + 5 + 7 + 23: brows down and together, lids tight, lips narrow.
    Emotion.ANGRY: {
        "eyebrows-left-down": 0.80, "eyebrows-right-down": 0.80,
        "eyebrows-left-extern-up": 0.20, "eyebrows-right-extern-up": 0.20,
        "eye-left-slit": 0.18, "eye-right-slit": 0.18,
        "mouth-compression": 0.22, "mouth-depression": 0.34, "mouth-corner-puller": -0.15,
        "nose-compression": 0.35, "nose-left-dilatation": 0.4, "nose-right-dilatation": 0.4,
        "nose-left-elevation": 0.15, "nose-right-elevation": 0.15,
    },
    # AU 1 + 2 + 5: all of the brow up, eyes wide. The jaw (26) is left to speech.
    Emotion.SURPRISED: {
        "eyebrows-left-up": 0.85, "eyebrows-right-up": 0.85,
        "eyebrows-left-inner-up": 0.55, "eyebrows-right-inner-up": 0.55,
        "eyebrows-left-extern-up": 0.30, "eyebrows-right-extern-up": 0.30,
        "eye-left-opened-up": 0.75, "eye-right-opened-up": 0.75,
        "mouth-pursing": 0.14, "mouth-depression": -0.1,
    },
    # AU 1 + 2 on one side, 4 on the other, 7, 24: weighing something.
    Emotion.THOUGHTFUL: {
        "eyebrows-left-up": 0.80, "eyebrows-left-extern-up": 0.35, "eyebrows-left-inner-up": 0.15,
        "eyebrows-right-down": 0.58,
        "eye-left-slit": 0.10, "eye-right-slit": 0.22,
        "mouth-pursing": 0.16, "mouth-compression": 0.16, "mouth-depression": 0.16,
    },
    # AU 12 with one cheek: a grin, one brow up, one eye narrow.
    Emotion.PLAYFUL: {
        "mouth-corner-puller": 0.55, "mouth-compression": 0.22, "mouth-retraction": 0.10,
        "eyebrows-right-up": 0.60, "eyebrows-right-extern-up": 0.45,
        "eyebrows-left-down": 0.16,
        "eye-left-slit": 0.34, "eye-right-slit": 0.12,
    },
}  # fmt: skip
"""Weights at strength 1, on top of the character's rest."""
_OVERRULES: Final = {
    Emotion.SAD: 0.9,
    Emotion.ANGRY: 0.9,
    Emotion.SURPRISED: 0.6,
    Emotion.THOUGHTFUL: 0.5,
}
"""How much of that rest a mood takes away."""

SHUT_PRESS: Final = 0.6
"""From this press on lips touch, whatever else the mouth does; the vector rig has the same."""
_FREE_PRESS: Final = 0.2
_OPEN_JAW: Final = 0.10
_OPEN_TEETH: Final = 0.30
"""A mouth with this much of either is no longer held shut."""
_JAW: Final = 0.62
_SLOWER: Final = 0.22
"""Weight of `mouth-open` is 0.62 at first for a jaw of 1, 0.48 at last: more is a scream."""


@dataclass(frozen=True, slots=True)
class MouthShape:
    """What a mouth pose asks of the mesh."""

    units: Units
    jaw: float
    """Weight of `mouth-open` (also in `units`), which teeth and tongue follow."""
    tongue_up: float
    """0 to 1: how near the tip comes to the upper teeth."""
    tongue_out: float
    """0 to 1: whether it stays behind them or looks out below; see `inside.arrange`."""
    closing: float
    """0 to 1: how far lips are brought together, whatever the units leave open; see `lips.meet`."""
    biting: float
    """0 to 1: how far the lower lip goes to the upper teeth."""
    pressing: float
    """0 to 1: how far the red of the lips is rolled in."""


@dataclass(frozen=True, slots=True)
class Expression:
    """What the mesh is told."""

    units: Units
    """Names without a folder are expression units; others are whole names of targets."""
    mouth: MouthShape
    shut: tuple[float, float]
    """How far `lids.meet` closes the viewer's left and right eye."""


def express(pose: Pose, rest: Mapping[str, float]) -> Expression:
    """Return what to tell the mesh for `pose` on a face whose own rest has the weights `rest`."""
    mouth = mouth_units(pose.mouth)
    free = _free_lips(pose.mouth)
    own = _rest_in(pose.emotion, rest)
    _add(own, mood_units(pose.emotion))
    _add(own, {"mouth-corner-puller": 0.55 * pose.smile, "mouth-compression": 0.08 * pose.smile})
    # Rounded or pressed lips can't smile or sulk at the same time.
    units = {name: weight * free if name.startswith("mouth-") else weight for name, weight in own.items()}
    _add(units, mouth.units)
    _add(units, brow_units(pose.brow_up, pose.brow_inner))
    _add(units, {"eye-left-slit": 0.45 * pose.squint, "eye-right-slit": 0.45 * pose.squint})
    return Expression(units, mouth, _lids(units, pose.lids))


def _rest_in(emotion: Mapping[Emotion, float], rest: Mapping[str, float]) -> Units:
    """Return what of a face's own rest is left in a mood: who is sad does not keep a smile on."""
    kept = 1.0 - min(1.0, sum(strength * _OVERRULES.get(mood, 0.0) for mood, strength in emotion.items()))
    return {name: weight * kept for name, weight in rest.items()}


def mood_units(emotion: Mapping[Emotion, float]) -> Units:
    """Return the units of a mix of moods, each 0 to 1."""
    units: Units = {}
    for mood, strength in emotion.items():
        _add(units, {name: strength * weight for name, weight in MOODS[mood].items()})
    return units


def brow_units(up: tuple[float, float], inner: float) -> Units:
    """Return the units of brows: the viewer's left and right one -1 down to 1 up; inner ends 0 to 1 up."""
    units: Units = {}
    for side, height in zip(("right", "left"), up, strict=True):
        rise, fall = max(height, 0.0), max(-height, 0.0)
        _add(
            units,
            {
                f"eyebrows-{side}-up": 0.80 * rise,
                f"eyebrows-{side}-inner-up": 0.40 * rise + 0.9 * inner,
                f"eyebrows-{side}-extern-up": 0.30 * rise,
                f"eyebrows-{side}-down": 0.70 * fall + 0.12 * inner,
            },
        )
    return units


def mouth_units(mouth: MouthPose) -> MouthShape:
    """Return the shape of a mouth pose (float32[7], see `core.types.MOUTH_PARAMS`).

    Continuous. Jaw only opens, press only closes, teeth only bare, rounding and protrusion only narrow and
    push forward, width only spreads: each of their units rises with it all the way.
    """
    jaw, width, rounding, protrusion, teeth, tongue, press = (float(v) for v in mouth)
    spread, narrow = max(width, 0.0), max(-width, 0.0)
    loose = 1.0 - _ramp(press, 0.0, 1.0)
    # Bared teeth with the tongue up hiss (s, sh); with the tongue low they bite (f, v).
    up = _ramp(tongue, 0.15, 0.5)
    bare = _ramp(teeth, 0.5, 0.85)
    hiss = bare * up
    biting = loose * bare * (1.0 - up) * (1.0 - _ramp(jaw, 0.12, 0.3))
    tip = _ramp(tongue, 0.6, 1.0)
    open_ = _JAW * jaw * (1.0 - _SLOWER * jaw)
    units = {
        "mouth-open": open_,
        "mouth-upward-retraction": loose * (0.34 * spread + 0.14 * teeth),
        "mouth-retraction": 0.32 * spread * (1.0 - 0.5 * rounding),
        "mouth-part-later": loose * (0.22 * hiss + 0.14 * spread * teeth),
        "mouth-elevation": loose * (0.34 * teeth * (1.0 - 0.6 * up * teeth) + 0.10 * biting),
        "mouth-depression-retraction": loose * (0.18 * hiss + 0.40 * tip),
        "mouth-pursing": 0.80 * rounding + 0.15 * narrow,
        "mouth-protusion": loose * protrusion * (0.16 + 0.70 * jaw + 0.20 * teeth),
        "mouth-compression": 0.46 * press,
        "mouth/mouth-lowerlip-volume-decr": 0.4 * biting,
    }
    out = tip * (1.0 - _ramp(jaw, 0.17, 0.27))
    tongue_up = _ramp(tongue, 0.3, 0.95)
    pressing = _ramp(press, 0.0, 1.0)
    return MouthShape(units, open_, tongue_up, out, _closing(jaw, rounding, teeth, press), biting, pressing)


def _closing(jaw: float, rounding: float, teeth: float, press: float) -> float:
    """Return how far lips are held together: in silence and by press all the way, when rounded in part."""
    parted = 1.0 - (1.0 - _ramp(jaw, 0.0, _OPEN_JAW)) * (1.0 - _ramp(teeth, 0.0, _OPEN_TEETH))
    # A pout of the units is wide open; a whistle is not.
    narrow = 0.5 * rounding * (1.0 - _ramp(jaw, 0.1, 0.6)) * (1.0 - _ramp(teeth, 0.0, 0.6))
    return max(1.0 - parted * (1.0 - narrow), _ramp(press, _FREE_PRESS, SHUT_PRESS))


def _free_lips(mouth: MouthPose) -> float:
    _, _, rounding, _, _, _, press = (float(v) for v in mouth)
    return 1.0 - 0.6 * max(rounding, press)


def _lids(units: Units, lids: tuple[float, float]) -> tuple[float, float]:
    """Add lids to `units`; a shut eye is neither wide nor narrow. Returns what `lids.meet` is told."""
    shut = []
    for side, lid in zip(("right", "left"), lids, strict=True):
        fall, wide = min(max(lid, 0.0), 1.0), max(-lid, 0.0)
        closure, slit, opened = (f"eye-{side}-{name}" for name in ("closure", "slit", "opened-up"))
        units[closure] = 1.0 - (1.0 - units.get(closure, 0.0)) * (1.0 - fall)
        units[slit] = units.get(slit, 0.0) * (1.0 - 0.8 * fall)
        units[opened] = (units.get(opened, 0.0) + 2.0 * wide) * (1.0 - fall)
        shut.append(fall**4)
    return shut[0], shut[1]


def _add(units: Units, more: Mapping[str, float]) -> None:
    for name, weight in more.items():
        units[name] = units.get(name, 0.0) + weight


def _ramp(x: float, low: float, high: float) -> float:
    """Return 0 at `low` to 1 at `high`, flat beyond, smooth."""
    x = min(max((x - low) / (high - low), 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)
