"""One clip: a person, a voice, some seconds of speech, and all that moves, from nothing but numbers.

Clip 17 of seed 1 is the same on every machine with the same flite, espeak-ng and libsoxr.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from studio.pose import Pose
from studio.truth.body import body_track, pose_of
from studio.truth.draw import Split, generator
from studio.truth.mouth import LAG_MAX_S, Style, at_frames, pin_closures, styled
from studio.truth.people import Person, people_of, person
from studio.truth.shot import Shot, draw_shot
from studio.truth.texts import compose
from studio.truth.voices import AUDIO_RATE, Speaker, Voice, draw_voice
from vcam_talker.core.types import MOUTH_PARAMS, MOUTH_RATE_HZ, Phone, Speech
from vcam_talker.face.phonemes import PhonemeDriver, segments_of
from vcam_talker.face.visemes import SHAPES, Kind

FPS: Final = 25
AUDIO_MARGIN_S: Final = 0.2
"""Sound kept behind the last frame: what a network hears that looks that far ahead."""
VISEMES: Final = tuple(SHAPES)
"""Mouth shapes by number, of all alphabets alike; 0 is rest."""
SILENCE: Final = "pau"

_FRAME: Final = AUDIO_RATE // FPS
_POSE: Final = AUDIO_RATE // MOUTH_RATE_HZ
_LENGTHS: Final = (100, 250)
"""Frames: 4 to 10 s."""
_LEAD_S: Final = (0.0, 0.7)
_PAUSE_S: Final = (0.0, 0.9)
_LONG_PAUSE: Final = 0.08
_EDGE: Final = 1e-6
"""Frames: a moment this close to a phone's edge belongs to what begins there."""
_FADE: Final = 160
_MAX_TEXTS: Final = 24

Audio = npt.NDArray[np.int16]
"""int16[N], AUDIO_RATE."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a set is, in numbers. Two sets of one plan are equal byte for byte."""

    seed: int
    split: Split
    size: int = 128
    """Pixels across and down a crop."""
    shard_frames: int = 2000
    shard_clips: int = 12
    shard_people: int = 4
    """A person is costly to build, so a shard shows few."""

    def clip_frames(self, shard: int) -> tuple[int, ...]:
        """Return how long each clip of a shard is; together `shard_frames`."""
        rng = generator(self.seed, self.split, "lengths", shard)
        shares = np.cumsum(rng.uniform(*_LENGTHS, self.shard_clips))
        ends = np.round(shares / shares[-1] * self.shard_frames).astype(int)
        return tuple(int(n) for n in np.diff(ends, prepend=0))

    def person_number(self, shard: int, index: int) -> int:
        """Return who is in clip `index` of a shard: people take turns, each as often as any other."""
        people = people_of(self.split)
        slot = shard * self.shard_people + index * self.shard_people // self.shard_clips
        return people[(slot + self.seed) % len(people)]

    def people(self, shards: int) -> int:
        """Return how many different people so many shards show."""
        places = ((shard, index) for shard in range(shards) for index in range(self.shard_clips))
        return len({self.person_number(*place) for place in places})


@dataclass(frozen=True, slots=True)
class Spoken:
    """The speech of a clip on its time line, which begins with frame 0."""

    audio: Audio
    """int16[frames * 640 + 3200]."""
    mouth: npt.NDArray[np.float32]
    """float32[frames, 7], at the moments k / FPS; every bilabial shut in one."""
    phones: tuple[Phone, ...]
    """In order, without gaps, from 0 to the end of the frames; silences are `SILENCE`."""
    visemes: npt.NDArray[np.uint8]
    """uint8[frames]: into VISEMES."""
    alphabet: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """One person with one voice, in one shot."""

    number: int
    """`shard * shard_clips + index`."""
    person: Person
    voice: Voice
    shot: Shot
    spoken: Spoken
    body: npt.NDArray[np.float32]
    """float32[frames, len(BODY_COLUMNS)]."""

    def __len__(self) -> int:
        return len(self.body)

    def poses(self) -> Iterator[Pose]:
        """Yield the pose of each frame."""
        for body, mouth in zip(self.body, self.spoken.mouth, strict=True):
            yield pose_of(body, mouth)

    def phone_at_frames(self) -> list[str]:
        """Return the phone sounding at each frame's moment."""
        ends = [p.end_s for p in self.spoken.phones]
        at = np.searchsorted(ends, (np.arange(len(self)) + _EDGE) / FPS, side="right")
        return [self.spoken.phones[min(int(k), len(ends) - 1)].symbol for k in at]


