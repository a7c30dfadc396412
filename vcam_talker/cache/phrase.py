"""A finished sentence, and its file: everything that a hit needs, so that voice and face driver rest.

Sound is kept in 16 bits, which is what the voices compute in: for speech at the timeline's level the rounding
lies about 80 dB below it (tests hold 75). Mouth and word times are kept exactly.

    file    magic (8), digest (16) of all that follows, key (20), u32 bytes of the head, u32 quanta K,
            head (JSON), sound (s16le[K * 480]), mouth (f32le[K, 7])

Numbers are little-endian. The digest is BLAKE2b. The key stands in the file, too, so that a file under
another one's name is no phrase.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vcam_talker.core.types import MOUTH_PARAMS, MOUTH_RATE_HZ, Emotion, Samples, Word
from vcam_talker.core.wire import QUANTUM

KEY_BYTES: Final = 20
MAX_FILE_BYTES: Final = 16_000_000
"""Well over two minutes of speech; a sentence is 14 s at most."""
FORMAT: Final = 1
"""Part of every key: files of another format are never looked at again, and age away."""

_MAGIC: Final = b"vctphr\r\n"
_DIGEST_BYTES: Final = 16
_FRONT: Final = struct.Struct(f"<{len(_MAGIC)}s{_DIGEST_BYTES}s{KEY_BYTES}sII")
_COVERED_FROM: Final = len(_MAGIC) + _DIGEST_BYTES
_QUANTUM_BYTES: Final = 2 * QUANTUM + 4 * len(MOUTH_PARAMS)
_FULL_SCALE: Final = np.float32(32767)
_OVERHEAD_BYTES: Final = 1000
_WORD_BYTES: Final = 250


class DamagedPhraseError(ValueError):
    """Bytes that are no phrase, or no longer."""


@dataclass(frozen=True, slots=True)
class PhrasePart:
    """What a synthesizer gave in one piece: how many quanta, and its words with times from its start."""

    quanta: int
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class PhraseHead:
    """What a person wants to know of a phrase."""

    text: str
    language: str
    emotion: Emotion
    voice: str
    """Engine and name of who speaks it, `flite:slt`; several for a sentence in several languages."""
    made_s: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence ready for the timeline; arrays are read-only."""

    head: PhraseHead
    sound: npt.NDArray[np.int16]
    """int16[K * 480]."""
    mouth: npt.NDArray[np.float32]
    """float32[K, 7]."""
    parts: tuple[PhrasePart, ...]

    @property
    def nbytes(self) -> int:
        """What it takes in memory, about."""
        words = sum(len(part.words) for part in self.parts)
        return self.sound.nbytes + self.mouth.nbytes + _OVERHEAD_BYTES + _WORD_BYTES * words

    @property
    def duration_s(self) -> float:
        """Length."""
        return len(self.mouth) / MOUTH_RATE_HZ

    def samples(self, first: int, last: int) -> Samples:
        """Return the sound of quanta `first` up to `last`: float32[(last - first) * 480] in [-1, 1]."""
        block = self.sound[first * QUANTUM : last * QUANTUM].astype(np.float32)
        block /= _FULL_SCALE
        return block


def to_sound(samples: Samples) -> npt.NDArray[np.int16]:
    """Return float32[N] in [-1, 1] as int16[N], rounded to nearest; what is beyond is clipped."""
    sound: npt.NDArray[np.int16] = np.rint(np.clip(samples, -1.0, 1.0) * _FULL_SCALE).astype(np.int16)
    return sound


def encode(key: str, phrase: Phrase) -> bytes:
    """Return the file of a phrase."""
    head = phrase.head
    raw = json.dumps(
        {
            "text": head.text,
            "language": head.language,
            "emotion": head.emotion,
            "voice": head.voice,
            "made_s": head.made_s,
            "parts": [[p.quanta, [[w.text, w.start_s, w.end_s] for w in p.words]] for p in phrase.parts],
        },
        ensure_ascii=True,
        separators=(",", ":"),
    ).encode("ascii")
    covered = b"".join(
        (
            bytes.fromhex(key),
            struct.pack("<II", len(raw), len(phrase.mouth)),
            raw,
            phrase.sound.astype("<i2", copy=False).tobytes(),
            phrase.mouth.astype("<f4", copy=False).tobytes(),
        )
    )
    return _MAGIC + _digest(covered) + covered


