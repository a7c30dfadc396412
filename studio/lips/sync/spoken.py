"""What is said in front of the scenes, and how each driver moves the mouth to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from studio.lips.sound.human import Recording, read_sound
from studio.truth.clips import FPS
from studio.truth.draw import generator
from studio.truth.texts import compose
from studio.truth.voices import AUDIO_RATE, Speaker, draw_voice
from vcam_talker.core.stages import FaceDriver
from vcam_talker.core.types import MOUTH_RATE_HZ, Speech
from vcam_talker.face.audio import AudioDriver
from vcam_talker.face.neural.driver import NeuralDriver
from vcam_talker.face.phonemes import PhonemeDriver, segments_of
from vcam_talker.face.visemes import Kind

Track = npt.NDArray[np.float32]
"""float32[T, 7], poses at MOUTH_RATE_HZ."""

TRUTH: Final = "truth"
LISTENING: Final = "neural, sound alone"
LATE_S: Final = 0.12
"""Of the control that is late."""
LATE: Final = f"control: {LATE_S * 1000:.0f} ms late"
OTHER: Final = "control: another sentence"
_LENGTH_S: Final = (2.5, 7.0)
"""What is shorter has too few frames for a lag, what is longer costs too much."""
_STEP: Final = MOUTH_RATE_HZ // FPS
_TRIES: Final = 50


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of speech."""

    name: str
    """`espeak-ng/f3 sv`."""
    speech: Speech
    """At AUDIO_RATE; with phones where they are known."""
    reference: Track | None
    """How the mouth moves by them."""

    @property
    def frames(self) -> int:
        """Pictures at FPS."""
        return self.speech.samples.size * FPS // AUDIO_RATE

    def bilabials(self) -> Iterator[int]:
        """Yield the frame nearest to the middle of each m, b and p."""
        for segment in segments_of(self.speech):
            if segment.shape.kind is Kind.BILABIAL:
                frame = round((segment.start_s + segment.end_s) / 2 * FPS)
                if frame < self.frames:
                    yield frame


def held_out(count: int) -> list[Said]:
    """Return sentences of the test split by its voices, in its languages. Blocks. Raises EngineError."""
    speaker = Speaker()
    found: list[Said] = []
    try:
        for number in range(count * _TRIES):
            if len(found) == count:
                break
            rng = generator("lips", "sync", "measure", number)
            voice = draw_voice("test", rng)
            (speech,) = speaker.say(voice, [compose(voice.language, "test", rng)])
            if _LENGTH_S[0] <= speech.samples.size / speech.rate <= _LENGTH_S[1]:
                reference = PhonemeDriver().drive(speech).values
                found.append(Said(f"{voice.key} {voice.language}", speech, reference))
    finally:
        speaker.close()
    return found


def recorded(recordings: Sequence[Recording], count: int) -> list[Said]:
    """Return the first `count` recordings that are long enough, cut where they are too long."""
    least, most = (round(seconds * AUDIO_RATE) for seconds in _LENGTH_S)
    long = [r for r in recordings if r.samples.size >= least][:count]
    cut = [replace(r, samples=r.samples[:most]) for r in long]
    return [Said(f"{r.speaker} {r.language}", r.speech(), None) for r in cut]


def files(paths: Sequence[Path]) -> list[Said]:
    """Return sound files of any length and kind. Raises StudioError."""
    return [Said(p.name, Recording(p.stem, p.stem, "", read_sound(p)).speech(), None) for p in paths]


def drivers(pieces: Sequence[Said]) -> dict[str, list[Track]]:
    """Return the track of each driver for each piece, controls included; without times, only who listens."""
    silent = [replace(piece.speech, phones=(), alphabet="none") for piece in pieces]
    found = {LISTENING: _driven(NeuralDriver(), silent), "audio": _driven(AudioDriver(), silent)}
    known = [piece.reference for piece in pieces if piece.reference is not None]
    if len(known) == len(pieces):
        found["neural, with timings"] = _driven(NeuralDriver(), [piece.speech for piece in pieces])
        found["phonemes"] = known
    best = known if len(known) == len(pieces) else found[LISTENING]
    late = round(LATE_S * MOUTH_RATE_HZ)
    found[LATE] = [np.concatenate((np.zeros_like(t[:late]), t[:-late])) for t in best]
    if len(best) > 1:
        others = [*best[1:], best[0]]
        found[OTHER] = [fitted(other, len(own)) for own, other in zip(best, others, strict=True)]
    return found


def at_frames(track: Track, frames: int) -> Track:
    """Return the poses at the moments k / FPS, float32[frames, 7]."""
    return fitted(track[::_STEP], frames)


def fitted(track: Track, length: int) -> Track:
    """Return so many poses of a track; rest where it has no more."""
    found = np.zeros((length, track.shape[1]), np.float32)
    found[: min(length, len(track))] = track[:length]
    return found


def _driven(driver: FaceDriver, speeches: Sequence[Speech]) -> list[Track]:
    return [driver.drive(speech).values for speech in speeches]
