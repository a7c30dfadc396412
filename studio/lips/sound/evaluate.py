"""How well a mouth follows sound alone: held-out voices, held-out languages, noise, and recorded people.

The reference is the phoneme driver, which is told every sound and its time: for synthetic voices by the
voice, for recorded people by a forced alignment of what they say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from studio.lips.sound.augment import Noises, degraded
from studio.lips.sound.data import TAKE_S, Take
from studio.lips.sound.human import Aligner, Recording
from studio.truth.draw import generator
from studio.truth.voices import AUDIO_RATE, TRAINED
from vcam_talker.core.stages import FaceDriver
from vcam_talker.core.types import MOUTH_PARAMS, MOUTH_RATE_HZ, NO_TURN, Sentence, Speech
from vcam_talker.dsp.levels import frame_levels_db
from vcam_talker.face.evaluate import closed, closures, false_closures, open_in_silence, silences
from vcam_talker.face.motion import JAW, ROUNDING
from vcam_talker.face.phonemes import PhonemeDriver, segments_of
from vcam_talker.face.visemes import Kind

Values = npt.NDArray[np.float32]
Make = Callable[[], FaceDriver]

NOISE_DB: Final = 15.0
NOISE_SEED: Final = 1
_REACH: Final = 15
"""Poses to either side that a delay is looked for in."""
_PAUSE_EDGE: Final = 6
_LOUD_DB: Final = 40.0
_OPEN: Final = frozenset(("aa", "ae", "ao", "ah", "eh", "ay", "aw"))
_CLOSE: Final = frozenset(("iy", "ih", "uw", "uh"))
_ROUND: Final = frozenset(("uw", "ow", "w", "uh", "oy"))
_SPREAD: Final = frozenset(("iy", "ih", "eh", "ey", "ae"))


@dataclass(frozen=True, slots=True)
class Case:
    """Something said, and how the mouth should move to it."""

    speech: Speech
    """With phones where they are known."""
    reference: Values | None = None


def cases_of(takes: Sequence[Take]) -> list[Case]:
    """Return takes as cases."""
    return [Case(_speech(take), take.values) for take in takes]


def noisy(cases: Sequence[Case], noises: Noises) -> list[Case]:
    """Return the same in a small room with noise of a street, a hum or people."""
    found = []
    for index, case in enumerate(cases):
        rng = generator(NOISE_SEED, "degraded", index)
        sound = degraded(case.speech.samples, noises, rng, NOISE_DB)
        found.append(Case(replace(case.speech, samples=sound), case.reference))
    return found


def aligned(recordings: Iterable[Recording]) -> list[Case]:
    """Return those whose words are known, with a reference made of the alignment.

    Blocks. Raises StudioError where there is no pocketsphinx.
    """
    aligner = Aligner()
    found = []
    for recording in recordings:
        if not aligner.knows(recording.words):
            continue
        phones = aligner.align(recording)
        if phones:
            speech = recording.speech(phones)
            found.append(Case(speech, PhonemeDriver().drive(speech).values))
    return found


def sets_of(takes: Sequence[Take], noises: Noises) -> dict[str, list[Case]]:
    """Return the sets of the test split by name."""
    seen = cases_of([t for t in takes if t.language in TRAINED])
    unseen = cases_of([t for t in takes if t.language not in TRAINED])
    return {
        "held-out voices": seen,
        "held-out voices and languages": unseen,
        f"the same, room and noise at {NOISE_DB:.0f} dB": noisy(seen[::2] + unseen[::2], noises),
    }


def figures(make: Make, cases: Sequence[Case], *, phones: bool = False) -> dict[str, Any]:
    """Return how a driver does on some cases. Blocks for some percent of their length.

    With `phones` it is given them. Correlations are of all poses together.
    """
    driver = make()
    tracks: list[Values] = []
    began_s = time.process_time()
    for case in cases:
        given = case.speech if phones else replace(case.speech, phones=(), alphabet="none")
        tracks.append(driver.drive(given).values)
    cost = (time.process_time() - began_s) / sum(c.speech.samples.size / c.speech.rate for c in cases)
    found: dict[str, Any] = {}
    pairs = [(c.reference, t) for c, t in zip(cases, tracks, strict=True) if c.reference is not None]
    if pairs:
        truth = np.concatenate([a[: len(b)] for a, b in pairs])
        got = np.concatenate([b[: len(a)] for a, b in pairs])
        found["r"] = {n: _r(truth[:, k], got[:, k]) for k, n in enumerate(MOUTH_PARAMS)}
        found["mae"] = {
            n: round(float(np.abs(truth[:, k] - got[:, k]).mean()), 4) for k, n in enumerate(MOUTH_PARAMS)
        }
        found["offset_ms"] = offset(truth[:, JAW], got[:, JAW]) * 1000 // MOUTH_RATE_HZ
        found["jaw_gain"] = round(float(got[:, JAW].std() / truth[:, JAW].std()), 3)
    known = [(c.speech, t) for c, t in zip(cases, tracks, strict=True) if c.speech.phones]
    if known:
        good, whole = (sum(part) for part in zip(*(closures(*pair) for pair in known), strict=True))
        false, others = (sum(part) for part in zip(*(false_closures(*pair) for pair in known), strict=True))
        found["bilabials_closed"] = _share(good, whole)
        found["bilabials"] = whole
        found["touched"] = _share(*_touched(known))
        found["others_closed"] = _share(false, others)
        found["open_in_pauses"] = _share(*_gaping(known))
        found |= _sounds(known)
    quiet = [(c.speech, t) for c, t in zip(cases, tracks, strict=True)]
    poses = sum(b - a for speech, _ in quiet for a, b in silences(speech))
    found["open_in_silence"] = _share(sum(open_in_silence(*pair) for pair in quiet), poses)
    found["r_loudness"] = round(float(np.mean([_follows(*pair) for pair in quiet])), 3)
    found["second_difference"] = round(max(float(np.abs(np.diff(t, 2, axis=0)).max()) for t in tracks), 3)
    found["cost"] = round(cost, 4)
    return found


def offset(truth: npt.NDArray[np.float32], got: npt.NDArray[np.float32]) -> int:
    """Return by how many poses `got` is late, where the two agree best; negative: early."""
    a, b = truth - truth.mean(), got - got.mean()
    scores = [
        float(np.dot(a[_REACH:-_REACH], b[_REACH + lag : len(b) - _REACH + lag]))
        for lag in range(-_REACH, _REACH + 1)
    ]
    return int(np.argmax(scores)) - _REACH


def _touched(known: Sequence[tuple[Speech, Values]]) -> tuple[int, int]:
    """Return how many bilabials have the lips together at any of their poses, and how many there are."""
    good = whole = 0
    for speech, values in known:
        shut = closed(values)
        for segment in segments_of(speech):
            if segment.shape.kind is Kind.BILABIAL:
                span = slice(
                    max(0, int(segment.start_s * MOUTH_RATE_HZ) - 3),
                    int(segment.end_s * MOUTH_RATE_HZ) + 4,
                )
                good += bool(shut[span].any())
                whole += 1
    return good, whole


def _gaping(known: Sequence[tuple[Speech, Values]]) -> tuple[int, int]:
    """Return how many poses in pauses, less 60 ms at either end, show an open mouth, and how many there are.

    Recordings are never silent: where people pause, the alignment knows.
    """
    gaping = whole = 0
    for speech, values in known:
        shut = closed(values)
        for segment in segments_of(speech):
            if segment.shape.kind is Kind.REST:
                first = int(segment.start_s * MOUTH_RATE_HZ) + _PAUSE_EDGE
                inside = shut[first : max(first, int(segment.end_s * MOUTH_RATE_HZ) - _PAUSE_EDGE)]
                gaping += int((~inside).sum())
                whole += len(inside)
    return gaping, whole


def _sounds(known: Sequence[tuple[Speech, Values]]) -> dict[str, float]:
    """Return the mean jaw of open and of close vowels, and the mean rounding of round and of spread ones."""
    groups = {"jaw_open": (_OPEN, JAW), "jaw_close": (_CLOSE, JAW)}
    groups |= {"rounding_round": (_ROUND, ROUNDING), "rounding_spread": (_SPREAD, ROUNDING)}
    found = {}
    for name, (symbols, column) in groups.items():
        hits = [
            float(values[min(len(values) - 1, int((p.start_s + p.end_s) / 2 * MOUTH_RATE_HZ)), column])
            for speech, values in known
            if speech.alphabet == "arpabet"
            for p in speech.phones
            if p.symbol in symbols
        ]
        if hits:
            found[name] = round(float(np.mean(hits)), 3)
    return found


def _follows(speech: Speech, values: Values) -> float:
    """Return the correlation of the jaw with the loudness, both over some 100 ms."""
    levels = frame_levels_db(speech.samples, speech.rate, MOUTH_RATE_HZ, len(values))
    envelope = np.maximum(levels, levels.max() - _LOUD_DB)
    kernel = np.full(9, 1 / 9)
    return _r(np.convolve(envelope, kernel, "same"), np.convolve(values[:, JAW], kernel, "same"))


def _speech(take: Take) -> Speech:
    sentence = Sentence(NO_TURN, 0, "", language=take.language)
    alphabet: Any = take.alphabet
    phones = tuple(replace(p, end_s=min(p.end_s, float(TAKE_S))) for p in take.phones)
    return Speech(sentence, AUDIO_RATE, take.samples, phones, (), alphabet)


def _r(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    return round(float(np.corrcoef(x, y)[0, 1]), 3) if x.std() > 0 and y.std() > 0 else 0.0


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
