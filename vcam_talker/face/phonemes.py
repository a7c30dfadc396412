"""Mouth motion from phoneme timings, corrected by the sound itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import MOUTH_RATE_HZ, MouthTrack, Speech
from vcam_talker.dsp.levels import FLOOR_DB, frame_levels_db
from vcam_talker.face import visemes_arpabet, visemes_espeak
from vcam_talker.face.audio import AudioDriver
from vcam_talker.face.coarticulation import blend
from vcam_talker.face.motion import (
    JAW,
    PRESS,
    PROTRUSION,
    REACH,
    ROUNDING,
    TEETH,
    Flow,
    Mask,
    Poses,
    dilate,
    pose_count,
    shut_through,
)
from vcam_talker.face.visemes import Kind, Segment, spread

Levels = npt.NDArray[np.float64]
"""float64[T], dB full scale, one per pose."""

LEAD_S: Final = 0.020
"""Lips are ahead of the sound they shape; and a frame stays on screen for a while after its own moment."""
MEMORY_S: Final = 0.3
"""How much of a part still colours the next one."""
SILENCE_POSES: Final = 8
"""A silence of this many poses shuts the mouth; a shorter one is the closure of a consonant."""
SILENCE_DB: Final = -36.0
"""Relative to the speech's own level; synthetic voices breathe at about -45."""
PAUSE_DB: Final = -18.0
"""The same where the phonemes say that there is a pause."""
AUDIBLE_DB: Final = -62.0
"""Nothing below this is speech."""

_HOLD_S: Final = 0.040
"""Shortest closure of the lips: longer than the 33 ms between two frames at 30 fps."""
_CLOSE_EARLY_S: Final = 0.010
_BURST_S: Final = 0.020
"""A stop's phone ends with its release; the lips part that much before the end."""
_SLACK_S: Final = 0.020
"""How far a closure may leave its phone."""
_SHIFT_POSES: Final = 3
"""How far a closure may follow the dip of the sound's energy."""
_SHIFT_COST_DB: Final = 1.5
"""What a shift by one pose must win."""


class PhonemeDriver:
    """FaceDriver for voices that give phoneme timings; without any, it listens instead.

    Poses follow dominance-blended targets (`coarticulation`); on top, what viewers notice when it is wrong
    is made certain: m, b, p meet for at least 40 ms, f and v touch the teeth, s closes them, and a silence
    of over 80 ms is all zeros at its heart. Not thread-safe; does not block; costs about 0.2 % of real time.
    """

    def __init__(self) -> None:
        self._flow = Flow()
        self._listener = AudioDriver(self._flow)
        self._memory: list[tuple[Segment, float]] = []
        self._level_db = FLOOR_DB

    def reset(self) -> None:
        """Forget the previous speech."""
        self._listener.reset()
        self._forget()

    def drive(self, speech: Speech) -> MouthTrack:
        """Return float32[T, 7], T = ceil(duration * MOUTH_RATE_HZ), at least 1; odd phones raise nothing."""
        if not speech.phones:
            self._forget()
            return self._listener.drive(speech)
        count = pose_count(speech)
        duration_s = speech.samples.size / speech.rate
        levels = frame_levels_db(speech.samples, speech.rate, MOUTH_RATE_HZ, count)
        reference_db = self._reference(levels)
        segments = segments_of(speech)
        openness = [_openness(s, levels, reference_db) for s in segments]
        remembered = [s for s, _ in self._memory] + segments
        times = np.arange(count) / MOUTH_RATE_HZ + LEAD_S
        targets = blend(remembered, [o for _, o in self._memory] + openness, times)
        shut = _silence(segments, levels, reference_db)
        _articulate(targets, segments)
        targets[shut] = 0.0
        _press_lips(targets, segments, np.maximum(levels, reference_db + SILENCE_DB))
        self._memory = [
            (Segment(s.shape, s.start_s - duration_s, s.end_s - duration_s), o)
            for s, o in zip(segments, openness, strict=True)
            if s.end_s > duration_s - MEMORY_S
        ]
        if speech.last:
            self._forget()
        return MouthTrack(self._flow.run(targets, last=speech.last))

    def _forget(self) -> None:
        self._memory = []
        self._level_db = FLOOR_DB

    def _reference(self, levels: Levels) -> float:
        """Return the level of this speech's stressed vowels, remembered over the parts of a sentence."""
        loud = levels[levels > max(AUDIBLE_DB, float(levels.max()) - 25.0)]
        own = float(np.percentile(loud, 80)) if loud.size else FLOOR_DB
        self._level_db = max(own, self._level_db - 3.0)
        return self._level_db


