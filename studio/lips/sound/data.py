"""Speech to learn the mouth from: what is heard, and how the daemon's phoneme driver would move to it.

No pictures are made, so an hour of it costs some twenty seconds. A set is takes of half a minute, in shards
of a third of an hour; take 17 of seed 1 is the same on every machine with the same flite, espeak-ng and
libsoxr. Voices, sentences and the languages held out are those of `studio.truth`; the targets are not a
person's but the driver's own, on its own grid of 100 Hz and without any lag.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from studio.pack import StudioError
from studio.truth import container
from studio.truth.draw import Split, generator
from studio.truth.texts import compose
from studio.truth.voices import AUDIO_RATE, Speaker, Voice, draw_voice, voice_keys
from vcam_talker.core.types import MOUTH_PARAMS, MOUTH_RATE_HZ, Phone
from vcam_talker.face.phonemes import PhonemeDriver

FORMAT: Final = 1
TAKE_S: Final = 30
TAKES: Final = 40
"""In a shard."""
POSE: Final = AUDIO_RATE // MOUTH_RATE_HZ
"""Samples per pose."""
QUANTUM: Final = 32767
"""A pose of 1.0 as it is stored."""

_MAX_TEXTS: Final = 24
_LEAD_S: Final = (0.0, 0.6)
_PAUSE_S: Final = (0.0, 1.0)
_LONG_PAUSE: Final = 0.06
_SEMITONES: Final = 7.0
"""Wider than for pictures: where pitch and throat go their own ways, a network leans on neither."""
_RATES: Final = (0.75, 1.4)

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Take:
    """Half a minute of one voice."""

    audio: npt.NDArray[np.int16]
    """int16[TAKE_S * AUDIO_RATE]."""
    mouth: npt.NDArray[np.int16]
    """int16[TAKE_S * 100, 7], MOUTH_PARAMS times QUANTUM."""
    voice: str
    """`espeak-ng/f3`."""
    language: str
    alphabet: str
    phones: tuple[Phone, ...]

    @property
    def values(self) -> Values:
        """Return the poses, float32[T, 7]."""
        return self.mouth.astype(np.float32) / np.float32(QUANTUM)

    @property
    def samples(self) -> Values:
        """Return the sound, float32[N]."""
        return self.audio.astype(np.float32) / np.float32(32768)


def make_take(seed: int, split: Split, number: int, speaker: Speaker) -> Take:
    """Speak take `number`. Blocks for about half a percent of its length. Raises EngineError, StudioError."""
    rng = generator(seed, split, "sound", number)
    voice = _wider(draw_voice(split, rng), rng)
    texts = [compose(voice.language, split, rng) for _ in range(_MAX_TEXTS)]
    audio = np.zeros(TAKE_S * AUDIO_RATE, np.float32)
    mouth = np.zeros((TAKE_S * MOUTH_RATE_HZ, len(MOUTH_PARAMS)), np.float32)
    phones: list[Phone] = []
    alphabet = "none"
    driver = PhonemeDriver()
    pose = round(float(rng.uniform(*_LEAD_S)) * MOUTH_RATE_HZ)
    for speech in speaker.say(voice, texts):
        values = driver.drive(speech).values
        at = pose * POSE
        kept = min(speech.samples.size, audio.size - at)
        audio[at : at + kept] = speech.samples[:kept]
        mouth[pose : pose + len(values)] = values[: len(mouth) - pose]
        at_s = pose / MOUTH_RATE_HZ
        phones += [Phone(p.symbol, p.start_s + at_s, p.end_s + at_s) for p in speech.phones]
        alphabet = speech.alphabet
        pause_s = float(rng.uniform(*_PAUSE_S)) ** 2 + (2.0 if rng.random() < _LONG_PAUSE else 0.0)
        pose += len(values) + round(pause_s * MOUTH_RATE_HZ)
        if pose >= len(mouth):
            break
    return Take(
        audio=np.round(np.clip(audio, -1, 1) * 32767).astype(np.int16),
        mouth=np.round(mouth * QUANTUM).astype(np.int16),
        voice=voice.key,
        language=voice.language,
        alphabet=alphabet,
        phones=tuple(p for p in phones if p.start_s < TAKE_S),
    )


def _wider(voice: Voice, rng: np.random.Generator) -> Voice:
    return replace(
        voice,
        rate=round(float(np.exp(rng.uniform(*np.log(_RATES)))), 3),
        semitones=round(float(rng.uniform(-_SEMITONES, _SEMITONES)), 2),
    )


def shard_path(folder: Path, split: Split, shard: int) -> Path:
    """Return where a shard lies."""
    return folder / f"{split}-{shard:04}{container.SUFFIX}"


def make_set(folder: Path, split: Split, seed: int, hours: float, say: Callable[[str], None]) -> int:
    """Make the shards that are missing, damaged, or of voices that the split no longer has; return how many.

    Blocks. Raises EngineError, StudioError.
    A shard is there whole or not at all, so the same call goes on where another one was stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = max(1, round(hours * 3600 / (TAKES * TAKE_S)))
    missing = [n for n in range(count) if not _is_whole(shard_path(folder, split, n), seed, split)]
    speaker = Speaker()
    try:
        for done, shard in enumerate(missing):
            takes = [make_take(seed, split, shard * TAKES + k, speaker) for k in range(TAKES)]
            write_takes(shard_path(folder, split, shard), takes, {"seed": seed, "split": split})
            say(f"{split}: shard {done + 1} of {len(missing)}")
    finally:
        speaker.close()
    return len(missing)


def write_takes(path: Path, takes: list[Take], facts: dict[str, Any]) -> None:
    """Write a shard. Raises StudioError."""
    rows = [
        {
            "voice": take.voice,
            "language": take.language,
            "alphabet": take.alphabet,
            "phones": [[p.symbol, round(p.start_s, 4), round(p.end_s, 4)] for p in take.phones],
        }
        for take in takes
    ]
    text = json.dumps({"format": FORMAT, **facts, "takes": rows}, ensure_ascii=False).encode()
    container.write(
        path,
        {
            "audio": np.stack([take.audio for take in takes]),
            "mouth": np.stack([take.mouth for take in takes]),
            "facts": np.frombuffer(text, np.uint8),
        },
    )


def read_takes(folder: Path, split: Split) -> list[Take]:
    """Return all takes of a split, their arrays mapped from disk, in order. Raises StudioError."""
    takes: list[Take] = []
    for path in sorted(folder.glob(f"{split}-*{container.SUFFIX}")):
        arrays = container.read(path)
        facts = json.loads(arrays["facts"].tobytes())
        for index, row in enumerate(facts["takes"]):
            phones = tuple(Phone(symbol, start, end) for symbol, start, end in row["phones"])
            takes.append(
                Take(
                    arrays["audio"][index],
                    arrays["mouth"][index],
                    row["voice"],
                    row["language"],
                    row["alphabet"],
                    phones,
                )
            )
    return takes


def _is_whole(path: Path, seed: int, split: Split) -> bool:
    if not path.is_file():
        return False
    try:
        facts = json.loads(container.read(path)["facts"].tobytes())
        spoken_by = {take["voice"] for take in facts["takes"]}
    except (StudioError, KeyError, ValueError):
        return False
    known = spoken_by <= set(voice_keys(split))
    return bool(facts["format"] == FORMAT and facts["seed"] == seed and known)
