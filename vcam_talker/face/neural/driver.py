"""Mouth motion from the sound, made certain by phoneme timings where there are any."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import MOUTH_RATE_HZ, MouthTrack, Speech
from vcam_talker.dsp.levels import frame_levels_db
from vcam_talker.face.motion import (
    JAW,
    PRESS,
    REACH,
    TEETH,
    Flow,
    Mask,
    Poses,
    dilate,
    pose_count,
    runs,
    shut_through,
    smooth,
)
from vcam_talker.face.neural.sound import Answer, Listener, SoundNet, shipped
from vcam_talker.face.phonemes import PhonemeDriver, segments_of
from vcam_talker.face.visemes import Kind, Segment

Levels = npt.NDArray[np.float64]
"""float64[T], one per pose."""

AUDIBLE_DB: Final = -62.0
"""Nothing below this is speech."""
SILENCE_POSES: Final = 8
"""A silence of this many poses shuts the mouth; a shorter one is the closure of a consonant."""
SHUT: Final = 0.4
"""Lower than even: a closure too many is seen less than one that is missing."""
REST: Final = 0.35
"""Lower than even: a mouth that rests a little early is seldom seen, one that moves in a pause is."""
BELOW_SPEECH_DB: Final = 34.0
"""What is that far below the speaker's stressed vowels isn't speech."""
CLOSURE_POSES: Final = 2
"""A closure that the network is sure of for a shorter time is a flicker."""
SOUND_SHARE: Final = np.array([0.5, 0.25, 0.15, 0.15, 0.3, 0.3, 0.0])
"""By column, of a vowel whose timing is known: the jaw is heard best, rounding worst."""

_CERTAIN: Final = frozenset((Kind.BILABIAL, Kind.LABIODENTAL, Kind.SIBILANT, Kind.REST))
"""Sounds whose lips or teeth meet: there the timings have the say alone."""

_PRESSING: Final = 0.05
_PRESSED: Final = 0.98
_OPENING: Final = 1.15
"""An answer is a mean of what might be: of unknown voices, jaws spread 0.87 times as far as they should."""
_CALM: Final = np.hanning(7)[1:-1] / 3
"""Weights over 50 ms."""


class NeuralDriver:
    """FaceDriver that listens with a network, and reads along where the voice gives phoneme timings.

    Without timings the network says when lips press and when nobody speaks. With them, every m, b, p, f, v, s
    and every pause is the phoneme driver's, and in vowels and the rest the sound has its share. Not
    thread-safe; does not block; costs about 0.5 % of real time.
    """

    def __init__(self, net: SoundNet | None = None) -> None:
        """Read the network that is shipped, if none is given. Raises EngineError."""
        self._listener = Listener(net or shipped())
        self._reader = PhonemeDriver()
        self._flow = Flow()
        self._known = True
        """Whether the end of the part before was made knowing what came next."""
        self._read = True
        """Whether it had timings, or there was none: then the phoneme driver goes on from it by itself."""

    def reset(self) -> None:
        """Forget the previous speech."""
        self._listener.reset()
        self._reader.reset()
        self._flow.reset()
        self._known = self._read = True

    def drive(self, speech: Speech) -> MouthTrack:
        """Return float32[T, 7], T = ceil(duration * MOUTH_RATE_HZ), at least 1; odd phones raise nothing."""
        count = pose_count(speech)
        answer = self._listener.hear(speech.samples, speech.rate, count, last=speech.last)
        if speech.phones:
            read = self._reader.drive(speech).values.astype(np.float64)
            share = self._share(speech, read)
            motion = read + share[:, None] * SOUND_SHARE * (_heard(answer) - read)
        else:
            self._reader.reset()
            levels = frame_levels_db(speech.samples, speech.rate, MOUTH_RATE_HZ, count)
            motion = _alone(answer, levels, max(AUDIBLE_DB, self._listener.level_db - BELOW_SPEECH_DB))
        joined = bool(speech.phones) and self._read
        self._known, self._read = speech.last, bool(speech.phones) or speech.last
        return MouthTrack(self._flow.carry(motion, last=speech.last, joined=joined))

    def _share(self, speech: Speech, read: Poses) -> Levels:
        """Return how far the sound has its share in each pose, 0 .. 1.

        `read` float64[T, 7] is what the timings give.
        """
        share = np.ones(len(read))
        for segment in segments_of(speech):
            if segment.shape.kind in _CERTAIN:
                share[_poses(segment)] = 0.0
        certain = dilate((share == 0) | ~read.any(axis=1) | (read[:, PRESS] > _PRESSING), REACH + 1)
        # What the sound would say at the seams of a part, nobody knows yet.
        if not speech.last:
            certain[-self._listener.ahead - REACH :] = True
        if not self._known:
            certain[: 2 * REACH] = True
        share[certain] = 0.0
        return _soft(share)


def _alone(answer: Answer, levels_db: Levels, audible_db: float) -> Poses:
    """Return the motion that the sound alone gives, float64[T, 7]; below `audible_db` it rests."""
    motion = _heard(answer)
    silent = (answer.rest > REST) | (levels_db < audible_db)
    shut = shut_through(silent, SILENCE_POSES)
    _press(motion, answer.shut > SHUT)
    motion *= 1 - _soft(shut)[:, None]
    return motion


def _press(motion: Poses, shut: Mask) -> None:
    """Make closures certain: changes `motion`."""
    held = shut.copy()
    for start, stop in runs(shut):
        if stop - start < CLOSURE_POSES:
            held[start:stop] = False
    # The network has learnt closures with their strokes; what it is sure of is already as wide as they are.
    parted = 1 - _soft(dilate(held, 1))
    motion[:, JAW] *= parted
    motion[:, TEETH] *= parted
    motion[:, PRESS] += _soft(held) * (_PRESSED - motion[:, PRESS])


def _heard(answer: Answer) -> Poses:
    """Return the poses of an answer, float64[T, 7], without what is faster than lips."""
    reach = len(_CALM) // 2
    padded = np.pad(answer.poses, ((reach, reach), (0, 0)), mode="edge")
    poses = np.stack([np.convolve(column, _CALM, mode="valid") for column in padded.T], axis=1)
    poses[:, JAW] = np.minimum(1.0, poses[:, JAW] * _OPENING)
    return poses


def _poses(segment: Segment) -> slice:
    return slice(int(segment.start_s * MOUTH_RATE_HZ), int(segment.end_s * MOUTH_RATE_HZ) + 1)


def _soft(values: Levels | Mask) -> Levels:
    """Return `values` smoothed over 2 * REACH + 1 poses; what held for REACH poses on both sides stays."""
    column = values.astype(np.float64)[:, None]
    found: Levels = smooth(column, np.repeat(column[:1], REACH, 0), np.repeat(column[-1:], REACH, 0))[:, 0]
    return found