def segments_of(speech: Speech) -> list[Segment]:
    """Return the mouth shapes of a speech in order of time, within its duration."""
    duration_s = speech.samples.size / speech.rate
    segments: list[Segment] = []
    for phone in speech.phones:
        if not (math.isfinite(phone.start_s) and math.isfinite(phone.end_s)):
            continue
        start = min(max(phone.start_s, 0.0), duration_s)
        end = min(max(phone.end_s, start), duration_s)
        if speech.alphabet == "arpabet":
            spelling = visemes_arpabet.spell(phone.symbol)
        else:
            spelling = visemes_espeak.spell(phone.symbol, speech.sentence.language)
        segments.extend(spread(spelling, start, end))
    return sorted(segments, key=lambda s: (s.start_s, s.end_s))


def _poses(start_s: float, end_s: float) -> slice:
    """Return the poses that cover a stretch of time, both ends included."""
    first = math.floor(start_s * MOUTH_RATE_HZ + 1e-6)
    return slice(max(0, first), math.ceil(end_s * MOUTH_RATE_HZ - 1e-6) + 1)


def _openness(segment: Segment, levels: Levels, reference_db: float) -> float:
    """Return how far a sound opens the jaw, relative to its target: stressed, long, loud vowels the most."""
    if segment.shape.kind is not Kind.VOWEL:
        return 1.0
    heard = levels[_poses(segment.start_s, segment.end_s)]
    level_db = float(heard.max()) if heard.size else FLOOR_DB
    loudness = min(1.12, max(0.55, 1.0 + (level_db - reference_db) / 30.0))
    length = 1.0 - math.exp(-(segment.end_s - segment.start_s) / 0.08)
    return loudness * (0.6 + 0.42 * length)


def _silence(segments: Sequence[Segment], levels: Levels, reference_db: float) -> Mask:
    """Return where the targets must be zero (bool[T])."""
    pause = np.zeros(len(levels), bool)
    for segment in segments:
        if segment.shape.kind is Kind.REST:
            pause[_poses(segment.start_s, segment.end_s - 1 / MOUTH_RATE_HZ)] = True
    relative = levels - reference_db
    silent = (relative < SILENCE_DB) | (levels < AUDIBLE_DB) | (pause & (relative < PAUSE_DB))
    return shut_through(silent, SILENCE_POSES)


def _articulate(targets: Poses, segments: Sequence[Segment]) -> None:
    """Make the teeth of f, v and of sibilants certain."""
    for segment in segments:
        shape = segment.shape
        if shape.kind is Kind.LABIODENTAL:
            at = _poses(segment.start_s - 0.015, segment.end_s)
            targets[at, ROUNDING] *= 0.5
            targets[at, PROTRUSION] *= 0.5
        elif shape.kind is Kind.SIBILANT:
            at = _poses(segment.start_s + 0.01, segment.end_s - 0.01)
        else:
            continue
        targets[at, JAW] = np.minimum(targets[at, JAW], shape.jaw)
        targets[at, TEETH] = np.maximum(targets[at, TEETH], shape.teeth)


def _press_lips(targets: Poses, segments: Sequence[Segment], levels: Levels) -> None:
    """Make every m, b, p meet."""
    count = len(targets)
    shut = np.zeros(count, bool)
    for segment in segments:
        if segment.shape.kind is not Kind.BILABIAL:
            continue
        held = np.zeros(count, bool)
        held[_closure(segment, levels)] = True
        targets[held, TEETH] = 0.0
        # Short of REACH, smoothing takes 4 % (jaw) and 16 % (press) off the ends of the closure: still shut,
        # and short vowels get room to open.
        shut |= dilate(held, REACH - 1)
        pressed = dilate(held, REACH - 2)
        targets[pressed, PRESS] = np.maximum(targets[pressed, PRESS], segment.shape.press)
    targets[shut, JAW] = 0.0


def _closure(segment: Segment, levels: Levels) -> slice:
    """Return the poses during which the lips of a bilabial touch.

    Timings of synthetic voices are off by a frame or two: within 30 ms the closure follows the dip in energy.
    """
    start = segment.start_s - _CLOSE_EARLY_S
    end = max(segment.end_s - _BURST_S, start + _HOLD_S)
    held = _poses(start, end)
    allowed = _poses(segment.start_s - _SLACK_S, segment.end_s + _SLACK_S)
    best, best_db = 0, math.inf
    for shift in sorted(range(-_SHIFT_POSES, _SHIFT_POSES + 1), key=abs):
        if held.start + shift < allowed.start or held.stop + shift > allowed.stop:
            continue
        heard = levels[held.start + shift : held.stop + shift]
        cost_db = float(heard.mean()) + abs(shift) * _SHIFT_COST_DB if heard.size else math.inf
        if cost_db < best_db:
            best, best_db = shift, cost_db
    return slice(held.start + best, held.stop + best)
