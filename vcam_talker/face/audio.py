"""Mouth motion from sound alone, for recordings and for voices without phoneme timings."""

from __future__ import annotations

from typing import Final

import numpy as np

from vcam_talker.core.types import MOUTH_PARAMS, MOUTH_RATE_HZ, MouthTrack, Speech
from vcam_talker.dsp.levels import FLOOR_DB
from vcam_talker.face.acoustics import Acoustics, Track, analyse
from vcam_talker.face.motion import (
    JAW,
    PRESS,
    PROTRUSION,
    REACH,
    ROUNDING,
    TEETH,
    TONGUE,
    WIDTH,
    Flow,
    Mask,
    Poses,
    dilate,
    pose_count,
    runs,
    shut_through,
)

MEMORY_POSES: Final = MOUTH_RATE_HZ
"""How much of what was heard counts when the next part's noise floor is found."""
FLOOR_REACH_POSES: Final = MOUTH_RATE_HZ
"""The noise floor is the least level within this distance."""
TRUSTED_POSES: Final = 60
"""Less sound than this can be all vowel: then the floor is taken to be UNKNOWN_FLOOR_DB at most."""
UNKNOWN_FLOOR_DB: Final = -50.0
ABOVE_FLOOR_DB: Final = 9.0
"""Speech stands out from the noise by this much; steady noise fluctuates by 3 dB or less in 50 ms."""
BELOW_SPEECH_DB: Final = 34.0
"""What is that far below the loudest speech isn't speech."""
AUDIBLE_DB: Final = -60.0
CLICK_POSES: Final = 4
"""Sounds this short (keys, clicks) don't open the mouth."""
SILENCE_POSES: Final = 8
_CLOSURE_POSES: Final = 3
"""A murmur or a gap has to last this long to be a closure of the lips."""


class AudioDriver:
    """FaceDriver that listens: loudness and first formant open the jaw, the spectrum shapes the lips.

    Silence and steady background noise keep the mouth exactly shut (a vowel held for over two seconds counts
    as noise). Not thread-safe; does not block; costs about 1 % of real time.
    """

    def __init__(self, flow: Flow | None = None) -> None:
        """`flow` may be shared with another driver that takes turns with this one on the same speech."""
        self._flow = flow or Flow()
        self._forget()

    def reset(self) -> None:
        """Forget the previous speech, the noise floor and the speaker's level."""
        self._flow.reset()
        self._forget()

    def drive(self, speech: Speech) -> MouthTrack:
        """Return float32[T, 7], T = ceil(duration * MOUTH_RATE_HZ), at least 1; uses the samples alone."""
        heard = analyse(speech.samples, speech.rate, pose_count(speech))
        active = self._gate(heard.level_db)
        targets = _pose(heard, self._speech_db)
        targets[~active] = 0.0
        _close_lips(targets, heard, active, self._speech_db)
        targets[shut_through(~active, SILENCE_POSES)] = 0.0
        return MouthTrack(self._flow.run(targets, last=speech.last))

    def _forget(self) -> None:
        self._past_db: Track = np.zeros(0)
        self._speech_db = FLOOR_DB

    def _gate(self, level_db: Track) -> Mask:
        """Return where there is speech (bool[T]); learns the noise floor and the speech level."""
        known = np.concatenate((self._past_db, level_db))
        smooth_db = np.convolve(np.pad(known, 2, mode="edge"), np.full(5, 0.2), mode="valid")
        floor_db = _running_min(smooth_db, FLOOR_REACH_POSES)
        if len(known) < TRUSTED_POSES:
            floor_db = np.minimum(floor_db, UNKNOWN_FLOOR_DB)
        above = (known > floor_db + ABOVE_FLOOR_DB) & (known > AUDIBLE_DB)
        if above.any():
            # An old speaker's level fades, so that a softer one soon opens the mouth as far.
            self._speech_db = max(float(np.percentile(known[above], 90)), self._speech_db - 3.0)
        active: Mask = above & (known > self._speech_db - BELOW_SPEECH_DB)
        for start, stop in runs(active):
            if stop - start <= CLICK_POSES:
                active[start:stop] = False
        self._past_db = known[-MEMORY_POSES:]
        return active[len(known) - len(level_db) :]