def make_clip(plan: Plan, number: int, speaker: Speaker) -> Clip:
    """Return clip `number` of a plan. Blocks for about 1 % of its length. Raises EngineError."""
    shard, index = divmod(number, plan.shard_clips)
    frames = plan.clip_frames(shard)[index]
    somebody = _person(plan.person_number(shard, index))

    def rng(what: str) -> np.random.Generator:
        return generator(plan.seed, plan.split, number, what)

    voice = draw_voice(plan.split, rng("voice"))
    return Clip(
        number=number,
        person=somebody,
        voice=voice,
        shot=draw_shot(rng("shot")),
        spoken=speak(plan.split, voice, somebody.style, frames, rng("speech"), speaker),
        body=body_track(rng("body"), frames, FPS),
    )


def speak(
    split: Split, voice: Voice, style: Style, frames: int, rng: np.random.Generator, speaker: Speaker
) -> Spoken:
    """Return speech and pauses that fill `frames`; what does not fit is cut off, mouth and sound alike."""
    texts = [compose(voice.language, split, rng) for _ in range(_MAX_TEXTS)]
    samples = frames * _FRAME + round(AUDIO_MARGIN_S * AUDIO_RATE)
    audio = np.zeros(samples, np.float32)
    track = np.zeros((samples // _POSE + 1, len(MOUTH_PARAMS)), np.float32)
    shapes = np.zeros(frames, np.uint8)
    phones: list[Phone] = []
    driver = PhonemeDriver()
    at = _quantised(float(rng.uniform(*_LEAD_S)))
    said: list[str] = []
    closures: list[tuple[float, float]] = []
    alphabet = "none"
    for text, speech in zip(texts, speaker.say(voice, texts), strict=True):
        own = replace(style, lag_s=float(rng.uniform(-LAG_MAX_S, LAG_MAX_S)))
        values = styled(driver.drive(speech).values, own)
        kept = min(speech.samples.size, samples - at)
        audio[at : at + kept] = speech.samples[:kept]
        pose = at // _POSE
        used = min(len(values), len(track) - pose)
        track[pose : pose + used] = values[:used]
        _mark(shapes, speech, at / AUDIO_RATE)
        closures += _closures(speech, at / AUDIO_RATE)
        phones += [
            Phone(p.symbol, p.start_s + at / AUDIO_RATE, p.end_s + at / AUDIO_RATE) for p in speech.phones
        ]
        said.append(text)
        alphabet = speech.alphabet
        pause_s = float(rng.uniform(*_PAUSE_S)) ** 2 + (2.0 if rng.random() < _LONG_PAUSE else 0.0)
        at += _quantised(speech.samples.size / AUDIO_RATE + pause_s)
        if at >= samples:
            break
    audio[-_FADE:] *= np.linspace(1, 0, _FADE, dtype=np.float32)
    mouth = at_frames(track, frames, FPS)
    pin_closures(mouth, track, closures, FPS)
    return Spoken(
        audio=np.round(audio * 32767).astype(np.int16),
        mouth=mouth,
        phones=_filled(phones, frames / FPS),
        visemes=shapes,
        alphabet=alphabet,
        texts=tuple(said),
    )


def _quantised(seconds: float) -> int:
    """Return samples, whole poses: the mouth's grid is the sound's."""
    return int(np.ceil(seconds * MOUTH_RATE_HZ - 1e-6)) * _POSE


def _mark(shapes: npt.NDArray[np.uint8], speech: Speech, at_s: float) -> None:
    names = {id(shape): index for index, shape in enumerate(SHAPES.values())}
    for segment in segments_of(speech):
        first = int(np.ceil((segment.start_s + at_s) * FPS - _EDGE))
        beyond = int(np.ceil((segment.end_s + at_s) * FPS - _EDGE))
        shapes[first:beyond] = names[id(segment.shape)]


def _closures(speech: Speech, at_s: float) -> list[tuple[float, float]]:
    return [
        (segment.start_s + at_s, segment.end_s + at_s)
        for segment in segments_of(speech)
        if segment.shape.kind is Kind.BILABIAL
    ]


def _filled(phones: Sequence[Phone], end_s: float) -> tuple[Phone, ...]:
    """Return the phones within 0 .. `end_s`, their gaps and silences named alike and joined."""
    found: list[Phone] = []

    def add(symbol: str, start_s: float, stop_s: float) -> None:
        stop_s = min(stop_s, end_s)
        if stop_s <= start_s:
            return
        if found and symbol == SILENCE == found[-1].symbol:
            start_s = found.pop().start_s
        found.append(Phone(symbol, start_s, stop_s))

    at_s = 0.0
    for phone in phones:
        add(SILENCE, at_s, phone.start_s)
        silent = phone.symbol in ("pau", "sil") or phone.symbol.startswith("_")
        add(SILENCE if silent else phone.symbol, max(at_s, phone.start_s), phone.end_s)
        at_s = max(at_s, phone.end_s)
    add(SILENCE, at_s, end_s)
    return tuple(found)


@lru_cache(maxsize=16)
def _person(number: int) -> Person:
    return person(number)