def decode(key: str, data: bytes) -> Phrase:
    """Return the phrase of a whole file, arrays read-only and without a copy of their own.

    Raises DamagedPhraseError for anything that `encode(key, ...)` did not return.
    """
    digest, head_bytes, quanta = _front(key, data)
    body = memoryview(data)
    if _digest(body[_COVERED_FROM:]) != digest:
        raise DamagedPhraseError("the checksum is wrong")
    if len(data) != _FRONT.size + head_bytes + quanta * _QUANTUM_BYTES or quanta == 0:
        raise DamagedPhraseError(f"{len(data)} bytes for {quanta} quanta")
    sound_at = _FRONT.size + head_bytes
    head, parts = _parse_head(bytes(body[_FRONT.size : sound_at]))
    if sum(part.quanta for part in parts) != quanta:
        raise DamagedPhraseError("its parts are not the whole")
    sound = np.frombuffer(data, "<i2", quanta * QUANTUM, sound_at).astype(np.int16, copy=False)
    mouth = np.frombuffer(data, "<f4", quanta * len(MOUTH_PARAMS), sound_at + sound.nbytes)
    if not np.isfinite(mouth).all():
        raise DamagedPhraseError("its mouth is nowhere")
    return Phrase(head, sound, mouth.astype(np.float32, copy=False).reshape(quanta, len(MOUTH_PARAMS)), parts)


def decode_head(key: str, start: bytes, file_bytes: int) -> tuple[PhraseHead, float]:
    """Return head and length in seconds from a file's first bytes, unverified: for lists, not for playing.

    Raises DamagedPhraseError when they can't be a phrase's, or are too few.
    """
    _, head_bytes, quanta = _front(key, start)
    if file_bytes != _FRONT.size + head_bytes + quanta * _QUANTUM_BYTES:
        raise DamagedPhraseError("its length is wrong")
    head, _ = _parse_head(start[_FRONT.size : _FRONT.size + head_bytes])
    return head, quanta / MOUTH_RATE_HZ


def _front(key: str, data: bytes) -> tuple[bytes, int, int]:
    try:
        magic, digest, own_key, head_bytes, quanta = _FRONT.unpack_from(data)
    except struct.error:
        raise DamagedPhraseError(f"only {len(data)} bytes") from None
    if magic != _MAGIC:
        raise DamagedPhraseError("no phrase")
    if own_key.hex() != key:
        raise DamagedPhraseError("another one's phrase")
    return digest, head_bytes, quanta


def _parse_head(raw: bytes) -> tuple[PhraseHead, tuple[PhrasePart, ...]]:
    try:
        head = json.loads(raw)
        return (
            PhraseHead(
                str(head["text"]),
                str(head["language"]),
                Emotion(head["emotion"]),
                str(head["voice"]),
                _finite(head["made_s"]),
            ),
            tuple(_part(quanta, words) for quanta, words in head["parts"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise DamagedPhraseError(f"its head can't be read ({e!r})") from None


def _part(quanta: Any, words: Any) -> PhrasePart:  # noqa: ANN401 - JSON
    if not isinstance(quanta, int) or quanta < 1:
        raise DamagedPhraseError("a part without sound")
    return PhrasePart(
        quanta, tuple(Word(str(text), _finite(start), _finite(end)) for text, start, end in words)
    )


def _finite(value: Any) -> float:  # noqa: ANN401 - JSON
    number = float(value)
    if not math.isfinite(number):
        raise DamagedPhraseError(f"a time of {number}")
    return number


def _digest(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()