def _pose(heard: Acoustics, speech_db: float) -> Poses:
    """Return what the mouth does at each moment if there is speech: float64[T, 7], press 0."""
    out = np.zeros((len(heard.level_db), len(MOUTH_PARAMS)))
    loud = _ramp(heard.level_db, speech_db - 26, speech_db - 6)
    # Open vowels have a high first formant, which also lifts the middle band over the low one.
    tilt_db = heard.mid_db - heard.low_db
    openness = 0.65 * _ramp(tilt_db, -26, -1) + 0.35 * _ramp(heard.f1_hz, 300, 850)
    bright_db = heard.hiss_db - heard.mid_db
    close = 1 - openness
    rounded = np.maximum(
        _ramp(-bright_db, 14, 28) * close,
        _ramp(-heard.f2_hz, -1450, -950) * _ramp(-heard.f1_hz, -750, -450),
    )
    hiss = _ramp(np.maximum(heard.hiss_db, heard.high_db) - heard.mid_db, 2, 10) * _ramp(loud, 0.0, 0.25)
    hush = hiss * _ramp(heard.hiss_db - heard.high_db, -16, -6)
    voiced = 1 - hiss
    out[:, JAW] = loud * (0.09 + 0.50 * openness) * voiced + 0.06 * hiss
    out[:, WIDTH] = (
        loud * voiced * (0.6 * _ramp(bright_db, -20, -6) - 0.6 * rounded) + 0.3 * hiss - 0.55 * hush
    )
    out[:, ROUNDING] = loud * voiced * 0.85 * rounded + 0.5 * hush
    out[:, PROTRUSION] = loud * voiced * 0.75 * rounded + 0.6 * hush
    out[:, TEETH] = loud * voiced * 0.4 * (1 - rounded) + 0.88 * hiss
    out[:, TONGUE] = loud * voiced * 0.4 * close * (1 - rounded) + 0.55 * hiss
    return out


def _close_lips(targets: Poses, heard: Acoustics, active: Mask, speech_db: float) -> None:
    """Press the lips together where nothing but the nose or the throat is heard.

    Murmurs (m, n) and voiced closures (b, d) leave only the low band. Sound alone hardly tells lips from
    tongue here; closing them all misses few m, b, p, which viewers notice sooner than an extra closure.
    """
    # A stop's gap is silent, but too short for a pause, and speech goes on behind it.
    gap = np.zeros(len(active), bool)
    for start, stop in runs(~active | (heard.level_db < speech_db - 28)):
        if start > 0 and stop < len(active) and stop - start < SILENCE_POSES:
            gap[start:stop] = True
    muffled = heard.mid_db < heard.low_db - 20
    # [i] is as muffled, but bright further up.
    dull = (heard.mid_db < speech_db - 22) & (heard.hiss_db < speech_db - 41)
    murmur = active & muffled & dull
    for start, stop in runs(murmur | gap):
        if stop - start < _CLOSURE_POSES:
            continue
        held = np.zeros(len(active), bool)
        held[start:stop] = True
        targets[held, TEETH] = 0.0
        targets[dilate(held, REACH - 2), PRESS] = 0.98
        targets[dilate(held, REACH - 1), JAW] = 0.0


def _ramp(value: Track, low: float, high: float) -> Track:
    """Return 0 below `low`, 1 above `high`, straight in between."""
    return np.clip((value - low) / (high - low), 0.0, 1.0)


def _running_min(values: Track, reach: int) -> Track:
    """Return the least value within `reach` on either side: float64[T]."""
    padded = np.pad(values, reach, constant_values=np.inf)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(axis=1))
